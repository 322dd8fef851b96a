#include "shape.h"

namespace canthus {

std::string text(const Shape& shape) {
  std::string result = "(";
  for (int i = 0; i < shape.rank && i < 4; ++i) result += (i ? ", " : "") + std::to_string(shape.axes[i]);
  if (shape.rank > 4) result += ", ...";
  return result + (shape.rank == 1 ? ",)" : ")");
}

}  // namespace canthus
