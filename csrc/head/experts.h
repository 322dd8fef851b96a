// Which experts there are, and which two are asked: the same on the CPU and on a GPU.
#pragma once
#include <cmath>

#include "head/head.h"

#if defined(__CUDACC__)
#define CANTHUS_ANYWHERE __host__ __device__
#else
#define CANTHUS_ANYWHERE
#endif

namespace canthus::head {

enum Kind { focal, attention, deep };

struct Expert {
  Kind kind;
  std::int64_t number;       // among those of its kind
  std::int64_t first, rows;  // of the linear matrix
};

CANTHUS_ANYWHERE inline Expert expert(const RoutedExperts& in, std::int64_t index) {
  const std::int64_t number = index / 3, focal_rows = in.width / 2;
  switch (index % 3) {
    case focal:
      return {focal, number, 4 * in.width + number * focal_rows, focal_rows};
    case attention:
      return {attention, number, in.width + number * in.width, in.width};
    default:
      return {deep, number, 4 * in.width + 3 * focal_rows + number * in.labels, in.labels};
  }
}

struct Choice {
  std::int64_t index[experts_used];
  float weight[experts_used];
};

// The largest two of the softmax of the router's logits, the first of equal ones; NaN where one is NaN.
CANTHUS_ANYWHERE inline Choice choose(const float* logits) {
  float high = logits[0], sum = 0.0f, weights[experts];
  for (int i = 1; i < experts; ++i) high = logits[i] > high ? logits[i] : high;
  for (int i = 0; i < experts; ++i) sum += weights[i] = expf(logits[i] - high);
  Choice choice{{0, 1}, {}};
  for (int place = 0; place < experts_used; ++place) {
    // No index into `weights` but those of loops, so that GPUs keep them in registers.
    int best = place == 1 && choice.index[0] == 0 ? 1 : 0;
    float most = best ? weights[1] : weights[0];
    for (int i = 0; i < experts; ++i)
      if ((place == 0 || i != choice.index[0]) && weights[i] > most) {
        best = i;
        most = weights[i];
      }
    choice.index[place] = best;
    choice.weight[place] = most / sum;
  }
  return choice;
}

}  // namespace canthus::head
