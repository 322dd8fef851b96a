// float16 and bfloat16 to float and back: as integer arithmetic that compilers vectorise, but for float16 on
// 64-bit Arm, every one of which has instructions for it.
// Included inside the instruction set's own namespace.
#pragma once

struct Float16 {
  unsigned short bits;
};
struct BFloat16 {
  unsigned short bits;
};

static inline float to_float(float x) { return x; }

static inline float to_float(BFloat16 x) { return __builtin_bit_cast(float, unsigned{x.bits} << 16); }

#if defined(__aarch64__)
static inline float to_float(Float16 x) { return static_cast<float>(__builtin_bit_cast(__fp16, x.bits)); }
#else
static inline float to_float(Float16 x) {
  const unsigned sign = (x.bits & 0x8000u) << 16;
  const unsigned magnitude = (x.bits & 0x7fffu) << 13;
  // The exponent is off by 127 - 15; multiplying mends it, for subnormal numbers too.
  const float finite = __builtin_bit_cast(float, magnitude) * 0x1p112f;
  const unsigned bits =
      magnitude >= 0x0f800000u ? magnitude | 0x7f800000u : __builtin_bit_cast(unsigned, finite);
  return __builtin_bit_cast(float, bits | sign);
}
#endif

static inline void from_float(float x, float* to) { *to = x; }

// All round to nearest, ties to even.
static inline void from_float(float x, BFloat16* to) {
  const unsigned bits = __builtin_bit_cast(unsigned, x);
  const unsigned rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  to->bits = static_cast<unsigned short>(x == x ? rounded : (bits >> 16) | 0x40u);
}

#if defined(__aarch64__)
static inline void from_float(float x, Float16* to) {
  to->bits = __builtin_bit_cast(unsigned short, static_cast<__fp16>(x));
}
#else
static inline void from_float(float x, Float16* to) {
  const unsigned bits = __builtin_bit_cast(unsigned, x);
  const unsigned magnitude = bits & 0x7fffffffu;
  const unsigned normal = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  // Below 2^-14, adding 1/2 lets the float unit round at float16's last place.
  const float shifted = __builtin_bit_cast(float, magnitude) + 0.5f;
  const unsigned subnormal = __builtin_bit_cast(unsigned, shifted) - 0x3f000000u;
  unsigned result = magnitude < 0x38800000u ? subnormal : normal;
  result = magnitude >= 0x477ff000u ? 0x7c00u : result;  // from 65520 on, infinity
  result = magnitude > 0x7f800000u ? 0x7e00u : result;
  to->bits = static_cast<unsigned short>(result | (bits >> 16 & 0x8000u));
}
#endif

template <class T>
static void load_tokens(const T* from, int count, float* to) {
  for (int t = 0; t < count; ++t) to[t] = to_float(from[t]);
}

template <class T>
static void store_tokens(const float* from, int count, T* to) {
  for (int t = 0; t < count; ++t) from_float(from[t], to + t);
}

#if defined(__aarch64__)
// GCC vectorises only one of these by itself.
static void load_tokens(const Float16* from, int count, float* to) {
  int t = 0;
  for (; t + 4 <= count; t += 4)
    vst1q_f32(to + t, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(&from[t].bits))));
  for (; t < count; ++t) to[t] = to_float(from[t]);
}

static void store_tokens(const float* from, int count, Float16* to) {
  int t = 0;
  for (; t + 4 <= count; t += 4)
    vst1_u16(&to[t].bits, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(from + t))));
  for (; t < count; ++t) from_float(from[t], to + t);
}
#endif
