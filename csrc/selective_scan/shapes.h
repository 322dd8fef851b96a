// Checks the shapes that a caller brings, with one message for every face.
#pragma once
#include <array>
#include <cstdint>

#include "selective_scan/selective_scan.h"

namespace canthus::selective_scan {

// rank < 0: not given. Of more than 4 axes only the first 4 are kept.
struct Shape {
  int rank = -1;
  std::array<std::int64_t, 4> axes{};
  bool given() const { return rank >= 0; }
};

struct Shapes {
  Shape u, delta, A, B, C, D, z, delta_bias;
};

// Throws std::invalid_argument naming the input, its shape and the shape that fits.
Sizes sizes_of(const Shapes&);
void check_gradients(const Sizes&, const Shape& y, const Shape& last_state);

}  // namespace canthus::selective_scan
