// Starting kernels: one way for all, so that tests can put another in its place (tests/cuda_on_host).
#pragma once
#include <cuda_runtime.h>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace canthus::cuda {

inline constexpr int lanes_of_warp = 32;
inline constexpr unsigned every_lane = 0xffffffffu;

// Throws std::runtime_error with CUDA's own words.
inline void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess)
    throw std::runtime_error(std::string(what) + ": CUDA: " + cudaGetErrorString(error));
}

inline unsigned blocks_for(std::int64_t count, std::int64_t in_block) {
  const std::int64_t blocks = (count + in_block - 1) / in_block;
  if (blocks > INT32_MAX) throw std::invalid_argument("more work than one launch may have blocks");
  return static_cast<unsigned>(blocks);
}

#if defined(__CUDACC__)
// Of no blocks, nothing is started.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), unsigned blocks, unsigned threads, cudaStream_t stream,
            const Arguments&... arguments) {
  if (blocks == 0) return;
  kernel<<<blocks, threads, 0, stream>>>(arguments...);
  check(cudaGetLastError(), "a kernel can't be started");
}
#endif

}  // namespace canthus::cuda
