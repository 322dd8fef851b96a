// The forward pass of a few channels of one group, the states of each side by side in vectors. Included
// inside the instruction set's own namespace.
#pragma once
#include "selective_scan/convert.h"
#include "vector.h"

// Rows of states, one per token; stride 0 where all tokens share one.
struct Rows {
  const float* data;
  std::int64_t stride;
};

// What one channel needs of a block of tokens, besides B and C.
struct Tokens {
  alignas(64) float delta[block_tokens];  // after bias and softplus
  alignas(64) float input[block_tokens];  // delta * u
  alignas(64) float y[block_tokens];
};

static inline Vector load_converted(const float* from) { return load(from); }

template <class T>
static inline Vector load_converted(const T* from) {
  alignas(64) float converted[lanes];
  load_tokens(from, lanes, converted);
  return load(converted);
}

static inline void store_converted(Vector v, float* to) { store(to, v); }

template <class T>
static inline void store_converted(Vector v, T* to) {
  alignas(64) float converted[lanes];
  store(converted, v);
  store_tokens(converted, lanes, to);
}

// A vector, or the `count` of its lanes that there are, if it isn't `whole`; the others are zero.
template <bool whole, class T>
static inline Vector load_some(const T* from, int count) {
  if (whole || count >= lanes) return load_converted(from);
  alignas(64) float some[lanes]{};
  load_tokens(from, count, some);
  return load(some);
}

template <bool whole, class T>
static inline void store_some(Vector v, int count, T* to) {
  if (whole || count >= lanes) return store_converted(v, to);
  alignas(64) float some[lanes];
  store(some, v);
  store_tokens(some, count, to);
}

// From (states, all_tokens) to rows of states: to[t * row + n].
template <class T>
static void load_rows(const T* from, std::int64_t all_tokens, int states, int count, std::int64_t row,
                      float* to) {
  const int whole_states = states / lanes * lanes, whole_tokens = count / lanes * lanes;
  for (int n = 0; n < whole_states; n += lanes)
    for (int t = 0; t < whole_tokens; t += lanes) {
      Vector tile[lanes];
      for (int k = 0; k < lanes; ++k) tile[k] = load_converted(from + (n + k) * all_tokens + t);
      transpose(tile);
      for (int k = 0; k < lanes; ++k) store(to + (t + k) * row + n, tile[k]);
    }
  for (int n = 0; n < states; ++n)
    for (int t = n < whole_states ? whole_tokens : 0; t < count; ++t)
      to[t * row + n] = to_float(from[n * all_tokens + t]);
}

// Lanes below `states` are all ones, the others zero: they keep padding out of the sums, even as NaN.
static inline Bits valid_lanes(std::int64_t states) {
  Bits valid{};
  for (int i = 0; i < lanes; ++i) valid[i] = i < states ? ~0u : 0u;
  return valid;
}

// Advances `width * lanes` states over `count` tokens and adds their part to y. `decay_rates` is A log2(e).
// Of a vector that is `partial` only the first `valid_states` lanes are states.
template <int width, bool partial>
static void scan(const float* decay_rates, float* states, std::int64_t valid_states, Rows B, Rows C,
                 int count, Tokens& tokens) {
  Vector rates[width], h[width];
  for (int i = 0; i < width; ++i) {
    rates[i] = load(decay_rates + i * lanes);
    h[i] = load(states + i * lanes);
  }
  const Bits valid = valid_lanes(valid_states);
  const auto advance = [&](int t) {
    const float* b = B.data + t * B.stride;
    const float* c = C.data + t * C.stride;
    Vector y;
    for (int i = 0; i < width; ++i) {
      h[i] = exp2(rates[i] * tokens.delta[t]) * h[i] + load(b + i * lanes) * tokens.input[t];
      const Vector part = load(c + i * lanes) * h[i];
      y = i == 0 ? part : y + part;
    }
    return partial ? (Vector)((Bits)y & valid) : y;
  };
  // To sum the states of as many tokens as there are lanes takes a third of summing one token's after
  // another.
  for (int begin = 0; begin < count; begin += lanes) {
    Vector rows[lanes];
    if (begin + lanes <= count) {
#pragma GCC unroll 16
      for (int k = 0; k < lanes; ++k) rows[k] = advance(begin + k);
    } else {
      for (int k = 0; k < lanes; ++k) rows[k] = begin + k < count ? advance(begin + k) : Vector{};
    }
    store(tokens.y + begin, load(tokens.y + begin) + sums_of(rows));
  }
  for (int i = 0; i < width; ++i) store(states + i * lanes, h[i]);
}

// The same for any number of states: 16 at a time, then one vector at a time.
static void scan_all(const float* decay_rates, float* states, std::int64_t count_states, Rows B, Rows C,
                     int count, Tokens& tokens) {
  constexpr int wide = 16 / lanes;
  std::int64_t n = 0;
  const auto from = [&](Rows rows) { return Rows{rows.data + n, rows.stride}; };
  for (; n + 16 <= count_states; n += 16)
    scan<wide, false>(decay_rates + n, states + n, 16, from(B), from(C), count, tokens);
  for (; n + lanes <= count_states; n += lanes)
    scan<1, false>(decay_rates + n, states + n, lanes, from(B), from(C), count, tokens);
  if (n < count_states)
    scan<1, true>(decay_rates + n, states + n, count_states - n, from(B), from(C), count, tokens);
}

// delta := softplus(delta + bias), each as asked for. Fills up to the next whole vector.
static void finish_delta(const Inputs& in, std::int64_t channel, int count, float* delta) {
  const float bias = in.delta_bias ? in.delta_bias[channel] : 0.0f;
  for (int t = 0; t < count; t += lanes) {
    const Vector d = load(delta + t) + bias;
    store(delta + t, in.delta_softplus ? softplus(d) : d);
  }
}

// Rows of a constant B or C, padded.
static void load_constant(const Projection& projection, std::int64_t channel, std::int64_t states,
                          float scale, float* to) {
  const float* from = static_cast<const float*>(projection.data) + channel * states;
  for (std::int64_t n = 0; n < states; ++n) to[n] = from[n] * scale;
}

// B or C of one block of tokens, for the channels of one group.
template <class T>
static void load_varying(const Projection& projection, const Sizes& sizes, std::int64_t batch,
                         std::int64_t group, std::int64_t first_token, int count, float* to) {
  const T* from = static_cast<const T*>(projection.data) +
                  (batch * sizes.groups + group) * sizes.states * sizes.tokens + first_token;
  load_rows(from, sizes.tokens, static_cast<int>(sizes.states), count, padded(sizes.states), to);
}

template <class T>
static bool forward_narrow(const Inputs& in, const Outputs& out, std::int64_t unit) {
  const Sizes& sizes = in.sizes;
  const std::int64_t row = padded(sizes.states);
  const std::int64_t parts = units_per_group(sizes);
  const std::int64_t batch = unit / (sizes.groups * parts);
  const std::int64_t group = unit / parts % sizes.groups;
  const std::int64_t first = group * group_channels(sizes) + unit % parts * narrow_unit;
  const std::int64_t group_end = (group + 1) * group_channels(sizes);
  const int channels = static_cast<int>(first + narrow_unit < group_end ? narrow_unit : group_end - first);

  const std::int64_t per_channel = narrow_unit * row, per_token = block_tokens * row;
  float* memory = scratch(Scratch::of_unit, 4 * per_channel + 2 * per_token);
  if (!memory) return false;
  float* rates = memory;
  float* states = rates + per_channel;
  float* constant_b = states + per_channel;
  float* constant_c = constant_b + per_channel;
  float* varying_b = constant_c + per_channel;
  float* varying_c = varying_b + per_token;
  for (std::int64_t i = 0; i < 4 * per_channel + 2 * per_token; ++i) memory[i] = 0.0f;
  for (int k = 0; k < channels; ++k) {
    load_constant({in.A, false}, first + k, sizes.states, log2_of_e, rates + k * row);
    if (!in.B.varies) load_constant(in.B, first + k, sizes.states, 1.0f, constant_b + k * row);
    if (!in.C.varies) load_constant(in.C, first + k, sizes.states, 1.0f, constant_c + k * row);
  }

  Tokens tokens{};
  alignas(64) float u[block_tokens]{}, z[block_tokens]{};
  for (std::int64_t begin = 0; begin < sizes.tokens; begin += block_tokens) {
    const int count =
        static_cast<int>(begin + block_tokens < sizes.tokens ? block_tokens : sizes.tokens - begin);
    if (in.B.varies) load_varying<T>(in.B, sizes, batch, group, begin, count, varying_b);
    if (in.C.varies) load_varying<T>(in.C, sizes, batch, group, begin, count, varying_c);
    for (int k = 0; k < channels; ++k) {
      const std::int64_t channel = first + k;
      const std::int64_t at = (batch * sizes.channels + channel) * sizes.tokens + begin;
      load_tokens(static_cast<const T*>(in.u) + at, count, u);
      load_tokens(static_cast<const T*>(in.delta) + at, count, tokens.delta);
      finish_delta(in, channel, count, tokens.delta);
      const float skip = in.D ? in.D[channel] : 0.0f;
      for (int t = 0; t < count; ++t) {
        tokens.input[t] = tokens.delta[t] * u[t];
        tokens.y[t] = in.D ? skip * u[t] : 0.0f;
      }
      scan_all(rates + k * row, states + k * row, sizes.states,
               in.B.varies ? Rows{varying_b, row} : Rows{constant_b + k * row, 0},
               in.C.varies ? Rows{varying_c, row} : Rows{constant_c + k * row, 0}, count, tokens);
      if (in.z) {
        load_tokens(static_cast<const T*>(in.z) + at, count, z);
        for (int t = 0; t < count; t += lanes)
          store(tokens.y + t, load(tokens.y + t) * load(z + t) * sigmoid(load(z + t)));
      }
      store_tokens(tokens.y, count, static_cast<T*>(out.y) + at);
    }
  }
  if (out.last_state)
    for (int k = 0; k < channels; ++k)
      for (std::int64_t n = 0; n < sizes.states; ++n)
        out.last_state[(batch * sizes.channels + first + k) * sizes.states + n] = states[k * row + n];
  return true;
}
