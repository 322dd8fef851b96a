// What the sources need that are compiled once for each instruction set, with CANTHUS_INSTRUCTION_SET its
// name.
#pragma once
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#include <type_traits>
#include <utility>

#define CANTHUS_TEXT_OF(name) #name
#define CANTHUS_TEXT(name) CANTHUS_TEXT_OF(name)
#define CANTHUS_INSTRUCTION_SET_NAME CANTHUS_TEXT(CANTHUS_INSTRUCTION_SET)

namespace canthus::CANTHUS_INSTRUCTION_SET {

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

}  // namespace canthus::CANTHUS_INSTRUCTION_SET
