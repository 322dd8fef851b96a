"""Scans of a network's own, and of packages that everybody knows: each called by its own arguments' names."""

import pytest
import torch
from torch import nn

from canthus import ExportError
from canthus_exporter import mamba
from canthus_exporter.mamba.binding import called_as
from canthus_exporter.mamba.functions import selective_scan_fn
from canthus_model.selective_scan_reference import selective_scan_reference
from mamba_checks import Logits
from mamba_packages import NEEDS_A_GPU, importable

LOOP = """
    if dt_bias is not None:
        dt = dt + dt_bias[:, None]
    dt = torch.nn.functional.softplus(dt) if softplus else dt
    state, ys = 0, []
    for token in range(x.shape[2]):
        step = (dt[:, :, token] * x[:, :, token])[:, :, None] * B[:, None, :, token]
        state = torch.exp(dt[:, :, token, None] * A) * state + step
        ys.append((state * C[:, None, :, token]).sum(2))
    y = torch.stack(ys, 2)
    return y if D is None else y + D[:, None] * x
"""
"""A selective scan as people write it for a CPU."""

OWN = {
    "own_scans.py": f"""
import torch
from torch import nn

def loop(x, dt, A, B, C, D=None, dt_bias=None, softplus=True):
{LOOP}

def without_z(u, delta, A, B, C, D=None, delta_bias=None, delta_softplus=True, oflex=True, backend=None):
    {NEEDS_A_GPU}

def checked(u, delta, A, B, C, D=None, delta_bias=None, delta_softplus=True, backend="torch"):
    return loop(u, delta, A, B, C, D, delta_bias, delta_softplus)

def others(hidden_states, dt, A, B, C, *rest, **options):
    {NEEDS_A_GPU}

def doubled(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=True, scale=2.0):
    return scale * loop(u, delta, A, B, C, D, delta_bias, delta_softplus)

def half(u, delta, A, B, C, D=None, dt_bias=None, softplus=False, reverse=False):
    return loop(u, delta, A, B, C, D, dt_bias, softplus) / 2

class Function(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, delta, A, B, C, D=None, delta_bias=None, delta_softplus=False, nrows=1):
        {NEEDS_A_GPU}

class Scanning(nn.Module):
    def method(self, x, dt, A, B, C, D=None, dt_bias=None):
        return loop(*(t.transpose(1, 2) for t in (x, dt)), A, *(t.transpose(1, 2) for t in (B, C)), D, dt_bias).mT

    def __init__(self, way):
        super().__init__()
        self.way = way
        self.A, self.D = nn.Parameter(-torch.rand(4, 3)), nn.Parameter(torch.randn(4))
        self.bias = nn.Parameter(torch.randn(4))

    def forward(self, x):
        B, C, D, bias = x[:, :3], x[:, 1:], self.D, self.bias
        first = x, x, self.A, B, C
        match self.way:
            case "without_z":
                return without_z(*first, D, bias, backend="fast")
            case "checked":
                return checked(*first, D, bias, True, "torch")
            case "others":
                return others(*first, D, x, delta_bias=bias, dt_softplus=True)
            case "doubled":
                return doubled(*first, D)
            case "half":
                return half(*first, D)
            case "Function.apply":
                return Function.apply(*first, D, bias, True, 2)
            case "Scanning.method":
                return self.method(x.mT, x.mT, self.A, B.mT, C.mT, D, bias).mT
            case "loop":
                return loop(*first, D, bias)
"""
}


@pytest.fixture
def own(tmp_path, monkeypatch):
    torch.manual_seed(0)
    with importable(tmp_path / "own", monkeypatch, OWN):
        import own_scans

        yield own_scans


def reference(network, x, z):
    return selective_scan_reference(x, x, network.A, x[:, :3], x[:, 1:], network.D, z, network.bias, True)


@pytest.mark.parametrize("way", ["without_z", "checked", "others", "Function.apply"])
def test_arguments_are_understood_by_their_own_names(way, own, tmp_path):
    network, x = own.Scanning(way).eval(), torch.randn(2, 4, 9)
    exported = mamba.export(network, (x,), tmp_path / "network.onnx", also=[f"own_scans.{way}"])
    assert exported.scans == 1 and max(exported.difference.values()) < 1e-5
    with mamba.drop_in([f"own_scans.{way}"]), torch.no_grad():
        expected = reference(network, x, z=x if way == "others" else None)
        assert (network(x) - expected).abs().max() < 1e-5 * expected.abs().max()


def test_a_method_whose_tokens_come_first(own, tmp_path):
    network, args = own.Scanning("Scanning.method").eval(), (torch.randn(2, 4, 9),)
    with pytest.raises(ExportError, match=r"where tokens come before channels, use mamba\.selective_scan_tokens_first"):
        mamba.export(network, args, tmp_path / "network.onnx", also=["own_scans.Scanning.method"])

    def scan(self, x, dt, A, B, C, D, dt_bias):
        return mamba.selective_scan_tokens_first(x, dt, A, B, C, D, delta_bias=dt_bias, delta_softplus=True)

    exported = mamba.export(network, args, tmp_path / "network.onnx", also={"own_scans.Scanning.method": scan})
    assert exported.scans == 1 and max(exported.difference.values()) < 1e-5


def test_an_argument_that_nobody_knows_is_refused(own, tmp_path):
    network, args = own.Scanning("doubled").eval(), (torch.randn(2, 4, 9),)
    message = r"own_scans\.doubled: canthus doesn't know what its argument 'scale' does \(it is 2\.0\)"
    with pytest.raises(ExportError, match=message):
        mamba.export(network, args, tmp_path / "network.onnx", also=["own_scans.doubled"])


def test_something_else_in_its_place_is_found_out(own, tmp_path):
    """The network can be run as it is, and computes half of what the stand-in does."""
    network, args = own.Scanning("half").eval(), (torch.randn(2, 4, 9),)
    with pytest.raises(
        ExportError, match="with canthus's functions in the place of the network's own, its outputs are"
    ):
        mamba.export(network, args, tmp_path / "network.onnx", also=["own_scans.half"])


def test_a_loop_over_tokens_is_told_of_instead_of_unrolled(own, tmp_path):
    network, args = own.Scanning("loop").eval(), (torch.randn(2, 4, 9),)
    message = (
        r"no selective scan was found, and 9 tokens are taken one by one \(.*own_scans\.py:\d+: .*name its function"
    )
    with pytest.raises(ExportError, match=message):
        mamba.export(network, args, tmp_path / "network.onnx")
    assert mamba.export(network, args, tmp_path / "network.onnx", also=["own_scans.loop"]).scans == 1


class Layers(nn.Module):
    """Loops, but not over tokens."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(12))
        self.scales = nn.Parameter(torch.rand(12))

    def forward(self, x, states):
        for place, layer in enumerate(self.layers):
            x = layer(x) * self.scales[place] + states[place]
        return x[:, 0], x[:, 1]


def test_other_loops_are_none_of_ours(tmp_path):
    args = torch.randn(2, 9, 4), torch.randn(12, 2, 1, 4)
    assert mamba.export(Layers().eval(), args, tmp_path / "network.onnx").scans == 0


@pytest.mark.parametrize("name", ["own_scans.nothing", "own_scans.Scanning.nothing", "own_scans.nn.nothing", "scan"])
def test_a_name_of_nothing(name, own, tmp_path):
    with pytest.raises(ExportError, match=f"{name}: no such function; give it as package.module.function"):
        mamba.export(nn.Identity().eval(), (torch.ones(2),), tmp_path / "network.onnx", also=[name])


def test_positional_arguments_beyond_those_that_are_named():
    """As in `def scan(u, delta, A, B, C, *rest, **options)`: D, z, bias."""
    x, A, D, bias = torch.randn(1, 4, 5), -torch.rand(4, 3), torch.randn(4), torch.randn(4)

    def original(u, dt, A, B, C, *rest, **options):
        raise NotImplementedError

    called = called_as(original, "original", selective_scan_fn)
    found = called(x, x, A, x[:, :3], x[:, 1:], D, x, bias, True, backend="fast")
    assert torch.equal(found, selective_scan_fn(x, x, A, x[:, :3], x[:, 1:], D, x, bias, True))
    with pytest.raises(ExportError, match="original: canthus doesn't know what its argument number 11 does"):
        called(x, x, A, x[:, :3], x[:, 1:], D, x, bias, True, False, 7)
    with pytest.raises(ExportError, match=r"its argument 'initial_state' does \(it is Tensor\)"):
        called(x, x, A, x[:, :3], x[:, 1:], initial_state=x)


WRAPPED = {
    "transformers/__init__.py": "",
    "transformers/models/__init__.py": "",
    "transformers/models/mamba/__init__.py": "",
    "transformers/models/mamba/modeling_mamba.py": f"""
import functools
import torch
from torch import nn

def with_a_kernel(function):
    kernel = None
    try:
        import mamba_ssm
        kernel = mamba_ssm.selective_scan_fn
    except ImportError:
        pass

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        return (kernel or function)(*args, **kwargs)

    return wrapped

@with_a_kernel
def causal_conv1d_fn(hidden_states, weight, bias=None, activation=None, **kwargs):
    padded = nn.functional.pad(hidden_states, (weight.shape[1] - 1, 0))
    return nn.functional.conv1d(padded, weight[:, None], bias, groups=len(weight))

@with_a_kernel
def mamba_selective_scan(hidden_states, dt, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False,
                         return_last_state=False, use_mambapy=False, use_associative_scan=False, **kwargs):
    x, dt_bias, softplus = hidden_states, delta_bias, delta_softplus
{LOOP}

class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.A, self.weight = nn.Parameter(-torch.rand(4, 3)), nn.Parameter(torch.rand(4, 2))

    def forward(self, x):
        x = causal_conv1d_fn(x, self.weight, activation=None)
        return mamba_selective_scan(x, x, self.A, x[:, :3], x[:, 1:], D=None, delta_softplus=True, use_mambapy=True)
""",
}
KERNEL = {"mamba_ssm/__init__.py": f"def selective_scan_fn(*arguments, **options):\n    {NEEDS_A_GPU}\n"}


@pytest.mark.parametrize("packages", [(WRAPPED,), (WRAPPED, KERNEL)], ids=["alone", "with a GPU's kernel"])
def test_a_scan_like_that_of_transformers_needs_no_line(packages, tmp_path, monkeypatch):
    with importable(tmp_path, monkeypatch, *packages):
        from transformers.models.mamba.modeling_mamba import Mixer

        exported = mamba.export(Mixer().eval(), (torch.randn(2, 4, 9),), tmp_path / "network.onnx")
        assert exported.scans == 1 and max(exported.difference.values()) < 1e-5


def test_transformers_own_models(tmp_path):
    """With no line at all."""
    transformers = pytest.importorskip("transformers", reason="Hugging Face's transformers isn't installed")

    sizes = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "state_size": 4}
    for kind in ("Mamba", "FalconMamba"):
        model = getattr(transformers, f"{kind}ForCausalLM")(getattr(transformers, f"{kind}Config")(**sizes))
        args = (torch.randint(50, (2, 12)),)
        exported = mamba.export(Logits(model).eval(), args, tmp_path / f"{kind}.onnx")
        assert exported.scans == 2 and max(exported.difference.values()) < 1e-4


MAMBAPY = {
    "mambapy/__init__.py": "",
    "mambapy/mamba.py": f"""
import torch
from torch import nn

def loop(x, dt, A, B, C, D, dt_bias=None, softplus=False):
{LOOP}

class MambaBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.A, self.D = nn.Parameter(-torch.rand(4, 3)), nn.Parameter(torch.rand(4))

    def forward(self, x):
        return self.selective_scan(x, x, self.A, x[:, :, :3], x[:, :, 1:], self.D)

    def selective_scan(self, x, delta, A, B, C, D):
        return loop(x.mT, delta.mT, A, B.mT, C.mT, D).mT
""",
}


def test_a_scan_like_that_of_mambapy_needs_no_line(tmp_path, monkeypatch):
    with importable(tmp_path, monkeypatch, MAMBAPY):
        from mambapy.mamba import MambaBlock

        exported = mamba.export(MambaBlock().eval(), (torch.rand(2, 9, 4),), tmp_path / "network.onnx")
        assert exported.scans == 1 and max(exported.difference.values()) < 1e-5


def test_an_autograd_function_over_the_kernel_in_cuda(tmp_path, monkeypatch):
    """As networks have copies of mamba_ssm's."""
    copied = {
        "copied_scan.py": """
import selective_scan_cuda
import torch
from torch import nn

class Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, delta, A, B, C, delta_softplus):
        y, x, *rest = selective_scan_cuda.fwd(u, delta, A, B, C, None, None, None, delta_softplus)
        ctx.save_for_backward(u, delta, x)
        return y

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.A = nn.Parameter(-torch.rand(4, 3))

    def forward(self, x):
        return Scan.apply(x, x, self.A, x[:, None, :3], x[:, None, 1:], True)
"""
    }
    with importable(tmp_path, monkeypatch, copied):
        with mamba.drop_in():
            from copied_scan import Network
        network, x = Network().eval(), torch.randn(2, 4, 9)
        exported = mamba.export(network, (x,), tmp_path / "network.onnx")
        assert exported.scans == 1 and max(exported.difference.values()) < 1e-5
        expected = selective_scan_reference(x, x, network.A, x[:, :3], x[:, 1:], None, None, None, True)
        assert (network(x) - expected).abs().max() < 1e-5 * expected.abs().max()
