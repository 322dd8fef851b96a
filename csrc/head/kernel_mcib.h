// The attention of two modalities to each other, tokens side by side. Included inside the instruction set's
// own namespace.
#pragma once
#include "vector.h"

static void project(const Mcib& in, std::int64_t batch, float* of_tokens) {
  const std::int64_t stride = padded(in.tokens);
  const float* x = in.x + batch * in.tokens * token_width;
  for (std::int64_t t = 0; t < stride; t += lanes) {
    alignas(64) float turned[token_width * lanes];
    for (int k = 0; k < lanes; ++k) {
      // Behind the last token it is repeated: its scores are none that the others haven't.
      const std::int64_t from = t + k < in.tokens ? t + k : in.tokens - 1;
      for (int i = 0; i < token_width; ++i) turned[i * lanes + k] = x[from * token_width + i];
      of_tokens[is_token * stride + t + k] = t + k < in.tokens ? 1.0f : 0.0f;
    }
    for (int o = 0; o < 4 * token_width; ++o) {
      Vector sum = splat(in.projection_bias[o]);
      for (int i = 0; i < token_width; ++i)
        sum += load(turned + i * lanes) * in.projection[i * 4 * token_width + o];
      if (o >= value) sum *= load(of_tokens + is_token * stride + t);
      store(of_tokens + o * stride + t, sum);
    }
  }
}

// Largest magnitude of `count` numbers, a whole number of vectors.
static inline float largest(const float* x, std::int64_t count) {
  Vector most{};
  for (std::int64_t t = 0; t < count; t += lanes) {
    const Vector v = load(x + t), magnitude = v < 0.0f ? -v : v;
    most = magnitude <= most ? most : magnitude;  // so that NaN is the largest
  }
  float result = 0.0f;
  for (int k = 0; k < lanes; ++k) result = most[k] <= result ? result : most[k];
  return result;
}

// Softmax over all keys of `queries` queries, and the values' sums by it. Two to the power of scores below
// 100 can be added up as they are; of larger ones the largest is taken off first.
static void attend(std::int64_t head, std::int64_t first_query, std::int64_t tokens, float* of_tokens) {
  constexpr int together = 4;
  const std::int64_t stride = padded(tokens);
  const auto plane = [&](std::int64_t first) { return of_tokens + (first + 2 * head) * stride; };
  const float *q0 = plane(query), *q1 = q0 + stride, *k0 = plane(key), *k1 = k0 + stride;
  const float *v0 = plane(value), *v1 = v0 + stride, *one = of_tokens + is_token * stride;
  float *heard0 = plane(heard), *heard1 = heard0 + stride;
  const float most0 = largest(k0, stride), most1 = largest(k1, stride);
  const std::int64_t end = first_query + queries_at_once < stride ? first_query + queries_at_once : stride;
  for (std::int64_t begin = first_query; begin < end; begin += lanes) {
    Vector weights[lanes], sums0[lanes], sums1[lanes];
    for (int i = 0; i < lanes; i += together) {
      float a[together], b[together], highest[together];
      for (int k = 0; k < together; ++k) {
        a[k] = q0[begin + i + k] * log2_of_e;
        b[k] = q1[begin + i + k] * log2_of_e;
        highest[k] = 0.0f;
        if (__builtin_fabsf(a[k]) * most0 + __builtin_fabsf(b[k]) * most1 <= 100.0f) continue;
        Vector high = splat(-__builtin_inff());
        for (std::int64_t t = 0; t < stride; t += lanes) {
          const Vector score = load(k0 + t) * a[k] + load(k1 + t) * b[k];
          high = score > high ? score : high;
        }
        highest[k] = high[0];
        for (int lane = 1; lane < lanes; ++lane)
          highest[k] = high[lane] > highest[k] ? high[lane] : highest[k];
      }
      Vector weight[together]{}, sum0[together]{}, sum1[together]{};
      for (std::int64_t t = 0; t < stride; t += lanes) {
        const Vector keys0 = load(k0 + t), keys1 = load(k1 + t);
#pragma GCC unroll 4
        for (int k = 0; k < together; ++k) {
          const Vector e = exp2(keys0 * a[k] + (keys1 * b[k] - highest[k]));
          weight[k] += e * load(one + t);
          sum0[k] += e * load(v0 + t);
          sum1[k] += e * load(v1 + t);
        }
      }
      for (int k = 0; k < together; ++k) {
        weights[i + k] = weight[k];
        sums0[i + k] = sum0[k];
        sums1[i + k] = sum1[k];
      }
    }
    const Vector all = sums_of(weights);
    store(heard0 + begin, sums_of(sums0) / all);
    store(heard1 + begin, sums_of(sums1) / all);
  }
}

static void fuse(const Mcib& in, const float* of_tokens, float* fused) {
  constexpr int half = token_width / 2;
  const std::int64_t stride = padded(in.tokens);
  for (std::int64_t t = 0; t < in.tokens; t += lanes) {
    const auto at = [&](std::int64_t plane) { return load(of_tokens + plane * stride + t); };
    Vector likeness{};
    for (int i = 0; i < half; ++i) likeness += at(itself + i) * at(itself + half + i);
    const Vector gate = sigmoid(likeness);
    for (int o = 0; o < half; ++o) {
      Vector of_event = splat(in.out_bias[o]), of_frame = of_event;
      for (int i = 0; i < half; ++i) {
        of_event += at(heard + i) * in.out_weight[o * half + i];
        of_frame += at(heard + half + i) * in.out_weight[o * half + i];
      }
      const Vector both = at(itself + o) + at(itself + half + o);
      const Vector joined = of_frame + gate * (of_event - of_frame) + 0.5f * both;
      for (int k = 0; k < lanes && t + k < in.tokens; ++k) fused[(t + k) * half + o] = joined[k];
    }
  }
}
