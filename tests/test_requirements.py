"""What is missing for each backend: packages, drivers and libraries that are there, or aren't."""

import importlib.util
import sys

import pytest

from canthus import EngineError, operators
from canthus.device.needed_libraries import needed_libraries
from canthus.device.requirements import BACKENDS, covers, installed_version, missing
from driver_stand_in import ORIN, ask, compile_library, make_driver

MISSING = "from canthus.device.requirements import missing; print(missing({!r}))"
HIDE = "import sys; sys.modules.update(dict.fromkeys({!r}))\n"
BUILT = "from canthus import _native; _native.cuda_architectures = lambda: {!r}; _native.cuda_version = lambda: {!r}\n"


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    return make_driver(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def packages(tmp_path):
    """Makes packages that can be imported, beside those of this environment and before them."""

    def make(module, distribution, version="9.8.7", code=""):
        (tmp_path / module).mkdir(parents=True, exist_ok=True)
        (tmp_path / module / "__init__.py").write_text(code)
        information = tmp_path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        return tmp_path

    return make


def onnxruntime_with_cuda(packages, cuda="13.0"):
    code = "__version__ = '9.8.7'\ndef get_available_providers(): return ['CUDAExecutionProvider']"
    folder = packages("onnxruntime", "onnxruntime-gpu", code=code)
    (folder / "onnxruntime" / "capi").mkdir()
    (folder / "onnxruntime" / "capi" / "build_and_package_info.py").write_text(f"cuda_version = {cuda!r}\n")
    return folder


def told(backend, *, hide=(), built=None, with_cuda="12.0.1", **where):
    """What `missing` says in a process of its own; `hide` modules, and have kernels `built` for these."""
    kernels = BUILT.format(built, with_cuda) if built is not None else ""
    code = HIDE.format(list(hide)) + kernels + MISSING.format(backend)
    done = ask(code, **where)
    assert not done.returncode, done.stderr
    return done.stdout.strip()


def test_an_unknown_backend():
    with pytest.raises(EngineError, match=r"unknown backend 'oneapi'; there are onnxruntime, openvino, cuda, tensorrt"):
        missing("oneapi")


def test_onnxruntime(monkeypatch):
    pytest.importorskip("onnxruntime")
    assert missing("onnxruntime") is None
    with monkeypatch.context() as changed:
        changed.setitem(sys.modules, "onnxruntime", None)
        assert missing("onnxruntime") == "onnxruntime isn't installed: pip install 'canthus[cpu]'"
    monkeypatch.setattr(operators, "_NAMES", {sys.platform: "libabsent.so"})
    assert missing("onnxruntime") == "canthus's operator library isn't there: install canthus again"


def test_openvino(monkeypatch):
    pytest.importorskip("onnxruntime")
    if importlib.util.find_spec("openvino"):
        assert missing("openvino") is None
    with monkeypatch.context() as changed:
        changed.setitem(sys.modules, "openvino", None)
        assert missing("openvino") == "openvino isn't installed: pip install 'canthus[openvino]'"


def test_openvino_needs_onnxruntime_too(packages):
    folder = packages("openvino", "openvino")
    assert told("openvino", hide=["onnxruntime"], packages=folder).startswith("onnxruntime isn't installed")


def test_nothing_is_imported_but_for_the_list_of_providers():
    code = (
        "import sys; from canthus.device.requirements import missing\n"
        "for backend in ('onnxruntime', 'openvino', 'tensorrt'): missing(backend)\n"
        "print({'onnxruntime', 'openvino', 'tensorrt', 'tensorrt_rtx_bindings'} & set(sys.modules))"
    )
    assert ask(code).stdout.strip() == "set()"


@pytest.mark.skipif(sys.platform != "linux", reason="the driver's library has another name")
@pytest.mark.parametrize("backend", ["cuda", "tensorrt"])
def test_no_gpu(backend):
    if "isn't there" not in told(backend):
        pytest.skip("this machine has the driver")
    assert told(backend).startswith("no NVIDIA GPU: ") and "libcuda.so.1 isn't there" in told(backend)


def test_a_driver_that_fails(driver):
    assert "no NVIDIA GPU: cuInit says CUDA_ERROR_SYSTEM_DRIVER_MISMATCH" in told(
        "cuda", driver=driver, DRIVER_INIT="803"
    )


# CUDA


def test_cuda_without_onnxruntime(driver):
    assert told("cuda", hide=["onnxruntime"], driver=driver) == (
        "onnxruntime-gpu isn't installed: pip install 'canthus[gpu]'"
    )


@pytest.mark.skipif(installed_version("onnxruntime-gpu") is not None, reason="onnxruntime-gpu is installed")
def test_cuda_with_the_onnxruntime_that_has_none(driver):
    pytest.importorskip("onnxruntime")
    why = told("cuda", driver=driver)
    assert "onnxruntime is installed, the same module as onnxruntime-gpu, but without CUDA" in why
    assert "pip uninstall onnxruntime, then pip install 'canthus[gpu]'" in why


def test_cuda_on_jetpack_6(driver, packages):
    """What the package index has is for CUDA 13."""
    jetpack_6 = {**ORIN, "DRIVER_CUDA": "12060", "driver": driver}
    nvidias = "pip install onnxruntime-gpu --index-url https://pypi.jetson-ai-lab.io/jp6/cu126"
    assert told("cuda", hide=["onnxruntime"], **jetpack_6).startswith(f"onnxruntime-gpu isn't installed: {nvidias}")
    elsewhere = told("cuda", hide=["onnxruntime"], driver=driver, DRIVER_CUDA="12060")
    assert elsewhere == "onnxruntime-gpu isn't installed: pip install 'canthus[gpu]'"
    why = told("cuda", packages=onnxruntime_with_cuda(packages), **jetpack_6)
    assert "is built for CUDA 13.0, and this driver supports CUDA up to 12.6: uninstall it, then pip" in why
    assert nvidias in why and "or go to JetPack 7" in why


def test_cuda_with_both(driver, packages):
    folder = packages("onnxruntime", "onnxruntime", code="def get_available_providers(): return []")
    packages("another", "onnxruntime-gpu")
    why = told("cuda", driver=driver, packages=folder)
    assert "both are installed" in why and "pip uninstall onnxruntime onnxruntime-gpu, then" in why


def test_cuda_with_a_damaged_onnxruntime(driver, packages):
    folder = packages("onnxruntime", "onnxruntime-gpu", code="raise ImportError('half of it is gone')")
    why = told("cuda", driver=driver, packages=folder)
    assert why.startswith("ONNX Runtime is installed, but can't be loaded (half of it is gone): pip install --force-")


def test_cuda_with_a_driver_for_an_earlier_one(driver, packages):
    why = told("cuda", driver=driver, packages=onnxruntime_with_cuda(packages), DRIVER_CUDA="12060")
    assert "onnxruntime-gpu 9.8.7 is built for CUDA 13.0, and this driver supports CUDA up to 12.6" in why


def test_cuda_without_the_libraries_of_its_provider(driver, packages):
    folder = onnxruntime_with_cuda(packages)
    provider = folder / "onnxruntime" / "capi" / "libonnxruntime_providers_cuda.so"
    needed = compile_library("", folder / "libcanthus_cublas.so.13", "-Wl,-soname,libcanthus_cublas.so.13")
    compile_library("", provider, "-Wl,--no-as-needed", str(needed))
    assert needed_libraries(provider)[0] == "libcanthus_cublas.so.13"
    needed.unlink()
    why = told("cuda", driver=driver, packages=folder, built=["sm_86"])
    assert why.startswith("onnxruntime-gpu 9.8.7 needs libcanthus_cublas.so.13, which is not here: pip install ")
    # Beside the driver, where the loader looks:
    there = compile_library("", driver.parent / needed.name)
    assert told("cuda", driver=driver, packages=folder, built=["sm_86"]) == "None"
    there.unlink()
    # As pip installs NVIDIA's packages:
    (folder / "nvidia" / "cu13" / "lib").mkdir(parents=True)
    compile_library("", folder / "nvidia" / "cu13" / "lib" / needed.name)
    assert told("cuda", driver=driver, packages=folder, built=["sm_86"]) == "None"


def test_cuda_kernels(driver, packages):
    folder = onnxruntime_with_cuda(packages, cuda="12.6")
    assert told("cuda", driver=driver, packages=folder, built=[]) == (
        "canthus was built without CUDA: install nvcc and canthus again"
    )
    assert "built for sm_87, sm_90 and what came after, and this GPU is sm_86" in told(
        "cuda", driver=driver, packages=folder, built=["sm_87", "sm_90"]
    )
    assert told("cuda", driver=driver, packages=folder, built=["sm_80", "sm_87"]) == "None"
    orin = {"driver": driver, "packages": folder, "built": ["sm_80", "sm_87"], "DRIVER_CUDA": "12060", **ORIN}
    assert told("cuda", with_cuda="12.6.1", **orin) == "None"
    assert told("cuda", with_cuda="13.0.88", **orin).startswith(
        "canthus was built with CUDA 13.0.88, and this driver supports CUDA up to 12.6: install canthus again"
    )


@pytest.mark.parametrize(
    ("architectures", "capability", "covered"),
    [
        ("sm_86", (8, 6), True),
        ("sm_86 sm_90", (8, 0), False),
        ("sm_80 sm_87 sm_90", (8, 7), True),
        ("sm_80 sm_90", (8, 7), True),  # by PTX, as the next
        ("sm_80 sm_120", (10, 0), True),
        ("sm_80", (7, 5), False),
        ("", (8, 0), False),
    ],
)
def test_which_kernels_run_on_which_gpu(architectures, capability, covered):
    assert covers(architectures.split(), capability) is covered


# TensorRT


def test_tensorrt(driver, packages):
    hidden = ["tensorrt", "tensorrt_rtx_bindings"]
    why = told("tensorrt", hide=hidden, driver=driver)
    assert why.startswith("TensorRT isn't installed: pip install 'canthus[tensorrt]'")
    folder = packages("tensorrt", "tensorrt")
    assert told("tensorrt", hide=["cuda"], driver=driver, packages=folder) == (
        "cuda-bindings isn't installed: pip install cuda-bindings"
    )
    packages("cuda/bindings", "cuda-bindings")
    assert told("tensorrt", driver=driver, packages=folder) == "None"
    assert told("tensorrt", driver=driver, packages=folder, **ORIN) == "None"


def test_tensorrt_rtx(driver, packages):
    hide = ["tensorrt"]
    folder = packages("tensorrt_rtx_bindings", "tensorrt-rtx-cu13-bindings")
    packages("cuda/bindings", "cuda-bindings")
    assert told("tensorrt", hide=hide, driver=driver, packages=folder) == "None"
    old = told("tensorrt", hide=hide, driver=driver, packages=folder, DRIVER_MAJOR="7", DRIVER_MINOR="0")
    assert "TensorRT-RTX needs a GPU of compute capability 7.5 or later, and this Stand-in has 7.0" in old
    turing = told("tensorrt", hide=hide, driver=driver, packages=folder, DRIVER_MAJOR="7", DRIVER_MINOR="5")
    assert turing == "None"
    assert "TensorRT-RTX is built for CUDA 13, and this driver supports CUDA up to 12.6" in told(
        "tensorrt", hide=hide, driver=driver, packages=folder, DRIVER_CUDA="12060"
    )
    jetson = told("tensorrt", hide=hide, driver=driver, packages=folder, **ORIN)
    assert "TensorRT isn't installed for this Python" in jetson and "apt install python3-libnvinfer" in jetson


# Which libraries a library needs


@pytest.mark.parametrize("damage", [b"", b"\x7fELF", b"MZ" + bytes(100), bytes(100)])
def test_a_file_that_is_no_library(tmp_path, damage):
    (tmp_path / "library.so").write_bytes(damage)
    with pytest.raises(ValueError, match=r"library\.so is no complete 64-bit ELF file"):
        needed_libraries(tmp_path / "library.so")


def test_a_library_whose_addresses_are_not_its_offsets(tmp_path):
    needed = compile_library("", tmp_path / "libneeded.so", "-Wl,-soname,libneeded.so.7")
    options = ("-Wl,-Ttext-segment=0x400000", "-Wl,--no-as-needed", str(needed))
    moved = compile_library("int zero(void) { return 0; }", tmp_path / "moved.so", *options)
    assert needed_libraries(moved)[0] == "libneeded.so.7"


def test_a_library_cut_short_anywhere(tmp_path):
    whole = compile_library("int zero(void) { return 0; }", tmp_path / "whole.so").read_bytes()
    expected = needed_libraries(tmp_path / "whole.so")
    part = tmp_path / "part.so"
    for length in range(0, len(whole), 97):
        part.write_bytes(whole[:length])
        try:
            assert needed_libraries(part) == expected
        except ValueError:
            continue


def test_every_backend_has_an_answer():
    assert BACKENDS == ("onnxruntime", "openvino", "cuda", "tensorrt")
    assert all(missing(backend) is None or "\n" not in missing(backend) for backend in BACKENDS)
