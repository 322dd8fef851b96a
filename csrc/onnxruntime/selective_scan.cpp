// canthus::SelectiveScan, version 1, for ONNX Runtime.
//
// Inputs u, delta, A, B, C, D?, z?, delta_bias?; attribute delta_softplus (0 or 1, default 0); outputs y and
// last_state?. Shapes and meaning as in selective_scan/selective_scan.h. u, delta, z, y and B and C that vary
// are of one type, float32, float16 or bfloat16; all else is float32.
#include "onnxruntime/selective_scan.h"

#include <stdexcept>
#include <string>

#include "onnxruntime/operator.h"
#include "onnxruntime/operators.h"
#include "onnxruntime/runtime.h"
#include "selective_scan/shapes.h"

namespace canthus::onnxruntime {
namespace {

namespace scan = canthus::selective_scan;

enum Input : std::size_t { u, delta, A, B, C, D, z, delta_bias, input_count };
constexpr const char* input_names[] = {"u", "delta", "A", "B", "C", "D", "z", "delta_bias"};

bool is_weight(std::size_t input) { return input == A || input == D || input == delta_bias; }

const char* type_name(int type) {
  if (type == float32) return "float32";
  if (type == float16) return "float16";
  return type == bfloat16 ? "bfloat16" : "another type";
}

// ONNX Runtime has checked the types of all inputs but B and C, which are declared with none: constant ones
// are float32, like A.
void check_type(const Kernel& kernel, std::size_t input, const Tensor& tensor) {
  const bool constant = (input == B || input == C) && tensor.rank == 2;
  const int wanted = constant || is_weight(input) ? float32 : kernel.op->inputs[u].type;
  if (tensor.rank >= 0 && tensor.type != wanted)
    throw std::invalid_argument(std::string("selective_scan: ") + input_names[input] + " must be " +
                                type_name(wanted) + ", got " + type_name(tensor.type));
}

scan::DataType data_type(int type) {
  if (type == float16) return scan::DataType::float16;
  return type == bfloat16 ? scan::DataType::bfloat16 : scan::DataType::float32;
}

void compute(const Kernel& kernel, OrtKernelContext* context) {
  const auto [in, out] = scan_arguments(kernel, context);
  const Runtime::Pool pool{&kernel.runtime, context};
  scan::forward(scan::fastest_kernel(), in, out, Runtime::parallel(pool));
}

Operator make_operator(ElementType type) {
  std::vector<Argument> inputs;
  for (std::size_t i = 0; i < input_count; ++i)
    inputs.push_back({i == B || i == C ? undefined
                      : is_weight(i)   ? float32
                                       : type,
                      i < D ? required : optional});
  return {"SelectiveScan", inputs, {{type}, {float32, optional}}, compute, "delta_softplus"};
}

}  // namespace

ScanArguments scan_arguments(const Kernel& kernel, OrtKernelContext* context) {
  Tensor tensors[input_count];
  Shape shapes[input_count];
  for (std::size_t i = 0; i < input_count; ++i) {
    tensors[i] = kernel.runtime.input(context, i);
    check_type(kernel, i, tensors[i]);
    shapes[i] = {tensors[i].rank, tensors[i].shape};
  }
  scan::Inputs in;
  in.sizes = scan::sizes_of(
      {shapes[u], shapes[delta], shapes[A], shapes[B], shapes[C], shapes[D], shapes[z], shapes[delta_bias]});
  in.type = data_type(kernel.op->inputs[u].type);
  in.u = tensors[u].data;
  in.delta = tensors[delta].data;
  in.A = static_cast<const float*>(tensors[A].data);
  in.B = {tensors[B].data, tensors[B].rank != 2};
  in.C = {tensors[C].data, tensors[C].rank != 2};
  in.D = static_cast<const float*>(tensors[D].data);
  in.z = tensors[z].data;
  in.delta_bias = static_cast<const float*>(tensors[delta_bias].data);
  in.delta_softplus = kernel.flag;

  const std::int64_t y_shape[] = {in.sizes.batch, in.sizes.channels, in.sizes.tokens};
  const std::int64_t state_shape[] = {in.sizes.batch, in.sizes.channels, in.sizes.states};
  scan::Outputs out;
  out.y = kernel.runtime.output(context, 0, y_shape, 3);
  out.last_state = static_cast<float*>(kernel.runtime.output(context, 1, state_shape, 3));
  return {in, out};
}

const std::vector<Operator>& selective_scan_operators() {
  static const std::vector<Operator> operators{make_operator(float32), make_operator(float16),
                                               make_operator(bfloat16)};
  return operators;
}

}  // namespace canthus::onnxruntime
