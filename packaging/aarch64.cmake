# For CMake: 64-bit Arm, by zig's compiler, from whatever machine this is.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER ${CMAKE_CURRENT_LIST_DIR}/zig/c++)
set(CMAKE_CXX_FLAGS_INIT -Wno-unknown-warning-option)  # some that are turned off are GCC's alone
set(CMAKE_AR ${CMAKE_CURRENT_LIST_DIR}/zig/ar)
set(CMAKE_RANLIB ${CMAKE_CURRENT_LIST_DIR}/zig/ranlib)
# zig's archives hold no objects that wait for the linker to optimise them.
set(CMAKE_INTERPROCEDURAL_OPTIMIZATION OFF)
# The machine's own strip knows its own objects alone, so the linker does it.
set(CMAKE_STRIP "")
set(CMAKE_SHARED_LINKER_FLAGS_INIT -Wl,--strip-all)
set(CMAKE_MODULE_LINKER_FLAGS_INIT -Wl,--strip-all)
# Asked for its modules' names, the interpreter that runs here says this machine's.
set(PYTHON_MODULE_EXTENSION $ENV{SETUPTOOLS_EXT_SUFFIX})
set(PYTHON_MODULE_DEBUG_POSTFIX "")
