// Sums over a warp and over a block, in an order that is the same every time.
#pragma once
#include "cuda/launch.h"

namespace canthus::cuda {

// Every lane gets it.
__device__ inline float sum_of_warp(float x) {
#pragma unroll
  for (int reach = lanes_of_warp / 2; reach > 0; reach /= 2) x += __shfl_xor_sync(every_lane, x, reach);
  return x;
}

// Every thread gets it. `memory`: a float for each warp of the block.
__device__ inline float sum_of_block(float x, float* memory) {
  const int warps = blockDim.x / lanes_of_warp;
  x = sum_of_warp(x);
  __syncthreads();  // `memory` may still be read for the sum before
  if (threadIdx.x % lanes_of_warp == 0) memory[threadIdx.x / lanes_of_warp] = x;
  __syncthreads();
  float total = 0.0f;
  for (int i = 0; i < warps; ++i) total += memory[i];
  return total;
}

struct Normal {
  float mean, factor;
  __device__ float operator()(float x) const { return (x - mean) * factor; }
};

// Of LayerNorm over `count` numbers, with PyTorch's epsilon; the whole block helps.
__device__ inline Normal normal_of(const float* x, std::int64_t count, float* memory) {
  float sum = 0.0f, squares = 0.0f;
  for (std::int64_t i = threadIdx.x; i < count; i += blockDim.x) sum += x[i];
  const float mean = sum_of_block(sum, memory) / static_cast<float>(count);
  for (std::int64_t i = threadIdx.x; i < count; i += blockDim.x) squares += (x[i] - mean) * (x[i] - mean);
  const float variance = sum_of_block(squares, memory) / static_cast<float>(count);
  return {mean, rsqrtf(variance + 1e-5f)};
}

}  // namespace canthus::cuda
