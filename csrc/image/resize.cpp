#include "image/resize.h"

#include <algorithm>

#include "dispatch.h"
#include "image/kernel.h"

namespace canthus {

namespace image {
CANTHUS_DEFINE_DISPATCH
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
