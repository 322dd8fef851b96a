#include "image/resize_axis.h"

#include <algorithm>
#include <cmath>

#include "image/kernel.h"

namespace canthus {

ResizeAxis::ResizeAxis(int size_in, int size_out, int taps_multiple, bool reversed) : first(size_out) {
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
    first[i] = reversed ? size_in - end : begin;
    for (int k = 0; k < end - begin; ++k)
      weights[static_cast<size_t>(i) * taps + (reversed ? end - begin - 1 - k : k)] =
          static_cast<int32_t>(0.5 + triangle[k] / total * (1 << image::one_bits));
  }
}

}  // namespace canthus
