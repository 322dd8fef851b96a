"""Where `mamba_ssm` is installed: its functions are replaced wherever they are kept, and all is as it was then."""

import importlib.util
import sys
from types import FunctionType, ModuleType

import pytest
import torch

from canthus import ExportError
from canthus_exporter import mamba
from canthus_exporter.mamba import drop_in
from mamba_packages import CAUSAL_CONV1D, MAMBA_SSM, importable

KEEPERS = {
    "keepers.py": """
import functools
import torch
from torch import nn
from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
from mamba_ssm.ops.selective_scan_interface import selective_scan_fn as renamed

def around(function):
    return lambda *arguments: function(*arguments)

class Keeper(nn.Module):
    kept = staticmethod(selective_scan_fn)

    def __init__(self, way):
        super().__init__()
        self.A = nn.Parameter(-torch.rand(4, 3))
        self.scan = {
            "module": lambda *arguments: renamed(*arguments),
            "attribute": selective_scan_fn,
            "class": self.kept,
            "partial": functools.partial(selective_scan_fn, delta_softplus=True),
            "closure": around(selective_scan_fn),
        }[way]

    def forward(self, x):
        B = x[:, :3]
        return self.scan(x, x, self.A, B, B)
"""
}


def everything():
    """Which object every name of every module is, and how functions are called; but for the test machinery's own."""
    return {
        name: {
            member: (id(value), id(value.__code__), vars(value).copy()) if type(value) is FunctionType else id(value)
            for member, value in list(vars(module).items())
        }
        for name, module in list(sys.modules.items())
        if isinstance(module, ModuleType) and not name.startswith("hypothesis.")  # it counts time, at any moment
    }


@pytest.mark.parametrize("packages", [(), (MAMBA_SSM,), (MAMBA_SSM, CAUSAL_CONV1D)], ids=["none", "alone", "both"])
def test_every_module_is_as_it_was(packages, tmp_path, monkeypatch):
    with importable(tmp_path, monkeypatch, *packages):
        if packages:
            import mamba_ssm  # noqa: F401
        use_and_fail()  # loads what it needs
        before = everything()
        use_and_fail()
        assert everything() == before


def use_and_fail():
    with drop_in(), pytest.raises(ZeroDivisionError):
        from causal_conv1d import causal_conv1d_fn
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

        x = torch.randn(1, 4, 5)
        assert selective_scan_fn(x, x, -torch.ones(4, 3), x[:, :3], x[:, :3]).shape == x.shape
        assert causal_conv1d_fn(x, torch.ones(4, 3)).shape == x.shape
        raise ZeroDivisionError


def test_what_is_none_stays_none(tmp_path, monkeypatch):
    """Without causal_conv1d, mamba_ssm has None in its place, and so has every other module that wants nothing."""
    with importable(tmp_path, monkeypatch, MAMBA_SSM):
        import mamba_ssm.modules.mamba_simple as block

        with drop_in():
            assert block.causal_conv1d_fn is None
            assert torch.fx.experimental._config.__doc__ != mamba.drop_in.__doc__


@pytest.mark.parametrize("convolution", [{}, CAUSAL_CONV1D], ids=["without causal_conv1d", "with it"])
@pytest.mark.parametrize("way", ["module", "attribute", "class", "partial", "closure"])
def test_a_function_is_replaced_wherever_it_is_kept(way, convolution, tmp_path, monkeypatch):
    with importable(tmp_path, monkeypatch, MAMBA_SSM, convolution, KEEPERS):
        from keepers import Keeper

        network, x = Keeper(way).eval(), torch.rand(1, 4, 6)
        with drop_in():
            pass  # loads what it needs
        before = {
            name: value for name, value in everything().items() if name.startswith(("mamba_ssm", "causal", "keep"))
        }
        exported = mamba.export(network, (x,), tmp_path / "network.onnx")
        assert exported.scans == 1 and max(exported.difference.values()) < 1e-5
        assert before.items() <= everything().items() and "mamba_ssm" in before
        with pytest.raises(RuntimeError, match="needs a GPU"):
            network(x)


def test_python_that_can_be_loaded_is_used_as_it_is(tmp_path, monkeypatch):
    in_triton = {
        **MAMBA_SSM,
        "mamba_ssm/ops/selective_scan_interface.py": "import triton_of_a_gpu",
        "mamba_ssm/modules/later.py": "from mamba_ssm.ops.triton.later import fast, Norm",
    }
    with importable(tmp_path, monkeypatch, in_triton):
        with pytest.raises(ImportError, match="triton_of_a_gpu"):
            import mamba_ssm
        before = {name for name in sys.modules if name.startswith("mamba_ssm")}
        with drop_in():
            from mamba_ssm import Mamba
            from mamba_ssm.modules.later import fast
            from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

            assert Mamba.kind == "the package's own"
            with pytest.raises(ExportError, match=r"^mamba_ssm\.ops\.triton\.later\.fast: canthus has nothing"):
                fast(1)
            x = torch.randn(1, 4, 5)
            assert selective_scan_fn(x, x, -torch.ones(4, 3), x[:, :3], x[:, :3]).shape == x.shape
        assert {name for name in sys.modules if name.startswith("mamba_ssm")} == before
        with pytest.raises(ImportError, match="triton_of_a_gpu"):
            import mamba_ssm  # noqa: F401


def test_a_package_that_cant_be_loaded_at_all_is_told_of(tmp_path, monkeypatch):
    with (
        importable(tmp_path, monkeypatch, {**MAMBA_SSM, "mamba_ssm/__init__.py": "import nowhere"}),
        pytest.warns(UserWarning, match=r"mamba_ssm.__init__\.py can't be loaded, so canthus's own Mamba"),
        drop_in(),
    ):
        from mamba_ssm import Mamba

        assert Mamba is mamba.Mamba


def test_it_can_be_asked_whether_mamba_ssm_is_there():
    assert importlib.util.find_spec("mamba_ssm") is None
    with drop_in():
        assert importlib.util.find_spec("mamba_ssm").name == "mamba_ssm"
        assert importlib.util.find_spec("mamba_ssm.ops.triton.layer_norm") is not None
        import mamba_ssm

        assert importlib.util.find_spec("mamba_ssm") is mamba_ssm.__spec__
        assert importlib.util.find_spec("mamba_ssm.nothing") is None
    assert importlib.util.find_spec("mamba_ssm") is None


def test_one_inside_another(tmp_path, monkeypatch):
    with importable(tmp_path, monkeypatch, MAMBA_SSM, KEEPERS):
        from keepers import Keeper

        network, x = Keeper("attribute").eval(), torch.rand(1, 4, 6)
        with drop_in():
            mamba.export(network, (x,), tmp_path / "network.onnx")
            network(x)
        with pytest.raises(RuntimeError, match="needs a GPU"):
            network(x)


def test_a_replaced_function_in_code_that_is_read(tmp_path, monkeypatch):
    """Where a size is said as a number, PyTorch reads the network's code instead of running it."""
    whole = KEEPERS["keepers.py"].replace("B = x[:, :3]", "x = x.reshape(int(x.shape[0]), 4, -1); B = x[:, :3]")
    with importable(tmp_path, monkeypatch, MAMBA_SSM, {"keepers.py": whole}):
        from keepers import Keeper

        for way in ("module", "attribute", "partial"):
            free = ({0: torch.export.Dim("batch")},)
            path = tmp_path / "network.onnx"
            exported = mamba.export(Keeper(way).eval(), (torch.rand(2, 4, 6),), path, dynamic_shapes=free)
            assert exported.scans == 1 and max(exported.difference.values()) < 1e-5
