// How a kernel spreads its work: the caller brings the threads (ONNX Runtime's pool, std::thread, or none).
#pragma once
#include <cstddef>

namespace canthus {

using Task = void (*)(void* argument, std::size_t index);

// Runs task(argument, 0) ... task(argument, count - 1), in any order, and returns when all are done.
struct Parallel {
  void (*run)(void* context, std::size_t count, Task task, void* argument);
  void* context;
};

// Fork and join up to `threads` threads, the caller's included; 1 starts none.
Parallel threads(int threads);

template <class Function>
void parallel_for(const Parallel& parallel, std::size_t count, Function& function) {
  parallel.run(
      parallel.context, count, [](void* f, std::size_t index) { (*static_cast<Function*>(f))(index); },
      &function);
}

}  // namespace canthus
