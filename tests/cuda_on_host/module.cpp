// The module of csrc/python/cuda.cpp, whose kernels run on the CPU.
#include "python/bindings.h"

PYBIND11_MODULE(cuda_on_host, m) { canthus::python::add_cuda(m); }
