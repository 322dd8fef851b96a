// Mamba-2's scan (state space duality) on the CPU.
//
//   a[t] = exp(dt[t] A)                          one number for each head and token
//   S[t] = a[t] S[t-1] + dt[t] x[t] B[t]         S[-1] = initial_state, or 0; (head_size, states) for each
//   head y[t] = S[t] C[t]
//
// as mamba_ssm's mamba_chunk_scan_combined defines it, without what it does before and after (bias, softplus
// and bounds of dt, D, z), in blocks of tokens whose work is products of matrices (Dao and Gu,
// arXiv 2405.21060, section 6). What isn't finite reaches all tokens of its block. All arrays are float32,
// dense, row-major and in the axis order of the comments below.
#pragma once
#include <cstdint>

#include "parallel.h"
#include "shape.h"

namespace canthus::ssd {

struct Sizes {
  std::int64_t batch = 0, tokens = 0, heads = 0, head_size = 0, states = 0;
  std::int64_t groups = 1;  // of heads that share B and C; divides heads
};

struct Inputs {
  Sizes sizes;
  const float* x = nullptr;              // (batch, tokens, heads, head_size)
  const float* dt = nullptr;             // (batch, tokens, heads)
  const float* A = nullptr;              // (heads)
  const float* B = nullptr;              // (batch, tokens, groups, states)
  const float* C = nullptr;              // (batch, tokens, groups, states)
  const float* initial_state = nullptr;  // (batch, heads, head_size, states), or null for zeros
};

struct Outputs {
  float* y = nullptr;           // (batch, tokens, heads, head_size)
  float* last_state = nullptr;  // (batch, heads, head_size, states), or null if not wanted
};

struct Shapes {
  Shape x, dt, A, B, C, initial_state;
};

// Throws std::invalid_argument naming the input, its shape and the shape that fits.
Sizes sizes_of(const Shapes&);

// One compilation of the kernel, for one instruction set.
struct Kernel {
  const char* name;  // "baseline", "avx2", "avx512" or "neon"
  bool (*runs_here)();
  // Both do one unit of the work and return false if memory ran out. First, of each block of tokens of one
  // group of one batch element, the products of all C with all B: (block_tokens, block_tokens). Then, with
  // those, one head of one batch element.
  bool (*products)(const Inputs&, std::int64_t unit, float* products);
  bool (*forward)(const Inputs&, const Outputs&, const float* products, std::int64_t unit);
};

// Tokens of a block: more make the products among its own tokens longer, fewer those with the state thinner.
inline constexpr std::int64_t block_tokens = 16;

inline std::int64_t blocks_of(const Sizes& sizes) { return (sizes.tokens + block_tokens - 1) / block_tokens; }

const Kernel& fastest_kernel();
const Kernel* const* all_kernels();  // fastest first, ends with null; some may not run here

// Throws std::bad_alloc if memory runs out. Allocates only when a thread meets sizes larger than it has met
// before. The answer doesn't depend on the number of threads.
void forward(const Kernel&, const Inputs&, const Outputs&, const Parallel&);

}  // namespace canthus::ssd
