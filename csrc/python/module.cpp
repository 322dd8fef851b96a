// canthus._native: the kernels, with numpy arrays in and out.
#include "python/bindings.h"

PYBIND11_MODULE(_native, m) {
  m.doc() = "canthus's native kernels, with numpy arrays in and out";
  canthus::python::bind_events(m);
  canthus::python::bind_image(m);
}
