// canthus._native: the kernels, with numpy arrays in and out.
#include <sstream>
#include <string>

#include "python/bindings.h"

namespace {

// "sm_80" and so on; empty if canthus was built without CUDA.
pybind11::list cuda_architectures() {
  pybind11::list names;
  std::istringstream numbers(CANTHUS_CUDA_ARCHITECTURES);
  for (std::string number; numbers >> number;) names.append("sm_" + number);
  return names;
}

}  // namespace

PYBIND11_MODULE(_native, m) {
  m.doc() = "canthus's native kernels, with numpy arrays in and out";
  m.def("cuda_architectures", &cuda_architectures);
  m.def("cuda_version", [] { return CANTHUS_CUDA_VERSION; });
  if (*CANTHUS_CUDA_ARCHITECTURES) canthus::python::add_cuda(m);
  canthus::python::add_events(m);
  canthus::python::add_head(m);
  canthus::python::add_image(m);
  canthus::python::add_memory(m);
  canthus::python::add_processor(m);
  canthus::python::add_selective_scan(m);
  canthus::python::add_ssd(m);
}
