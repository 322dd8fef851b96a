// The kernels for one instruction set. Compiled once for each, with CANTHUS_INSTRUCTION_SET its name.
#if defined(__AVX__)
#include <immintrin.h>
#endif

#include <utility>

#include "selective_scan/units.h"

#define CANTHUS_TEXT_OF(name) #name
#define CANTHUS_TEXT(name) CANTHUS_TEXT_OF(name)

namespace canthus::selective_scan::CANTHUS_INSTRUCTION_SET {

#include "selective_scan/kernel_backward.h"

static bool runs_here() {
#if defined(__AVX512F__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#elif defined(__AVX2__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return true;
#endif
}

extern const Kernel kernel;
const Kernel kernel{CANTHUS_TEXT(CANTHUS_INSTRUCTION_SET), runs_here, forward_unit, backward_unit};

}  // namespace canthus::selective_scan::CANTHUS_INSTRUCTION_SET
