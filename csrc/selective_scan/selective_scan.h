// Mamba's selective scan, forward and backward, on the CPU.
//
//   d    = softplus(delta + delta_bias)                      softplus and bias where asked for
//   h[t] = exp(d[t] A) h[t-1] + d[t] B[t] u[t]               h[-1] = 0; one state of `states` values per
//   channel y[t] = (sum over states of C[t] h[t] + D u[t]) SiLU(z[t])         D and z where given
//
// as mamba_ssm's selective_scan_fn defines it for real A (Gu and Dao, arXiv 2312.00752). All arrays are
// dense, row-major and in the axis order of the comments below. All arithmetic is float32.
#pragma once
#include <cstdint>

#include "parallel.h"

namespace canthus::selective_scan {

enum class DataType { float32, float16, bfloat16 };

struct Sizes {
  std::int64_t batch = 0, channels = 0, states = 0, tokens = 0;
  std::int64_t groups = 1;  // of channels that share B and C; divides channels
};

// B or C: either one float32 row per channel, (channels, states), the same for all tokens, or one of the data
// type per token, (batch, groups, states, tokens).
struct Projection {
  const void* data = nullptr;
  bool varies = false;
};

struct Inputs {
  DataType type = DataType::float32;  // of u, delta, z, y and of B and C that vary
  Sizes sizes;
  const void* u = nullptr;      // (batch, channels, tokens)
  const void* delta = nullptr;  // (batch, channels, tokens)
  const float* A = nullptr;     // (channels, states)
  Projection B, C;
  const float* D = nullptr;           // (channels), or null
  const void* z = nullptr;            // (batch, channels, tokens), or null
  const float* delta_bias = nullptr;  // (channels), or null
  bool delta_softplus = false;
};

struct Outputs {
  void* y = nullptr;            // (batch, channels, tokens)
  float* last_state = nullptr;  // (batch, channels, states), or null if not wanted
};

// Of the loss; each of the shape of its namesake. `last_state` may be null: then it is zero.
struct OutputGradients {
  const float* y = nullptr;
  const float* last_state = nullptr;
};

// Every one is written, none is read; D, z and delta_bias are null where the input is.
struct InputGradients {
  float *u = nullptr, *delta = nullptr, *A = nullptr, *B = nullptr, *C = nullptr;
  float *D = nullptr, *z = nullptr, *delta_bias = nullptr;
};

// One compilation of the kernels, for one instruction set.
struct Kernel {
  const char* name;  // "baseline", "avx2", "avx512" or "neon"
  bool (*runs_here)();
  // Both do one unit of the work and return false if memory ran out. The backward unit is one group of one
  // batch element; in `parts` the gradients that sum over the batch have a batch axis in front, zero at
  // first.
  bool (*forward)(const Inputs&, const Outputs&, std::int64_t unit);
  bool (*backward)(const Inputs&, const OutputGradients&, const InputGradients& parts, std::int64_t unit);
};

const Kernel& fastest_kernel();
const Kernel* const* all_kernels();  // fastest first, ends with null; some may not run here

// Both throw std::bad_alloc if memory runs out. The forward pass allocates only when a thread meets sizes
// larger than it has met before.
void forward(const Kernel&, const Inputs&, const Outputs&, const Parallel&);
// float32 only. Recomputes the states; the result doesn't depend on the number of threads.
void backward(const Kernel&, const Inputs&, const OutputGradients&, const InputGradients&, const Parallel&);

}  // namespace canthus::selective_scan
