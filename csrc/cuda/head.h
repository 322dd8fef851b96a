// Everything behind the encoders on a GPU, as head/head.h defines it: eight launches.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>

#include "head/head.h"

namespace canthus::cuda {

// Floats that a call passes from one of its kernels to the next.
std::size_t workspace(const head::McoMamba&);
std::size_t workspace(const head::Mcib&);
std::size_t workspace(const head::RoutedExperts&);

// All pointers are to memory of the device. Return when the kernels are queued; `workspace` may be used
// again, or freed, by what is queued behind them. Throw std::runtime_error if CUDA refuses. Results are the
// same at every call.
void run(const head::McoMamba&, float* y, float* workspace, cudaStream_t);
void run(const head::Mcib&, float* fused, float* workspace, cudaStream_t);
void run(const head::RoutedExperts&, float* logits, float* weights, float* workspace, cudaStream_t);

}  // namespace canthus::cuda
