"""`canthus doctor`: what it tells of this machine, of machines that are only files, and of what is missing."""

import importlib.metadata
import json
import os
import platform
import re
import sys
import tempfile
from pathlib import Path

import pytest

from canthus import _native
from canthus.cli import main
from canthus.device import readings
from canthus.device.doctor import as_json, as_text, cameras, device, examine, files, graphics, ready
from canthus.device.doctor.findings import Finding
from canthus.device.doctor.jetson import Jetson, PowerMode, read_jetson
from canthus.device.requirements import installed_version, missing
from driver_stand_in import ORIN, UUID, ask, make_driver

DOCTOR = "import sys; from canthus.cli import main; sys.exit(main(['doctor', '--json']))"
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


def found(findings, section, name):
    (finding,) = [finding for finding in findings if (finding.section, finding.name) == (section, name)]
    return finding


@pytest.fixture(scope="module")
def here():
    return examine()


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Makes a machine of files."""

    def make(contents):
        for name, content in contents.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        return tmp_path

    monkeypatch.setattr(files, "ROOT", tmp_path)
    monkeypatch.setattr(readings, "_SYSTEM", tmp_path / "sys")
    return make


# This machine


def test_canthus_itself(here):
    project = (Path(__file__).parent.parent / "pyproject.toml").read_text()
    version = re.search(r'^version = "(.+)"', project, re.MULTILINE)[1]
    assert found(here, "canthus", "version").fact == f"{version}, on Python {sys.version.split()[0]}"
    assert found(here, "canthus", "operators").mark == "ok"
    assert _native.instruction_sets()[0] in found(here, "canthus", "instructions").fact


@ON_LINUX
def test_this_device(here):
    processor = found(here, "device", "processor").fact
    assert f"{len(os.sched_getaffinity(0))} " in processor
    names = re.findall(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    assert not names or names[0] in processor
    gibibytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    assert float(found(here, "device", "memory").fact.split()[0]) == pytest.approx(gibibytes, abs=0.06)
    assert platform.machine() in found(here, "device", "system").fact


def test_the_runtimes_here(here):
    for name, distribution in (("OpenVINO", "openvino"), ("cuda-bindings", "cuda-bindings")):
        try:
            expected = ("ok", importlib.metadata.version(distribution))
        except importlib.metadata.PackageNotFoundError:
            expected = ("note", "not installed")
        finding = found(here, "runtimes", name)
        assert (finding.mark, finding.fact) == expected
    onnxruntime = pytest.importorskip("onnxruntime")
    fact = found(here, "runtimes", "ONNX Runtime").fact
    assert fact.startswith(onnxruntime.__version__)
    assert fact.count(",") == len(onnxruntime.get_available_providers()) - 1
    assert {finding.name for finding in here if finding.section == "backends"} >= {"onnxruntime", "cuda"}
    assert ready(here) == [
        backend for backend in ("onnxruntime", "openvino", "cuda", "tensorrt") if not missing(backend)
    ]


def test_development_here(here):
    torch = installed_version("torch")
    finding = found(here, "development", "export")
    assert (f"torch {torch}" in finding.fact) if torch else ("without torch" in finding.fact)
    compiler = found(here, "development", "nvcc")
    assert compiler.mark == "note" or compiler.fact.endswith("nvcc")


# How it is told


def test_text_and_json_tell_the_same(here):
    pytest.importorskip("onnxruntime")
    told = json.loads(as_json(here))
    text = as_text(here, columns=80)
    assert all(len(line) <= 80 or len(line.split()[-1]) > 50 for line in text.splitlines())
    words = " ".join(text.split())
    for finding in told["findings"]:
        assert f"{finding['mark']} {finding['name']} {' '.join(finding['fact'].split())}" in words
        assert not finding["remedy"] or f"→ {finding['remedy']}" in words
    assert [Finding(**finding) for finding in told["findings"]] == here
    assert f"canthus runs here with: {', '.join(told['ready'])}." in text
    for backend, lack in told["missing"].items():
        assert backend not in told["ready"] and lack == missing(backend)
        assert re.search(rf"Missing for [a-z ]*\b{backend}\b[a-z ]*: {re.escape(lack)}", words)


def test_the_command(capsys):
    pytest.importorskip("onnxruntime")
    assert main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["canthus"] == importlib.metadata.version("canthus") and "onnxruntime" in told["ready"]
    assert main(["doctor"]) == 0
    assert "canthus runs here with: onnxruntime" in capsys.readouterr().out


def test_a_terminal_without_these_letters():
    code = "import sys; from canthus.cli import main; sys.exit(main(['doctor']))"
    done = ask("import sys; sys.modules['onnxruntime'] = None\n" + code, PYTHONIOENCODING="ascii")
    assert done.returncode == 1 and "? pip install 'canthus[cpu]'" in done.stdout, done.stderr


def test_without_onnxruntime_nothing_runs():
    done = ask("import sys; sys.modules['onnxruntime'] = None\n" + DOCTOR)
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert told["ready"] == []
    assert told["missing"]["onnxruntime"] == "onnxruntime isn't installed: pip install 'canthus[cpu]'"
    text = as_text([Finding(**finding) for finding in told["findings"]], 80)
    assert "canthus can't run a bundle here yet.\nMissing for onnxruntime" in text


def test_a_damaged_onnxruntime(tmp_path):
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime" / "__init__.py").write_text("raise AttributeError('half of it is gone')")
    done = ask(DOCTOR, packages=tmp_path)
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert "onnxruntime doesn't start: half of it is gone" in told["missing"]["onnxruntime"]


def test_nobody_is_named(tmp_path):
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "nvcc").write_text("#!/bin/sh\n")
    (home / "bin" / "nvcc").chmod(0o755)
    driver = make_driver(tmp_path)
    done = ask(DOCTOR, driver=driver, HOME=str(home), PATH=f"{home / 'bin'}:{os.environ['PATH']}", **ORIN)
    assert found(
        [Finding(**finding) for finding in json.loads(done.stdout)["findings"]], "development", "nvcc"
    ).fact == ("~/bin/nvcc")
    assert str(home) not in done.stdout and UUID not in done.stdout
    other = Finding("a", "ok", "b", "/home/anna/bin/nvcc: no", r"see C:\Users\Anna\x and /Users/anna").without_home()
    assert (other.fact, other.remedy) == ("~/bin/nvcc: no", r"see ~\x and ~")


# GPUs


@ON_LINUX
def test_a_jetsons_gpu(tmp_path):
    done = ask(DOCTOR, driver=make_driver(tmp_path), DRIVER_CUDA="12060", DRIVER_GIBIBYTES="61", **ORIN)
    findings = [Finding(**finding) for finding in json.loads(done.stdout)["findings"]]
    assert found(findings, "GPU", "name").fact == "Orin, compute capability 8.7 (sm_87)"
    assert found(findings, "GPU", "memory").fact == "61.0 GiB, shared with the processor"
    assert found(findings, "GPU", "processors").fact == "16 multiprocessors"
    assert found(findings, "GPU", "driver").fact.endswith("supports CUDA up to 12.6")


@pytest.mark.parametrize(
    ("contents", "mark", "told"),
    [
        ({}, "note", "none found: no driver"),
        ({"vendor": "0x8086\n", "class": "0x030000\n"}, "note", "canthus doesn't use the Intel graphics here"),
        ({"vendor": "0x10de\n", "class": "0x030200\n"}, "missing", "there is one, but no driver"),
        ({"vendor": "0x10de\n", "class": "0x040300\n"}, "note", "none found: no driver"),  # sound of a graphics card
    ],
)
def test_no_gpu_that_can_be_used(machine, monkeypatch, contents, mark, told):
    monkeypatch.setattr(graphics, "find_gpu", lambda: None)
    monkeypatch.setattr(graphics, "why_no_gpu", lambda: "no driver")
    root = machine({f"sys/bus/pci/devices/0000:01:00.0/{name}": value for name, value in contents.items()})
    (finding,) = graphics.examine_gpu()
    assert finding.mark == mark and told in finding.fact
    assert ("install NVIDIA's driver" in finding.remedy) == (mark == "missing")
    machine({"proc/driver/nvidia/version": "NVRM version: any\n"})
    assert "install" not in next(graphics.examine_gpu()).remedy and root


# Jetsons

STATUS = """\
Package: nvidia-jetpack-runtime
Status: install ok installed
Version: 1.0

Package: nvidia-jetpack
Status: {status}
Priority: standard
Section: metapackages
Maintainer: NVIDIA Corporation
Architecture: arm64
Source: nvidia-jetpack (6.2)
Version: 6.2+b77
Depends: nvidia-jetpack-runtime (= 6.2+b77), nvidia-jetpack-dev (= 6.2+b77)
Description: NVIDIA Jetpack Meta Package

Package: zlib1g
Status: install ok installed
Version: 1:1.2.11.dfsg-2ubuntu9.2
"""

ORIN_FILES = {
    "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, "
    "DATE: Wed Jan  8 01:49:37 UTC 2025\n# KERNEL_VARIANT: oot\nTARGET_USERSPACE_LIB_DIR=nvidia\n"
    "TARGET_USERSPACE_LIB_DIR_PATH=usr/lib/aarch64-linux-gnu/nvidia\n",
    "etc/os-release": 'PRETTY_NAME="Ubuntu 22.04.5 LTS"\nNAME="Ubuntu"\nVERSION_ID="22.04"\n',
    "etc/nvpmodel.conf": "# POWER_MODEL DEFINITIONS #\n< PARAM TYPE=CLOCK NAME=GPU >\nMAX_FREQ /sys/x\n\n"
    "< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\nCPU_A78_0 MAX_FREQ 1497600\n\n"
    "< POWER_MODEL ID=1 NAME=25W >\nCPU_ONLINE CORE_0 1\n\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n"
    "CPU_ONLINE CORE_0 1\n\n# mandatory section to configure the default mode\n< PM_CONFIG DEFAULT=1 >\n",
    "var/lib/nvpmodel/status": "pmode:0000",
    "var/lib/dpkg/status": STATUS.format(status="install ok installed"),
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0",
    "proc/cpuinfo": "processor\t: 0\nmodel name\t: ARMv8 Processor rev 1 (v8l)\nBogoMIPS\t: 62.50\n",
    "proc/meminfo": "MemTotal:        7802932 kB\nMemFree:          512000 kB\nMemAvailable:    5242880 kB\n",
    "sys/devices/system/cpu/present": "0-127\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "729600\n",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "1728000\n",
    "sys/class/thermal/thermal_zone0/temp": "47250\n",
}
THOR_FILES = {
    "etc/nv_tegra_release": "# R38 (release), REVISION: 2.2, GCID: 42205042, BOARD: generic, EABI: aarch64, "
    "DATE: Thu Sep 25 22:47:11 UTC 2025\n# KERNEL_VARIANT: oot\nTARGET_USERSPACE_LIB_DIR=nvidia\n",
    "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=MAXN >\nCPU_ONLINE CORE_0 1\n\n< POWER_MODEL ID=1 NAME=120W >\n"
    "CPU_ONLINE CORE_0 1\n\n< PM_CONFIG DEFAULT=0 >\n",
    "proc/device-tree/model": "NVIDIA Jetson AGX Thor Developer Kit\0",
}


def test_an_orin_on_jetpack_6(machine):
    machine(ORIN_FILES)
    assert read_jetson() == Jetson(
        l4t="36.4.3",
        jetpack="6.2",
        jetpack_installed=True,
        power_mode=PowerMode(0, "15W"),
        fastest=PowerMode(2, "MAXN_SUPER"),
    )
    findings = list(device.examine_device())
    assert found(findings, "device", "system").fact.startswith("Ubuntu 22.04.5 LTS, ")
    model = "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super"
    assert found(findings, "device", "model").fact == model
    assert found(findings, "device", "JetPack").fact == "6.2 (Linux for Tegra 36.4.3)"
    power = found(findings, "device", "power mode")
    assert (power.mark, power.remedy) == ("note", "sudo nvpmodel -m 2")
    assert power.fact == "15W, which holds the clocks down; MAXN_SUPER doesn't"
    processor = found(findings, "device", "processor").fact
    assert processor.startswith("ARMv8 Processor rev 1 (v8l), ") and " of 128 cores" in processor
    assert found(findings, "device", "clock").fact == "0.73 GHz now, 1.73 at most"
    assert found(findings, "device", "memory").fact == "7.4 GiB, 5.0 available"
    assert found(findings, "device", "temperature").fact == "47 °C at the hottest sensor"


def test_a_thor_on_jetpack_7(machine):
    machine(THOR_FILES)
    assert read_jetson() == Jetson("38.2.2", "7", False, PowerMode(0, "MAXN"), PowerMode(0, "MAXN"))
    findings = list(device.examine_device())
    jetpack = found(findings, "device", "JetPack")
    assert (jetpack.mark, jetpack.remedy) == ("note", "sudo apt install nvidia-jetpack")
    assert jetpack.fact.startswith("7 (Linux for Tegra 38.2.2); the package nvidia-jetpack")
    assert found(findings, "device", "power mode") == Finding("device", "ok", "power mode", "MAXN")


def test_a_package_that_was_removed(machine):
    machine({**ORIN_FILES, "var/lib/dpkg/status": STATUS.format(status="deinstall ok config-files")})
    assert (read_jetson().jetpack, read_jetson().jetpack_installed) == ("6", False)


def test_a_release_that_nobody_knows(machine):
    machine(
        {"etc/nv_tegra_release": "# R99 (release), REVISION: 1.0, GCID: 1\n", "var/lib/nvpmodel/status": "pmode:0007"}
    )
    assert read_jetson() == Jetson("99.1.0", None, False, PowerMode(7, "mode 7"), None)


def test_no_jetson(machine):
    machine({"etc/nv_tegra_release": "what is this?\n"})
    assert read_jetson() is None
    names = [finding.name for finding in device.examine_device()]
    assert names == ["system", "processor"]


# Cameras

CAMERA = {
    "sys/bus/usb/devices/1-2/idVendor": "152a\n",
    "sys/bus/usb/devices/1-2/product": "DAVIS346\n",
    "sys/bus/usb/devices/1-2/busnum": "1\n",
    "sys/bus/usb/devices/1-2/devnum": "14\n",
    "sys/bus/usb/devices/usb1/idVendor": "1d6b\n",
}
NODE = "dev/bus/usb/001/014"


@pytest.fixture
def everybodys_folder():
    """pytest's own folders are for its user alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@ON_LINUX
def test_a_camera_that_may_be_opened(machine):
    machine({**CAMERA, NODE: ""})
    (_, camera) = cameras.examine_cameras()
    assert camera == Finding("cameras", "ok", "on USB", "DAVIS346, which this user may open")


@ON_LINUX
def test_a_camera_that_was_not_passed_on(machine):
    machine(CAMERA)
    (_, camera) = cameras.examine_cameras()
    assert camera.mark == "missing" and "/dev/bus/usb doesn't have it" in camera.fact
    assert "--device /dev/bus/usb" in camera.remedy


@ON_LINUX
@pytest.mark.parametrize("rule", [False, True])
def test_a_camera_that_may_not_be_opened(everybodys_folder, rule):
    root = everybodys_folder
    for name, content in {**CAMERA, NODE: ""}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    if rule:
        (root / "etc/udev/rules.d").mkdir(parents=True)
        (root / "etc/udev/rules.d/65-inivation.rules").write_text('ATTR{idVendor}=="152a", MODE="0666"\n')
    (root / NODE).chmod(0)
    code = (
        "import os; from canthus.device.doctor import cameras, files; from pathlib import Path\n"
        f"files.ROOT = Path({str(root)!r})\n"
        "list(cameras.examine_cameras())  # imports all that it needs, while it may\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "camera = [found for found in cameras.examine_cameras() if found.name == 'on USB'][0]\n"
        "print(camera.mark, camera.fact, camera.remedy, sep='|')"
    )
    done = ask(code)
    assert done.stdout, done.stderr
    mark, fact, remedy = done.stdout.strip().split("|")
    assert (mark, fact) == ("missing", "DAVIS346, which this user may not open"), done.stderr
    assert ("there is a udev rule" in remedy) == rule
    assert ('ATTR{idVendor}=="152a", MODE="0660"' in remedy) == (not rule)


@ON_LINUX
@pytest.mark.parametrize(("user", "rule", "warned"), [(1000, False, True), (1000, True, False), (0, False, False)])
def test_no_camera(machine, monkeypatch, user, rule, warned):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    machine({"lib/udev/rules.d/65-inivation.rules" if rule else "none": 'ATTR{idVendor}=="152a", MODE="0666"\n'})
    findings = list(cameras.examine_cameras())
    assert found(findings, "cameras", "on USB").fact == "no camera of iniVation's is plugged in"
    assert ("permission" in [finding.name for finding in findings]) == warned


def test_without_dv_processing(monkeypatch):
    monkeypatch.setitem(sys.modules, "dv_processing", None)
    finding = found(list(cameras.examine_cameras()), "cameras", "dv-processing")
    assert (finding.mark, finding.remedy) == ("missing", "pip install 'canthus[camera]'")
    assert finding.fact == "dv-processing isn't installed: no AEDAT4 recordings, no cameras"
