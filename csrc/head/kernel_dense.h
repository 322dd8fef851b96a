// Matrices times vectors, and what comes between them. Included inside the instruction set's own namespace.
#pragma once
#include "vector.h"

// Two vectors of weights.
static inline void load_weights(const float* from, Vector (&two)[2]) {
  two[0] = load(from);
  two[1] = load(from + lanes);
}

static inline void load_weights(const signed char* from, Vector (&two)[2]) {
#if defined(__AVX512F__)
  for (int i = 0; i < 2; ++i) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i * lanes));
    two[i] = (Vector)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
  }
#elif defined(__AVX2__)
  for (int i = 0; i < 2; ++i) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from + i * lanes));
    two[i] = (Vector)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
  }
#elif defined(__ARM_NEON)
  const int16x8_t words = vmovl_s8(vld1_s8(from));
  two[0] = (Vector)vcvtq_f32_s32(vmovl_s16(vget_low_s16(words)));
  two[1] = (Vector)vcvtq_f32_s32(vmovl_high_s16(words));
#else
  typedef signed char Bytes __attribute__((vector_size(lanes), aligned(1), may_alias));
  for (int i = 0; i < 2; ++i) {
    const Bytes bytes = *reinterpret_cast<const Bytes*>(from + i * lanes);
    two[i] = __builtin_convertvector(__builtin_convertvector(bytes, Places), Vector);
  }
#endif
}

// sums[r] = row r of `matrix` times x, `rows` rows.
template <int rows, class Weight>
static inline void multiply_rows(const Weight* matrix, std::int64_t inputs, const float* x, float* sums) {
  Vector even[rows]{}, odd[rows]{};  // two, so that one addition needn't wait for the one before
  std::int64_t i = 0;
  for (; i + 2 * lanes <= inputs; i += 2 * lanes)
    for (int r = 0; r < rows; ++r) {
      Vector weights[2];
      load_weights(matrix + r * inputs + i, weights);
      even[r] += weights[0] * load(x + i);
      odd[r] += weights[1] * load(x + i + lanes);
    }
  for (int r = 0; r < rows; ++r) sums[r] = sum(even[r] + odd[r]);
  for (; i < inputs; ++i)
    for (int r = 0; r < rows; ++r) sums[r] += static_cast<float>(matrix[r * inputs + i]) * x[i];
}

template <class Weight>
static void multiply_all(const Rows& rows, const float* x, float* y) {
  constexpr int together = 4;
  const std::int64_t inputs = rows.matrix.inputs;
  const Weight* matrix = static_cast<const Weight*>(rows.matrix.values) + rows.first * inputs;
  std::int64_t row = 0;
  const std::int64_t count = rows.last - rows.first;
  for (; row + together <= count; row += together)
    multiply_rows<together>(matrix + row * inputs, inputs, x, y + row);
  for (; row < count; ++row) multiply_rows<1>(matrix + row * inputs, inputs, x, y + row);
}

// Changes x by `function`, a vector at a time.
template <class Function>
static inline void change(float* x, std::int64_t count, Function function) {
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) store(x + i, function(load(x + i)));
  if (i == count) return;
  alignas(64) float rest[lanes]{};
  for (std::int64_t k = i; k < count; ++k) rest[k - i] = x[k];
  store(rest, function(load(rest)));
  for (std::int64_t k = i; k < count; ++k) x[k] = rest[k - i];
}

// e^(y²) erfc(y) is a polynomial of t = 1 / (1 + 0.4 y), fitted for y ≥ 0 to a relative error of 1.3e-7; the
// form is that of Abramowitz and Stegun, 7.1.26.
static inline Vector gelu(Vector x) {
  const Vector y = (x > 0.0f ? x : -x) * 0.70710678f;
  const Vector t = 1.0f / (y * 0.4f + 1.0f);
  Vector p = splat(0.05025660006289556f);
  p = p * t - 0.18288164171566956f;
  p = p * t + 0.16905687850655687f;
  p = p * t - 0.005586418254635031f;
  p = p * t + 0.1414229207933245f;
  p = p * t + 0.16854380666964922f;
  p = p * t + 0.20784250981492197f;
  p = p * t + 0.22566960553335258f;
  p = p * t + 0.22567586176686641f;
  const Vector beyond = 0.5f * t * p * exp(-y * y);
  return x * (x > 0.0f ? 1.0f - beyond : beyond);
}

static void multiply(const Rows& rows, const float* x, float* y) {
  const std::int64_t count = rows.last - rows.first;
  const float* scales = rows.matrix.scales;
  if (rows.matrix.is_int8)
    multiply_all<signed char>(rows, x, y);
  else
    multiply_all<float>(rows, x, y);
  for (std::int64_t i = 0; i < count; ++i)
    y[i] = (scales ? y[i] * scales[rows.first + i] : y[i]) + rows.bias[rows.first + i];
  if (rows.activation == Activation::gelu) change(y, count, gelu);
}

template <class Function>
static inline float total(const float* x, std::int64_t count, Function function) {
  Vector totals{};
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) totals += function(load(x + i));
  float result = sum(totals);
  for (; i < count; ++i) result += function(splat(x[i]))[0];
  return result;
}

// LayerNorm over all of x, with PyTorch's epsilon.
static void normalise(const float* scale, const float* shift, std::int64_t count, float* x) {
  const float mean = total(x, count, [](Vector v) { return v; }) / static_cast<float>(count);
  const auto square = [mean](Vector v) { return (v - mean) * (v - mean); };
  const float variance = total(x, count, square) / static_cast<float>(count);
  const float factor = 1.0f / __builtin_sqrtf(variance + 1e-5f);
  for (std::int64_t i = 0; i < count; ++i) {
    const float normal = (x[i] - mean) * factor;
    x[i] = scale ? normal * scale[i] + shift[i] : normal;
  }
}
