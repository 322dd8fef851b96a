// What each file of this folder adds to the module.
#pragma once
#include <pybind11/pybind11.h>

namespace canthus::python {
void bind_events(pybind11::module_& m);
void bind_image(pybind11::module_& m);
}  // namespace canthus::python
