// Resizing for one instruction set.
#include "image/kernel.h"

#include "instruction_set.h"

namespace canthus::image::CANTHUS_INSTRUCTION_SET {

constexpr int half = 1 << (one_bits - 1);

static inline std::uint8_t rounded(int sum) {
  return static_cast<std::uint8_t>(sum >> one_bits > 255 ? 255 : sum >> one_bits);
}

static void pair(const std::uint8_t* in, int width, std::int16_t* out) {
  for (int x = 0; x < width; ++x) {
    out[2 * x] = static_cast<std::int16_t>(in[x] << 7);
    out[2 * x + 1] = in[x];
  }
}

#if defined(__AVX2__)
// Eight outputs, whose products are summed together.
static inline void eight(const std::int16_t* pixels, const int* first, const std::int16_t* weights, int taps,
                         std::uint8_t* out) {
  const auto load = [](const std::int16_t* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  };
  __m256i sums[8];
  for (int i = 0; i < 8; ++i) {
    const std::int16_t *in = pixels + 2 * first[i], *own = weights + 2 * taps * i;
    sums[i] = _mm256_madd_epi16(load(in), load(own));
    for (int k = 2 * group; k < 2 * taps; k += 2 * group)
      sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(load(in + k), load(own + k)));
  }
  const auto four = [&](int i) {
    return _mm256_hadd_epi32(_mm256_hadd_epi32(sums[i], sums[i + 1]),
                             _mm256_hadd_epi32(sums[i + 2], sums[i + 3]));
  };
  const __m256i low = four(0), high = four(4);
  const __m256i all = _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x20),
                                       _mm256_permute2x128_si256(low, high, 0x31));
  const __m256i pixel = _mm256_srai_epi32(_mm256_add_epi32(all, _mm256_set1_epi32(half)), one_bits);
  const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(pixel), _mm256_extracti128_si256(pixel, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(out), _mm_packus_epi16(words, words));
}
#endif

static void row(const std::int16_t* pixels, const int* first, const std::int16_t* weights, int taps,
                int width, std::uint8_t* out) {
  int i = 0;
#if defined(__AVX2__)
  for (; i + 8 <= width; i += 8) eight(pixels, first + i, weights + 2 * taps * i, taps, out + i);
#endif
  for (; i < width; ++i) {
    const std::int16_t *in = pixels + 2 * first[i], *own = weights + 2 * taps * i;
    int sum = half;
    for (int k = 0; k < 2 * taps; k += 2 * group)
      for (int j = 0; j < 2 * group; ++j) sum += in[k + j] * own[k + j];
    out[i] = rounded(sum);
  }
}

static void column(const std::uint8_t* rows, std::size_t row_bytes, const std::int32_t* weights, int taps,
                   int width, std::int32_t* sums, std::uint8_t* out) {
  for (int i = 0; i < width; ++i) sums[i] = half;
  for (int k = 0; k < taps; ++k, rows += row_bytes)
    for (int i = 0; i < width; ++i) sums[i] += weights[k] * rows[i];
  for (int i = 0; i < width; ++i) out[i] = rounded(sums[i]);
}

extern const Kernel kernel;
const Kernel kernel{CANTHUS_INSTRUCTION_SET_NAME, canthus::CANTHUS_INSTRUCTION_SET::runs_here, pair, row,
                    column};

}  // namespace canthus::image::CANTHUS_INSTRUCTION_SET
