"""What several tests share: the parity cases, and a small network exported once."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

if "CANTHUS_NATIVE" in os.environ:  # another build of the C++ code, see sanitize.sh
    spec = importlib.util.spec_from_file_location("canthus._native", os.environ["CANTHUS_NATIVE"])
    sys.modules["canthus._native"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["canthus._native"])

from browsing import browser, page  # noqa: F401
from canthus.cli import main

EXPORTED = os.environ.get("CANTHUS_EXPORTED")
"""A folder of bundles and a recording, for where there is no PyTorch: see tests/emulation/export.py."""

DATA = Path(__file__).parent / "data"
sys.path.insert(0, str(DATA))


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items):
    """Whatever runs beside what judges by wall time would be in its way."""
    for item in items:
        if item.get_closest_marker("wall_time"):
            item.add_marker("alone")


@pytest.fixture(autouse=True)
def only_onnxruntime(monkeypatch):
    """Else each engine that is loaded would measure all others first; test_openvino.py and test_backends.py do."""
    from canthus import backends

    lack = {"openvino": "not in tests", "cuda": "not in tests", "tensorrt": "not in tests"}
    monkeypatch.setattr(backends, "missing", lack.get)


@pytest.fixture(scope="session")
def cases():
    """Inputs, intermediate tensors and logits of the published network, from `tests/data/weights.py`."""
    with np.load(DATA / "cases.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def annotation():
    return Path(__file__).parent.parent / "examples" / "emotion.json"


@pytest.fixture(scope="session")
def small_network():
    """A small network whose answers depend on its inputs as a trained one's do."""
    import torch

    from small_network import make_small_network

    with torch.random.fork_rng():
        return make_small_network()


@pytest.fixture(scope="session")
def small_checkpoint(small_network, tmp_path_factory):
    import torch

    path = tmp_path_factory.mktemp("checkpoint") / "small.pth"
    torch.save({"epoch": 1, "state_dict": small_network.state_dict()}, path)
    return path


@pytest.fixture(scope="session")
def small_bundle(request, annotation, tmp_path_factory):
    if EXPORTED:
        return Path(EXPORTED) / "small.canthus"
    from canthus_exporter.export import export

    path = tmp_path_factory.mktemp("bundle") / "small.canthus"
    export(request.getfixturevalue("small_checkpoint"), annotation, path)
    return path


@pytest.fixture(scope="session")
def recording(tmp_path_factory):
    """One second of a moving eye."""
    if EXPORTED:
        return Path(EXPORTED) / "eye.aedat4"
    path = tmp_path_factory.mktemp("recording") / "eye.aedat4"
    assert main(["synthesize", str(path), "--seconds", "1"]) == 0
    return path


@pytest.fixture(scope="session")
def calibration_see(tmp_path_factory):
    """A data set with every emotion in every lighting, once in each subset."""
    from see_folder import make_see

    return make_see(tmp_path_factory.mktemp("calibration") / "SEE", sequences=28, frames=14)


@pytest.fixture
def data_home(tmp_path, monkeypatch):
    """Where TensorRT's plans find their key, in tests."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture(scope="session")
def rtx():
    """TensorRT-RTX, to build plans for GPUs that aren't here."""
    from canthus.tensorrt import destination

    pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed")
    return destination.destination("rtx")


@pytest.fixture(scope="session")
def built_once(rtx, small_bundle, tmp_path_factory):
    """A bundle with plans, and the key; copied by `built`."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copy(small_bundle, folder / "eye.canthus")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_DATA_HOME", str(folder / "data"))
        assert main(["build", str(folder / "eye.canthus"), "--target", "rtx"]) == 0
    return folder


@pytest.fixture
def built(built_once, tmp_path, data_home):
    """A bundle with its plans."""
    from canthus.bundle import read_bundle

    shutil.copytree(built_once, tmp_path, dirs_exist_ok=True)
    return read_bundle(tmp_path / "eye.canthus")


@pytest.fixture
def bundle(small_bundle, tmp_path):
    """A bundle of the test's own."""
    from canthus.bundle import read_bundle

    return read_bundle(shutil.copy(small_bundle, tmp_path / "eye.canthus"))


@pytest.fixture
def on_a_gpu(monkeypatch):
    """As if there were one, until something is asked of it."""
    from canthus.tensorrt import destination
    from plans import A_GPU

    monkeypatch.setattr(destination, "find_gpu", lambda: A_GPU)
