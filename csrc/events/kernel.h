// What of taking events in is compiled once for each instruction set.
#pragma once
#include <cstddef>
#include <cstdint>

#include "events/event_packet.h"

namespace canthus::events {

struct Kernel {
  const char* name;
  bool (*runs_here)();
  // to[i] is pixel * 2 + polarity of event i. False if one of them lies outside width x height or has a
  // polarity other than 0 and 1; then `to` holds nothing of use.
  bool (*pack)(const EventPacket<uint16_t>&, uint32_t width, uint32_t height, uint32_t* to);
  bool (*pack_wide)(const EventPacket<uint64_t>&, uint32_t width, uint32_t height, uint32_t* to);
  // Copies `count` times, 1 at least. False if one of them lies before the one in front of it.
  bool (*copy_times)(const int64_t* from, size_t count, int64_t* to);
};

const Kernel* const* all_kernels();  // fastest first, ends with null; some may not run here
const Kernel& fastest_kernel();

}  // namespace canthus::events
