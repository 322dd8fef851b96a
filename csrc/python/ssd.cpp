// canthus._native.ssd: numpy arrays in and out, none copied.
#include "ssd/ssd.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>

#include "python/arguments.h"
#include "python/bindings.h"

namespace canthus::python {
namespace {

namespace py = pybind11;

OptionalArray float32(const char* name, const py::object& object) {
  const OptionalArray array = readable("ssd", name, object);
  if (array && !array->dtype().equal(py::dtype::of<float>()))
    throw py::type_error(std::string("ssd: ") + name + " must be float32, got " +
                         std::string(py::str(array->dtype().attr("name"))) + "; convert it with astype");
  return array;
}

OptionalArray required(const char* name, const py::object& object) {
  if (object.is_none())
    throw py::type_error(std::string("ssd: ") + name + " must be a numpy array, got None");
  return float32(name, object);
}

py::tuple run_ssd(const py::object& x_, const py::object& dt_, const py::object& A_, const py::object& B_,
                  const py::object& C_, const py::object& initial_state_, int thread_count,
                  const std::optional<std::string>& instruction_set) {
  const OptionalArray x = required("x", x_), dt = required("dt", dt_), A = required("A", A_);
  const OptionalArray B = required("B", B_), C = required("C", C_);
  const OptionalArray initial_state = float32("initial_state", initial_state_);
  const auto floats = [](const OptionalArray& array) {
    return array ? static_cast<const float*>(array->data()) : nullptr;
  };
  ssd::Inputs in;
  in.sizes = ssd::sizes_of(
      {shape_of(x), shape_of(dt), shape_of(A), shape_of(B), shape_of(C), shape_of(initial_state)});
  in.x = floats(x), in.dt = floats(dt), in.A = floats(A), in.B = floats(B), in.C = floats(C);
  in.initial_state = floats(initial_state);
  const ssd::Kernel& kernel = kernel_named("ssd", ssd::all_kernels(), instruction_set);
  if (thread_count < 1)
    throw py::value_error("ssd: threads must be at least 1, got " + std::to_string(thread_count));

  const ssd::Sizes& sizes = in.sizes;
  py::array_t<float> y({sizes.batch, sizes.tokens, sizes.heads, sizes.head_size});
  py::array_t<float> last_state({sizes.batch, sizes.heads, sizes.head_size, sizes.states});
  {
    float *to = y.mutable_data(), *state = last_state.mutable_data();
    const py::gil_scoped_release released;
    ssd::forward(kernel, in, {to, state}, threads(thread_count));
  }
  return py::make_tuple(y, last_state);
}

}  // namespace

void add_ssd(py::module_& m) {
  using namespace py::literals;
  m.def("ssd", &run_ssd, "x"_a, "dt"_a, "A"_a, "B"_a, "C"_a, "initial_state"_a = py::none(), "threads"_a = 1,
        "instruction_set"_a = py::none());
}

}  // namespace canthus::python
