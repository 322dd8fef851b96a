// canthus._native: the kernels, with numpy arrays in and out.
#include "python/bindings.h"

PYBIND11_MODULE(_native, m) {
  m.doc() = "canthus's native kernels, with numpy arrays in and out";
  canthus::python::add_events(m);
  canthus::python::add_head(m);
  canthus::python::add_image(m);
  canthus::python::add_memory(m);
  canthus::python::add_selective_scan(m);
}
