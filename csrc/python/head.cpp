// canthus._native.mco_mamba, mcib and routed_experts: numpy arrays in and out, none copied.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <optional>
#include <stdexcept>
#include <string>

#include "head/arguments.h"
#include "python/bindings.h"

namespace canthus::python {
namespace {

namespace py = pybind11;

head::Argument argument(const char* op, const char* name, const py::object& object) {
  head::Argument given;
  if (object.is_none()) return given;
  const std::string start = std::string(op) + ": " + name;
  if (!py::isinstance<py::array>(object))
    throw py::type_error(start + " must be a numpy array, got " + Py_TYPE(object.ptr())->tp_name);
  const auto array = py::reinterpret_borrow<py::array>(object);
  constexpr int needed = int{py::array::c_style} | int{py::detail::npy_api::NPY_ARRAY_ALIGNED_};
  if ((array.flags() & needed) != needed)
    throw py::value_error(start + " must be C-contiguous; copy it with numpy.ascontiguousarray");
  given.shape.rank = static_cast<int>(array.ndim());
  for (int i = 0; i < given.shape.rank && i < 4; ++i) given.shape.axes[i] = array.shape(i);
  if (array.dtype().equal(py::dtype::of<float>())) given.type = head::Type::float32;
  if (array.dtype().equal(py::dtype::of<signed char>())) given.type = head::Type::int8;
  given.data = array.data();
  return given;
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

const head::Kernel& kernel_named(const std::optional<std::string>& name) {
  if (!name) return head::fastest_kernel();
  for (const head::Kernel* const* kernel = head::all_kernels(); *kernel; ++kernel)
    if (*name == head::name_of(**kernel) && head::runs_here(**kernel)) return **kernel;
  throw py::value_error("this machine has no instruction set '" + *name +
                        "'; instruction_sets() lists those that it has");
}

py::array_t<float> mco_mamba(const py::args& args, int thread_count, const std::optional<std::string>& set) {
  const auto in = head::mco_mamba(arguments("mco_mamba", head::mco_mamba_names, args));
  const head::Kernel& kernel = kernel_named(set);
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
  const head::Kernel& kernel = kernel_named(set);
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
  const head::Kernel& kernel = kernel_named(set);
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
