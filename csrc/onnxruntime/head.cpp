// canthus::McoMamba, canthus::Mcib and canthus::RoutedExperts, version 1, for ONNX Runtime.
//
// Inputs by the names in head/arguments.h, float32 but for matrices that may be int8; outputs y; fused;
// logits and weights. Shapes and meaning as in head/head.h.
#include "onnxruntime/head.h"

#include <array>
#include <initializer_list>

#include "head/arguments.h"
#include "onnxruntime/operator.h"
#include "onnxruntime/operators.h"
#include "onnxruntime/runtime.h"

namespace canthus::onnxruntime {
namespace {

void mco_mamba(const Kernel& kernel, OrtKernelContext* context) {
  const auto [in, y] = mco_mamba_arguments(kernel, context);
  const Runtime::Pool pool{&kernel.runtime, context};
  head::run(head::fastest_kernel(), in, y, Runtime::parallel(pool));
}

void mcib(const Kernel& kernel, OrtKernelContext* context) {
  const auto [in, fused] = mcib_arguments(kernel, context);
  const Runtime::Pool pool{&kernel.runtime, context};
  head::run(head::fastest_kernel(), in, fused, Runtime::parallel(pool));
}

void routed_experts(const Kernel& kernel, OrtKernelContext* context) {
  const auto [in, logits, weights] = routed_experts_arguments(kernel, context);
  const Runtime::Pool pool{&kernel.runtime, context};
  head::run(head::fastest_kernel(), in, logits, weights, Runtime::parallel(pool));
}

// Matrices are of any type here, and checked when they come.
std::vector<Argument> inputs(std::size_t count, std::initializer_list<std::size_t> matrices) {
  std::vector<Argument> result(count, Argument{float32});
  for (std::size_t matrix : matrices) result[matrix].type = undefined;
  return result;
}

template <std::size_t count>
std::array<head::Argument, count> arguments(const Kernel& kernel, OrtKernelContext* context) {
  std::array<head::Argument, count> given;
  for (std::size_t i = 0; i < count; ++i) {
    const Tensor tensor = kernel.runtime.input(context, i);
    const head::Type type = tensor.type == float32 ? head::Type::float32
                            : tensor.type == int8  ? head::Type::int8
                                                   : head::Type::other;
    given[i] = {{tensor.rank, tensor.shape}, type, tensor.data};
  }
  return given;
}

template <std::size_t rank>
float* output(const Kernel& kernel, OrtKernelContext* context, std::size_t index,
              const std::int64_t (&shape)[rank]) {
  return static_cast<float*>(kernel.runtime.output(context, index, shape, rank));
}

}  // namespace

McoMambaArguments mco_mamba_arguments(const Kernel& kernel, OrtKernelContext* context) {
  const auto in = head::mco_mamba(arguments<head::mco_mamba_names.size()>(kernel, context));
  return {in, output(kernel, context, 0, {in.batch, in.tokens, head::token_width})};
}

McibArguments mcib_arguments(const Kernel& kernel, OrtKernelContext* context) {
  const auto in = head::mcib(arguments<head::mcib_names.size()>(kernel, context));
  return {in, output(kernel, context, 0, {in.batch, in.fusion.outputs})};
}

RoutedExpertsArguments routed_experts_arguments(const Kernel& kernel, OrtKernelContext* context) {
  const auto in = head::routed_experts(arguments<head::routed_experts_names.size()>(kernel, context));
  return {in, output(kernel, context, 0, {in.batch, in.labels}),
          output(kernel, context, 1, {in.batch, head::experts})};
}

const std::vector<Operator>& head_operators() {
  const Argument one{float32};
  static const std::vector<Operator> operators{
      {"McoMamba", inputs(head::mco_mamba_names.size(), {}), {one}, mco_mamba},
      {"Mcib", inputs(head::mcib_names.size(), {5}), {one}, mcib},
      {"RoutedExperts", inputs(head::routed_experts_names.size(), {1, 6}), {one, one}, routed_experts}};
  return operators;
}

}  // namespace canthus::onnxruntime
