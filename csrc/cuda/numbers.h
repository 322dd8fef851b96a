// float16 and bfloat16 as floats and back, and the functions that several kernels have.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

namespace canthus::cuda {

inline constexpr float log2_of_e = 1.4426950408889634f;

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(__half x) { return __half2float(x); }
__device__ inline float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

__device__ inline void from_float(float x, float* to) { *to = x; }
__device__ inline void from_float(float x, __half* to) { *to = __float2half_rn(x); }
__device__ inline void from_float(float x, __nv_bfloat16* to) { *to = __float2bfloat16_rn(x); }

// Two to the power of x, by the one instruction that GPUs have for it: 2 units in the last place, and 0
// instead of numbers below the normal ones, which exp2f would take four instructions more for.
__device__ inline float power_of_two(float x) {
#if defined(__CUDA_ARCH__)
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return exp2f(x);
#endif
}

__device__ inline float softplus(float x) { return x <= 20.0f ? log1pf(expf(x)) : x; }
__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
__device__ inline float gelu(float x) { return 0.5f * x * erfcf(-0.70710678118654752f * x); }

}  // namespace canthus::cuda
