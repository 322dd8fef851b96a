"""Any Mamba network to ONNX: three designs, streaming, mamba_ssm installed and not, and what can't be exported."""

import importlib
import sys

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from canthus import ExportError
from canthus.operators import library_path
from canthus.runtimes.onnxruntime import open_session
from canthus_exporter import mamba
from canthus_exporter.mamba import drop_in, functions
from canthus_model.selective_scan_reference import selective_scan_reference

INSTALLED = """
def selective_scan_fn(*arguments, **options):
    raise RuntimeError("needs a GPU")

def mamba_inner_fn_no_out_proj(*arguments, **options):
    raise RuntimeError("needs a GPU")
"""


@pytest.fixture(scope="module")
def designs():
    assert importlib.util.find_spec("mamba_ssm") is None
    with drop_in():
        import mamba_designs
    yield mamba_designs
    del sys.modules["mamba_designs"]


def run(path, args, library):
    session = open_session(path.name, path.read_bytes(), 1, library)
    names = [value.name for value in session.get_inputs()]
    return session.run(None, dict(zip(names, (x.numpy() for x in args), strict=True)))


def by_the_reference(module, args, monkeypatch):
    """The network's answer with the scan written down as a loop over tokens."""
    with monkeypatch.context() as patch, torch.inference_mode():
        patch.setattr(functions, "selective_scan", selective_scan_reference)
        return module(*args).numpy()


def is_close(found, expected, within=1e-4):
    return np.abs(found - expected).max() <= within * np.abs(expected).max()


@pytest.mark.parametrize(
    "design, shape, scans",
    [("Plain", (2, 30, 24), 2), ("Vision", (2, 3, 32, 32), 2), ("FourDirections", (2, 6, 5, 12), 1)],
)
def test_public_designs_run_anywhere(designs, design, shape, scans, tmp_path, monkeypatch):
    torch.manual_seed(0)
    module, args = getattr(designs, design)().eval(), (torch.randn(shape),)
    exported = mamba.export(module, args, tmp_path / "network.onnx", input_names=["x"], output_names=["y"])
    assert exported.scans == scans and (exported.inputs, exported.outputs) == (("x",), ("y",))
    assert max(exported.difference.values()) < 1e-5
    other = (torch.randn(shape),)
    expected = by_the_reference(module, other, monkeypatch)
    for library in (library_path(), None):
        assert is_close(run(exported.path, other, library)[0], expected)
    assert list(tmp_path.iterdir()) == [exported.path]


def test_batch_and_tokens_may_stay_free(designs, tmp_path, monkeypatch):
    module = designs.Plain().eval()
    free = [{0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", max=64)}]
    path = tmp_path / "network.onnx"
    mamba.export(module, (torch.randn(2, 30, 24),), path, dynamic_shapes=free, max_tokens=64)
    for shape in ((1, 7, 24), (3, 64, 24)):
        args = (torch.randn(shape),)
        expected = by_the_reference(module, args, monkeypatch)
        for library in (library_path(), None):
            assert is_close(run(path, args, library)[0], expected)


def test_streaming_gives_what_the_whole_sequence_gives(designs, tmp_path, monkeypatch):
    torch.manual_seed(1)
    block = mamba.Mamba(24).eval()
    tokens = torch.randn(2, 12, 24)
    expected = by_the_reference(block, (tokens,), monkeypatch)
    states = block.allocate_inference_cache(2)
    names = ["token", "conv_state", "ssm_state"], ["y", "next_conv_state", "next_ssm_state"]
    example = (torch.randn(2, 1, 24), *(torch.randn_like(state) for state in states))
    exported = mamba.export(
        designs.Streaming(block).eval(), example, tmp_path / "step.onnx", input_names=names[0], output_names=names[1]
    )
    assert exported.inputs == tuple(names[0]) and exported.outputs == tuple(names[1])
    session = open_session("step", exported.path.read_bytes(), 1, None)
    feed = dict(zip(names[0][1:], (state.numpy() for state in states), strict=True))
    for place in range(tokens.shape[1]):
        y, *after = session.run(None, {"token": tokens[:, place : place + 1].numpy(), **feed})
        feed = dict(zip(names[0][1:], after, strict=True))
        assert is_close(y[:, 0], expected[:, place])


def test_an_installed_mamba_ssm_is_replaced_while_it_lasts(tmp_path, monkeypatch):
    package = tmp_path / "mamba_ssm" / "ops"
    package.mkdir(parents=True)
    (package / "selective_scan_interface.py").write_text(INSTALLED)
    (package / "__init__.py").touch()
    (tmp_path / "mamba_ssm" / "__init__.py").write_text("from canthus_exporter.mamba.block import Mamba")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mamba_designs", raising=False)  # it is put back in the end
    try:
        import mamba_designs

        module, args = mamba_designs.FourDirections().eval(), (torch.randn(1, 4, 4, 12),)
        with pytest.raises(RuntimeError, match="needs a GPU"):
            module(*args)
        mamba.export(module, args, tmp_path / "network.onnx")
        with pytest.raises(RuntimeError, match="needs a GPU"):
            module(*args)
    finally:
        for name in [n for n in sys.modules if n.partition(".")[0] in ("mamba_ssm", "mamba_designs")]:
            del sys.modules[name]


def test_a_scan_of_the_networks_own(designs, tmp_path):
    module, args = designs.FourDirections(own_scan=True).eval(), (torch.randn(1, 4, 4, 12),)
    with pytest.raises(ExportError, match=r"CUDA only \(.*mamba_designs.py:\d+: raise .*name its function: also="):
        mamba.export(module, args, tmp_path / "network.onnx")
    exported = mamba.export(module, args, tmp_path / "network.onnx", also=["mamba_designs.scan_in_blocks"])
    assert exported.scans == 1


def test_nothing_is_left_in_place():
    with drop_in():
        import mamba_ssm.ops.selective_scan_interface

        assert mamba_ssm.Mamba is mamba.Mamba
        assert callable(mamba_ssm.ops.selective_scan_interface.selective_scan_fn)
    assert not any(name.partition(".")[0] in ("mamba_ssm", "causal_conv1d") for name in sys.modules)


class Wrong(nn.Module):
    """Computes something else once it is traced."""

    def forward(self, x):
        return x + 1 if torch.compiler.is_compiling() else x


class Strange(nn.Module):
    def forward(self, x):
        return {"y": x, "name": "y"}


@pytest.mark.parametrize(
    "module, args, options, message",
    [
        (Wrong().eval(), (torch.ones(2),), {}, "away from PyTorch's, more than 0.0001; from float64"),
        (Strange().eval(), (torch.ones(2),), {}, "the network returns a str; let it return tensors"),
        (nn.Linear(2, 2), (torch.ones(2),), {}, r"training mode; call \.eval\(\)"),
        (nn.Linear(2, 2).eval(), (torch.ones(2, device="meta"),), {}, r"on meta; call \.cpu\(\)"),
        (nn.Identity().eval(), (torch.ones(2),), {"also": ["nowhere.scan"]}, "nowhere.scan: no such function"),
    ],
)
def test_what_cant_be_exported_is_told(module, args, options, message, tmp_path):
    with pytest.raises(ExportError, match=message):
        mamba.export(module, args, tmp_path / "network.onnx", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_isnt_there(tmp_path):
    with pytest.raises(ExportError, match=r"there is no folder .*nowhere; make it first"):
        mamba.export(nn.Identity().eval(), (torch.ones(2),), tmp_path / "nowhere" / "network.onnx")


def test_functions_refuse_what_they_dont_compute():
    one = torch.ones(1, 2, 3)
    with pytest.raises(ExportError, match="A is complex"):
        functions.selective_scan_fn(one, one, torch.ones(2, 4, dtype=torch.complex64), one, one)
    with pytest.raises(ExportError, match="activation 'relu'"):
        functions.causal_conv1d_fn(one, torch.ones(2, 4), activation="relu")


def test_the_file_is_plain_onnx(designs, tmp_path):
    exported = mamba.export(designs.Plain().eval(), (torch.randn(1, 8, 24),), tmp_path / "network.onnx")
    model = onnx.load(exported.path)
    onnx.checker.check_model(model, full_check=True)
    assert {function.name for function in model.functions} == {"SelectiveScan"}
    assert not any(node.metadata_props for node in model.graph.node)
