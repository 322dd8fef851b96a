// canthus::Ssd, version 1, for ONNX Runtime.
//
// Inputs x, dt, A, B, C, initial_state?; outputs y and last_state?; all float32. Shapes and meaning as in
// ssd/ssd.h.
#include "ssd/ssd.h"

#include "onnxruntime/operator.h"
#include "onnxruntime/operators.h"
#include "onnxruntime/runtime.h"

namespace canthus::onnxruntime {
namespace {

enum Input : std::size_t { x, dt, A, B, C, initial_state, input_count };

void compute(const Kernel& kernel, OrtKernelContext* context) {
  Tensor tensors[input_count];
  Shape shapes[input_count];
  for (std::size_t i = 0; i < input_count; ++i) {
    tensors[i] = kernel.runtime.input(context, i);
    shapes[i] = {tensors[i].rank, tensors[i].shape};
  }
  const auto floats = [&](Input input) { return static_cast<const float*>(tensors[input].data); };
  ssd::Inputs in;
  in.sizes = ssd::sizes_of({shapes[x], shapes[dt], shapes[A], shapes[B], shapes[C], shapes[initial_state]});
  in.x = floats(x), in.dt = floats(dt), in.A = floats(A), in.B = floats(B), in.C = floats(C);
  in.initial_state = floats(initial_state);

  const ssd::Sizes& sizes = in.sizes;
  const std::int64_t y_shape[] = {sizes.batch, sizes.tokens, sizes.heads, sizes.head_size};
  const std::int64_t state_shape[] = {sizes.batch, sizes.heads, sizes.head_size, sizes.states};
  ssd::Outputs out;
  out.y = static_cast<float*>(kernel.runtime.output(context, 0, y_shape, 4));
  out.last_state = static_cast<float*>(kernel.runtime.output(context, 1, state_shape, 4));
  const Runtime::Pool pool{&kernel.runtime, context};
  ssd::forward(ssd::fastest_kernel(), in, out, Runtime::parallel(pool));
}

}  // namespace

const std::vector<Operator>& ssd_operators() {
  const Argument one{float32}, perhaps{float32, optional};
  static const std::vector<Operator> operators{
      {"Ssd", {one, one, one, one, one, perhaps}, {one, perhaps}, compute}};
  return operators;
}

}  // namespace canthus::onnxruntime
