// Mamba's selective scan on a GPU, as selective_scan/selective_scan.h defines it.
#pragma once
#include <cuda_runtime.h>

#include "selective_scan/selective_scan.h"

namespace canthus::cuda {

inline constexpr std::int64_t most_states = 256;  // as mamba_ssm's own kernel

// All pointers are to memory of the device. Returns when the kernel is queued. Throws std::invalid_argument
// for more states than a kernel keeps, std::runtime_error if CUDA refuses.
void forward(const selective_scan::Inputs&, const selective_scan::Outputs&, cudaStream_t);

}  // namespace canthus::cuda
