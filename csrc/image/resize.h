// Antialiased bilinear resizing of 8-bit grey images, bit for bit what Pillow computes (Image.resize with
// Resampling.BILINEAR): training images went through that. Rows are resized first, then columns, as by every
// Pillow up to 12 (but for images over a hundred times as tall as wide); Pillow 13 takes first what is
// cheaper.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "image/resize_axis.h"

namespace canthus {

// How a picture is turned before it is resized: mirrored left to right, then clockwise by 0 to 3 quarters.
struct Turn {
  bool mirrored = false;
  int quarters = 0;
};

class Resize {
 public:
  // Of the pixels in box, which lies within the image, makes a width x height image. It is bit for bit what
  // turning these pixels first would give, but none of them is moved: where a turn reverses a direction, the
  // weights are reversed instead, and where it makes rows of columns, these are resized first.
  Resize(Box box, int width, int height, Turn turn = {});

  // Rows of image are row_bytes apart, those of out have no gaps. Allocates nothing.
  void operator()(const uint8_t* image, size_t row_bytes, uint8_t* out);

 private:
  // One row of `width` pixels, resized across.
  void resize_row(const uint8_t* in, int width, uint8_t* out);
  // A row of `width` pixels of what rows_in, `row_bytes` apart, make when they are resized down.
  void resize_down(const uint8_t* rows_in, size_t row_bytes, int y, int width, uint8_t* out);
  void resize_upright(const uint8_t* in, size_t row_bytes, uint8_t* out);
  void resize_on_its_side(const uint8_t* in, size_t row_bytes, uint8_t* out);

  Box box_;
  int width_, height_;
  bool on_its_side_;                   // the box's columns become rows
  ResizeAxis across_, down_;           // of the box as it lies in the image
  std::vector<int16_t> across_pairs_;  // the weights across, each split into a high and a low part
  std::vector<int16_t> row_;           // one row of pixels as pairs to match
  std::vector<uint8_t> between_;       // the box, resized one way
  std::vector<uint8_t> column_;        // one column of out
  std::vector<int32_t> sums_;          // one row, before rounding
};

}  // namespace canthus
