// Memory that a kernel works in: each thread keeps its own, so that nothing is allocated once all sizes were
// met.
#pragma once
#include <cstddef>
#include <cstdint>

namespace canthus {

// What a call shares with its units of work is apart from what each unit has to itself.
enum class Scratch { of_unit, of_call };

// This thread's memory of at least `floats` floats, 64-byte aligned, contents undefined; null if there is
// none.
float* scratch(Scratch, std::size_t floats);

// As many numbers in whole vectors, whatever the instruction set.
static constexpr std::int64_t padded(std::int64_t count) { return (count + 15) / 16 * 16; }

}  // namespace canthus
