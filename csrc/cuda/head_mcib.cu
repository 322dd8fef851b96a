// A block has some tokens, and what all four heads ask of every token; then a dense layer.
#include "cuda/dense.h"
#include "cuda/head.h"
#include "cuda/numbers.h"

namespace canthus::cuda {
namespace {

using namespace head;

constexpr int half_width = token_width / 2;  // of one modality
constexpr int heads = 4;                     // two of the frame, that asks the event, then two of the event
constexpr int queries = 16, helpers = 4;  // of a block; of a query of a head, each with a quarter of the keys
constexpr int threads = queries * heads * helpers;
constexpr int tile = 128;

enum Part : int { itself = 0, query = token_width, key = 2 * token_width, value = 3 * token_width };

__device__ float projected_token(const Mcib& in, const float* token, int column) {
  float sum = in.projection_bias[column];
#pragma unroll
  for (int i = 0; i < token_width; ++i) sum += token[i] * in.projection[i * 4 * token_width + column];
  return sum;
}

// Softmax's sums so far, scaled by two to the power of minus `highest`.
struct Heard {
  float highest, weight, first, second;
};

__device__ Heard scaled(const Heard& heard, float highest) {
  const float factor = heard.weight == 0.0f ? 0.0f : power_of_two(heard.highest - highest);
  return {highest, heard.weight * factor, heard.first * factor, heard.second * factor};
}

__device__ Heard together(const Heard& one, const Heard& other) {
  const float highest = fmaxf(one.highest, other.highest);
  const Heard a = scaled(one, highest), b = scaled(other, highest);
  return {highest, a.weight + b.weight, a.first + b.first, a.second + b.second};
}

// joined (batch, tokens, 4)
__global__ void __launch_bounds__(threads) attend(const Mcib in, std::int64_t blocks_of_item, float* joined) {
  __shared__ float keys_and_values[2 * token_width][tile];
  __shared__ float asked[queries][2 * token_width];  // the tokens themselves and their queries
  __shared__ float heard_of[queries][token_width];
  const std::int64_t batch = blockIdx.x / blocks_of_item;
  const std::int64_t first_query = blockIdx.x % blocks_of_item * queries;
  const float* x = in.x + batch * in.tokens * token_width;
  for (int i = threadIdx.x; i < queries * 2 * token_width; i += threads) {
    const std::int64_t t = first_query + i / (2 * token_width);
    asked[i / (2 * token_width)][i % (2 * token_width)] =
        t < in.tokens ? projected_token(in, x + t * token_width, i % (2 * token_width)) : 0.0f;
  }
  __syncthreads();

  const int own_query = threadIdx.x / (heads * helpers), head = threadIdx.x / helpers % heads;
  const int helper = threadIdx.x % helpers;
  const float q0 = asked[own_query][query + 2 * head] * log2_of_e;
  const float q1 = asked[own_query][query + 2 * head + 1] * log2_of_e;
  const float *k0 = keys_and_values[2 * head], *k1 = keys_and_values[2 * head + 1];
  const float *v0 = keys_and_values[token_width + 2 * head],
              *v1 = keys_and_values[token_width + 2 * head + 1];
  Heard heard{-INFINITY, 0.0f, 0.0f, 0.0f};
  for (std::int64_t begin = 0; begin < in.tokens; begin += tile) {
    const int count = in.tokens - begin < tile ? static_cast<int>(in.tokens - begin) : tile;
    __syncthreads();
    for (int i = threadIdx.x; i < 2 * token_width * tile; i += threads)
      if (i % tile < count)
        keys_and_values[i / tile][i % tile] =
            projected_token(in, x + (begin + i % tile) * token_width, key + i / tile);
    __syncthreads();
    if (helper >= count) continue;
    float highest = heard.highest;
    for (int t = helper; t < count; t += helpers) highest = fmaxf(highest, q0 * k0[t] + q1 * k1[t]);
    heard = scaled(heard, highest);
    for (int t = helper; t < count; t += helpers) {
      const float weight = power_of_two(q0 * k0[t] + q1 * k1[t] - highest);
      heard.weight += weight;
      heard.first += weight * v0[t];
      heard.second += weight * v1[t];
    }
  }
#pragma unroll
  for (int reach = 1; reach < helpers; reach *= 2) {
    const Heard other{
        __shfl_xor_sync(every_lane, heard.highest, reach), __shfl_xor_sync(every_lane, heard.weight, reach),
        __shfl_xor_sync(every_lane, heard.first, reach), __shfl_xor_sync(every_lane, heard.second, reach)};
    // The same two in the same order for both.
    heard = helper & reach ? together(other, heard) : together(heard, other);
  }
  if (helper == 0) {
    heard_of[own_query][2 * head] = heard.first / heard.weight;
    heard_of[own_query][2 * head + 1] = heard.second / heard.weight;
  }
  __syncthreads();

  const int token = threadIdx.x / half_width, output = threadIdx.x % half_width;
  if (token >= queries || first_query + token >= in.tokens) return;
  const float *frame = asked[token] + itself, *event = frame + half_width;
  float likeness = 0.0f, from_event = in.out_bias[output], from_frame = from_event;
#pragma unroll
  for (int i = 0; i < half_width; ++i) {
    likeness += frame[i] * event[i];
    from_event += heard_of[token][i] * in.out_weight[output * half_width + i];
    from_frame += heard_of[token][half_width + i] * in.out_weight[output * half_width + i];
  }
  const float gate = sigmoid(likeness), both = frame[output] + event[output];
  joined[(batch * in.tokens + first_query + token) * half_width + output] =
      from_frame + gate * (from_event - from_frame) + 0.5f * both;
}

__global__ void fuse(const Mcib in, std::int64_t blocks_of_item, const float* joined, float* fused) {
  const Rows rows = own_rows(blocks_of_item);
  float* y = fused + rows.batch * in.fusion.outputs;
  dense_rows(in.fusion, in.fusion_bias, rows.first, in.fusion.outputs, joined + rows.batch * in.fusion.inputs,
             AsItIs{}, [y](std::int64_t i, float value) { y[i] = gelu(value); });
}

}  // namespace

std::size_t workspace(const Mcib& in) { return static_cast<std::size_t>(in.batch * in.fusion.inputs); }

void run(const Mcib& in, float* fused, float* workspace, cudaStream_t stream) {
  const std::int64_t attending = blocks_for(in.tokens, queries);
  launch(attend, blocks_for(in.batch * attending, 1), threads, stream, in, attending, workspace);
  const std::int64_t fusing = blocks_for(in.fusion.outputs, rows_of_block);
  launch(fuse, blocks_for(in.batch * fusing, 1), warps_of_dense * lanes_of_warp, stream, in, fusing,
         static_cast<const float*>(workspace), fused);
}

}  // namespace canthus::cuda
