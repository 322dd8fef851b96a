// One direction of the Mamba, a block of tokens at a time, channels side by side. Included inside the
// instruction set's own namespace.
#pragma once
#include "vector.h"

constexpr int width = 16 / lanes;  // vectors in 16 numbers
constexpr std::int64_t block_x = 2 * channels, history = convolution_length - 1;

// What a unit works in; rows of x keep those of the tokens before the block in front.
struct MambaBlock {
  alignas(64) float tokens[block_tokens * token_width];
  alignas(64) float x_and_z[(history + block_tokens) * block_x];
  alignas(64) float u[block_tokens * channels];
  alignas(64) float projections[block_tokens * projected];
  alignas(64) float delta[block_tokens * channels];
  alignas(64) float input[block_tokens * channels];
  alignas(64) float y[block_tokens * channels];
  alignas(64) float rates[channels * states];
  alignas(64) float state[channels * states];
};

// to (block_tokens, outputs) = from (block_tokens, inputs) times weight (inputs, outputs).
template <int inputs, int outputs>
static void project_block(const float* from, const float* weight, float* to) {
  constexpr int together = lanes == 16 ? 8 : 4;
  for (int t = 0; t < block_tokens; t += together)
    for (int o = 0; o < outputs; o += lanes) {
      Vector sums[together]{};
      for (int i = 0; i < inputs; ++i) {
        const Vector row = load(weight + i * outputs + o);
        for (int k = 0; k < together; ++k) sums[k] += row * from[(t + k) * inputs + i];
      }
      for (int k = 0; k < together; ++k) store(to + (t + k) * outputs + o, sums[k]);
    }
}

static void scan_block(MambaBlock& block) {
  Vector state[channels * width], sums[lanes];
  for (int i = 0; i < channels * width; ++i) state[i] = load(block.state + i * lanes);
  for (int t = 0; t < block_tokens; ++t) {
    const float* B = block.projections + t * projected + channels;
    const float* C = B + 2 * states;
#pragma GCC unroll 16
    for (int c = 0; c < channels; ++c) {
      const int modality = c / 8;
      Vector y{};
      for (int w = 0; w < width; ++w) {
        const Vector decay = exp2(load(block.rates + c * states + w * lanes) * block.delta[t * channels + c]);
        Vector& h = state[c * width + w];
        h = decay * h + load(B + modality * states + w * lanes) * block.input[t * channels + c];
        y += load(C + modality * states + w * lanes) * h;
      }
      sums[c % lanes] = y;
      if (c % lanes == lanes - 1) store(block.y + t * channels + c - (lanes - 1), sums_of(sums));
    }
  }
  for (int i = 0; i < channels * width; ++i) store(block.state + i * lanes, state[i]);
}

static bool scan(const McoMamba& in, std::int64_t batch, std::int64_t direction, float* y) {
  auto* memory = scratch(Scratch::of_unit, sizeof(MambaBlock) / sizeof(float));
  if (!memory) return false;
  MambaBlock& block = *reinterpret_cast<MambaBlock*>(memory);
  for (std::int64_t i = 0; i < channels * states; ++i) {
    block.rates[i] = in.A[direction * channels * states + i] * log2_of_e;
    block.state[i] = 0.0f;
  }
  for (std::int64_t i = 0; i < history * block_x; ++i) block.x_and_z[i] = 0.0f;
  for (std::int64_t i = 0; i < block_tokens * token_width; ++i) block.tokens[i] = 0.0f;
  const float* conv_weight = in.conv_weight + direction * convolution_length * channels;
  const float* conv_bias = in.conv_bias + direction * channels;
  const float* delta_bias = in.delta_bias + direction * channels;
  const float* D = in.D + direction * channels;
  const float* projection = in.projection + direction * channels * projected;
  const float* tokens = in.x + batch * in.tokens * token_width;

  for (std::int64_t begin = 0; begin < in.tokens; begin += block_tokens) {
    const std::int64_t left = in.tokens - begin, count = left < block_tokens ? left : block_tokens;
    const auto place = [&](std::int64_t t) { return direction ? in.tokens - 1 - begin - t : begin + t; };
    for (std::int64_t t = 0; t < count; ++t)
      for (int i = 0; i < token_width; ++i)
        block.tokens[t * token_width + i] = tokens[place(t) * token_width + i];
    project_block<token_width, block_x>(block.tokens, in.in_proj, block.x_and_z + history * block_x);
    for (int c = 0; c < channels; c += lanes) {
      Vector taps[convolution_length];
      for (int k = 0; k < convolution_length; ++k) taps[k] = load(conv_weight + k * channels + c);
      for (int t = 0; t < block_tokens; ++t) {
        Vector x = load(conv_bias + c);
        for (int k = 0; k < convolution_length; ++k)
          x += taps[k] * load(block.x_and_z + (t + k) * block_x + c);
        store(block.u + t * channels + c, x * sigmoid(x));
      }
    }
    project_block<channels, projected>(block.u, projection, block.projections);
    for (int t = 0; t < block_tokens; ++t)
      for (int c = 0; c < channels; c += lanes) {
        const Vector delta = softplus(load(block.projections + t * projected + c) + load(delta_bias + c));
        store(block.delta + t * channels + c, delta);
        store(block.input + t * channels + c, delta * load(block.u + t * channels + c));
      }
    scan_block(block);
    for (std::int64_t t = 0; t < count; ++t)
      for (int c = 0; c < channels; c += lanes) {
        const Vector z = load(block.x_and_z + (history + t) * block_x + channels + c);
        const Vector skipped = load(D + c) * load(block.u + t * channels + c);
        store(y + place(t) * channels + c, (load(block.y + t * channels + c) + skipped) * z * sigmoid(z));
      }
    for (std::int64_t i = 0; i < history * block_x; ++i)
      block.x_and_z[i] = block.x_and_z[block_tokens * block_x + i];
  }
  return true;
}

static void join_directions(const McoMamba& in, std::int64_t batch, const float* forward,
                            const float* backward, float* y) {
  typedef float Token __attribute__((vector_size(4 * token_width)));
  typedef float TokenInMemory __attribute__((vector_size(4 * token_width), aligned(4), may_alias));
  const float* x = in.x + batch * in.tokens * token_width;
  for (std::int64_t t = 0; t < in.tokens; ++t) {
    Token token = *reinterpret_cast<const TokenInMemory*>(x + t * token_width);
    for (int c = 0; c < channels; ++c)
      token += *reinterpret_cast<const TokenInMemory*>(in.out_proj + c * token_width) *
               (forward[t * channels + c] + backward[t * channels + c]);
    *reinterpret_cast<TokenInMemory*>(y + t * token_width) = token;
  }
}
