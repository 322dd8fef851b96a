// One state of one channel over the tokens that a warp holds, `count` neighbours in each lane.
//
// A token's step h -> a h + b is a pair (a, b), and steps one after the other are again such a pair:
// Blelloch, "Prefix sums and their applications" (1990), as Gu and Dao do in arXiv 2312.00752. Each lane
// joins its own, the warp scans the lanes' pairs, and each lane goes over its tokens again from the state
// that it begins with.
#pragma once
#include "cuda/launch.h"

namespace canthus::cuda {

// y[i] += C[i] h[i], where h begins as `before`; `product` is that of the lane's a. Returns the state after
// the lane's own tokens; the last lane's is that after all.
template <int count>
__device__ inline float scan_tokens(const float (&a)[count], const float (&b)[count], const float* C,
                                    float product, float before, int lane, float (&y)[count]) {
  // The first lane begins where the tokens before ended, so that its pair is a state, and with it in the end
  // all are.
  float state = lane ? b[0] : a[0] * before + b[0];
#pragma unroll
  for (int i = 1; i < count; ++i) state = a[i] * state + b[i];
#pragma unroll
  for (int reach = 1; reach < lanes_of_warp; reach *= 2) {
    const float other_state = __shfl_up_sync(every_lane, state, reach);
    if (lane >= reach) state = product * other_state + state;
    if (2 * reach == lanes_of_warp) break;
    const float other_product = __shfl_up_sync(every_lane, product, reach);
    if (lane >= reach) product *= other_product;
  }
  const float state_before = __shfl_up_sync(every_lane, state, 1);
  float h = lane ? state_before : before;
#pragma unroll
  for (int i = 0; i < count; ++i) {
    h = a[i] * h + b[i];
    y[i] += C[i] * h;
  }
  return h;
}

}  // namespace canthus::cuda
