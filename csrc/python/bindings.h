// What each file of this folder adds to the module.
#pragma once
#include <pybind11/pybind11.h>

namespace canthus::python {
void add_cuda(pybind11::module_& m);  // where it is built with CUDA
void add_events(pybind11::module_& m);
void add_head(pybind11::module_& m);
void add_image(pybind11::module_& m);
void add_memory(pybind11::module_& m);
void add_processor(pybind11::module_& m);
void add_selective_scan(pybind11::module_& m);
void add_ssd(pybind11::module_& m);
}  // namespace canthus::python
