// Four launches: the router's attention, its hidden layer, the two chosen experts' first layers, and their
// answers.
#include "cuda/dense.h"
#include "cuda/head.h"
#include "cuda/numbers.h"
#include "cuda/reduce.h"
#include "head/experts.h"

namespace canthus::cuda {
namespace {

using namespace head;

constexpr int threads = warps_of_dense * lanes_of_warp;

// Where a call's kernels leave their results, (batch, …) each.
struct Passed {
  float *routed, *hidden, *results;
};

// What the router chooses. The whole block helps, and every thread gets it; `logits` is shared memory.
__device__ Choice choose(const RoutedExperts& in, const float* hidden, float* logits) {
  const std::int64_t half = in.width / 2;
  const int lane = threadIdx.x % lanes_of_warp;
  for (int i = threadIdx.x / lanes_of_warp; i < experts; i += threads / lanes_of_warp) {
    float sum = 0.0f;
    for (std::int64_t k = lane; k < half; k += lanes_of_warp)
      sum += in.choice_weight[i * half + k] * hidden[k];
    sum = sum_of_warp(sum);
    if (lane == 0) logits[i] = sum + in.choice_bias[i];
  }
  __syncthreads();
  return head::choose(logits);
}

__global__ void route(const RoutedExperts in, std::int64_t blocks_of_item, Passed passed) {
  const Rows rows = own_rows(blocks_of_item);
  float* y = passed.routed + rows.batch * in.width;
  dense_rows(in.linear, in.linear_bias, rows.first, in.width, in.x + rows.batch * in.width, AsItIs{},
             [y](std::int64_t i, float value) { y[i] = value; });
}

__global__ void hide(const RoutedExperts in, std::int64_t blocks_of_item, Passed passed) {
  __shared__ float memory[warps_of_dense];
  const Rows rows = own_rows(blocks_of_item);
  const float* x = passed.routed + rows.batch * in.width;
  float* y = passed.hidden + rows.batch * (in.width / 2);
  const Normal normal = normal_of(x, in.width, memory);
  dense_rows(
      in.router, in.router_bias, rows.first, in.width / 2, x,
      [&](float value, std::int64_t i) { return normal(value) * in.norm_scale[i] + in.norm_shift[i]; },
      [y](std::int64_t i, float value) { y[i] = gelu(value); });
}

__global__ void ask(const RoutedExperts in, std::int64_t blocks_of_expert, Passed passed, float* weights) {
  __shared__ float logits[experts];
  const std::int64_t batch_and_place = blockIdx.x / blocks_of_expert, batch = batch_and_place / experts_used;
  const int place = static_cast<int>(batch_and_place % experts_used);
  const Choice choice = choose(in, passed.hidden + batch * (in.width / 2), logits);
  const std::int64_t chosen = place ? choice.index[1] : choice.index[0];
  if (place == 0 && blockIdx.x % blocks_of_expert == 0 && threadIdx.x < experts) {
    const int i = threadIdx.x;
    weights[batch * experts + i] = i == choice.index[0]   ? choice.weight[0]
                                   : i == choice.index[1] ? choice.weight[1]
                                                          : 0.0f;
  }
  const Expert one = expert(in, chosen);
  const std::int64_t first = one.first + own_rows(blocks_of_expert).first;
  float* y = passed.results + batch_and_place * in.width - one.first;
  dense_rows(in.linear, in.linear_bias, first, one.first + one.rows, in.x + batch * in.width, AsItIs{},
             [&](std::int64_t i, float value) { y[i] = one.kind == focal ? gelu(value) : value; });
}

// One block for each batch element.
__global__ void answer(const RoutedExperts in, Passed passed, float* logits) {
  __shared__ float choice_logits[experts], memory[warps_of_dense];
  const std::int64_t batch = blockIdx.x;
  const int lane = threadIdx.x % lanes_of_warp, warp = threadIdx.x / lanes_of_warp;
  const Choice choice = choose(in, passed.hidden + batch * (in.width / 2), choice_logits);
  Expert asked[experts_used];
  Normal normals[experts_used];
#pragma unroll
  for (int place = 0; place < experts_used; ++place) {
    asked[place] = expert(in, choice.index[place]);
    normals[place] = {0.0f, 1.0f};
    if (asked[place].kind == attention)
      normals[place] =
          normal_of(passed.results + (batch * experts_used + place) * in.width, in.width, memory);
  }
  for (std::int64_t label = warp; label < in.labels; label += warps_of_dense) {
    float mixed = 0.0f, total = 1e-8f;
#pragma unroll
    for (int place = 0; place < experts_used; ++place) {
      const Expert& one = asked[place];
      const float* x = passed.results + (batch * experts_used + place) * in.width;
      float value = x[label];
      if (one.kind != deep) {
        const std::int64_t at = one.number * in.labels + label;
        const float* row = (one.kind == attention ? in.attention_weight : in.focal_weight) + at * one.rows;
        float sum = 0.0f;
        for (std::int64_t i = lane; i < one.rows; i += lanes_of_warp) sum += row[i] * normals[place](x[i]);
        value = sum_of_warp(sum) + (one.kind == attention ? in.attention_bias : in.focal_bias)[at];
      }
      mixed += choice.weight[place] * value;
      total += choice.weight[place];
    }
    if (lane == 0) logits[batch * in.labels + label] = mixed / total;
  }
}

}  // namespace

std::size_t workspace(const RoutedExperts& in) {
  return static_cast<std::size_t>(in.batch * (in.width + in.width / 2 + experts_used * in.width));
}

void run(const RoutedExperts& in, float* logits, float* weights, float* workspace, cudaStream_t stream) {
  const Passed passed{workspace, workspace + in.batch * in.width,
                      workspace + in.batch * (in.width + in.width / 2)};
  const std::int64_t all = blocks_for(in.width, rows_of_block);
  const std::int64_t half = blocks_for(in.width / 2, rows_of_block);
  launch(route, blocks_for(in.batch * all, 1), threads, stream, in, all, passed);
  launch(hide, blocks_for(in.batch * half, 1), threads, stream, in, half, passed);
  launch(ask, blocks_for(in.batch * experts_used * all, 1), threads, stream, in, all, passed, weights);
  launch(answer, blocks_for(in.batch, 1), threads, stream, in, passed, logits);
}

}  // namespace canthus::cuda
