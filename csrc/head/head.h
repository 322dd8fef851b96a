// Everything behind the encoders of MCO-E Net, folded: three operators on the CPU.
//
// Frame and event travel together: a token is 8 numbers, the frame's four before the event's. Channels of the
// Mamba are the frame's 8 before the event's 8; directions are forward before backward. All arrays are dense,
// row-major and in the axis order of the comments below; all arithmetic is float32.
#pragma once
#include <cstdint>

#include "parallel.h"

namespace canthus::head {

inline constexpr std::int64_t token_width = 8, channels = 16, states = 16, convolution_length = 4;
inline constexpr std::int64_t projected = 5 * channels;  // delta of each channel, B and C of both modalities
inline constexpr std::int64_t experts = 8, experts_used = 2;

// A matrix (outputs, inputs), float32 or int8, times a scale for each output.
struct Matrix {
  const void* values = nullptr;
  bool is_int8 = false;
  const float* scales = nullptr;  // (outputs), or null: 1
  std::int64_t outputs = 0, inputs = 0;
};

// A causal depthwise convolution, projections of both modalities and a selective scan, in both directions:
// their sum through `out_proj`, and the tokens added.
struct McoMamba {
  std::int64_t batch = 0, tokens = 0;
  const float* x = nullptr;            // (batch, tokens, 8)
  const float* in_proj = nullptr;      // (8, 32): of a direction's x, then of its gate z
  const float* conv_weight = nullptr;  // (2, 4, 16)
  const float* conv_bias = nullptr;    // (2, 16)
  const float* projection = nullptr;   // (2, 16, 80): delta (16), B (2, 16), C (2, 16)
  const float* A = nullptr;            // (2, 16, 16)
  const float* D = nullptr;            // (2, 16)
  const float* delta_bias = nullptr;   // (2, 16)
  const float* out_proj = nullptr;     // (16, 8)
};

// Each modality attends to the other, by two heads of two numbers; a gate joins what they heard; then a dense
// layer and GELU.
struct Mcib {
  std::int64_t batch = 0, tokens = 0;
  const float* x = nullptr;                // (batch, tokens, 8)
  const float* projection = nullptr;       // (8, 32): of the modalities themselves, query, key, value
  const float* projection_bias = nullptr;  // (32)
  const float* out_weight = nullptr;       // (4, 4), as (outputs, inputs)
  const float* out_bias = nullptr;         // (4)
  Matrix fusion;                           // (width, 4 tokens)
  const float* fusion_bias = nullptr;      // (width)
};

// A router chooses two of eight experts, and only they are run. Expert i is of kind i mod 3: focal,
// attention, deep. What of them is linear in x is one matrix: the router's attention (width rows), three
// attention experts (width each), three focal ones (width / 2 each), two deep ones (labels each).
struct RoutedExperts {
  std::int64_t batch = 0, width = 0, labels = 0;
  const float* x = nullptr;  // (batch, width)
  Matrix linear;
  const float* linear_bias = nullptr;
  const float* norm_scale = nullptr;        // (width)
  const float* norm_shift = nullptr;        // (width)
  Matrix router;                            // (width / 2, width)
  const float* router_bias = nullptr;       // (width / 2)
  const float* choice_weight = nullptr;     // (8, width / 2)
  const float* choice_bias = nullptr;       // (8)
  const float* attention_weight = nullptr;  // (3, labels, width)
  const float* attention_bias = nullptr;    // (3, labels)
  const float* focal_weight = nullptr;      // (3, labels, width / 2)
  const float* focal_bias = nullptr;        // (3, labels)
};

struct Kernel;  // one compilation, for one instruction set

const Kernel& fastest_kernel();
const Kernel* const* all_kernels();  // fastest first, ends with null; some may not run here

// All throw std::bad_alloc if memory runs out, and allocate only when they meet sizes larger than before. The
// results don't depend on the number of threads.
void run(const Kernel&, const McoMamba&, float* y, const Parallel&);  // y: (batch, tokens, 8)
void run(const Kernel&, const Mcib&, float* fused, const Parallel&);  // fused: (batch, width)
// logits: (batch, labels); weights: (batch, 8), 0 of the experts not run.
void run(const Kernel&, const RoutedExperts&, float* logits, float* weights, const Parallel&);

}  // namespace canthus::head
