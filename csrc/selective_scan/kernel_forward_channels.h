// The forward pass of 16 channels of one group, side by side in vectors: no sum goes across lanes. Included
// inside the instruction set's own namespace.
#pragma once
#include "selective_scan/kernel_forward_states.h"  // load_rows

// A block of tokens of a unit. Rows of `wide_unit` channels, one per token.
struct WideBlock {
  alignas(64) float delta[block_tokens * wide_unit];  // after bias and softplus
  alignas(64) float input[block_tokens * wide_unit];  // delta * u
  alignas(64) float y[block_tokens * wide_unit];      // before D and the gate
};

// B or C of one block of tokens: `block_tokens` of each state where it varies, else one of each channel.
struct Coefficients {
  const float* data;
  Vector of(std::int64_t n, int t, std::true_type) const { return splat(data[n * block_tokens + t]); }
  Vector of(std::int64_t n, int, std::false_type) const { return load(data + n * wide_unit); }
};

// Fetches parts of many rows into the cache, some cache lines whenever it is told to: they are short and far
// apart, so no processor sees by itself what will be next, and all at once are more than one can wait for.
class Fetch {
 public:
  Fetch() = default;
  void add(const void* first, std::int64_t by_row, std::int64_t rows, std::int64_t bytes) {
    if (!first || rows <= 0) return;
    parts_[count_++] = {static_cast<const char*>(first), by_row, rows, (bytes + line - 1) / line};
    left_ += rows * parts_[count_ - 1].lines;
  }
  std::int64_t left() const { return left_; }
  void some(std::int64_t lines) {
    for (std::int64_t i = 0; i < lines && left_ > 0; ++i, --left_) {
      const Part& part = parts_[part_];
      __builtin_prefetch(part.first + row_ * part.by_row + line_ * line, 0, 2);
      if (++line_ < part.lines) continue;
      line_ = 0;
      if (++row_ < part.rows) continue;
      row_ = 0;
      ++part_;
    }
  }

 private:
  static constexpr std::int64_t line = 64;
  struct Part {
    const char* first;
    std::int64_t by_row, rows, lines;
  };
  Part parts_[6];
  std::int64_t count_ = 0, part_ = 0, row_ = 0, line_ = 0, left_ = 0;
};

// Advances `together` states of `lanes` channels over all tokens of the block, and adds their part to y. All
// is given from the first of these channels, and rates and states from the first of these states. `small`
// says that all exponents are.
template <int together, bool small, class BVaries, class CVaries>
static void scan_channels(const float* decay_rates, float* states, Coefficients B, Coefficients C,
                          std::int64_t first, WideBlock& block, int channel, int count, Fetch& fetch,
                          std::int64_t lines) {
  constexpr int step = together < at_once ? together : at_once;
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
    for (int first_k = 0; first_k < together; first_k += step) {
      Vector decay[step];
      for (int i = 0; i < step; ++i) decay[i] = rates[first_k + i] * delta;
      if constexpr (small)
        exp2_of_small(decay);
      else
        for (int i = 0; i < step; ++i) decay[i] = exp2(decay[i]);
      for (int i = 0; i < step; ++i) {
        const int k = first_k + i;
        h[k] = decay[i] * h[k] + B.of(first + k, t, BVaries()) * input;
        y += C.of(first + k, t, CVaries()) * h[k];
      }
    }
    store(block.y + t * wide_unit + channel, y);
    fetch.some(lines);
  }
  for (int k = 0; k < together; ++k) store(states + k * wide_unit, h[k]);
}

// Largest magnitude of each channel in `count` rows. As whole numbers the bits of magnitudes are in the same
// order, and NaN, which must not get lost, is the largest.
static inline Vector largest(const float* rows, std::int64_t count) {
  Places most{};
  for (std::int64_t i = 0; i < count; ++i) {
    const Places bits = (Places)magnitude(load(rows + i * wide_unit));
    most = bits > most ? bits : most;
  }
  return (Vector)most;
}

// The channels of a unit in the arrays of all, from one block's first token on.
template <class T>
struct WideRows {
  std::int64_t batch, group, first;  // channel
  int channels, count;               // of tokens
  const T *u, *delta, *z;            // z is null where there is none
  T* y;
  const T *B, *C;  // (states, tokens), null where they don't vary
  std::int64_t stride;
};

template <class T>
static WideRows<T> rows_of(const Inputs& in, const Outputs& out, std::int64_t unit, std::int64_t begin) {
  const Sizes& sizes = in.sizes;
  const std::int64_t parts = units_per_group(sizes);
  const std::int64_t batch = unit / (sizes.groups * parts), group = unit / parts % sizes.groups;
  const std::int64_t first = group * group_channels(sizes) + unit % parts * wide_unit;
  const std::int64_t channels = (group + 1) * group_channels(sizes) - first, count = sizes.tokens - begin;
  const std::int64_t at = (batch * sizes.channels + first) * sizes.tokens + begin;
  const std::int64_t of_states = (batch * sizes.groups + group) * sizes.states * sizes.tokens + begin;
  return {batch,
          group,
          first,
          static_cast<int>(channels < wide_unit ? channels : wide_unit),
          static_cast<int>(count < block_tokens ? count : block_tokens),
          static_cast<const T*>(in.u) + at,
          static_cast<const T*>(in.delta) + at,
          in.z ? static_cast<const T*>(in.z) + at : nullptr,
          static_cast<T*>(out.y) + at,
          in.B.varies ? static_cast<const T*>(in.B.data) + of_states : nullptr,
          in.C.varies ? static_cast<const T*>(in.C.data) + of_states : nullptr,
          sizes.tokens};
}

template <class T>
static Fetch fetch_of(const WideRows<T>& rows, std::int64_t states) {
  Fetch fetch;
  const std::int64_t by_row = rows.stride * sizeof(T), bytes = rows.count * sizeof(T);
  for (const T* of : {rows.u, rows.delta, rows.z, static_cast<const T*>(rows.y)})
    fetch.add(of, by_row, rows.channels, bytes);
  for (const T* of : {rows.B, rows.C}) fetch.add(of, by_row, states, bytes);
  return fetch;
}

// Scans a block, and meanwhile fetches the one after it, if any.
template <class BVaries, class CVaries, class T>
static void scan_channels_all(const float* rates, float* states, std::int64_t count_states, Coefficients B,
                              Coefficients C, WideBlock& block, int count, const WideRows<T>* next) {
  constexpr int together = lanes == 16 ? 8 : 4;
  Fetch fetch = next ? fetch_of(*next, count_states) : Fetch();
  const std::int64_t scans = wide_unit / lanes * (count_states / together + count_states % together);
  const std::int64_t turns = scans * count;
  const std::int64_t lines = turns > 0 ? (fetch.left() + turns - 1) / turns : 0;
  for (int channel = 0; channel < wide_unit; channel += lanes) {
    const auto own = [&](Coefficients of, bool varies) {
      return Coefficients{varies ? of.data : of.data + channel};
    };
    const Coefficients b = own(B, BVaries::value), c = own(C, CVaries::value);
    const Vector most_delta = largest(block.delta + channel, count);
    std::int64_t n = 0;
    const auto at = [&] { return n * wide_unit + channel; };
    for (; n + together <= count_states; n += together) {
      const bool small = are_small(largest(rates + at(), together) * most_delta);
      const auto scan = small ? scan_channels<together, true, BVaries, CVaries>
                              : scan_channels<together, false, BVaries, CVaries>;
      scan(rates + at(), states + at(), b, c, n, block, channel, count, fetch, lines);
    }
    for (; n < count_states; ++n)
      scan_channels<1, false, BVaries, CVaries>(rates + at(), states + at(), b, c, n, block, channel, count,
                                                fetch, lines);
  }
}

// to[n * wide_unit + channel], of constant rows (channels, states).
static void load_columns(const float* from, int channels, std::int64_t states, float scale, float* to) {
  for (int k = 0; k < channels; ++k)
    for (std::int64_t n = 0; n < states; ++n) to[n * wide_unit + k] = from[k * states + n] * scale;
}

// `tokens` of each of `lanes` channels from `first` on, from rows of tokens to rows of channels. A tile that
// isn't `whole` lacks some of either.
template <bool whole, class T>
static void load_tile(const Inputs& in, const WideRows<T>& rows, const float* bias, int first, int t,
                      WideBlock& block) {
  Vector delta[lanes], input[lanes];
  if (!whole)
    for (int i = 0; i < lanes; ++i) delta[i] = input[i] = Vector{};
  for (int i = 0; i < lanes; ++i) {
    if (!whole && first + i >= rows.channels) break;
    const std::int64_t at = (first + i) * rows.stride + t;
    const Vector d = load_some<whole>(rows.delta + at, rows.count - t) + bias[first + i];
    delta[i] = in.delta_softplus ? softplus(d) : d;
    input[i] = delta[i] * load_some<whole>(rows.u + at, rows.count - t);
  }
  transpose(delta);
  transpose(input);
  for (int i = 0; i < lanes; ++i) {
    store(block.delta + (t + i) * wide_unit + first, delta[i]);
    store(block.input + (t + i) * wide_unit + first, input[i]);
    store(block.y + (t + i) * wide_unit + first, Vector{});
  }
}

// The way back, for y, with what is left to do for it.
template <bool whole, class T>
static void store_tile(const Inputs& in, const WideRows<T>& rows, const float* skip, int first, int t,
                       const WideBlock& block) {
  Vector y[lanes];
  for (int i = 0; i < lanes; ++i) y[i] = load(block.y + (t + i) * wide_unit + first);
  transpose(y);
  for (int i = 0; i < lanes; ++i) {
    if (!whole && first + i >= rows.channels) break;
    const std::int64_t at = (first + i) * rows.stride + t;
    if (in.D) y[i] += load_some<whole>(rows.u + at, rows.count - t) * skip[first + i];
    if (in.z) y[i] *= silu(load_some<whole>(rows.z + at, rows.count - t));
    store_some<whole>(y[i], rows.count - t, rows.y + at);
  }
}

// Calls `tile`(whole, first channel, first token) for all of a block.
template <class T, class Tile>
static void for_each_tile(const WideRows<T>& rows, Tile tile) {
  for (int first = 0; first < rows.channels; first += lanes)
    for (int t = 0; t < rows.count; t += lanes)
      if (first + lanes <= rows.channels && t + lanes <= rows.count)
        tile(std::true_type(), first, t);
      else
        tile(std::false_type(), first, t);
}

template <class T>
static bool forward_wide(const Inputs& in, const Outputs& out, std::int64_t unit) {
  const Sizes& sizes = in.sizes;
  const WideRows<T> beginning = rows_of<T>(in, out, unit, 0);
  const std::int64_t batch = beginning.batch, group = beginning.group, first = beginning.first;
  const int channels = beginning.channels;
  const std::int64_t of_states = sizes.states * wide_unit, of_tokens = sizes.states * block_tokens;
  const std::int64_t of_block = sizeof(WideBlock) / sizeof(float);
  const std::int64_t needed = of_block + 3 * wide_unit + 4 * of_states + 2 * of_tokens;
  float* memory = scratch(Scratch::of_unit, needed);
  if (!memory) return false;
  // What channels that aren't there would leave is zero, and so are all sums at first.
  const std::int64_t first_read = channels < wide_unit ? 0 : of_block;
  for (std::int64_t i = first_read; i < needed - 2 * of_tokens; ++i) memory[i] = 0.0f;
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
    const WideRows<T> rows = rows_of<T>(in, out, unit, begin);
    const int count = rows.count;
    const auto varying = [&](const T* from, float* to) {
      for (std::int64_t n = 0; n < sizes.states; ++n)
        load_tokens(from + n * sizes.tokens, count, to + n * block_tokens);
    };
    if (rows.B) varying(rows.B, varying_b);
    if (rows.C) varying(rows.C, varying_c);
    for_each_tile(rows, [&](auto whole, int channel, int t) {
      load_tile<decltype(whole)::value>(in, rows, bias, channel, t, block);
    });
    const Coefficients b{in.B.varies ? varying_b : constant_b}, c{in.C.varies ? varying_c : constant_c};
    const bool last_block = begin + block_tokens >= sizes.tokens;
    const bool last = last_block && unit + 1 == sizes.batch * sizes.groups * units_per_group(sizes);
    const WideRows<T> next =
        last_block ? rows_of<T>(in, out, unit + 1, 0) : rows_of<T>(in, out, unit, begin + block_tokens);
    const auto scan = [&](auto b_varies, auto c_varies) {
      scan_channels_all<decltype(b_varies), decltype(c_varies)>(rates, states, sizes.states, b, c, block,
                                                                count, last ? nullptr : &next);
    };
    if (in.B.varies)
      in.C.varies ? scan(std::true_type(), std::true_type()) : scan(std::true_type(), std::false_type());
    else
      in.C.varies ? scan(std::false_type(), std::true_type()) : scan(std::false_type(), std::false_type());
    for_each_tile(rows, [&](auto whole, int channel, int t) {
      store_tile<decltype(whole)::value>(in, rows, skip, channel, t, block);
    });
  }
  if (out.last_state)
    for (int k = 0; k < channels; ++k)
      for (std::int64_t n = 0; n < sizes.states; ++n)
        out.last_state[(batch * sizes.channels + first + k) * sizes.states + n] = states[n * wide_unit + k];
  return true;
}
