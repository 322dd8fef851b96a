// canthus._native.multiplies_int8_exactly.
#include "python/bindings.h"

namespace canthus::python {
namespace {

// Without VNNI, x86 adds two products of bytes in 16 bits, which saturates.
bool multiplies_int8_exactly() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512vnni") || __builtin_cpu_supports("avxvnni");
#else
  return true;
#endif
}

}  // namespace

void add_processor(pybind11::module_& m) { m.def("multiplies_int8_exactly", &multiplies_int8_exactly); }

}  // namespace canthus::python
