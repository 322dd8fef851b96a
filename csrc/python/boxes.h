// The part of an image that is resized, checked.
#pragma once
#include <stdexcept>
#include <tuple>

#include "image/resize_axis.h"

namespace canthus::python {

inline Box checked_box(int source_width, int source_height, const std::tuple<int, int, int, int>& edges,
                       int width, int height) {
  const auto [left, top, right, bottom] = edges;
  constexpr int most = 32767;
  if (source_width > most || source_height > most || width < 1 || height < 1 || width > most || height > most)
    throw std::invalid_argument("images have 1 to 32767 columns and rows");
  if (left < 0 || top < 0 || right <= left || bottom <= top || right > source_width || bottom > source_height)
    throw std::invalid_argument("the box (left, top, right, bottom) holds pixels and lies within the image");
  return {left, top, right, bottom};
}

}  // namespace canthus::python
