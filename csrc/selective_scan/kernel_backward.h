// The backward pass of one group of channels of one batch element, float32. Included inside the instruction
// set's own namespace.
//
// The forward pass is run once to keep the states before each block of tokens; then, from the last block to
// the first, the states of the block are computed again and the gradients run back through them.
#pragma once
#include "selective_scan/kernel_forward.h"

// Rows that are added to; stride 0 sums over all tokens.
struct Sums {
  float* data;
  std::int64_t stride;
};

// One channel's block of tokens on the way back.
struct TokenGradients {
  alignas(64) float y[block_tokens];      // of y before D and the gate
  alignas(64) float delta[block_tokens];  // by way of exp(delta A) only
  alignas(64) float input[block_tokens];  // of delta * u
};

static inline void add_to(float* sums, Vector v) { store(sums, load(sums) + v); }

// One vector of states of one channel, over one block. Adds to tokens.y what the states give, so that the
// gate's gradient can be had, and to everything in `gradients`, grad_a, grad_b and grad_c. `carried` is the
// gradient of the state after the block; it becomes that of the state before it.
static void scan_back(const float* decay_rates, const float* states_before, Bits valid, Rows B, Rows C,
                      int count, Tokens& tokens, TokenGradients& gradients, float* carried, float* grad_a,
                      Sums grad_b, Sums grad_c) {
  Vector decays[block_tokens], states[block_tokens + 1];
  const Vector rates = load(decay_rates);
  states[0] = load(states_before);
  for (int t = 0; t < count; ++t) {
    decays[t] = exp2(rates * tokens.delta[t]);
    states[t + 1] = decays[t] * states[t] + load(B.data + t * B.stride) * tokens.input[t];
    const Vector y = load(C.data + t * C.stride) * states[t + 1];
    tokens.y[t] += sum((Vector)((Bits)y & valid));
  }
  Vector after = load(carried), of_a{};
  for (int t = count - 1; t >= 0; --t) {
    const Vector of_state = after + load(C.data + t * C.stride) * gradients.y[t];
    after = decays[t] * of_state;
    const Vector of_exponent = after * states[t];
    of_a += of_exponent * tokens.delta[t];
    add_to(grad_c.data + t * grad_c.stride, states[t + 1] * gradients.y[t]);
    add_to(grad_b.data + t * grad_b.stride, of_state * tokens.input[t]);
    gradients.input[t] += sum((Vector)((Bits)(load(B.data + t * B.stride) * of_state) & valid));
    gradients.delta[t] += sum((Vector)((Bits)(of_exponent * rates) & valid)) / log2_of_e;
  }
  store(carried, after);
  add_to(grad_a, of_a);
}

// Memory of one unit: first what has a row of states per channel, then what has one per token.
struct BackwardMemory {
  float *rates, *states, *carried, *grad_a, *per_channel_b, *per_channel_c, *grad_per_channel_b,
      *grad_per_channel_c;
  float *rows_b, *rows_c, *grad_rows_b, *grad_rows_c;
  float* before_blocks;  // (blocks, channels, row)
};

static bool allocate(std::int64_t channels, std::int64_t row, std::int64_t blocks, BackwardMemory& memory) {
  const std::int64_t per_channel = channels * row, per_token = block_tokens * row;
  const std::int64_t total = 8 * per_channel + 4 * per_token + blocks * per_channel;
  float* next = scratch(Scratch::of_unit, total);
  if (!next) return false;
  for (std::int64_t i = 0; i < total; ++i) next[i] = 0.0f;
  const auto take = [&](std::int64_t size) {
    float* part = next;
    next += size;
    return part;
  };
  memory = {take(per_channel),
            take(per_channel),
            take(per_channel),
            take(per_channel),
            take(per_channel),
            take(per_channel),
            take(per_channel),
            take(per_channel),
            take(per_token),
            take(per_token),
            take(per_token),
            take(per_token),
            next};
  return true;
}

// u, delta after softplus, and their product, for one channel's block that starts at `at`.
static void load_block(const Inputs& in, std::int64_t channel, std::int64_t at, int count, float* u,
                       Tokens& tokens) {
  load_tokens(static_cast<const float*>(in.u) + at, count, u);
  load_tokens(static_cast<const float*>(in.delta) + at, count, tokens.delta);
  finish_delta(in, channel, count, tokens.delta);
  for (int t = 0; t < count; ++t) {
    tokens.input[t] = tokens.delta[t] * u[t];
    tokens.y[t] = 0.0f;
  }
}

// From the gradient of the output to that before the gate: times SiLU(z).
static void through_gate(const float* z, const float* grad_y, int count, float* grad_before) {
  for (int t = 0; t < count; t += lanes)
    store(grad_before + t, load(grad_y + t) * load(z + t) * sigmoid(load(z + t)));
}

// The derivative of SiLU is s (1 + z (1 - s)), s = sigmoid(z).
static void gate_gradient(const float* z, const float* grad_y, const float* y, int count, float* grad_z) {
  for (int t = 0; t < count; t += lanes) {
    const Vector gate = load(z + t), s = sigmoid(gate);
    store(grad_z + t, load(grad_y + t) * load(y + t) * s * (1.0f + gate * (1.0f - s)));
  }
}

// grad_delta := times the derivative of softplus, sigmoid(delta + bias).
static void through_softplus(const Inputs& in, std::int64_t channel, const float* delta, int count,
                             float* grad_delta) {
  const float bias = in.delta_bias ? in.delta_bias[channel] : 0.0f;
  for (int t = 0; t < count; t += lanes)
    store(grad_delta + t, load(grad_delta + t) * sigmoid(load(delta + t) + bias));
}

static void store_rows(const float* rows, std::int64_t row, std::int64_t all_tokens, std::int64_t states,
                       int count, float* to) {
  for (std::int64_t n = 0; n < states; ++n)
    for (int t = 0; t < count; ++t) to[n * all_tokens + t] = rows[t * row + n];
}

static bool backward_unit(const Inputs& in, const OutputGradients& from, const InputGradients& to,
                          std::int64_t unit) {
  const Sizes& sizes = in.sizes;
  const std::int64_t batch = unit / sizes.groups, group = unit % sizes.groups;
  const std::int64_t channels = group_channels(sizes), first = group * channels;
  const std::int64_t row = padded(sizes.states);
  const std::int64_t blocks = (sizes.tokens + block_tokens - 1) / block_tokens;
  BackwardMemory memory;
  if (!allocate(channels, row, blocks, memory)) return false;

  for (std::int64_t k = 0; k < channels; ++k) {
    load_constant({in.A, false}, first + k, sizes.states, log2_of_e, memory.rates + k * row);
    if (!in.B.varies) load_constant(in.B, first + k, sizes.states, 1.0f, memory.per_channel_b + k * row);
    if (!in.C.varies) load_constant(in.C, first + k, sizes.states, 1.0f, memory.per_channel_c + k * row);
    const std::int64_t at = (batch * sizes.channels + first + k) * sizes.states;
    if (from.last_state)
      load_tokens(from.last_state + at, static_cast<int>(sizes.states), memory.carried + k * row);
  }
  const auto rows_of = [&](bool varies, float* rows, float* per_channel, std::int64_t k) {
    return varies ? Sums{rows, row} : Sums{per_channel + k * row, 0};
  };
  const auto count_of = [&](std::int64_t block) {
    const std::int64_t left = sizes.tokens - block * block_tokens;
    return static_cast<int>(left < block_tokens ? left : block_tokens);
  };

  Tokens tokens{};
  TokenGradients gradients{};
  alignas(64) float u[block_tokens]{}, z[block_tokens]{}, delta[block_tokens]{}, grad_y[block_tokens]{};
  for (std::int64_t block = 0; block < blocks; ++block) {
    const int count = count_of(block);
    if (in.B.varies)
      load_varying<float>(in.B, sizes, batch, group, block * block_tokens, count, memory.rows_b);
    for (std::int64_t k = 0; k < channels; ++k) {
      const std::int64_t at = (batch * sizes.channels + first + k) * sizes.tokens + block * block_tokens;
      load_block(in, first + k, at, count, u, tokens);
      float* states = memory.states + k * row;
      load_tokens(states, static_cast<int>(row), memory.before_blocks + (block * channels + k) * row);
      const Sums b = rows_of(in.B.varies, memory.rows_b, memory.per_channel_b, k);
      // The y that this gives isn't used, so any C will do.
      scan_all(memory.rates + k * row, states, sizes.states, {b.data, b.stride}, {b.data, b.stride}, count,
               tokens);
    }
  }

  for (std::int64_t block = blocks - 1; block >= 0; --block) {
    const int count = count_of(block);
    if (in.B.varies)
      load_varying<float>(in.B, sizes, batch, group, block * block_tokens, count, memory.rows_b);
    if (in.C.varies)
      load_varying<float>(in.C, sizes, batch, group, block * block_tokens, count, memory.rows_c);
    for (std::int64_t i = 0; i < block_tokens * row; ++i)
      memory.grad_rows_b[i] = memory.grad_rows_c[i] = 0.0f;

    for (std::int64_t k = 0; k < channels; ++k) {
      const std::int64_t channel = first + k;
      const std::int64_t in_part = batch * sizes.channels + channel;
      const std::int64_t at = in_part * sizes.tokens + block * block_tokens;
      load_block(in, channel, at, count, u, tokens);
      load_tokens(from.y + at, count, grad_y);
      load_tokens(grad_y, count, gradients.y);
      if (in.z) {
        load_tokens(static_cast<const float*>(in.z) + at, count, z);
        through_gate(z, grad_y, count, gradients.y);
      }
      for (int t = 0; t < block_tokens; ++t) gradients.delta[t] = gradients.input[t] = 0.0f;
      const Sums b = rows_of(in.B.varies, memory.rows_b, memory.per_channel_b, k);
      const Sums c = rows_of(in.C.varies, memory.rows_c, memory.per_channel_c, k);
      const Sums grad_b = rows_of(in.B.varies, memory.grad_rows_b, memory.grad_per_channel_b, k);
      const Sums grad_c = rows_of(in.C.varies, memory.grad_rows_c, memory.grad_per_channel_c, k);
      for (std::int64_t n = 0; n < sizes.states; n += lanes)
        scan_back(memory.rates + k * row + n, memory.before_blocks + (block * channels + k) * row + n,
                  valid_lanes(sizes.states - n), {b.data + n, b.stride}, {c.data + n, c.stride}, count,
                  tokens, gradients, memory.carried + k * row + n, memory.grad_a + k * row + n,
                  {grad_b.data + n, grad_b.stride}, {grad_c.data + n, grad_c.stride});

      const float skip = in.D ? in.D[channel] : 0.0f;
      float of_skip = 0.0f, of_bias = 0.0f;
      for (int t = 0; t < count; ++t) {
        tokens.y[t] += skip * u[t];
        of_skip += gradients.y[t] * u[t];
        to.u[at + t] = gradients.input[t] * tokens.delta[t] + skip * gradients.y[t];
        gradients.delta[t] += gradients.input[t] * u[t];
      }
      if (in.z) {
        gate_gradient(z, grad_y, tokens.y, count, z);
        store_tokens(z, count, to.z + at);
      }
      if (in.delta_softplus) {
        load_tokens(static_cast<const float*>(in.delta) + at, count, delta);
        through_softplus(in, channel, delta, count, gradients.delta);
      }
      for (int t = 0; t < count; ++t) of_bias += gradients.delta[t];
      store_tokens(gradients.delta, count, to.delta + at);
      if (in.D) to.D[in_part] += of_skip;
      if (in.delta_bias) to.delta_bias[in_part] += of_bias;
    }
    const std::int64_t at =
        (batch * sizes.groups + group) * sizes.states * sizes.tokens + block * block_tokens;
    if (in.B.varies) store_rows(memory.grad_rows_b, row, sizes.tokens, sizes.states, count, to.B + at);
    if (in.C.varies) store_rows(memory.grad_rows_c, row, sizes.tokens, sizes.states, count, to.C + at);
  }

  for (std::int64_t k = 0; k < channels; ++k) {
    const std::int64_t at = (batch * sizes.channels + first + k) * sizes.states;
    const int states = static_cast<int>(sizes.states);
    store_tokens(memory.grad_a + k * row, states, to.A + at);
    if (!in.B.varies) store_tokens(memory.grad_per_channel_b + k * row, states, to.B + at);
    if (!in.C.varies) store_tokens(memory.grad_per_channel_c + k * row, states, to.C + at);
  }
  return true;
}
