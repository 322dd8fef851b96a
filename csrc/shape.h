// The shape of an array that a caller brings, for messages about it.
#pragma once
#include <array>
#include <cstdint>
#include <string>

namespace canthus {

// rank < 0: not given. Of more than 4 axes only the first 4 are kept.
struct Shape {
  int rank = -1;
  std::array<std::int64_t, 4> axes{};
  bool given() const { return rank >= 0; }
  bool operator==(const Shape&) const = default;
};

// "(2, 8, 500)"
std::string text(const Shape&);

}  // namespace canthus
