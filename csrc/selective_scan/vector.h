// Vectors of float as wide as this instruction set has them, and the functions of them that the scan needs.
// Included inside the instruction set's own namespace, and free of std functions: an inline function of std
// compiled here with AVX-512 could be the copy that the linker keeps for the whole library.
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

// 2^x with a relative error below 2e-7 (polynomial 2e-9, the rest rounding). 2^0 is exactly 1. Zero below
// 2^-126.5, infinite from 2^127.5 on; NaN stays NaN.
static inline Vector exp2(Vector x) {
  x = x < -127.0f ? splat(-127.0f) : x;
  x = x > 128.0f ? splat(128.0f) : x;
  const Vector magic =
      splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number, held in the low bits
  const Vector shifted = x + magic;
  const Vector f = x - (shifted - magic);
  const Vector scale = (Vector)(((Bits)shifted << 23) + (127u << 23));
  Vector p = splat(1.53533619e-4f);
  p = p * f + 1.33988744e-3f;
  p = p * f + 9.61843736e-3f;
  p = p * f + 5.55033247e-2f;
  p = p * f + 2.40226479e-1f;
  p = p * f + 6.93147203e-1f;
  p = p * f + 1.0f;
  return p * scale;
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
