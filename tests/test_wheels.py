"""What wheels are made of. `make wheels` itself builds, installs and runs them."""

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(*command, **environment):
    return subprocess.run(
        [str(word) for word in command], cwd=ROOT, capture_output=True, text=True, env=os.environ | environment
    )


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """The names of what an sdist holds."""
    folder = tmp_path_factory.mktemp("sdist")
    done = run(sys.executable, "-c", f"from scikit_build_core.build import build_sdist; build_sdist({str(folder)!r})")
    assert done.returncode == 0, done.stderr
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as unpacked:
        return {name.partition("/")[2] for name in unpacked.getnames()}


def test_an_sdist_has_all_that_building_takes(sdist):
    cmake = (ROOT / "CMakeLists.txt").read_text()
    sources = set(re.findall(r"\bcsrc/[\w/]+\.(?:cpp|cu)\b", cmake))
    assert len(sources) > 20
    needed = {"pyproject.toml", "README.md", "CMakeLists.txt", "constraints.txt", "packaging/wheel.sh", *sources}
    packages = [ROOT / "sdk", ROOT / "model", ROOT / "calibration", ROOT / "exporter", ROOT / "csrc"]
    needed |= {str(path.relative_to(ROOT)) for folder in packages for path in folder.rglob("*.py")}
    needed |= {str(path.relative_to(ROOT)) for path in (ROOT / "csrc").rglob("*.h")}
    assert needed - sdist == set()


def test_an_sdist_has_nothing_that_was_built(sdist):
    folders = {"calibration", "csrc", "exporter", "model", "packaging", "sdk"}
    assert {name.partition("/")[0] for name in sdist if "/" in name} == folders
    assert [name for name in sdist if re.search(r"__pycache__|\.(pyc|so|o|whl)$", name)] == []


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (["riscv64", f"cp3{sys.version_info[1]}"], {}, "no wheel for 'riscv64' is known: x86_64 or aarch64"),
        (["x86_64", "cp399"], {}, "no CPython 3.99 with its headers is here"),
        (["x86_64", f"cp3{sys.version_info[1]}"], {"CUDACXX": "/nowhere/nvcc"}, "/nowhere/nvcc isn't there"),
    ],
)
def test_a_wheel_that_cannot_be_built_is_one_clear_error(arguments, environment, says, tmp_path):
    done = run("packaging/wheel.sh", *arguments, tmp_path / "dist", **environment)
    assert done.returncode == 1
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_cross_build_takes_no_nvcc_from_the_path(tmp_path):
    nvcc = tmp_path / "bin" / "nvcc"
    nvcc.parent.mkdir()
    nvcc.write_text(f"#!/bin/sh\ntouch {tmp_path}/was_asked\nexit 1\n")
    nvcc.chmod(0o755)
    pybind11 = run(sys.executable, "-m", "pybind11", "--cmakedir").stdout.strip()
    environment = os.environ | {"PATH": f"{nvcc.parent}:{os.environ['PATH']}"}
    environment.pop("CUDACXX", None)
    tools = Path(sys.executable).parent
    configure = [tools / "cmake", "-S", ROOT, "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={tools / 'ninja'}"]
    configure += [f"-DPython_EXECUTABLE={sys.executable}", f"-Dpybind11_DIR={pybind11}"]
    for what, asked in ("-DCMAKE_SYSTEM_NAME=Linux", False), ("-DCMAKE_BUILD_TYPE=Release", True):
        build = [*configure, "-B", tmp_path / what, what]
        done = subprocess.run(build, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "was_asked").exists() == asked
