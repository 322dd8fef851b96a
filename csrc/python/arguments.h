// What the faces of several kernels ask of their arguments.
#pragma once
#include <pybind11/numpy.h>

#include <optional>
#include <string>

#include "shape.h"

namespace canthus::python {

using OptionalArray = std::optional<pybind11::array>;

// An optional argument as an array that a kernel can read in place; `op` and `name` are for the error.
inline OptionalArray readable(const char* op, const char* name, const pybind11::object& object) {
  namespace py = pybind11;
  if (object.is_none()) return {};
  const std::string start = std::string(op) + ": " + name;
  if (!py::isinstance<py::array>(object))
    throw py::type_error(start + " must be a numpy array, got " + Py_TYPE(object.ptr())->tp_name +
                         "; convert it with numpy.asarray");
  auto array = py::reinterpret_borrow<py::array>(object);
  constexpr int needed = int{py::array::c_style} | int{py::detail::npy_api::NPY_ARRAY_ALIGNED_};
  if ((array.flags() & needed) != needed)
    throw py::value_error(start + " must be C-contiguous, got shape " +
                          std::string(py::str(object.attr("shape"))) + " with strides " +
                          std::string(py::str(object.attr("strides"))) +
                          "; copy it with numpy.ascontiguousarray");
  return array;
}

inline Shape shape_of(const OptionalArray& array) {
  Shape shape;
  if (!array) return shape;
  shape.rank = static_cast<int>(array->ndim());
  for (int i = 0; i < shape.rank && i < 4; ++i) shape.axes[i] = array->shape(i);
  return shape;
}

// Of `kernels`, which end with null, that of an instruction set; the fastest if none is named.
template <class Kernel>
const Kernel& kernel_named(const char* op, const Kernel* const* kernels,
                           const std::optional<std::string>& name) {
  for (const Kernel* const* kernel = kernels; *kernel; ++kernel)
    if ((!name || *name == (*kernel)->name) && (*kernel)->runs_here()) return **kernel;
  throw pybind11::value_error(std::string(op) + ": this machine has no instruction set '" + *name +
                              "'; instruction_sets() lists those that it has");
}

}  // namespace canthus::python
