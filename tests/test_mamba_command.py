"""`canthus mamba`: somebody's file becomes an ONNX file, step by step told; and what is wrong with it is said."""

import re

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from canthus.cli import main
from canthus.operators import library_path
from canthus_exporter.mamba.speed import Speed, measure

NETWORK = """
import torch
from beside import WIDTH
from mamba_ssm import Mamba, Mamba2

class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = Mamba2(WIDTH, d_state=8, headdim=8), Mamba(WIDTH, d_state=8)

    def forward(self, tokens):
        return self.second(self.first(tokens))

def build():
    return Network(), (torch.randn(2, 20, WIDTH),)

class Masked(torch.nn.Module):
    def forward(self, x):
        return torch.einsum("bxd,byd,bd->bxy", x, x, x[:, 0])

def masked():
    return Masked(), torch.randn(4, 300, 300)

class Two(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.mixer = Mamba(4, d_state=4)

    def forward(self, x, y):
        return self.mixer(x + y)

def two():
    return Two(), (torch.randn(1, 7, 4), torch.randn(1, 7, 4))

class Image(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.mixer = Mamba(4, d_state=4)

    def forward(self, x):
        return self.mixer(x.flatten(2).transpose(1, 2))

def image():
    return Image(), (torch.randn(1, 4, 6, 6),)

def leaves():
    raise SystemExit(0)

def fails():
    return undefined_name

def number():
    return 3

def nothing_to_go_in():
    return Network(), (3,)

constant = 4
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    (tmp_path / "beside.py").write_text("WIDTH = 16\n")
    (tmp_path / "my_network.py").write_text(NETWORK)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    for name in ("my_network", "beside"):
        monkeypatch.delitem(__import__("sys").modules, name, raising=False)
    return tmp_path / "my_network.py"


def told(capsys):
    """What was printed, and the error output without its line breaks."""
    captured = capsys.readouterr()
    return captured.out, " ".join(captured.err.split())


def test_a_file_is_exported_and_every_step_told(file, tmp_path, capsys):
    path = tmp_path / "network.onnx"
    assert main(["mamba", f"{file}:build", "-o", str(path), "--free", "0:0=batch", "--free", "0:1=tokens:64"]) == 0
    out, err = told(capsys)
    assert re.fullmatch(rf"{re.escape(str(path))}: 0\.1 MB, inputs tokens, outputs \w+\n", out)
    assert "load my_network.py:build: " in err and "inputs of (2, 20, 16)" in err
    assert "verify largest difference from PyTorch" in err and "time PyTorch" in err
    assert "1 × canthus::Ssd: x (batch, tokens, 4, 8), as (batch, tokens, heads, head size)" in err
    assert "1 × canthus::SelectiveScan: u (batch, 32, tokens), as (batch, channels, tokens)" in err
    sizes = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
    assert [size.dim_param or size.dim_value for size in sizes] == ["batch", "tokens", 16]


def test_weights_come_from_a_file(file, tmp_path, capsys, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    from canthus_exporter.mamba import drop_in

    with drop_in():
        from my_network import Network
    network = Network()
    for name in ("plain.pth", "nested.pth"):
        state = network.state_dict()
        torch.save({"loss": torch.ones(1), "model": state} if name == "nested.pth" else state, tmp_path / name)
        path = tmp_path / "network.onnx"
        assert main(["mamba", f"{file}:build", "--weights", str(tmp_path / name), "-o", str(path)]) == 0
        held = {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}
        assert any(
            (array == network.second.D.detach().numpy()).all() for array in held.values() if array.shape == (32,)
        )
    torch.save({"epoch": 3}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("no weights")
    torch.save({"other": torch.ones(2)}, tmp_path / "wrong.pth")
    torch.save({0: torch.ones(2)}, tmp_path / "numbered.pth")
    capsys.readouterr()
    for name, message in (
        ("other.pth", "holds no state of a network; save network.state_dict()"),
        ("text.pth", "can't be read as weights"),
        ("numbered.pth", "holds no state of a network"),
        ("wrong.pth", "isn't the state of this network: Missing key(s)"),
        ("absent.pth", "can't be read as weights"),
    ):
        arguments = ["mamba", f"{file}:build", "--weights", str(tmp_path / name), "-o", str(tmp_path / "no.onnx")]
        assert main(arguments) == 2
        assert f"{name}: {message}" in told(capsys)[1]
    assert not (tmp_path / "no.onnx").exists()


def test_what_has_no_scan_and_is_slow_is_told(file, tmp_path, capsys):
    assert main(["mamba", f"{file}:masked", "-o", str(tmp_path / "network.onnx")]) == 0
    err = told(capsys)[1]
    assert "there is no scan in the network; if it has one of its own, name its function with --also" in err


def test_as_many_tokens_as_axes_allow(file, tmp_path, capsys):
    """Of a scan whose tokens are two axes' places: what the axes allow, not what one does."""
    path = tmp_path / "network.onnx"
    assert main(["mamba", f"{file}:image", "-o", str(path), "--free", "0:2=h:40", "--free", "0:3=w:40"]) == 0
    assert re.search(r"SelectiveScan: u \(1, 8, (h\*w|w\*h)\)", told(capsys)[1])
    x = np.random.default_rng(0).standard_normal((1, 4, 33, 35)).astype(np.float32)
    outputs = []
    for with_library in (True, False):
        options = onnxruntime.SessionOptions()
        if with_library:
            options.register_custom_ops_library(str(library_path()))
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        outputs.append(session.run(None, {session.get_inputs()[0].name: x})[0])
    np.testing.assert_allclose(*outputs, atol=1e-4 * np.abs(outputs[0]).max())


def test_an_axis_of_two_inputs_needs_its_most_once(file, tmp_path):
    options = ["--free", "0:1=tokens:64", "--free", "1:1=tokens"]
    assert main(["mamba", f"{file}:two", "-o", str(tmp_path / "network.onnx"), *options]) == 0


@pytest.mark.parametrize(
    "function, options, message",
    [
        ("leaves", [], r"my_network\.py:leaves fails: 0"),
        (
            "build",
            ["--free", "0:0=batch:8", "--free", "0:1=tokens"],
            r"how large tokens may be: --free INPUT:AXIS=tokens",
        ),
        ("build", ["--free", "0:0=n:8", "--free", "0:1=n:9"], r"--free: 'n' is 8 at most, and 9; say one"),
        ("fails", [], r"my_network\.py:fails fails: name 'undefined_name' is not defined \(\S+:\d+: return undefined"),
        ("number", [], r"my_network\.py:number returns a int; let it return the network and a tuple of inputs"),
        ("constant", [], r"my_network\.py: there is no function 'constant' in it"),
        ("absent", [], r"my_network\.py: there is no function 'absent' in it"),
        ("nothing_to_go_in", [], r"my_network\.py:nothing_to_go_in returns no tensor among the inputs"),
        ("build", ["--free", "1:0=batch"], r"--free 1:0: there is no tensor 1 among the inputs"),
        ("build", ["--free", "0:3=batch"], r"--free 0:3: input 0 is of shape \(2, 20, 16\)"),
        ("build", ["--free", "0:1=tokens"], r"its number of tokens is dynamic: give max_tokens, the most"),
        ("build", ["--also", "nowhere.scan"], r"nowhere\.scan: no such function"),
    ],
)
def test_what_is_wrong_is_said(function, options, message, file, tmp_path, capsys):
    assert main(["mamba", f"{file}:{function}", "-o", str(tmp_path / "network.onnx"), *options]) == 2
    assert re.search(f"canthus: error: .*{message}", told(capsys)[1])
    assert not (tmp_path / "network.onnx").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["my_network.txt:build"], "isn't FILE.py:FUNCTION"),
        (["my_network.py"], "isn't FILE.py:FUNCTION"),
        (["my_network.py:build", "--free", "0:0=batch:0"], "MOST is 2 or more"),
        (["my_network.py:build", "--free", "x=tokens"], "isn't INPUT:AXIS=NAME or INPUT:AXIS=NAME:MOST"),
    ],
)
def test_arguments_that_make_no_sense(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["mamba", *arguments, "-o", "network.onnx"])
    assert ended.value.code == 2 and message in told(capsys)[1]


def test_a_file_that_is_not_there(tmp_path, capsys):
    assert main(["mamba", str(tmp_path / "absent.py:build"), "-o", str(tmp_path / "network.onnx")]) == 2
    assert "absent.py: no such file" in told(capsys)[1]


def test_what_takes_the_time(tmp_path):
    class Slow(torch.nn.Module):
        def forward(self, x):
            return torch.einsum("bxd,byd,bd->bxy", x, x, x[:, 0])

    from canthus_exporter import mamba

    args = (torch.randn(2, 40, 8),)
    mamba.export(Slow().eval(), args, tmp_path / "network.onnx")
    speed = measure(Slow().eval(), args, tmp_path / "network.onnx", ())
    assert isinstance(speed, Speed) and min(speed.pytorch, speed.with_library, speed.without) > 0
    assert sum(speed.shares.values()) == pytest.approx(1) and next(iter(speed.shares)) == "Einsum"
