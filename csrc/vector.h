// Vectors of float as wide as this instruction set has them, and the functions of them that the scan needs.
// Included inside the instruction set's own namespace, and free of std functions: an inline function of std
// compiled here with AVX-512 could be the copy that the linker keeps for the whole library.
// <utility> must be included before.
#pragma once

#if defined(__AVX512F__)
constexpr int lanes = 16;
#elif defined(__AVX__)
constexpr int lanes = 8;
#else
constexpr int lanes = 4;
#endif

typedef float Vector __attribute__((vector_size(4 * lanes)));
typedef unsigned Bits __attribute__((vector_size(4 * lanes)));
typedef int Places __attribute__((vector_size(4 * lanes)));
// The same in memory, where it need not be aligned and is made of floats.
typedef float VectorInMemory __attribute__((vector_size(4 * lanes), aligned(4), may_alias));

static inline Vector load(const float* from) { return *reinterpret_cast<const VectorInMemory*>(from); }
static inline void store(float* to, Vector v) { *reinterpret_cast<VectorInMemory*>(to) = v; }
static inline Vector splat(float x) { return Vector{} + x; }

// Sum of all lanes, by halves.
static inline float sum(Vector v) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps((__m512)v);
#elif defined(__AVX__)
  const __m128 four = _mm256_castps256_ps128((__m256)v) + _mm256_extractf128_ps((__m256)v, 1);
  return (four[0] + four[2]) + (four[1] + four[3]);
#else
  return (v[0] + v[2]) + (v[1] + v[3]);
#endif
}

// Lanes of two vectors in groups: the even groups of both in turns (`odd` 0), or the odd ones (`odd` 1).
template <int group, int odd, int... lane>
static inline Vector take_turns(Vector a, Vector b, std::integer_sequence<int, lane...>) {
  constexpr auto from = [](int i) {
    return i / group % 2 * lanes + i / (2 * group) * 2 * group + odd * group + i % group;
  };
#if defined(__clang__)
  return __builtin_shufflevector(a, b, from(lane)...);
#else
  return __builtin_shuffle(a, b, Places{from(lane)...});
#endif
}

template <int group, int odd>
static inline Vector take_turns(Vector a, Vector b) {
  return take_turns<group, odd>(a, b, std::make_integer_sequence<int, lanes>());
}

// Lane i becomes the sum of the lanes of rows[i]; the rows are used up.
template <int group = 1>
static inline Vector sums_of(Vector* rows) {
  if constexpr (group == lanes) {
    return rows[0];
  } else {
    for (int i = 0; i < lanes / (2 * group); ++i)
      rows[i] = take_turns<group, 0>(rows[2 * i], rows[2 * i + 1]) +
                take_turns<group, 1>(rows[2 * i], rows[2 * i + 1]);
    return sums_of<2 * group>(rows);
  }
}

// Lane i of rows[k] goes to lane k of rows[i].
template <int group = 1>
static inline void transpose(Vector* rows) {
  if constexpr (group < lanes) {
    for (int i = 0; i < lanes; ++i) {
      if (i & group) continue;
      const Vector a = rows[i], b = rows[i + group];
      rows[i] = take_turns<group, 0>(a, b);
      rows[i + group] = take_turns<group, 1>(a, b);
    }
    transpose<2 * group>(rows);
  }
}

// 2^f for f within 1/2 of zero, with a relative error below 2e-7 (polynomial 9.2e-8, the rest rounding), and
// below 3e-7 f near zero. 2^0 is exactly 1.
static inline Vector exp2_near_zero(Vector f) {
  Vector p = splat(1.32647244e-3f);
  p = p * f + 9.67151254e-3f;
  p = p * f + 5.55073375e-2f;
  p = p * f + 2.40222421e-1f;
  p = p * f + 6.93146978e-1f;
  return p * f + 1.0f;
}

// 2^x. Zero below 2^-149 (AVX-512) or 2^-126.5, infinite from 2^128 or 2^127.5 on; NaN stays NaN.
static inline Vector exp2(Vector x) {
#if defined(__AVX512F__)
  const Vector f =
      (Vector)_mm512_reduce_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT);  // x minus the nearest whole
  return (Vector)_mm512_scalef_ps((__m512)exp2_near_zero(f), (__m512)(x - f));
#else
  x = x < -127.0f ? splat(-127.0f) : x;
  x = x > 128.0f ? splat(128.0f) : x;
  const Vector magic =
      splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number, held in the low bits
  const Vector shifted = x + magic;
  const Vector scale = (Vector)(((Bits)shifted << 23) + (127u << 23));
  return exp2_near_zero(x - (shifted - magic)) * scale;
#endif
}

constexpr float log2_of_e = 1.44269504f;

static inline Vector exp(Vector x) { return exp2(x * log2_of_e); }

// log(1 + e^x) = max(x, 0) + log1p(e^-|x|), and log1p(t) = 2 artanh(t / (2 + t)). Above 20 it is x in
// float32, so PyTorch's threshold needs no case of its own.
static inline Vector softplus(Vector x) {
  const Vector t = exp(x > 0.0f ? -x : x);
  const Vector s = t / (t + 2.0f);
  const Vector s2 = s * s;
  Vector q = splat(0.14005993f);
  q = q * s2 + 0.14000903f;
  q = q * s2 + 0.20010764f;
  q = q * s2 + 0.33333208f;
  q = q * s2 + 1.0f;
  return (x > 0.0f ? x : splat(0.0f)) + 2.0f * s * q;
}

static inline Vector sigmoid(Vector x) { return 1.0f / (exp(-x) + 1.0f); }
