#include "image/resize.h"

#include <algorithm>
#include <cmath>

#include "dispatch.h"
#include "image/kernel.h"

namespace canthus {

namespace image {
CANTHUS_DEFINE_DISPATCH
}

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
          static_cast<int32_t>(0.5 + triangle[k] / total * (1 << image::one_bits));
  }
}

Resize::Resize(Box box, int width, int height)
    : box_(box),
      width_(width),
      height_(height),
      across_(box.right - box.left, width, image::group),
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
  static const image::Kernel& kernel = image::fastest_kernel();
  const int box_width = box_.right - box_.left, box_height = box_.bottom - box_.top;
  const uint8_t* in = image + box_.top * row_bytes + box_.left;
  for (int y = 0; y < box_height; ++y, in += row_bytes) {
    kernel.pair(in, box_width, row_.data());
    kernel.row(row_.data(), across_.first.data(), across_pairs_.data(), across_.taps, width_,
               narrowed_.data() + static_cast<size_t>(y) * width_);
  }
  for (int y = 0; y < height_; ++y)
    kernel.column(narrowed_.data() + static_cast<size_t>(down_.first[y]) * width_,
                  down_.weights.data() + static_cast<size_t>(y) * down_.taps, down_.taps, width_,
                  sums_.data(), out + static_cast<size_t>(y) * width_);
}

}  // namespace canthus
