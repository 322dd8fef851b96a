// canthus._native.release_free_memory.
#include "python/bindings.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace canthus::python {

void add_memory(pybind11::module_& m) {
  m.def("release_free_memory", [] {
    const pybind11::gil_scoped_release released;
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
  });
}

}  // namespace canthus::python
