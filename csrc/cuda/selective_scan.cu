// A warp has a channel and takes its tokens in tiles; the warps of a block share B and C, which lie in shared
// memory.
//
// A tile's tokens are split among the lanes, so that all of a lane's numbers stay in registers; each state is
// one pass over them. mamba_ssm's kernel has a block for each channel and reads B and C anew for each.
#include <cstdint>
#include <stdexcept>
#include <string>

#include "cuda/launch.h"
#include "cuda/numbers.h"
#include "cuda/scan_tokens.h"
#include "cuda/selective_scan.h"

namespace canthus::cuda {
namespace {

constexpr int tokens_of_lane = 8;
constexpr int tile = lanes_of_warp * tokens_of_lane;
constexpr int states_at_once = 16;  // whose B and C are in shared memory

struct Work {
  selective_scan::Inputs in;
  selective_scan::Outputs out;
  std::int64_t channels_of_group, blocks_of_group;
};

// Where a token lies in a shared tile: a lane reads its tokens as fours, and neighbours' fours are
// neighbours.
__device__ int place(int token) {
  const int lane = token / tokens_of_lane, i = token % tokens_of_lane;
  return (i / 4 * lanes_of_warp + lane) * 4 + i % 4;
}

__device__ void own_tokens(const float* shared_tile, int lane, float (&to)[tokens_of_lane]) {
#pragma unroll
  for (int i = 0; i < tokens_of_lane; i += 4) {
    const float4 four = *reinterpret_cast<const float4*>(shared_tile + (i / 4 * lanes_of_warp + lane) * 4);
    to[i] = four.x;
    to[i + 1] = four.y;
    to[i + 2] = four.z;
    to[i + 3] = four.w;
  }
}

template <class Data>
struct alignas(16) Packed {
  Data values[tokens_of_lane];
};

// Whether every row can be read 16 bytes at a time.
template <class Data>
__device__ bool aligned(const void* rows, std::int64_t tokens) {
  return (reinterpret_cast<std::uintptr_t>(rows) | static_cast<std::uintptr_t>(tokens * sizeof(Data))) % 16 ==
         0;
}

// Tokens `first` and after of a row; 0 behind its end.
template <class Data>
__device__ void load(const void* rows, std::int64_t row, std::int64_t tokens, std::int64_t first,
                     float (&to)[tokens_of_lane]) {
  const Data* from = static_cast<const Data*>(rows) + row * tokens;
  if (aligned<Data>(rows, tokens) && first + tokens_of_lane <= tokens) {
    const Packed<Data> packed = *reinterpret_cast<const Packed<Data>*>(from + first);
#pragma unroll
    for (int i = 0; i < tokens_of_lane; ++i) to[i] = to_float(packed.values[i]);
    return;
  }
#pragma unroll
  for (int i = 0; i < tokens_of_lane; ++i) to[i] = first + i < tokens ? to_float(from[first + i]) : 0.0f;
}

template <class Data>
__device__ void store(const float (&from)[tokens_of_lane], void* rows, std::int64_t row, std::int64_t tokens,
                      std::int64_t first) {
  Data* to = static_cast<Data*>(rows) + row * tokens;
  if (aligned<Data>(rows, tokens) && first + tokens_of_lane <= tokens) {
    Packed<Data> packed;
#pragma unroll
    for (int i = 0; i < tokens_of_lane; ++i) from_float(from[i], packed.values + i);
    *reinterpret_cast<Packed<Data>*>(to + first) = packed;
    return;
  }
#pragma unroll
  for (int i = 0; i < tokens_of_lane; ++i)
    if (first + i < tokens) from_float(from[i], to + first + i);
}

// B or C of `states` states from `first_state` on, over one tile; the whole block helps.
template <class Data>
__device__ void stage(const selective_scan::Projection& from, const selective_scan::Sizes& sizes,
                      std::int64_t batch_and_group, int first_state, int states, std::int64_t first_token,
                      float* to) {
  if (!from.varies) return;
  const Data* rows =
      static_cast<const Data*>(from.data) + (batch_and_group * sizes.states + first_state) * sizes.tokens;
  for (int i = threadIdx.x; i < states * tile; i += blockDim.x) {
    const int state = i / tile, token = i % tile;
    to[state * tile + place(token)] = first_token + token < sizes.tokens
                                          ? to_float(rows[state * sizes.tokens + first_token + token])
                                          : 0.0f;
  }
}

// One of `constant`'s (channels, states), for every token, or the tile's.
__device__ void own_projection(const selective_scan::Projection& constant, std::int64_t index,
                               const float* shared_tile, int lane, float (&to)[tokens_of_lane]) {
  if (constant.varies) return own_tokens(shared_tile, lane, to);
  const float value = static_cast<const float*>(constant.data)[index];
#pragma unroll
  for (int i = 0; i < tokens_of_lane; ++i) to[i] = value;
}

template <class Data, int warps>
__global__ void __launch_bounds__(warps* lanes_of_warp) scan(const Work work) {
  alignas(16) __shared__ float tile_B[states_at_once * tile];
  alignas(16) __shared__ float tile_C[states_at_once * tile];
  __shared__ float state_of[warps][most_states];

  const selective_scan::Inputs& in = work.in;
  const selective_scan::Sizes& sizes = in.sizes;
  const int warp = threadIdx.x / lanes_of_warp, lane = threadIdx.x % lanes_of_warp;
  const std::int64_t batch_and_group = blockIdx.x / work.blocks_of_group;
  const std::int64_t in_group = blockIdx.x % work.blocks_of_group * warps + warp;
  const bool has_channel = in_group < work.channels_of_group;  // else the warp helps to stage
  const std::int64_t batch = batch_and_group / sizes.groups;
  const std::int64_t channel =
      batch_and_group % sizes.groups * work.channels_of_group + (has_channel ? in_group : 0);
  const std::int64_t row = batch * sizes.channels + channel;

  for (int n = lane; n < sizes.states; n += lanes_of_warp) state_of[warp][n] = 0.0f;
  const float skip = in.D ? in.D[channel] : 0.0f, bias = in.delta_bias ? in.delta_bias[channel] : 0.0f;

  for (std::int64_t begin = 0; begin < sizes.tokens; begin += tile) {
    const std::int64_t first = begin + lane * tokens_of_lane;
    float delta[tokens_of_lane], input[tokens_of_lane], y[tokens_of_lane];
    load<Data>(in.u, row, sizes.tokens, first, input);
    load<Data>(in.delta, row, sizes.tokens, first, delta);
    float sum_of_delta = 0.0f;
#pragma unroll
    for (int i = 0; i < tokens_of_lane; ++i) {
      const float biased = delta[i] + bias, step = in.delta_softplus ? softplus(biased) : biased;
      delta[i] = first + i < sizes.tokens ? step : 0.0f;  // behind the end nothing moves the state
      y[i] = in.D ? skip * input[i] : 0.0f;
      input[i] *= delta[i];
      sum_of_delta += delta[i];
    }
    for (int first_state = 0; first_state < sizes.states; first_state += states_at_once) {
      const int left = static_cast<int>(sizes.states) - first_state;
      const int states = left < states_at_once ? left : states_at_once;
      __syncthreads();
      stage<Data>(in.B, sizes, batch_and_group, first_state, states, begin, tile_B);
      stage<Data>(in.C, sizes, batch_and_group, first_state, states, begin, tile_C);
      __syncthreads();
      if (!has_channel) continue;
      for (int n = 0; n < states; ++n) {
        const std::int64_t index = channel * sizes.states + first_state + n;
        const float rate = in.A[index] * log2_of_e;
        float a[tokens_of_lane], b[tokens_of_lane], C[tokens_of_lane];
        own_projection(in.B, index, tile_B + n * tile, lane, b);
#pragma unroll
        for (int i = 0; i < tokens_of_lane; ++i) {
          a[i] = power_of_two(delta[i] * rate);
          b[i] *= input[i];
        }
        own_projection(in.C, index, tile_C + n * tile, lane, C);
        float* state = &state_of[warp][first_state + n];
        const float after = scan_tokens(a, b, C, power_of_two(sum_of_delta * rate), *state, lane, y);
        __syncwarp();  // every lane has read it
        if (lane == lanes_of_warp - 1) *state = after;
      }
    }
    if (!has_channel) continue;
    if (in.z) {
      float z[tokens_of_lane];
      load<Data>(in.z, row, sizes.tokens, first, z);
#pragma unroll
      for (int i = 0; i < tokens_of_lane; ++i) y[i] *= z[i] * sigmoid(z[i]);
    }
    store<Data>(y, work.out.y, row, sizes.tokens, first);
  }
  if (!work.out.last_state || !has_channel) return;
  __syncwarp();
  for (int n = lane; n < sizes.states; n += lanes_of_warp)
    work.out.last_state[row * sizes.states + n] = state_of[warp][n];
}

template <class Data, int warps>
void start(Work work, cudaStream_t stream) {
  const selective_scan::Sizes& sizes = work.in.sizes;
  work.blocks_of_group = (work.channels_of_group + warps - 1) / warps;
  const unsigned blocks = blocks_for(sizes.batch * sizes.groups * work.blocks_of_group, 1);
  launch(scan<Data, warps>, blocks, warps * lanes_of_warp, stream, work);
}

template <class Data>
void start(const Work& work, cudaStream_t stream) {
  // With few channels, B and C are read more often, by more of the GPU.
  const std::int64_t channels = work.in.sizes.batch * work.in.sizes.channels;
  if (channels < 512)
    start<Data, 2>(work, stream);
  else
    start<Data, 8>(work, stream);
}

}  // namespace

void forward(const selective_scan::Inputs& in, const selective_scan::Outputs& out, cudaStream_t stream) {
  if (in.sizes.states > most_states)
    throw std::invalid_argument("selective_scan: A has " + std::to_string(in.sizes.states) +
                                " states; on a GPU it may have " + std::to_string(most_states));
  if (in.sizes.channels == 0) return;
  const Work work{in, out, in.sizes.channels / in.sizes.groups, 0};
  switch (in.type) {
    case selective_scan::DataType::float32:
      return start<float>(work, stream);
    case selective_scan::DataType::float16:
      return start<__half>(work, stream);
    case selective_scan::DataType::bfloat16:
      return start<__nv_bfloat16>(work, stream);
  }
}

}  // namespace canthus::cuda
