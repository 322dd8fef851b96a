// canthus._native.mco_mamba, mcib and routed_experts: numpy arrays in and out, none copied.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <optional>
#include <stdexcept>
#include <string>

#include "head/arguments.h"
#include "head/kernel.h"
#include "python/arguments.h"
#include "python/bindings.h"

namespace canthus::python {
namespace {

namespace py = pybind11;

head::Argument argument(const char* op, const char* name, const py::object& object) {
  const OptionalArray array = readable(op, name, object);
  if (!array) return {};
  const head::Type type = array->dtype().equal(py::dtype::of<float>())         ? head::Type::float32
                          : array->dtype().equal(py::dtype::of<signed char>()) ? head::Type::int8
                                                                               : head::Type::other;
  return {shape_of(array), type, array->data()};
}

template <std::size_t count>
std::array<head::Argument, count> arguments(const char* op, const std::array<const char*, count>& names,
                                            const py::args& args) {
  if (args.size() > count)
    throw py::type_error(std::string(op) + " takes " + std::to_string(count) + " arrays, got " +
                         std::to_string(args.size()));
  std::array<head::Argument, count> given;
  for (std::size_t i = 0; i < args.size(); ++i) given[i] = argument(op, names[i], args[i]);
  return given;
}

py::array_t<float> mco_mamba(const py::args& args, int thread_count, const std::optional<std::string>& set) {
  const auto in = head::mco_mamba(arguments("mco_mamba", head::mco_mamba_names, args));
  const head::Kernel& kernel = kernel_named("mco_mamba", head::all_kernels(), set);
  py::array_t<float> y({in.batch, in.tokens, head::token_width});
  float* to = y.mutable_data();
  {
    const py::gil_scoped_release released;
    head::run(kernel, in, to, threads(thread_count));
  }
  return y;
}

py::array_t<float> mcib(const py::args& args, int thread_count, const std::optional<std::string>& set) {
  const auto in = head::mcib(arguments("mcib", head::mcib_names, args));
  const head::Kernel& kernel = kernel_named("mcib", head::all_kernels(), set);
  py::array_t<float> fused({in.batch, in.fusion.outputs});
  float* to = fused.mutable_data();
  {
    const py::gil_scoped_release released;
    head::run(kernel, in, to, threads(thread_count));
  }
  return fused;
}

py::tuple routed_experts(const py::args& args, int thread_count, const std::optional<std::string>& set) {
  const auto in = head::routed_experts(arguments("routed_experts", head::routed_experts_names, args));
  const head::Kernel& kernel = kernel_named("routed_experts", head::all_kernels(), set);
  py::array_t<float> logits({in.batch, in.labels}), weights({in.batch, head::experts});
  float *to_logits = logits.mutable_data(), *to_weights = weights.mutable_data();
  {
    const py::gil_scoped_release released;
    head::run(kernel, in, to_logits, to_weights, threads(thread_count));
  }
  return py::make_tuple(logits, weights);
}

}  // namespace

void add_head(py::module_& m) {
  using namespace py::literals;
  m.def("mco_mamba", &mco_mamba, "threads"_a = 1, "instruction_set"_a = py::none());
  m.def("mcib", &mcib, "threads"_a = 1, "instruction_set"_a = py::none());
  m.def("routed_experts", &routed_experts, "threads"_a = 1, "instruction_set"_a = py::none());
}

}  // namespace canthus::python
