// Matrix times vector, a few rows for each warp: at one image a time the weights are read once, and that is
// the cost.
#pragma once
#include "cuda/launch.h"
#include "cuda/numbers.h"
#include "cuda/reduce.h"
#include "head/head.h"

namespace canthus::cuda {

inline constexpr int warps_of_dense = 4, rows_of_warp = 2;
inline constexpr int rows_of_block = warps_of_dense * rows_of_warp;

// Of a block of `blocks_of_item`, its batch element and its warp's first row.
struct Rows {
  std::int64_t batch, first;
};

__device__ inline Rows own_rows(std::int64_t blocks_of_item) {
  const std::int64_t warp = blockIdx.x % blocks_of_item * warps_of_dense + threadIdx.x / lanes_of_warp;
  return {blockIdx.x / blocks_of_item, warp * rows_of_warp};
}

struct AsItIs {
  __device__ float operator()(float x, std::int64_t) const { return x; }
};

// This lane's share of matrix[row] · x of up to `count` rows from `row` on; `change(x, i)` is what is
// multiplied.
template <class Weight, int count, class Change>
__device__ void multiply(const head::Matrix& matrix, std::int64_t row, std::int64_t end, const float* x,
                         int lane, const Change& change, float (&sums)[count]) {
  const Weight* weights = static_cast<const Weight*>(matrix.values);
  const std::int64_t inputs = matrix.inputs;
  // Four weights at a time where rows begin at whole fours.
  if (inputs % 4 == 0 && reinterpret_cast<std::uintptr_t>(weights) % (4 * sizeof(Weight)) == 0) {
    struct alignas(4 * sizeof(Weight)) Four {
      Weight values[4];
    };
    for (std::int64_t i = 4 * lane; i < inputs; i += 4 * lanes_of_warp) {
      float changed[4];
#pragma unroll
      for (int k = 0; k < 4; ++k) changed[k] = change(x[i + k], i + k);
#pragma unroll
      for (int r = 0; r < count; ++r) {
        if (row + r >= end) break;
        const Four four = *reinterpret_cast<const Four*>(weights + (row + r) * inputs + i);
#pragma unroll
        for (int k = 0; k < 4; ++k) sums[r] += static_cast<float>(four.values[k]) * changed[k];
      }
    }
    return;
  }
  for (std::int64_t i = lane; i < inputs; i += lanes_of_warp)
    for (int r = 0; r < count; ++r)
      if (row + r < end) sums[r] += static_cast<float>(weights[(row + r) * inputs + i]) * change(x[i], i);
}

// y[i] = matrix[i] · x + bias[i] of this warp's rows, from `row` up to `end`; in lane 0 `finish(i, value)`
// takes each.
template <class Change, class Finish>
__device__ void dense_rows(const head::Matrix& matrix, const float* bias, std::int64_t row, std::int64_t end,
                           const float* x, const Change& change, const Finish& finish) {
  const int lane = threadIdx.x % lanes_of_warp;
  float sums[rows_of_warp] = {};
  if (matrix.is_int8)
    multiply<signed char>(matrix, row, end, x, lane, change, sums);
  else
    multiply<float>(matrix, row, end, x, lane, change, sums);
  for (int r = 0; r < rows_of_warp; ++r) {
    const float sum = sum_of_warp(sums[r]);
    const std::int64_t i = row + r;
    if (i >= end || lane) continue;
    finish(i, (matrix.scales ? sum * matrix.scales[i] : sum) + bias[i]);
  }
}

}  // namespace canthus::cuda
