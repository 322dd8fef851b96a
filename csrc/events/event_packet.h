// Events as they come from a camera.
#pragma once
#include <cstddef>
#include <cstdint>

namespace canthus {

// A packet as four arrays of the same length. Coordinates are uint16_t or uint64_t.
template <class Coordinate>
struct EventPacket {
  const int64_t* t;  // microseconds
  const Coordinate* x;
  const Coordinate* y;
  const uint8_t* p;  // 1: brighter, 0: darker
  size_t count;
};

}  // namespace canthus
