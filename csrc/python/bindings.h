// What each file of this folder adds to the module.
#pragma once
#include <pybind11/pybind11.h>

namespace canthus::python {
}  // namespace canthus::python
