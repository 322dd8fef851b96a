// What of resizing is compiled once for each instruction set.
#pragma once
#include <cstddef>
#include <cstdint>

namespace canthus::image {

inline constexpr int one_bits = 22;  // a weight of 1 is 1 << 22, as in Pillow: 8 bits of pixel, 2 to spare
inline constexpr int group = 8;      // taps across are padded to a multiple

struct Kernel {
  const char* name;
  bool (*runs_here)();
  // out[i] is a pixel of `in` as a pair of numbers whose product with a weight's pair is pixel * weight.
  void (*pair)(const std::uint8_t* in, int width, std::int16_t* out);
  // out[i] is the weighted sum of `taps` pixels from first[i] on; pixels and weights are pairs.
  void (*row)(const std::int16_t* pixels, const int* first, const std::int16_t* weights, int taps, int width,
              std::uint8_t* out);
  // out[i] is the weighted sum of `taps` rows, which are row_bytes apart; `sums` is to work in.
  void (*column)(const std::uint8_t* rows, std::size_t row_bytes, const std::int32_t* weights, int taps,
                 int width, std::int32_t* sums, std::uint8_t* out);
};

const Kernel* const* all_kernels();  // fastest first, ends with null; some may not run here
const Kernel& fastest_kernel();

}  // namespace canthus::image
