// How the work is cut into units that may run at once, and what they share with the code that is compiled
// once.
#pragma once
#include <cstddef>

#include "scratch.h"
#include "selective_scan/selective_scan.h"

namespace canthus::selective_scan {

// Tokens that are converted, transposed and scanned at a time.
inline constexpr std::int64_t block_tokens = 64;

// A forward unit is this many channels of one group: they share the transposed B and C.
inline constexpr std::int64_t unit_channels = 4;

static constexpr std::int64_t group_channels(const Sizes& sizes) { return sizes.channels / sizes.groups; }

static constexpr std::int64_t units_per_group(const Sizes& sizes) {
  return (group_channels(sizes) + unit_channels - 1) / unit_channels;
}

}  // namespace canthus::selective_scan
