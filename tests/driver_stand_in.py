"""A shared library with the functions of NVIDIA's driver that canthus calls; what they answer, the environment says."""

import os
import shutil
import subprocess
import sys

import pytest

_SOURCE = r"""
#include <stdlib.h>
#include <string.h>

static int told(const char* name, int usual) {
  const char* value = getenv(name);
  return value ? atoi(value) : usual;
}

static int ready = 0;  /* as of the driver: nothing of a device before cuInit */

int cuInit(unsigned flags) {
  int error = told("DRIVER_INIT", 0);
  ready = !error && flags == 0;
  return error;
}

int cuGetErrorName(int error, const char** name) {
  *name = error == 100 ? "CUDA_ERROR_NO_DEVICE" : error == 803 ? "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH" : NULL;
  return *name ? 0 : 1;
}

int cuDriverGetVersion(int* version) {
  *version = told("DRIVER_CUDA", 13020);
  return 0;
}

int cuDeviceGetCount(int* count) {
  *count = told("DRIVER_COUNT", 1);
  return ready ? 0 : 3;
}

int cuDeviceGet(int* device, int ordinal) {
  *device = 7 + ordinal;  /* a handle is not the ordinal */
  return ready ? 0 : 3;
}

int cuDeviceGetName(char* name, int length, int device) {
  const char* value = getenv("DRIVER_NAME");
  if (device != 7) return 101;
  strncpy(name, value ? value : "Stand-in", length);
  return 0;
}

int cuDeviceGetAttribute(int* value, int attribute, int device) {
  if (device != 7) return 101;
  switch (attribute) {
    case 16: *value = told("DRIVER_MULTIPROCESSORS", 16); return 0;
    case 18: *value = told("DRIVER_INTEGRATED", 0); return 0;
    case 75: *value = told("DRIVER_MAJOR", 8); return 0;
    case 76: *value = told("DRIVER_MINOR", 6); return 0;
  }
  return 1;
}

int cuDeviceTotalMem_v2(size_t* bytes, int device) {
  *bytes = (size_t)told("DRIVER_GIBIBYTES", 12) << 30;
  return device == 7 ? 0 : 101;
}

#ifndef OLD
int cuDeviceGetUuid(unsigned char* uuid, int device) {
  int i;
  for (i = 0; i < 16; ++i) uuid[i] = (unsigned char)(0x10 * i + i);
  return device == 7 ? 0 : 101;
}
#endif
"""

UUID = "GPU-00112233-4455-6677-8899-aabbccddeeff"
ORIN = {"DRIVER_NAME": "Orin", "DRIVER_MAJOR": "8", "DRIVER_MINOR": "7", "DRIVER_INTEGRATED": "1"}


def compile_library(source, path, *options):
    """A shared library of C source; the test is skipped where that can't be made."""
    compiler = shutil.which("cc")
    if sys.platform != "linux" or not compiler:
        pytest.skip("needs Linux and a C compiler")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", path, "-x", "c", "-", "-x", "none", *options],
        input=source,
        text=True,
        check=True,
    )
    return path


def make_driver(folder, *options):
    """The library, by the driver's own name, in the folder."""
    return compile_library(_SOURCE, folder / "libcuda.so.1", *options)


def ask(code, *, driver=None, packages=None, **environment):
    """Run the Python code in a process of its own, which finds the driver and packages in these folders."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("DRIVER_")},
            "LD_LIBRARY_PATH": str(driver.parent) if driver else "/nowhere",
            "PYTHONPATH": str(packages) if packages else "",
            **environment,
        },
    )
