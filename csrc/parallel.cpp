#include "parallel.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <system_error>
#include <thread>
#include <vector>

namespace canthus {
namespace {

void fork_and_join(void* context, std::size_t count, Task task, void* argument) {
  const auto wanted = static_cast<std::size_t>(reinterpret_cast<std::intptr_t>(context));
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < count; i = next++) task(argument, i);
  };
  std::vector<std::thread> helpers;
  try {
    while (helpers.size() + 1 < std::min(wanted, count)) helpers.emplace_back(work);
  } catch (const std::system_error&) {
    // No more threads to be had: those that run, and this one, do it all.
  }
  work();
  for (std::thread& helper : helpers) helper.join();
}

}  // namespace

Parallel threads(int threads) {
  return {fork_and_join, reinterpret_cast<void*>(static_cast<std::intptr_t>(std::max(threads, 1)))};
}

}  // namespace canthus
