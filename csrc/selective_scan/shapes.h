// Checks the shapes that a caller brings, with one message for every face.
#pragma once
#include "selective_scan/selective_scan.h"
#include "shape.h"

namespace canthus::selective_scan {

struct Shapes {
  Shape u, delta, A, B, C, D, z, delta_bias;
};

// Throws std::invalid_argument naming the input, its shape and the shape that fits.
Sizes sizes_of(const Shapes&);
void check_gradients(const Sizes&, const Shape& y, const Shape& last_state);

}  // namespace canthus::selective_scan
