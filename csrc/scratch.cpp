#include "scratch.h"

#include <cstdlib>
#include <memory>

namespace canthus {

float* scratch(Scratch which, std::size_t floats) {
  struct Free {
    void operator()(float* memory) const { std::free(memory); }
  };
  struct Block {
    std::unique_ptr<float, Free> memory;
    std::size_t size = 0;
  };
  static thread_local Block blocks[2];
  Block& block = blocks[static_cast<std::size_t>(which)];
  if (!block.memory || floats > block.size) {
    const std::size_t bytes = floats == 0 ? 64 : (floats * sizeof(float) + 63) / 64 * 64;
    block.size = 0;
    block.memory.reset(static_cast<float*>(std::aligned_alloc(64, bytes)));
    if (block.memory) block.size = bytes / sizeof(float);
  }
  return block.memory.get();
}

}  // namespace canthus
