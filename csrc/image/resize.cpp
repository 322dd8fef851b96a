#include "image/resize.h"

#include <algorithm>
#include <cmath>

#include "vector_clones.h"

namespace canthus {
namespace {

constexpr int one_bits = 22;  // a weight of 1 is 1 << 22, as in Pillow: 8 bits of pixel, 2 to spare
constexpr int32_t half = 1 << (one_bits - 1);
constexpr int lanes = 8;  // taps are padded to a multiple, so that a row's loop has no remainder

uint8_t rounded(int32_t sum) { return static_cast<uint8_t>(std::min(sum >> one_bits, 255)); }

// Row and weights hold a pair of 16-bit numbers a tap, whose product is pixel * weight: the processor has an
// instruction that multiplies and adds pairs.
CANTHUS_VECTOR_CLONES void resize_row(const int16_t* row, const int* first, const int16_t* weights, int taps,
                                      int width, int32_t* sums, uint8_t* out) {
  for (int i = 0; i < width; ++i) {
    const int16_t* in = row + 2 * first[i];
    int32_t sum = half;
    for (int group = 0; group < taps; group += lanes, in += 2 * lanes, weights += 2 * lanes)
      for (int k = 0; k < 2 * lanes; ++k) sum += in[k] * weights[k];
    sums[i] = sum;
  }
  for (int i = 0; i < width; ++i) out[i] = rounded(sums[i]);
}

CANTHUS_VECTOR_CLONES void resize_column(const uint8_t* rows, const int32_t* weights, int taps, int width,
                                         int32_t* sums, uint8_t* out) {
  std::fill_n(sums, width, half);
  for (int k = 0; k < taps; ++k, rows += width)
    for (int i = 0; i < width; ++i) sums[i] += weights[k] * rows[i];
  for (int i = 0; i < width; ++i) out[i] = rounded(sums[i]);
}

}  // namespace

Resize::Axis::Axis(int size_in, int size_out, int taps_multiple) : first(size_out) {
  const double scale = static_cast<double>(size_in) / size_out;
  const double reach = std::max(scale, 1.0);  // of the triangle, in source pixels to either side
  taps = static_cast<int>(std::ceil(reach)) * 2 + 1;
  taps = (taps + taps_multiple - 1) / taps_multiple * taps_multiple;
  weights.resize(static_cast<size_t>(size_out) * taps);
  std::vector<double> triangle(taps);
  for (int i = 0; i < size_out; ++i) {
    const double center = (i + 0.5) * scale;
    const int begin = std::max(static_cast<int>(center - reach + 0.5), 0);
    const int end = std::min(static_cast<int>(center + reach + 0.5), size_in);
    double total = 0.0;
    for (int k = 0; k < end - begin; ++k) {
      triangle[k] = std::max(1.0 - std::abs((k + begin - center + 0.5) * (1.0 / reach)), 0.0);
      total += triangle[k];
    }
    first[i] = begin;
    for (int k = 0; k < end - begin; ++k)
      weights[static_cast<size_t>(i) * taps + k] =
          static_cast<int32_t>(0.5 + triangle[k] / total * (1 << one_bits));
  }
}

Resize::Resize(Box box, int width, int height)
    : box_(box),
      width_(width),
      height_(height),
      across_(box.right - box.left, width, lanes),
      down_(box.bottom - box.top, height, 1),
      row_(2 * (box.right - box.left + across_.taps)),
      narrowed_(static_cast<size_t>(box.bottom - box.top + down_.taps) * width),
      sums_(width) {
  for (int32_t weight : across_.weights) {  // pixel * weight == (pixel << 7) * high + pixel * low
    const int32_t high = std::min(weight >> 7, INT16_MAX);
    across_pairs_.push_back(static_cast<int16_t>(high));
    across_pairs_.push_back(static_cast<int16_t>(weight - (high << 7)));
  }
}

void Resize::operator()(const uint8_t* image, size_t row_bytes, uint8_t* out) {
  const int box_width = box_.right - box_.left, box_height = box_.bottom - box_.top;
  const uint8_t* in = image + box_.top * row_bytes + box_.left;
  for (int y = 0; y < box_height; ++y, in += row_bytes) {
    for (int x = 0; x < box_width; ++x) {
      row_[2 * x] = static_cast<int16_t>(in[x] << 7);
      row_[2 * x + 1] = in[x];
    }
    resize_row(row_.data(), across_.first.data(), across_pairs_.data(), across_.taps, width_, sums_.data(),
               narrowed_.data() + static_cast<size_t>(y) * width_);
  }
  for (int y = 0; y < height_; ++y)
    resize_column(narrowed_.data() + static_cast<size_t>(down_.first[y]) * width_,
                  down_.weights.data() + static_cast<size_t>(y) * down_.taps, down_.taps, width_,
                  sums_.data(), out + static_cast<size_t>(y) * width_);
}

}  // namespace canthus
