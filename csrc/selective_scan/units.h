// How the work is cut into units that may run at once, and what they share with the code that is compiled
// once.
#pragma once
#include <cstddef>

#include "scratch.h"
#include "selective_scan/selective_scan.h"

namespace canthus::selective_scan {

// Tokens that are converted, transposed and scanned at a time.
inline constexpr std::int64_t block_tokens = 64;

// A forward unit is some channels of one group: they share B and C. Where a group has enough, vectors hold
// channels; else the states of one channel.
inline constexpr std::int64_t wide_unit = 16, narrow_unit = 4;

static constexpr std::int64_t group_channels(const Sizes& sizes) { return sizes.channels / sizes.groups; }

static constexpr bool is_wide(const Sizes& sizes) { return group_channels(sizes) >= 2 * wide_unit; }

static constexpr std::int64_t units_per_group(const Sizes& sizes) {
  const std::int64_t unit = is_wide(sizes) ? wide_unit : narrow_unit;
  return (group_channels(sizes) + unit - 1) / unit;
}

}  // namespace canthus::selective_scan
