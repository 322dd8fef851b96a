"""A Python module that is installed, but needs a shared library that is not."""

from driver_stand_in import compile_library

LIBRARY = "libcanthus_absent.so.3"
_MODULE = "void canthus_absent(void); void* PyInit_{name}(void) {{ canthus_absent(); return 0; }}"


def make_module(name, folder):
    """In the folder; linked to a library that is there only while it is linked."""
    library = compile_library("void canthus_absent(void) {}", folder / LIBRARY, f"-Wl,-soname,{LIBRARY}")
    compile_library(_MODULE.format(name=name), folder / f"{name}.so", "-Wl,--no-as-needed", library)
    library.unlink()
    return folder
