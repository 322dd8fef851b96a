"""What is told of a package that isn't there, and of one that is and can't be loaded."""

import importlib
import json
import re
import sys
from pathlib import Path

import pytest

import canthus
from absent_library import LIBRARY, make_module
from canthus.imports import VERSIONS, import_lack, importing, version_lack
from driver_stand_in import ask

INSTALL = "pip install 'canthus[camera]'"
WHAT = f"is installed, but can't be loaded without the shared library {LIBRARY}, which isn't here"
REMEDY = "install that; on Debian and Ubuntu most likely by sudo apt install libcanthus-absent3"


def lack_of(module):
    with pytest.raises(ImportError) as raised:
        importlib.import_module(module)
    return import_lack(raised.value, module, INSTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Modules are found here first; what a test imports from here is forgotten."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_package_that_is_absent():
    assert lack_of("no_such_package") == ("no_such_package isn't installed", INSTALL)
    assert lack_of("no_such_package.part") == ("no_such_package isn't installed", INSTALL)
    assert str(lack_of("no_such_package")) == f"no_such_package isn't installed: {INSTALL}"


def test_a_package_that_another_needs(folder):
    (folder / "with_needs.py").write_text("import no_such_package\n")
    assert lack_of("with_needs") == ("no_such_package isn't installed", INSTALL)


def test_a_package_of_which_a_part_is_gone(folder):
    (folder / "half").mkdir()
    (folder / "half" / "__init__.py").write_text("from half import inner\nimport half.core\n")
    (folder / "half" / "inner.py").write_text("")
    again = "pip install --force-reinstall half"
    assert lack_of("half") == ("half is installed, but its module half.core isn't there", again)


def test_a_namespace_that_others_fill(folder):
    (folder / "shared_name" / "theirs").mkdir(parents=True)
    assert lack_of("shared_name.ours") == ("shared_name isn't installed", INSTALL)


def test_a_shared_library_that_is_absent(folder):
    make_module("linked", folder)
    assert lack_of("linked") == (f"linked {WHAT}", REMEDY)


@pytest.mark.parametrize(
    "library, package",
    [
        ("libatomic.so.1", "libatomic1"),
        ("libX11.so.6", "libx11-6"),
        ("libusb-1.0.so.0", "libusb-1.0-0"),
        ("libstdc++.so.6", "libstdc++6"),
    ],
)
def test_debians_name_of_a_library(library, package):
    error = ImportError(f"{library}: cannot open shared object file: No such file or directory", name="dv_processing")
    what, remedy = import_lack(error, "dv_processing", INSTALL)
    assert what.startswith(f"dv-processing is installed, but can't be loaded without the shared library {library},")
    assert remedy.endswith(f"sudo apt install {package}")


def test_a_file_that_is_no_library(folder):
    (folder / "damaged.so").write_bytes(b"no library")
    what, remedy = lack_of("damaged")
    assert what.startswith("damaged is installed, but can't be loaded (") and "damaged.so: " in what
    assert remedy == "pip install --force-reinstall damaged"


def test_reinstalling_names_what_pip_installed(folder, monkeypatch):
    (folder / "dv_processing.py").write_text("raise ImportError('not today')")
    (folder / "dv_processing-9.9.dist-info").mkdir()
    (folder / "dv_processing-9.9.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: dv-processing\n")
    (folder / "dv_processing-9.9.dist-info" / "RECORD").write_text("dv_processing.py,,\n")
    monkeypatch.delitem(sys.modules, "dv_processing", raising=False)
    again = "pip install --force-reinstall dv-processing"
    assert lack_of("dv_processing") == ("dv-processing is installed, but can't be loaded (not today)", again)


@pytest.mark.parametrize(
    "raised", ["OSError('libcublas.so.12: cannot open')", "AttributeError('_ARRAY_API not found')"]
)
def test_a_package_that_fails_otherwise(folder, raised):
    (folder / "clashes.py").write_text(f"raise {raised}")
    error = canthus.EngineError
    with pytest.raises(error, match="here: clashes is installed, but can't be loaded ") as told:  # noqa: SIM117
        with importing("clashes", INSTALL, error, "here: "):
            importlib.import_module("clashes")
    assert str(told.value).endswith("pip install --force-reinstall clashes")


@pytest.mark.parametrize("end", ["raise ImportError('initialization failed')", "raise"])
def test_ctrl_c_while_a_package_is_imported(folder, end):
    """Native modules make an ImportError of it."""
    (folder / "slow.py").write_text(f"try:\n    raise KeyboardInterrupt\nexcept KeyboardInterrupt:\n    {end}\n")
    with pytest.raises(KeyboardInterrupt), importing("slow", INSTALL, canthus.EngineError):
        importlib.import_module("slow")


@pytest.mark.parametrize(
    "module, version, says",
    [
        ("onnxruntime", "1.20.1", "ONNX Runtime 1.20.1 is too old, canthus needs 1.23 or later"),
        ("onnxruntime", "1.23.0", None),
        ("onnxruntime", "1.100", None),
        ("openvino", "2025.4.0-19876-abc", "OpenVINO 2025.4.0-19876-abc is too old, canthus needs 2026.4 or later"),
        ("PIL", "13.0.1", "Pillow 13.0.1 is too new, canthus needs one before 13"),
        ("PIL", "12.9", None),
        ("of_no_concern", "0.1", None),
    ],
)
def test_versions(module, version, says):
    assert version_lack(module, version, INSTALL) == (says and (says, INSTALL))


def test_what_is_left_of_a_package():
    what, remedy = version_lack("dv_processing", "", INSTALL)
    assert what == "dv-processing is there, but only in part: it has no version"
    assert remedy.startswith("pip install --force-reinstall dv")


def test_versions_are_those_that_pip_installs():
    """Of whatever is in the table, and has such a bound in pyproject.toml."""
    text = (Path(__file__).parent.parent / "pyproject.toml").read_text()
    distributions = {"PIL": "pillow", "tensorrt_rtx_bindings": "tensorrt-rtx-cu13-bindings"}
    for module, (oldest, first_not) in VERSIONS.items():
        name = distributions.get(module, module.replace("_", "-"))
        bounds = f">={oldest}" + (f",<{first_not}" if first_not else "")
        assert set(re.findall(rf'"{name}([><][^";]*)', text)) == {bounds}


@pytest.mark.parametrize("backend", ["auto", "onnxruntime"])
def test_an_old_onnxruntime_is_one_line(small_bundle, tmp_path, backend):
    (tmp_path / "onnxruntime.py").write_text("__version__ = '1.20.1'")
    code = f"import canthus; canthus.load({str(small_bundle)!r}, {backend!r})"
    (tmp_path / "openvino.py").write_text("raise RuntimeError('built for another machine')")
    last = ask(code, packages=tmp_path).stderr.splitlines()[-1]
    assert last.startswith("canthus.errors.EngineError: ")
    assert "ONNX Runtime 1.20.1 is too old, canthus needs 1.23 or later: pip install --upgrade 'canthus[cpu]'" in last


def test_a_recording_without_a_library_of_dv_processings(recording, tmp_path):
    code = f"import canthus; canthus.open({str(recording)!r})"
    done = ask(code, packages=make_module("dv_processing", tmp_path))
    last = done.stderr.splitlines()[-1]
    assert last == f"canthus.errors.SourceError: {recording}: can't be read: dv-processing {WHAT}: {REMEDY}"


def test_a_camera_without_a_library_of_dv_processings(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(make_module("dv_processing", tmp_path)))
    with pytest.raises(canthus.SourceError) as raised:
        canthus.open("camera")
    assert str(raised.value) == f"camera: dv-processing {WHAT}; {REMEDY}"


@pytest.mark.parametrize(
    "module, title, section, name",
    [
        ("dv_processing", "dv-processing", "cameras", "dv-processing"),
        ("onnxruntime", "ONNX Runtime", "backends", "onnxruntime"),
    ],
)
def test_doctor_tells_of_a_library_that_is_absent(tmp_path, module, title, section, name):
    code = "import sys; from canthus.cli import main; sys.exit(main(['doctor', '--json']))"
    done = ask(code, packages=make_module(module, tmp_path))
    (finding,) = [
        finding
        for finding in json.loads(done.stdout)["findings"]
        if (finding["section"], finding["name"]) == (section, name)
    ]
    assert finding["mark"] == "missing" and finding["remedy"] == REMEDY
    assert finding["fact"].startswith(f"{title} {WHAT}")
