// The forward pass of 16 channels of one group, side by side in vectors: no sum goes across lanes. Included
// inside the instruction set's own namespace.
#pragma once
#include "selective_scan/kernel_forward_states.h"  // load_rows

// A block of tokens of a unit. Rows of `wide_unit` channels, one per token.
struct WideBlock {
  alignas(64) float delta[block_tokens * wide_unit];
  alignas(64) float input[block_tokens * wide_unit];  // delta * u
  alignas(64) float u[block_tokens * wide_unit];
  alignas(64) float z[block_tokens * wide_unit];
  alignas(64) float y[block_tokens * wide_unit];
};

// B or C of one block of tokens: `block_tokens` of each state where it varies, else one of each channel.
struct Coefficients {
  const float* data;
  Vector of(std::int64_t n, int t, std::true_type) const { return splat(data[n * block_tokens + t]); }
  Vector of(std::int64_t n, int, std::false_type) const { return load(data + n * wide_unit); }
};

// Advances `together` states of `lanes` channels over all tokens of the block, and adds their part to y. All
// is given from the first of these channels, and rates and states from the first of these states.
template <int together, class BVaries, class CVaries>
static void scan_channels(const float* decay_rates, float* states, Coefficients B, Coefficients C,
                          std::int64_t first, WideBlock& block, int channel, int count) {
  Vector rates[together], h[together];
  for (int k = 0; k < together; ++k) {
    rates[k] = load(decay_rates + k * wide_unit);
    h[k] = load(states + k * wide_unit);
  }
  for (int t = 0; t < count; ++t) {
    const Vector delta = load(block.delta + t * wide_unit + channel);
    const Vector input = load(block.input + t * wide_unit + channel);
    Vector y = load(block.y + t * wide_unit + channel);
#pragma GCC unroll 8
    for (int k = 0; k < together; ++k) {
      h[k] = exp2(rates[k] * delta) * h[k] + B.of(first + k, t, BVaries()) * input;
      y += C.of(first + k, t, CVaries()) * h[k];
    }
    store(block.y + t * wide_unit + channel, y);
  }
  for (int k = 0; k < together; ++k) store(states + k * wide_unit, h[k]);
}

template <class BVaries, class CVaries>
static void scan_channels_all(const float* rates, float* states, std::int64_t count_states, Coefficients B,
                              Coefficients C, WideBlock& block, int count) {
  constexpr int together = lanes == 4 ? 4 : 8;
  for (int channel = 0; channel < wide_unit; channel += lanes) {
    const auto own = [&](Coefficients of, bool varies) {
      return Coefficients{varies ? of.data : of.data + channel};
    };
    const Coefficients b = own(B, BVaries::value), c = own(C, CVaries::value);
    std::int64_t n = 0;
    const auto at = [&] { return n * wide_unit + channel; };
    for (; n + together <= count_states; n += together)
      scan_channels<together, BVaries, CVaries>(rates + at(), states + at(), b, c, n, block, channel, count);
    for (; n < count_states; ++n)
      scan_channels<1, BVaries, CVaries>(rates + at(), states + at(), b, c, n, block, channel, count);
  }
}

// to[n * wide_unit + channel], of constant rows (channels, states).
static void load_columns(const float* from, int channels, std::int64_t states, float scale, float* to) {
  for (int k = 0; k < channels; ++k)
    for (std::int64_t n = 0; n < states; ++n) to[n * wide_unit + k] = from[k * states + n] * scale;
}

// From rows of channels to (channels, all_tokens).
template <class T>
static void store_columns(const float* from, int channels, int count, std::int64_t all_tokens, T* to) {
  for (int k = 0; k < channels; k += lanes)
    for (int t = 0; t < count; t += lanes) {
      Vector tile[lanes];
      for (int i = 0; i < lanes; ++i) tile[i] = load(from + (t + i) * wide_unit + k);
      transpose(tile);
      for (int i = 0; i < lanes && k + i < channels; ++i) {
        alignas(64) float row[lanes];
        store(row, tile[i]);
        store_tokens(row, count - t < lanes ? count - t : lanes, to + (k + i) * all_tokens + t);
      }
    }
}

template <class T>
static bool forward_wide(const Inputs& in, const Outputs& out, std::int64_t unit) {
  const Sizes& sizes = in.sizes;
  const std::int64_t parts = units_per_group(sizes);
  const std::int64_t batch = unit / (sizes.groups * parts), group = unit / parts % sizes.groups;
  const std::int64_t first = group * group_channels(sizes) + unit % parts * wide_unit;
  const std::int64_t left = (group + 1) * group_channels(sizes) - first;
  const int channels = static_cast<int>(left < wide_unit ? left : wide_unit);

  const std::int64_t of_states = sizes.states * wide_unit, of_tokens = sizes.states * block_tokens;
  const std::int64_t of_block = sizeof(WideBlock) / sizeof(float);
  const std::int64_t needed = of_block + 3 * wide_unit + 4 * of_states + 2 * of_tokens;
  float* memory = scratch(Scratch::of_unit, needed);
  if (!memory) return false;
  for (std::int64_t i = 0; i < needed; ++i) memory[i] = 0.0f;
  WideBlock& block = *reinterpret_cast<WideBlock*>(memory);
  float* bias = memory + of_block;
  float* skip = bias + wide_unit;
  float* rates = skip + wide_unit;
  float* states = rates + of_states;
  float* constant_b = states + of_states;
  float* constant_c = constant_b + of_states;
  float* varying_b = constant_c + of_states;
  float* varying_c = varying_b + of_tokens;
  for (int k = 0; k < channels; ++k) {
    if (in.delta_bias) bias[k] = in.delta_bias[first + k];
    if (in.D) skip[k] = in.D[first + k];
  }
  const auto constant = [&](const void* data, float scale, float* to) {
    load_columns(static_cast<const float*>(data) + first * sizes.states, channels, sizes.states, scale, to);
  };
  constant(in.A, log2_of_e, rates);
  if (!in.B.varies) constant(in.B.data, 1.0f, constant_b);
  if (!in.C.varies) constant(in.C.data, 1.0f, constant_c);

  for (std::int64_t begin = 0; begin < sizes.tokens; begin += block_tokens) {
    const std::int64_t rest = sizes.tokens - begin;
    const int count = static_cast<int>(rest < block_tokens ? rest : block_tokens);
    const std::int64_t at = (batch * sizes.channels + first) * sizes.tokens + begin;
    const auto rows = [&](const void* data, float* to) {
      load_rows(static_cast<const T*>(data) + at, sizes.tokens, channels, count, wide_unit, to);
    };
    const auto varying = [&](const void* data, float* to) {
      const T* from =
          static_cast<const T*>(data) + (batch * sizes.groups + group) * sizes.states * sizes.tokens + begin;
      for (std::int64_t n = 0; n < sizes.states; ++n)
        load_tokens(from + n * sizes.tokens, count, to + n * block_tokens);
    };
    rows(in.u, block.u);
    rows(in.delta, block.delta);
    if (in.z) rows(in.z, block.z);
    if (in.B.varies) varying(in.B.data, varying_b);
    if (in.C.varies) varying(in.C.data, varying_c);
    for (int i = 0; i < count * wide_unit; i += lanes) {
      const int lane = i % wide_unit;
      Vector delta = load(block.delta + i) + load(bias + lane);
      if (in.delta_softplus) delta = softplus(delta);
      const Vector u = load(block.u + i);
      store(block.delta + i, delta);
      store(block.input + i, delta * u);
      store(block.y + i, load(skip + lane) * u);
    }
    const Coefficients b{in.B.varies ? varying_b : constant_b}, c{in.C.varies ? varying_c : constant_c};
    const auto scan = [&](auto b_varies, auto c_varies) {
      scan_channels_all<decltype(b_varies), decltype(c_varies)>(rates, states, sizes.states, b, c, block,
                                                                count);
    };
    if (in.B.varies)
      in.C.varies ? scan(std::true_type(), std::true_type()) : scan(std::true_type(), std::false_type());
    else
      in.C.varies ? scan(std::false_type(), std::true_type()) : scan(std::false_type(), std::false_type());
    if (in.z)
      for (int i = 0; i < count * wide_unit; i += lanes) {
        const Vector z = load(block.z + i);
        store(block.y + i, load(block.y + i) * z * sigmoid(z));
      }
    store_columns(block.y, channels, count, sizes.tokens, static_cast<T*>(out.y) + at);
  }
  if (out.last_state)
    for (int k = 0; k < channels; ++k)
      for (std::int64_t n = 0; n < sizes.states; ++n)
        out.last_state[(batch * sizes.channels + first + k) * sizes.states + n] = states[n * wide_unit + k];
  return true;
}
