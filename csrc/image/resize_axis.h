// What resizing takes of each source pixel.
#pragma once
#include <cstdint>
#include <vector>

namespace canthus {

struct Box {
  int left, top, right, bottom;  // right and bottom are the first column and row outside
};

// Along one axis, out[i] is the sum of weights[i * taps + k] * in[first[i] + k] over k; behind the end of
// `in`, weights are 0. With `reversed`, out is as if `in` had been given from its end to its beginning.
struct ResizeAxis {
  ResizeAxis(int size_in, int size_out, int taps_multiple, bool reversed = false);
  int taps;
  std::vector<int> first;
  std::vector<int32_t> weights;  // fixed point, see image::one_bits
};

}  // namespace canthus
