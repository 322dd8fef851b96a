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

class Resize {
 public:
  // Of the pixels in box, which lies within the image, makes a width x height image.
  Resize(Box box, int width, int height);

  // Rows of image are row_bytes apart, those of out have no gaps. Allocates nothing.
  void operator()(const uint8_t* image, size_t row_bytes, uint8_t* out);

 private:
  Box box_;
  int width_, height_;
  ResizeAxis across_, down_;
  std::vector<int16_t> across_pairs_;  // the weights across, each split into a high and a low part
  std::vector<int16_t> row_;           // one row of the box, its pixels as pairs to match
  std::vector<uint8_t> narrowed_;      // box height x width: the rows of the box, resized across
  std::vector<int32_t> sums_;          // one row of out, before rounding
};

}  // namespace canthus
