// Marks a function whose loops vectorise by themselves: it is compiled a second time for AVX2, and which of
// the two runs is chosen when the library is loaded. Elsewhere the baseline (NEON, on 64-bit Arm) is all
// there is.
#pragma once

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define CANTHUS_VECTOR_CLONES [[gnu::target_clones("default", "avx2")]]
#else
#define CANTHUS_VECTOR_CLONES
#endif
