// Which compilation of a kernel runs, chosen when it is first asked for.
#pragma once

#if defined(__x86_64__)
#define CANTHUS_EACH_INSTRUCTION_SET(use) use(avx512) use(avx2) use(baseline)
#elif defined(__aarch64__)
#define CANTHUS_EACH_INSTRUCTION_SET(use) use(neon)
#else
#define CANTHUS_EACH_INSTRUCTION_SET(use) use(baseline)
#endif

#define CANTHUS_DECLARE_KERNEL(set) \
  namespace set {                   \
  extern const Kernel kernel;       \
  }
#define CANTHUS_KERNEL_POINTER(set) &set::kernel,

// Defines all_kernels() and fastest_kernel() of the namespace that it stands in, whose `Kernel` has
// `runs_here`.
#define CANTHUS_DEFINE_DISPATCH                                                                            \
  CANTHUS_EACH_INSTRUCTION_SET(CANTHUS_DECLARE_KERNEL)                                                     \
  const Kernel* const* all_kernels() {                                                                     \
    static const Kernel* const kernels[] = {CANTHUS_EACH_INSTRUCTION_SET(CANTHUS_KERNEL_POINTER) nullptr}; \
    return kernels;                                                                                        \
  }                                                                                                        \
  const Kernel& fastest_kernel() {                                                                         \
    static const Kernel& fastest = []() -> const Kernel& {                                                 \
      const Kernel* const* kernel = all_kernels();                                                         \
      while (!(*kernel)->runs_here()) ++kernel;                                                            \
      return **kernel;                                                                                     \
    }();                                                                                                   \
    return fastest;                                                                                        \
  }
