// Chooses the kernel and cuts the work into units.
#include "selective_scan/selective_scan.h"

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>

#include "selective_scan/units.h"

namespace canthus::selective_scan {

#if defined(__x86_64__)
namespace avx512 {
extern const Kernel kernel;
}
namespace avx2 {
extern const Kernel kernel;
}
#endif
namespace baseline {
extern const Kernel kernel;
}

const Kernel* const* all_kernels() {
  static const Kernel* const kernels[] = {
#if defined(__x86_64__)
      &avx512::kernel, &avx2::kernel,
#endif
      &baseline::kernel, nullptr};
  return kernels;
}

const Kernel& fastest_kernel() {
  static const Kernel& fastest = [&]() -> const Kernel& {
    const Kernel* const* kernel = all_kernels();
    while (!(*kernel)->runs_here()) ++kernel;
    return **kernel;
  }();
  return fastest;
}

float* scratch(std::size_t floats) {
  struct Free {
    void operator()(float* memory) const { std::free(memory); }
  };
  static thread_local std::unique_ptr<float, Free> memory;
  static thread_local std::size_t size = 0;
  if (floats > size) {
    const std::size_t bytes = (floats * sizeof(float) + 63) / 64 * 64;
    size = 0;
    memory.reset(static_cast<float*>(std::aligned_alloc(64, bytes)));
    if (memory) size = bytes / sizeof(float);
  }
  return memory.get();
}

void forward(const Kernel& kernel, const Inputs& in, const Outputs& out, const Parallel& parallel) {
  std::atomic<bool> done{true};
  auto unit = [&](std::size_t index) {
    if (!kernel.forward(in, out, static_cast<std::int64_t>(index))) done = false;
  };
  parallel_for(parallel, in.sizes.batch * in.sizes.groups * units_per_group(in.sizes), unit);
  if (!done) throw std::bad_alloc();
}

}  // namespace canthus::selective_scan
