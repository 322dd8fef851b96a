"""The GPU, as the driver's library tells of it: a real library, loaded as the driver's is."""

import dataclasses
import re
import sys

import pytest

from canthus.device import gpu
from canthus.device.gpu import Gpu, find_gpu, why_no_gpu
from driver_stand_in import ORIN, UUID, ask, make_driver


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    return make_driver(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def kernel_driver(monkeypatch, tmp_path):
    """Where the kernel's part of the driver would tell its version."""
    monkeypatch.setattr(gpu, "_KERNEL_DRIVER", tmp_path / "version")
    return tmp_path / "version"


@pytest.fixture
def use(monkeypatch, kernel_driver):
    """Makes a library the driver's, and says what it answers."""
    gpu._look.cache_clear()

    def use(library, **answers):
        monkeypatch.setattr(gpu, "_LIBRARY", str(library))
        for name, value in answers.items():
            monkeypatch.setenv(f"DRIVER_{name}", str(value))

    yield use
    gpu._look.cache_clear()


def test_a_graphics_card(use, driver, kernel_driver):
    use(driver, NAME="NVIDIA GeForce RTX 3060", MULTIPROCESSORS=28)
    kernel_driver.write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue Sep 23 10:11:12 UTC 2025\n"
        "GCC version:  gcc version 12.3.0 (Ubuntu 12.3.0-1ubuntu1~22.04)\n"
    )
    assert find_gpu() == Gpu(
        name="NVIDIA GeForce RTX 3060",
        compute_capability=(8, 6),
        memory_bytes=12 << 30,
        multiprocessors=28,
        integrated=False,
        uuid=UUID,
        driver="13.2",
        driver_release="580.95.05",
    )
    assert (find_gpu().architecture, find_gpu().is_jetson, why_no_gpu()) == ("sm_86", False, "")
    with pytest.raises(dataclasses.FrozenInstanceError):
        find_gpu().name = "another"


def test_a_jetson(use, driver, kernel_driver):
    use(driver, CUDA=12060, **{name.removeprefix("DRIVER_"): value for name, value in ORIN.items()})
    kernel_driver.write_text(
        "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  540.4.0  Release Build  (buildbrain@mobile-u64)\n"
    )
    found = find_gpu()
    assert (found.name, found.architecture, found.integrated, found.is_jetson) == ("Orin", "sm_87", True, True)
    assert (found.driver, found.driver_release) == ("12.6", "540.4.0")


def test_the_driver_is_found_by_its_name(driver):
    """As an app does: nothing of canthus is changed, only where the system's loader looks."""
    told = ask(
        "from canthus.device.gpu import find_gpu, why_no_gpu; print(find_gpu(), why_no_gpu())",
        driver=driver,
        DRIVER_NAME="X",
    )
    assert told.stdout.startswith("Gpu(name='X', compute_capability=(8, 6)"), told.stderr


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({"INIT": 100}, r"cuInit says CUDA_ERROR_NO_DEVICE: the driver is there but has no GPU"),
        ({"COUNT": 0}, r"the driver is there but has no GPU"),
        (
            {"INIT": 803},
            r"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: libcuda and the loaded kernel driver .* start the machine",
        ),
        ({"INIT": 4321}, r"cuInit says error 4321: see whether nvidia-smi works"),
    ],
)
def test_a_driver_without_a_gpu(use, driver, answers, why):
    use(driver, **answers)
    assert find_gpu() is None
    assert re.search(why, why_no_gpu())


def test_a_driver_that_is_too_old(use, tmp_path):
    use(make_driver(tmp_path, "-DOLD"))
    assert find_gpu() is None
    assert why_no_gpu() == "the NVIDIA driver is too old: it has no cuDeviceGetUuid; update it"


@pytest.mark.skipif(sys.platform != "linux", reason="these messages are Linux's")
def test_no_driver(use, tmp_path, kernel_driver):
    use("libcanthus_no_such_driver.so.1")
    assert find_gpu() is None
    assert why_no_gpu() == "libcanthus_no_such_driver.so.1 isn't there, so no NVIDIA driver is installed"
    gpu._look.cache_clear()
    kernel_driver.write_text("NVRM version: none\n")
    assert "the NVIDIA kernel driver is loaded, but" in why_no_gpu() and "docker run --gpus all" in why_no_gpu()
    (tmp_path / "libcuda.so.1").write_text("not a library")
    use(tmp_path / "libcuda.so.1")
    assert find_gpu() is None
    assert "can't be loaded" in why_no_gpu() and "install the driver again" in why_no_gpu()


def test_a_system_without_such_a_driver(use):
    use("")
    assert find_gpu() is None
    assert why_no_gpu() == f"there is no NVIDIA driver for {sys.platform}"
