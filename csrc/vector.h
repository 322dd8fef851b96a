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
// Taking zero off is nothing to do, even of -0; adding it is.
static inline Vector splat(float x) { return x - Vector{}; }

// The larger or the smaller of each lane; of x NaN it is NaN.
static inline Vector at_least(Vector least, Vector x) {
#if defined(__AVX512F__)
  return (Vector)_mm512_max_ps((__m512)least, (__m512)x);
#elif defined(__AVX__)
  return (Vector)_mm256_max_ps((__m256)least, (__m256)x);
#elif defined(__SSE__)
  return (Vector)_mm_max_ps((__m128)least, (__m128)x);
#elif defined(__ARM_NEON)
  return (Vector)vmaxq_f32((float32x4_t)least, (float32x4_t)x);
#else
  return x < least ? least : x;
#endif
}

static inline Vector at_most(Vector most, Vector x) {
#if defined(__AVX512F__)
  return (Vector)_mm512_min_ps((__m512)most, (__m512)x);
#elif defined(__AVX__)
  return (Vector)_mm256_min_ps((__m256)most, (__m256)x);
#elif defined(__SSE__)
  return (Vector)_mm_min_ps((__m128)most, (__m128)x);
#elif defined(__ARM_NEON)
  return (Vector)vminq_f32((float32x4_t)most, (float32x4_t)x);
#else
  return x > most ? most : x;
#endif
}

static inline Vector magnitude(Vector x) { return (Vector)((Bits)x & 0x7fffffffu); }

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
#if defined(__AVX__) && !defined(__AVX512F__)
  // Single lanes in turns take two instructions here. One does for those of the lower halves of 128 bits
  // (`odd` 0) or of the upper ones, and sums come out as well; `transpose` sets it right.
  if constexpr (group == 1 && odd == 0) return (Vector)_mm256_unpacklo_ps((__m256)a, (__m256)b);
  if constexpr (group == 1 && odd == 1) return (Vector)_mm256_unpackhi_ps((__m256)a, (__m256)b);
#endif
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
#if defined(__AVX__) && !defined(__AVX512F__)
    if constexpr (group == 1)
      for (int i = 1; i < lanes; i += 4) {
        const Vector second = rows[i];
        rows[i] = rows[i + 1];
        rows[i + 1] = second;
      }
#endif
  }
}

// How many vectors to raise two to a power at once, a step of all after the other: a processor looks only so
// far ahead for something to do while it waits for the last step's result.
constexpr int at_once = lanes == 16 ? 1 : 4;

// 2^f for f within 1/2 of zero, with a relative error below 2e-7 (polynomial 9.2e-8, the rest rounding), and
// below 3e-7 f near zero. 2^0 is exactly 1.
template <int count>
static inline void exp2_near_zero(const Vector (&f)[count], Vector (&p)[count]) {
#if defined(__ARM_NEON)
  // An addend is overwritten by its sum here, so each constant is copied first; as a tree there are fewer.
  for (int i = 0; i < count; ++i) {
    const Vector f2 = f[i] * f[i], high = 1.32647244e-3f * f[i] + 9.67151254e-3f;
    const Vector middle = 5.55073375e-2f * f[i] + 2.40222421e-1f, low = 6.93146978e-1f * f[i] + 1.0f;
    p[i] = (high * f2 + middle) * f2 + low;
  }
#else
  for (int i = 0; i < count; ++i) p[i] = 1.32647244e-3f * f[i] + 9.67151254e-3f;
  for (int i = 0; i < count; ++i) p[i] = p[i] * f[i] + 5.55073375e-2f;
  for (int i = 0; i < count; ++i) p[i] = p[i] * f[i] + 2.40222421e-1f;
  for (int i = 0; i < count; ++i) p[i] = p[i] * f[i] + 6.93146978e-1f;
  for (int i = 0; i < count; ++i) p[i] = p[i] * f[i] + 1.0f;
#endif
}

static inline Vector exp2_near_zero(Vector f) {
  const Vector one[]{f};
  Vector p[1];
  exp2_near_zero(one, p);
  return p[0];
}

// 2^x. Zero below 2^-149 (AVX-512) or 2^-126.5, infinite from 2^128 or 2^127.5 on; NaN stays NaN.
static inline Vector exp2(Vector x) {
#if defined(__AVX512F__)
  const Vector f =
      (Vector)_mm512_reduce_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT);  // x minus the nearest whole
  return (Vector)_mm512_scalef_ps((__m512)exp2_near_zero(f), (__m512)(x - f));
#else
  x = at_most(splat(128.0f), at_least(splat(-127.0f), x));
  // Adding 1.5 * 2^23 rounds to a whole number, held in the low bits; that it is 127 more there makes it a
  // power of two's exponent.
  const Vector magic = splat(12582912.0f + 127.0f);
  const Vector shifted = x + magic;
  return exp2_near_zero(x - (shifted - magic)) * (Vector)((Bits)shifted << 23);
#endif
}

// The same of numbers that `are_small`, in place: nothing needs to be held within bounds.
template <int count>
static inline void exp2_of_small(Vector (&x)[count]) {
#if defined(__AVX512F__)
  for (int i = 0; i < count; ++i) x[i] = exp2(x[i]);
#else
  const Vector magic = splat(12582912.0f);
  Vector shifted[count], p[count];
  for (int i = 0; i < count; ++i) shifted[i] = x[i] + magic;
  for (int i = 0; i < count; ++i) p[i] = shifted[i] - magic;
  for (int i = 0; i < count; ++i) x[i] = x[i] - p[i];
  for (int i = 0; i < count; ++i) shifted[i] = (Vector)((Bits)shifted[i] << 23);
  exp2_near_zero(x, p);
  for (int i = 0; i < count; ++i) x[i] = (Vector)((Bits)p[i] + (Bits)shifted[i]);
#endif
}

// Whether all magnitudes of exponents are known to be so small that exp2_of_small takes them.
static inline bool are_small(Vector magnitudes) {
#if defined(__AVX512F__)
  (void)magnitudes;
  return true;
#else
  bool small = true;
  for (int i = 0; i < lanes; ++i) small &= magnitudes[i] <= 125.0f;
  return small;
#endif
}

constexpr float log2_of_e = 1.44269504f;

static inline Vector exp(Vector x) { return exp2(x * log2_of_e); }

// log(1 + e^x) = max(x, 0) + log(1 + t), t = e^-|x|; log(1 + t) / t within [0, 1] is a polynomial, fitted to
// a relative error of 3e-8. It is added up in a tree: what waits for a long chain is a processor's limit
// here. Above 20 the result is x in float32, so PyTorch's threshold needs no case of its own.
static inline Vector softplus(Vector x) {
  const Vector t = exp((Vector)((Bits)x | 0x80000000u));
  const Vector t2 = t * t, t4 = t2 * t2;
  const Vector p01 = t * -0.4999949336f + 0.9999999404f, p23 = t * -0.2484298199f + 0.3331909776f;
  const Vector p45 = t * -0.1366324127f + 0.1910600513f, p67 = t * -0.0295051876f + 0.0782258809f;
  const Vector low = p23 * t2 + p01, high = t4 * 0.0052326801f + (p67 * t2 + p45);
  return at_least(Vector{}, x) + t * (high * t4 + low);
}

static inline Vector sigmoid(Vector x) { return 1.0f / (exp(-x) + 1.0f); }

static inline Vector silu(Vector x) { return x / (exp(-x) + 1.0f); }
