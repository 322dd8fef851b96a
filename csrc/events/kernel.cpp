// Taking events in, for one instruction set. Every array is read once and written once, in loops without a
// branch, so that they vectorise: memory is what bounds them.
#include "events/kernel.h"

#include "instruction_set.h"

namespace canthus::events::CANTHUS_INSTRUCTION_SET {

template <class Number>
static inline Number larger(Number a, Number b) {
  return a > b ? a : b;
}

template <class Coordinate>
static bool pack(const EventPacket<Coordinate>& packet, uint32_t width, uint32_t height,
                 uint32_t* __restrict__ to) {
  const Coordinate *xs = packet.x, *ys = packet.y;
  const uint8_t* polarities = packet.p;
  uint32_t most_x = 0, most_y = 0;
  uint8_t most_p = 0;
  Coordinate bits = 0;
  for (size_t i = 0; i < packet.count; ++i) {
    const uint32_t x = static_cast<uint32_t>(xs[i]), y = static_cast<uint32_t>(ys[i]);
    most_x = larger(most_x, x);
    most_y = larger(most_y, y);
    most_p = larger(most_p, polarities[i]);
    bits |= xs[i] | ys[i];
    to[i] = (y * width + x) * 2 + polarities[i];
  }
  return bits <= UINT32_MAX && most_x < width && most_y < height && most_p <= 1;
}

#if defined(__AVX2__)
// From here on what is copied wouldn't stay in the caches until it is looked at, and goes past them.
constexpr size_t streamed_count = 1 << 13;
#endif

static bool copy_times(const int64_t* from, size_t count, int64_t* __restrict__ to) {
  int64_t back = 0;  // as wide as what is compared, or it would not vectorise
  to[0] = from[0];
  size_t i = 1;
#if defined(__AVX2__)
  if (count >= streamed_count) {
    for (; reinterpret_cast<uintptr_t>(to + i) % sizeof(__m256i); ++i) {
      to[i] = from[i];
      back |= from[i] < from[i - 1];
    }
    const auto four = [&](size_t at) {
      return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + at));
    };
    __m256i backs = _mm256_setzero_si256();
    for (; i + 4 <= count; i += 4) {
      const __m256i times = four(i);
      backs = _mm256_or_si256(backs, _mm256_cmpgt_epi64(four(i - 1), times));
      _mm256_stream_si256(reinterpret_cast<__m256i*>(to + i), times);
    }
    _mm_sfence();
    back |= !_mm256_testz_si256(backs, backs);
  }
#endif
  for (; i < count; ++i) {
    to[i] = from[i];
    back |= from[i] < from[i - 1];
  }
  return back == 0;
}

extern const Kernel kernel;
const Kernel kernel{CANTHUS_INSTRUCTION_SET_NAME, canthus::CANTHUS_INSTRUCTION_SET::runs_here, pack<uint16_t>,
                    pack<uint64_t>, copy_times};

}  // namespace canthus::events::CANTHUS_INSTRUCTION_SET
