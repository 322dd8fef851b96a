// CUDA's kernels on the CPU, to test what they compute where there is no GPU: found by the compiler before
// CUDA's own header of this name.
//
// Blocks run one after the other. Each of a block's threads is a fiber that runs until it must wait for
// others: at a barrier or an exchange between a warp's lanes; and a warp goes as far as it comes without the
// others. So a barrier that is missing shows in the results: what others haven't yet written can't be read,
// and what they have yet to read is overwritten. The order of threads and warps alternates, from first to
// last and back.
#pragma once
#include_next <cuda_runtime.h>
#include <math.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#undef __shared__
#define __shared__ static  // of all of a block's threads; one block runs at a time
#undef __global__
#define __global__
#undef __launch_bounds__
#define __launch_bounds__(...)

namespace cuda_on_host {

struct Thread {
  uint3 index{}, block{}, blocks{}, threads{};
};

class Block {
 public:
  static constexpr int most_threads = 1024, warp = 32;
  static constexpr std::size_t stack_bytes = 128 << 10;

  static Block& instance() {
    static Block block;
    return block;
  }

  // Runs `body` as every thread of every block.
  void run(unsigned blocks, unsigned threads, const std::function<void()>& body) {
    if (threads > most_threads) throw std::invalid_argument("a block has at most 1024 threads");
    body_ = &body;
    for (unsigned block = 0; block < blocks; ++block) run_block(block, blocks, threads);
  }

  const Thread& thread() const { return fibers_[current_].thread; }

  void wait_for_block() { wait(block_barrier_, running_); }
  void wait_for_warp() { wait(warp_barriers_[current_ / warp], warp); }

  // Each lane gives a value, and gets all of its warp's.
  const std::uint64_t* exchange(std::uint64_t value) {
    Fiber& fiber = fibers_[current_];
    std::uint64_t* values = exchanged_[current_ / warp][fiber.exchanges++ % 2];
    values[current_ % warp] = value;
    wait_for_warp();  // the next exchange has the other memory, so nobody overwrites what is still to be read
    return values;
  }

 private:
  struct Barrier {
    unsigned arrived = 0, generation = 0;
  };
  struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack{new char[stack_bytes]};
    Thread thread;
    unsigned exchanges = 0;
    const Barrier* waits_for = nullptr;
    unsigned seen = 0;
    bool done = false;
  };

  static void enter() {
    Block& self = instance();
    (*self.body_)();
    self.fibers_[self.current_].done = true;
    swapcontext(&self.fibers_[self.current_].context, &self.scheduler_);
  }

  void run_block(unsigned block, unsigned blocks, unsigned threads) {
    if (fibers_.size() < threads) fibers_.resize(threads);
    running_ = threads;
    block_barrier_ = {};
    for (Barrier& barrier : warp_barriers_) barrier = {};
    for (unsigned i = 0; i < threads; ++i) {
      Fiber& fiber = fibers_[i];
      fiber.thread = {{i, 0, 0}, {block, 0, 0}, {blocks, 1, 1}, {threads, 1, 1}};
      fiber.exchanges = 0;
      fiber.waits_for = nullptr;
      fiber.done = false;
      getcontext(&fiber.context);
      fiber.context.uc_stack.ss_sp = fiber.stack.get();
      fiber.context.uc_stack.ss_size = stack_bytes;
      makecontext(&fiber.context, enter, 0);
    }
    const unsigned warps = (threads + warp - 1) / warp;
    for (unsigned done = 0; done < threads;) {
      const unsigned before = moves_;
      for (unsigned i = 0; i < warps; ++i) done += run_warp(backwards_ ? warps - 1 - i : i, threads);
      backwards_ = !backwards_;
      if (moves_ == before) throw std::runtime_error("threads wait for others that will never come");
    }
  }

  // As far as it comes without the other warps. Returns how many of its threads ended.
  unsigned run_warp(unsigned index, unsigned threads) {
    const unsigned first = index * warp, count = std::min(threads - first, unsigned{warp});
    unsigned done = 0;
    for (unsigned before = moves_ - 1; moves_ != before;) {
      before = moves_;
      for (unsigned i = 0; i < count; ++i) {
        current_ = first + (backwards_ ? count - 1 - i : i);
        Fiber& fiber = fibers_[current_];
        if (fiber.done || (fiber.waits_for && fiber.waits_for->generation == fiber.seen)) continue;
        fiber.waits_for = nullptr;
        ++moves_;
        swapcontext(&scheduler_, &fiber.context);
        done += fiber.done;
      }
    }
    return done;
  }

  void wait(Barrier& barrier, unsigned expected) {
    if (++barrier.arrived == expected) {
      barrier.arrived = 0;
      ++barrier.generation;
    }
    // The last to arrive lets the others go on first, too: what it does next, they mustn't see.
    Fiber& fiber = fibers_[current_];
    if (barrier.arrived != 0) {
      fiber.waits_for = &barrier;
      fiber.seen = barrier.generation;
    }
    swapcontext(&fiber.context, &scheduler_);
  }

  std::vector<Fiber> fibers_;
  ucontext_t scheduler_;
  const std::function<void()>* body_ = nullptr;
  unsigned current_ = 0, running_ = 0, moves_ = 0;
  bool backwards_ = false;
  Barrier block_barrier_, warp_barriers_[most_threads / warp];
  std::uint64_t exchanged_[most_threads / warp][2][warp] = {};
};

template <class T>
std::uint64_t bits_of(T value) {
  std::uint64_t bits = 0;
  static_assert(sizeof(T) <= sizeof(bits));
  std::memcpy(&bits, &value, sizeof(T));
  return bits;
}

template <class T>
T value_of(std::uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

inline int lane() { return static_cast<int>(Block::instance().thread().index.x % Block::warp); }

}  // namespace cuda_on_host

#define threadIdx (cuda_on_host::Block::instance().thread().index)
#define blockIdx (cuda_on_host::Block::instance().thread().block)
#define blockDim (cuda_on_host::Block::instance().thread().threads)
#define gridDim (cuda_on_host::Block::instance().thread().blocks)

inline void __syncthreads() { cuda_on_host::Block::instance().wait_for_block(); }
inline void __syncwarp() { cuda_on_host::Block::instance().wait_for_warp(); }

template <class T>
T __shfl_sync(unsigned, T value, int from) {
  return cuda_on_host::value_of<T>(
      cuda_on_host::Block::instance().exchange(cuda_on_host::bits_of(value))[from % 32]);
}

template <class T>
T __shfl_up_sync(unsigned, T value, int reach) {
  const std::uint64_t* all = cuda_on_host::Block::instance().exchange(cuda_on_host::bits_of(value));
  const int lane = cuda_on_host::lane();
  return cuda_on_host::value_of<T>(all[lane >= reach ? lane - reach : lane]);
}

template <class T>
T __shfl_xor_sync(unsigned, T value, int with) {
  const std::uint64_t* all = cuda_on_host::Block::instance().exchange(cuda_on_host::bits_of(value));
  return cuda_on_host::value_of<T>(all[cuda_on_host::lane() ^ with]);
}

inline unsigned __ballot_sync(unsigned, bool given) {
  const std::uint64_t* all = cuda_on_host::Block::instance().exchange(given);
  unsigned lanes = 0;
  for (unsigned i = 0; i < 32; ++i) lanes |= all[i] ? 1u << i : 0u;
  return lanes;
}

inline bool __any_sync(unsigned lanes, bool given) { return __ballot_sync(lanes, given) != 0; }

inline unsigned __match_any_sync(unsigned, int value) {
  const std::uint64_t own = cuda_on_host::bits_of(value);
  const std::uint64_t* all = cuda_on_host::Block::instance().exchange(own);
  unsigned lanes = 0;
  for (unsigned i = 0; i < 32; ++i) lanes |= all[i] == own ? 1u << i : 0u;
  return lanes;
}

inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }

inline int __ffs(int bits) { return __builtin_ffs(bits); }

inline unsigned atomicAdd(unsigned* to, unsigned value) { return std::exchange(*to, *to + value); }

inline cudaError_t cuda_on_host_malloc(void** memory, std::size_t bytes) {
  *memory = std::malloc(bytes);
  return *memory ? cudaSuccess : cudaErrorMemoryAllocation;
}
#define cudaMalloc cuda_on_host_malloc
inline cudaError_t cuda_on_host_free(void* memory) {
  std::free(memory);
  return cudaSuccess;
}
#define cudaFree cuda_on_host_free
inline cudaError_t cuda_on_host_copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
#define cudaMemcpy cuda_on_host_copy
#define cudaGetErrorString(error) (static_cast<void>(error), "an error")

namespace canthus::cuda {

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), unsigned blocks, unsigned threads, cudaStream_t,
            const Arguments&... arguments) {
  cuda_on_host::Block::instance().run(blocks, threads, [&] { kernel(arguments...); });
}

}  // namespace canthus::cuda
