// Memory that a kernel works in: each thread keeps its own, so that nothing is allocated once all sizes were
// met.
#pragma once
#include <cstddef>

namespace canthus {

// What a call shares with its units of work is apart from what each unit has to itself.
enum class Scratch { of_unit, of_call };

// This thread's memory of at least `floats` floats, 64-byte aligned, contents undefined; null if there is
// none.
float* scratch(Scratch, std::size_t floats);

}  // namespace canthus
