// How fast this processor raises two to any power, by the very function that the kernels use, and nothing else: what a
// selective scan can't go far below. (Without AVX-512, powers known to be small take it two instructions less.) Compiled and called by selective_scan.py.
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#include <utility>

#include "vector.h"

// `count` exponentials, of few numbers again and again so that memory plays no part; the result is their sum.
extern "C" float exponentials(long count) {
  constexpr int together = 8;
  Vector x[together], sums[together]{};
  for (int i = 0; i < together; ++i) x[i] = splat(-0.125f * static_cast<float>(i + 1));
  for (long done = 0; done < count; done += together * lanes)
    for (int i = 0; i < together; ++i) {
      __asm__("" : "+v"(x[i]));  // so that none is computed once for all
      sums[i] += exp2(x[i]);
    }
  for (int i = 1; i < together; ++i) sums[0] += sums[i];
  return sum(sums[0]);
}
