#include "image/resize.h"

#include <algorithm>

#include "dispatch.h"
#include "image/kernel.h"

namespace canthus {

namespace image {
CANTHUS_DEFINE_DISPATCH
}

// Whether the turned picture runs through the box's columns, or its rows, from the last to the first.
static bool reverses_columns(Turn turn) { return turn.mirrored != (turn.quarters >= 2); }
static bool reverses_rows(Turn turn) { return turn.quarters == 1 || turn.quarters == 2; }

Resize::Resize(Box box, int width, int height, Turn turn)
    : box_(box),
      width_(width),
      height_(height),
      on_its_side_(turn.quarters % 2 == 1),
      across_(box.right - box.left, on_its_side_ ? height : width, image::group, reverses_columns(turn)),
      down_(box.bottom - box.top, on_its_side_ ? width : height, 1, reverses_rows(turn)),
      row_(2 * (box.right - box.left + across_.taps)),
      between_(on_its_side_ ? static_cast<size_t>(width) * (box.right - box.left)
                            : static_cast<size_t>(box.bottom - box.top) * width),
      column_(on_its_side_ ? height : 0),
      sums_(on_its_side_ ? box.right - box.left : width) {
  for (int32_t weight : across_.weights) {  // pixel * weight == (pixel << 7) * high + pixel * low
    const int32_t high = std::min(weight >> 7, INT16_MAX);
    across_pairs_.push_back(static_cast<int16_t>(high));
    across_pairs_.push_back(static_cast<int16_t>(weight - (high << 7)));
  }
}

void Resize::operator()(const uint8_t* image, size_t row_bytes, uint8_t* out) {
  const uint8_t* in = image + box_.top * row_bytes + box_.left;
  on_its_side_ ? resize_on_its_side(in, row_bytes, out) : resize_upright(in, row_bytes, out);
}

void Resize::resize_upright(const uint8_t* in, size_t row_bytes, uint8_t* out) {
  const size_t width = width_;
  for (int y = 0; y < box_.bottom - box_.top; ++y)
    resize_row(in + y * row_bytes, box_.right - box_.left, between_.data() + y * width);
  for (int y = 0; y < height_; ++y) resize_down(between_.data(), width, y, width_, out + y * width);
}

// The turned picture's rows are the box's columns: across comes first there, so down comes first here.
void Resize::resize_on_its_side(const uint8_t* in, size_t row_bytes, uint8_t* out) {
  const int box_width = box_.right - box_.left;
  for (int x = 0; x < width_; ++x)
    resize_down(in, row_bytes, x, box_width, between_.data() + static_cast<size_t>(x) * box_width);
  for (int x = 0; x < width_; ++x) {
    resize_row(between_.data() + static_cast<size_t>(x) * box_width, box_width, column_.data());
    for (int y = 0; y < height_; ++y) out[static_cast<size_t>(y) * width_ + x] = column_[y];
  }
}

void Resize::resize_row(const uint8_t* in, int width, uint8_t* out) {
  const image::Kernel& kernel = image::fastest_kernel();
  kernel.pair(in, width, row_.data());
  kernel.row(row_.data(), across_.first.data(), across_pairs_.data(), across_.taps,
             static_cast<int>(across_.first.size()), out);
}

void Resize::resize_down(const uint8_t* rows_in, size_t row_bytes, int y, int width, uint8_t* out) {
  const int first = down_.first[y], taps = std::min(down_.taps, box_.bottom - box_.top - first);
  image::fastest_kernel().column(rows_in + first * row_bytes, row_bytes,
                                 down_.weights.data() + static_cast<size_t>(y) * down_.taps, taps, width,
                                 sums_.data(), out);
}

}  // namespace canthus
