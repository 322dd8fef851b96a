// A block has one direction of one modality: eight channels, a warp for each, over tiles of tokens.
#include "cuda/head.h"
#include "cuda/numbers.h"
#include "cuda/scan_tokens.h"

namespace canthus::cuda {
namespace {

using namespace head;

constexpr int modalities = 2, own_channels = channels / modalities;
constexpr int tokens_of_lane = 4, tile = lanes_of_warp * tokens_of_lane;
constexpr int threads = own_channels * lanes_of_warp;
constexpr int history = convolution_length - 1;
static_assert(threads == 2 * tile);  // two threads project each token

struct Weights {
  float in_proj[token_width * 2 * channels];
  float conv_weight[convolution_length * channels];
  float conv_bias[channels];
  float projection[channels * projected];
};

struct Tile {
  float tokens[(history + tile) * token_width];  // those before the tile in front
  float u[channels][tile];
  float gate[own_channels][tile];
  float delta[own_channels][tile];
  alignas(16) float B[states][tile];
  alignas(16) float C[states][tile];
};

__device__ void copy(const float* from, int count, float* to) {
  for (int i = threadIdx.x; i < count; i += blockDim.x) to[i] = from[i];
}

// Channel `column` of x, or of the gate from 16 on, of a token.
__device__ float projected_token(const Weights& weights, const float* token, int column) {
  float sum = 0.0f;
#pragma unroll
  for (int i = 0; i < token_width; ++i) sum += token[i] * weights.in_proj[i * 2 * channels + column];
  return sum;
}

__device__ float convolved(const Weights& weights, const Tile& at, int channel, int token) {
  float x = weights.conv_bias[channel];
  for (int k = 0; k < convolution_length; ++k)
    x += weights.conv_weight[k * channels + channel] *
         projected_token(weights, at.tokens + (token + k) * token_width, channel);
  return x * sigmoid(x);
}

// y (batch, 2 directions, 16 channels, tokens), in the tokens' own order.
__global__ void __launch_bounds__(threads) scan(const McoMamba in, float* y) {
  __shared__ Weights weights;
  __shared__ Tile at;
  const int modality = blockIdx.x % modalities, direction = blockIdx.x / modalities % 2;
  const std::int64_t batch = blockIdx.x / (2 * modalities);
  const int warp = threadIdx.x / lanes_of_warp, lane = threadIdx.x % lanes_of_warp;
  const int first_channel = modality * own_channels, channel = first_channel + warp;
  copy(in.in_proj, token_width * 2 * channels, weights.in_proj);
  copy(in.conv_weight + direction * convolution_length * channels, convolution_length * channels,
       weights.conv_weight);
  copy(in.conv_bias + direction * channels, channels, weights.conv_bias);
  copy(in.projection + direction * channels * projected, channels * projected, weights.projection);
  const float* rates = in.A + (direction * channels + channel) * states;
  const float skip = in.D[direction * channels + channel];
  const float* x = in.x + batch * in.tokens * token_width;
  float* rows = y + ((batch * 2 + direction) * channels + channel) * in.tokens;

  float after[states] = {};  // of this channel, in every lane
  for (std::int64_t begin = 0; begin < in.tokens; begin += tile) {
    const auto place = [&](std::int64_t t) { return direction ? in.tokens - 1 - t : t; };
    for (int i = threadIdx.x; i < (history + tile) * token_width; i += threads) {
      const std::int64_t t = begin - history + i / token_width;
      at.tokens[i] = t >= 0 && t < in.tokens ? x[place(t) * token_width + i % token_width] : 0.0f;
    }
    __syncthreads();
    for (int i = threadIdx.x; i < channels * tile; i += threads)
      at.u[i / tile][i % tile] = convolved(weights, at, i / tile, i % tile);
    for (int i = threadIdx.x; i < own_channels * tile; i += threads)
      at.gate[i / tile][i % tile] = projected_token(weights, at.tokens + (history + i % tile) * token_width,
                                                    static_cast<int>(channels) + first_channel + i / tile);
    __syncthreads();
    const int token = threadIdx.x % tile, half = threadIdx.x / tile;
    float u[channels];
#pragma unroll
    for (int c = 0; c < channels; ++c) u[c] = at.u[c][token];
    const auto projection = [&](int column) {
      float sum = 0.0f;
#pragma unroll
      for (int c = 0; c < channels; ++c) sum += u[c] * weights.projection[c * projected + column];
      return sum;
    };
    for (int i = half; i < own_channels; i += 2) {
      const float bias = in.delta_bias[direction * channels + first_channel + i];
      const bool is_token = begin + token < in.tokens;  // behind the end nothing moves the state
      at.delta[i][token] = is_token ? softplus(projection(first_channel + i) + bias) : 0.0f;
    }
    for (int n = half; n < states; n += 2) {
      at.B[n][token] = projection(channels + modality * states + n);
      at.C[n][token] = projection(channels + (modalities + modality) * states + n);
    }
    __syncthreads();

    float delta[tokens_of_lane], input[tokens_of_lane], sums[tokens_of_lane], sum_of_delta = 0.0f;
#pragma unroll
    for (int i = 0; i < tokens_of_lane; ++i) {
      const float own = at.u[channel][lane * tokens_of_lane + i];
      delta[i] = at.delta[warp][lane * tokens_of_lane + i];
      sum_of_delta += delta[i];
      input[i] = delta[i] * own;
      sums[i] = skip * own;
    }
#pragma unroll
    for (int n = 0; n < states; ++n) {
      float a[tokens_of_lane], b[tokens_of_lane], C[tokens_of_lane];
      const float4 four_B = *reinterpret_cast<const float4*>(&at.B[n][lane * tokens_of_lane]);
      const float4 four_C = *reinterpret_cast<const float4*>(&at.C[n][lane * tokens_of_lane]);
      const float rate = rates[n] * log2_of_e;
#pragma unroll
      for (int i = 0; i < tokens_of_lane; ++i) {
        a[i] = power_of_two(delta[i] * rate);
        b[i] = input[i] * (&four_B.x)[i];
        C[i] = (&four_C.x)[i];
      }
      const float last = scan_tokens(a, b, C, power_of_two(sum_of_delta * rate), after[n], lane, sums);
      after[n] = __shfl_sync(every_lane, last, lanes_of_warp - 1);
    }
#pragma unroll
    for (int i = 0; i < tokens_of_lane; ++i) {
      const std::int64_t t = begin + lane * tokens_of_lane + i;
      const float z = at.gate[warp][lane * tokens_of_lane + i];
      if (t < in.tokens) rows[place(t)] = sums[i] * z * sigmoid(z);
    }
  }
}

// A thread has a token.
__global__ void join_directions(const McoMamba in, const float* directions, float* y) {
  const std::int64_t token = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (token >= in.batch * in.tokens) return;
  const std::int64_t batch = token / in.tokens, t = token % in.tokens;
  const float* forward = directions + batch * 2 * channels * in.tokens + t;
  const float* backward = forward + channels * in.tokens;
  float sums[token_width];
#pragma unroll
  for (int i = 0; i < token_width; ++i) sums[i] = in.x[token * token_width + i];
  for (int c = 0; c < channels; ++c) {
    const float both = forward[c * in.tokens] + backward[c * in.tokens];
#pragma unroll
    for (int i = 0; i < token_width; ++i) sums[i] += in.out_proj[c * token_width + i] * both;
  }
#pragma unroll
  for (int i = 0; i < token_width; ++i) y[token * token_width + i] = sums[i];
}

}  // namespace

std::size_t workspace(const McoMamba& in) {
  return static_cast<std::size_t>(in.batch * 2 * channels * in.tokens);
}

void run(const McoMamba& in, float* y, float* workspace, cudaStream_t stream) {
  if (in.tokens == 0) return;
  launch(scan, blocks_for(in.batch * 2 * modalities, 1), threads, stream, in, workspace);
  launch(join_directions, blocks_for(in.batch * in.tokens, 128), 128, stream, in,
         static_cast<const float*>(workspace), y);
}

}  // namespace canthus::cuda
