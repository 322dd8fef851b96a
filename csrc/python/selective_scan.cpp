// canthus._native.selective_scan: numpy arrays in and out, none copied.
#include "selective_scan/selective_scan.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <vector>

#include "python/arguments.h"
#include "python/bindings.h"
#include "selective_scan/shapes.h"

namespace canthus::python {
namespace {

namespace py = pybind11;
namespace scan = canthus::selective_scan;
using Array = OptionalArray;

std::string dtype_name(const py::dtype& dtype) { return py::str(dtype.attr("name")); }

bool is_float32(const py::dtype& dtype) { return dtype.equal(py::dtype::of<float>()); }

Array readable(const char* name, const py::object& object) {
  return python::readable("selective_scan", name, object);
}

Array required(const char* name, const py::object& object) {
  if (object.is_none())
    throw py::type_error(std::string("selective_scan: ") + name + " must be a numpy array, got None");
  return readable(name, object);
}

scan::DataType data_type(const py::array& u) {
  const py::dtype dtype = u.dtype();
  if (is_float32(dtype)) return scan::DataType::float32;
  if (dtype.equal(py::dtype("float16"))) return scan::DataType::float16;
  // numpy itself has no bfloat16; ml_dtypes registers one.
  if (dtype.itemsize() == 2 && dtype_name(dtype) == "bfloat16") return scan::DataType::bfloat16;
  throw py::type_error("selective_scan: u must be float32, float16 or bfloat16, got " + dtype_name(dtype) +
                       "; convert it with astype");
}

void expect_dtype(const char* name, const Array& array, const py::dtype& wanted) {
  if (array && !array->dtype().equal(wanted))
    throw py::type_error(std::string("selective_scan: ") + name + " must be " + dtype_name(wanted) +
                         ", got " + dtype_name(array->dtype()) + "; convert it with astype");
}

const void* data(const Array& array) { return array ? array->data() : nullptr; }

const float* floats(const Array& array) { return static_cast<const float*>(data(array)); }

// The arguments that forward and backward share, checked, and what keeps them alive.
struct Arguments {
  Array u, delta, A, B, C, D, z, delta_bias;
  scan::Inputs inputs;

  Arguments(const py::object& u_, const py::object& delta_, const py::object& A_, const py::object& B_,
            const py::object& C_, const py::object& D_, const py::object& z_, const py::object& delta_bias_,
            bool delta_softplus)
      : u(required("u", u_)),
        delta(required("delta", delta_)),
        A(required("A", A_)),
        B(required("B", B_)),
        C(required("C", C_)),
        D(readable("D", D_)),
        z(readable("z", z_)),
        delta_bias(readable("delta_bias", delta_bias_)) {
    inputs.type = data_type(*u);
    const py::dtype type = u->dtype(), float32 = py::dtype::of<float>();
    expect_dtype("delta", delta, type);
    expect_dtype("A", A, float32);
    expect_dtype("B", B, B->ndim() == 2 ? float32 : type);
    expect_dtype("C", C, C->ndim() == 2 ? float32 : type);
    expect_dtype("D", D, float32);
    expect_dtype("z", z, type);
    expect_dtype("delta_bias", delta_bias, float32);
    inputs.sizes = scan::sizes_of({shape_of(u), shape_of(delta), shape_of(A), shape_of(B), shape_of(C),
                                   shape_of(D), shape_of(z), shape_of(delta_bias)});
    inputs.u = data(u);
    inputs.delta = data(delta);
    inputs.A = floats(A);
    inputs.B = {data(B), B->ndim() != 2};
    inputs.C = {data(C), C->ndim() != 2};
    inputs.D = floats(D);
    inputs.z = data(z);
    inputs.delta_bias = floats(delta_bias);
    inputs.delta_softplus = delta_softplus;
  }
};

const scan::Kernel& kernel_named(const std::optional<std::string>& name) {
  return python::kernel_named("selective_scan", scan::all_kernels(), name);
}

Parallel checked_threads(int count) {
  if (count < 1)
    throw py::value_error("selective_scan: threads must be at least 1, got " + std::to_string(count));
  return threads(count);
}

py::object selective_scan(const py::object& u, const py::object& delta, const py::object& A,
                          const py::object& B, const py::object& C, const py::object& D, const py::object& z,
                          const py::object& delta_bias, bool delta_softplus, bool return_last_state,
                          int thread_count, const std::optional<std::string>& instruction_set) {
  const Arguments arguments(u, delta, A, B, C, D, z, delta_bias, delta_softplus);
  const scan::Sizes& sizes = arguments.inputs.sizes;
  const scan::Kernel& kernel = kernel_named(instruction_set);
  const Parallel parallel = checked_threads(thread_count);
  py::array y(arguments.u->dtype(), {sizes.batch, sizes.channels, sizes.tokens});
  py::array_t<float> last_state;
  scan::Outputs outputs{y.mutable_data(), nullptr};
  if (return_last_state) {
    last_state = py::array_t<float>({sizes.batch, sizes.channels, sizes.states});
    outputs.last_state = last_state.mutable_data();
  }
  {
    const py::gil_scoped_release released;
    scan::forward(kernel, arguments.inputs, outputs, parallel);
  }
  if (return_last_state) return py::make_tuple(y, last_state);
  return y;
}

py::tuple selective_scan_backward(const py::object& grad_y, const py::object& grad_last_state,
                                  const py::object& u, const py::object& delta, const py::object& A,
                                  const py::object& B, const py::object& C, const py::object& D,
                                  const py::object& z, const py::object& delta_bias, bool delta_softplus,
                                  int thread_count, const std::optional<std::string>& instruction_set) {
  const Arguments arguments(u, delta, A, B, C, D, z, delta_bias, delta_softplus);
  if (arguments.inputs.type != scan::DataType::float32)
    throw py::type_error("selective_scan: gradients need float32, got " + dtype_name(arguments.u->dtype()) +
                         "; convert the inputs with astype");
  const Array of_y = required("grad_y", grad_y), of_state = readable("grad_last_state", grad_last_state);
  expect_dtype("grad_y", of_y, py::dtype::of<float>());
  expect_dtype("grad_last_state", of_state, py::dtype::of<float>());
  scan::check_gradients(arguments.inputs.sizes, shape_of(of_y), shape_of(of_state));
  const scan::Kernel& kernel = kernel_named(instruction_set);
  const Parallel parallel = checked_threads(thread_count);

  py::tuple results(8);
  int next = 0;
  const auto like = [&](const Array& input) -> float* {
    if (!input) {
      results[next++] = py::none();
      return nullptr;
    }
    py::array_t<float> gradient(std::vector<py::ssize_t>(input->shape(), input->shape() + input->ndim()));
    results[next++] = gradient;
    return gradient.mutable_data();
  };
  scan::InputGradients gradients;
  gradients.u = like(arguments.u);
  gradients.delta = like(arguments.delta);
  gradients.A = like(arguments.A);
  gradients.B = like(arguments.B);
  gradients.C = like(arguments.C);
  gradients.D = like(arguments.D);
  gradients.z = like(arguments.z);
  gradients.delta_bias = like(arguments.delta_bias);
  {
    const py::gil_scoped_release released;
    scan::backward(kernel, arguments.inputs, {floats(of_y), floats(of_state)}, gradients, parallel);
  }
  return results;
}

py::list instruction_sets() {
  py::list names;
  for (const scan::Kernel* const* kernel = scan::all_kernels(); *kernel; ++kernel)
    if ((*kernel)->runs_here()) names.append((*kernel)->name);
  return names;
}

}  // namespace

void add_selective_scan(py::module_& m) {
  using namespace py::literals;
  m.def("selective_scan", &selective_scan, "u"_a, "delta"_a, "A"_a, "B"_a, "C"_a, "D"_a = py::none(),
        "z"_a = py::none(), "delta_bias"_a = py::none(), "delta_softplus"_a = false,
        "return_last_state"_a = false, "threads"_a = 1, "instruction_set"_a = py::none());
  m.def("selective_scan_backward", &selective_scan_backward, "grad_y"_a, "grad_last_state"_a, "u"_a,
        "delta"_a, "A"_a, "B"_a, "C"_a, "D"_a = py::none(), "z"_a = py::none(), "delta_bias"_a = py::none(),
        "delta_softplus"_a = false, "threads"_a = 1, "instruction_set"_a = py::none());
  m.def("instruction_sets", &instruction_sets);
}

}  // namespace canthus::python
