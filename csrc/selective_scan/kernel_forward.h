// The forward pass of one unit. Included inside the instruction set's own namespace.
#pragma once
#include "selective_scan/kernel_forward_channels.h"
#include "selective_scan/kernel_forward_states.h"

template <class T>
static bool forward_of(const Inputs& in, const Outputs& out, std::int64_t unit) {
  return is_wide(in.sizes) ? forward_wide<T>(in, out, unit) : forward_narrow<T>(in, out, unit);
}

static bool forward_unit(const Inputs& in, const Outputs& out, std::int64_t unit) {
  switch (in.type) {
    case DataType::float16:
      return forward_of<Float16>(in, out, unit);
    case DataType::bfloat16:
      return forward_of<BFloat16>(in, out, unit);
    default:
      return forward_of<float>(in, out, unit);
  }
}
