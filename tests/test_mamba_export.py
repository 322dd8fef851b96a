"""What `mamba.export` keeps: free axes, causes of errors, judgement by float64, weights beside, values of any kind."""

import re
from collections import namedtuple
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.export import Dim

from canthus import ExportError
from canthus.operators import library_path
from canthus.runtimes.onnxruntime import open_session
from canthus_exporter import mamba
from canthus_exporter.mamba import bodies, file, verify
from canthus_exporter.mamba.float64 import in_float64
from canthus_exporter.mamba.judge import difference

HERE = re.escape(__file__)


def line(text):
    """The number of the line of this file that has it."""
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, one in enumerate(lines, 1) if text in one and "line(" not in one)


def axes(path):
    graph = onnx.load(path, load_external_data=False).graph
    return [[size.dim_param or size.dim_value for size in one.type.tensor_type.shape.dim] for one in graph.input]


class WholeNumber(nn.Module):
    """Says the batch's size as a number, as many do."""

    def forward(self, x):
        batch = int(x.shape[0])
        return x.reshape(batch, -1) * 2


class OneSize(nn.Module):
    def forward(self, x):
        return x.reshape(2, 12) + 1  # two rows


class Unrolled(nn.Module):
    """Takes as many steps as the example has rows, which no constraint tells of."""

    def forward(self, x):
        return sum(x[:1] + place for place in range(len(x.tolist()) if not torch.compiler.is_compiling() else 2))


def test_a_size_said_as_a_number_stays_free(tmp_path):
    path, free = tmp_path / "network.onnx", [{0: Dim("batch"), 2: Dim("width", min=2, max=9)}]
    exported = mamba.export(WholeNumber().eval(), (torch.randn(2, 3, 4),), path, dynamic_shapes=free)
    assert axes(path) == [["batch", 3, "width"]] and max(exported.difference.values()) == 0
    found = open_session("network", path, 1, None).run(None, {"x": np.ones((5, 3, 7), np.float32)})[0]
    assert found.shape == (5, 21)


@pytest.mark.parametrize("dim", [Dim("batch"), "batch"], ids=["Dim", "text"])
def test_an_axis_that_cant_stay_free_is_refused_with_the_line(dim, tmp_path):
    number = line("return x.reshape(2, 12) + 1  # two rows")
    message = rf"the axis 'batch' can't stay free: the network's code makes it 2 \({HERE}:{number}: return x\.reshape"
    with pytest.raises(ExportError, match=message):
        mamba.export(OneSize().eval(), (torch.randn(2, 3, 4),), tmp_path / "network.onnx", dynamic_shapes=({0: dim},))
    assert list(tmp_path.iterdir()) == []


def test_a_second_size_is_run_before_writing(tmp_path):
    args, path = (torch.ones(2, 3),), tmp_path / "network.onnx"
    with pytest.raises(ExportError, match=r"for inputs of \(3, 3\), with the library, ONNX Runtime's outputs are"):
        mamba.export(Unrolled().eval(), args, path, dynamic_shapes=({0: Dim("batch")},))
    assert list(tmp_path.iterdir()) == []
    assert mamba.export(Unrolled().eval(), args, path).difference == {"with the library": 0, "without": 0}


class OnlyTwo(nn.Module):
    def forward(self, x):
        if not torch.compiler.is_compiling() and len(x) != 2:
            raise ValueError("two, please")
        return x + 1


def test_a_network_that_takes_one_size_only(tmp_path):
    with pytest.raises(
        ExportError, match=r"in no other size \(inputs of \(1, 3\): two, please \(.*OnlyTwo|two, please"
    ):
        mamba.export(
            OnlyTwo().eval(), (torch.ones(2, 3),), tmp_path / "network.onnx", dynamic_shapes=({0: Dim("batch")},)
        )


def test_axes_that_depend_on_each_other(tmp_path):
    """The second size keeps one input twice as long as the other."""

    class Pairs(nn.Module):
        def forward(self, x, more):
            return x + more["both"].reshape(-1, 2).sum(1)

    half = Dim("half", max=8)
    shapes = {"x": {0: half}, "more": {"both": {0: 2 * half}}}
    args, path = (torch.randn(3), {"both": torch.randn(6)}), tmp_path / "network.onnx"
    mamba.export(Pairs().eval(), args, path, dynamic_shapes=shapes)
    assert axes(path) == [["half"], ["2*half"]]


class Untranslated(nn.Module):
    def forward(self, x):
        return torch.linalg.qr(x)[0]  # nothing in ONNX


class Branches(nn.Module):
    def forward(self, x):
        if x.sum() > 0:  # of values
            return x
        return x + 1


class Fails(nn.Module):
    def forward(self, x):
        return x + torch.ones(7)  # seven


@pytest.mark.parametrize(
    "module, message",
    [
        (
            Untranslated(),
            r"PyTorch can't write the network as ONNX: No ONNX function found for aten\.linalg_qr\.default",
        ),
        (Branches(), r"PyTorch can't trace the network: Could not guard on data-dependent expression"),
        (Fails(), r"PyTorch can't run the network on a CPU: The size of tensor a \(4\) must match"),
    ],
    ids=["Untranslated", "Branches", "Fails"],
)
def test_an_error_says_its_cause_and_the_line(module, message, tmp_path, capsys):
    number = line(
        {"Untranslated": "# nothing in ONNX", "Branches": "# of values", "Fails": "# seven"}[type(module).__name__]
    )
    with pytest.raises(ExportError, match=rf"{message}.* \({HERE}:{number}: ") as caught:
        mamba.export(module.eval(), (torch.eye(4),), tmp_path / "network.onnx")
    assert "\x1b" not in str(caught.value) and "\n" not in str(caught.value)
    assert capsys.readouterr() == ("", "")


class Rounded(nn.Module):
    """Far from the truth in float32, by `error` in PyTorch, and by `graph` more in the graph."""

    def __init__(self, error, graph):
        super().__init__()
        self.error, self.graph = error, graph

    def forward(self, x):
        noise = self.error if x.dtype == torch.float32 else 0.0
        return x + noise * (self.graph if torch.compiler.is_compiling() else 1)


@pytest.mark.parametrize("graph, is_good", [(-0.9, True), (1.9, True), (-2.2, False), (5.0, False)])
def test_a_file_is_judged_by_float64_and_by_pytorchs_own_error(graph, is_good, tmp_path):
    """More than the tolerance from PyTorch, which itself is 1e-3 from the truth."""
    network, args, path = Rounded(1e-3, graph).eval(), (torch.ones(3),), tmp_path / "network.onnx"
    if is_good:
        exported = mamba.export(network, args, path)
        assert exported.difference["without"] == pytest.approx(1e-3 * abs(graph - 1), rel=1e-2)
    else:
        with pytest.raises(ExportError, match=r"from float64 they are 0\.00\d+ away, and PyTorch's are 0\.001"):
            mamba.export(network, args, path)


def test_float64_is_meant_wherever_the_code_says_float32():
    class Narrow(nn.Module):
        def __init__(self):
            super().__init__()
            self.A = nn.Parameter(-torch.rand(4, 3))

        def forward(self, x):
            x = x.float() + torch.ones(9, dtype=torch.float32) / 3 + torch.zeros(1).to(torch.float32)
            return mamba.selective_scan(x.to(torch.float32), x, self.A.float(), x[:, :3], x[:, 1:], None, x)

    network, x = Narrow(), torch.randn(2, 4, 9)
    with torch.no_grad():
        wide, found = in_float64(network, (x,)), network(x)
    assert wide.dtype == torch.float64 and found.dtype == torch.float32
    assert 0 < difference([found.numpy()], [wide.numpy()]) < 1e-6
    assert torch.get_default_dtype() == torch.float32
    assert in_float64(nn.Linear(3, 2), (torch.ones(1, 4),)) is None  # it can't be run at all


def test_differences_of_what_isnt_finite():
    inf, nan = np.inf, np.nan
    assert difference([np.array([1.0, inf, nan])], [np.array([1.0, inf, nan])]) == 0
    assert difference([np.array([1.0, -inf])], [np.array([1.0, inf])]) == inf
    assert difference([np.array([1.0, 2.0])], [np.array([1.0, nan])]) == inf
    assert difference([np.array([inf])], [np.array([inf])]) == 0
    assert difference([np.zeros((0, 3))], [np.zeros((0, 3))]) == 0


class Lookup(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.randn(64, 32))

    def forward(self, x):
        return x @ self.table


def test_weights_beyond_what_a_file_takes_are_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(file, "LARGEST", 1000)
    path, x = tmp_path / "network.onnx", torch.randn(2, 64)
    network = Lookup().eval()
    exported = mamba.export(network, (x,), path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["network.onnx", "network.onnx.data"]
    assert path.stat().st_size < 2000 and path.with_name("network.onnx.data").stat().st_size >= 64 * 32 * 4
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for one in ("network.onnx", "network.onnx.data"):
        (tmp_path / one).rename(moved / one)
    for library in (library_path(), None):
        found = open_session("network", moved / "network.onnx", 1, library).run(None, {"x": x.numpy()})[0]
        assert difference([found], [network(x).detach().numpy()]) <= max(exported.difference.values())


@pytest.mark.parametrize("largest", [1000, 10**9], ids=["beside", "within"])
def test_files_are_there_whole_or_not_at_all(largest, tmp_path, monkeypatch):
    monkeypatch.setattr(file, "LARGEST", largest)
    (tmp_path / "network.onnx").write_text("before")
    with pytest.raises(ExportError, match="away from PyTorch's"):
        mamba.export(nn.Sequential(Lookup(), Rounded(1, 9)).eval(), (torch.randn(2, 64),), tmp_path / "network.onnx")
    real = Path.replace
    monkeypatch.setattr(
        Path, "replace", lambda self, to: real(self, to) if to.suffix == ".data" else self.rename(Path("/"))
    )
    with pytest.raises(ExportError, match=r"network\.onnx: can't be written"):
        mamba.export(Lookup().eval(), (torch.randn(2, 64),), tmp_path / "network.onnx")
    assert [one.name for one in tmp_path.iterdir()] == ["network.onnx"]
    assert (tmp_path / "network.onnx").read_text() == "before"


def test_a_folder_in_the_files_place(tmp_path):
    with pytest.raises(ExportError, match="is a folder; give the name of a file"):
        mamba.export(nn.Identity().eval(), (torch.ones(2),), tmp_path)


Pair = namedtuple("Pair", "first second")


class Returns(nn.Module):
    def forward(self, x, others, scale):
        total = x + sum(others["more"]) * scale
        return {"total": total, "nested": [Pair(total * 2, None), (total > 0,)], "nothing": None}


def test_values_of_any_kind(tmp_path):
    x, more = torch.randn(2, 3), [torch.randn(3), torch.randn(2, 3)]
    names = {"input_names": ["x", "one", "two"], "output_names": ["total", "twice", "positive"]}
    exported = mamba.export(Returns().eval(), (x, {"more": more}, 3), tmp_path / "network.onnx", **names)
    assert exported.inputs == ("x", "one", "two") and exported.outputs == ("total", "twice", "positive")
    feed = {"x": x.numpy(), "one": more[0].numpy(), "two": more[1].numpy()}
    total, twice, positive = open_session("network", exported.path, 1, None).run(None, feed)
    expected = (x + (more[0] + more[1]) * 3).numpy()
    assert difference([total, twice], [expected, 2 * expected]) < 1e-6 and (positive == (expected > 0)).all()


@pytest.mark.parametrize(
    "returned, message",
    [
        (lambda x: (x, 3), "the network returns a int; let it return tensors"),
        (lambda x: None, "the network returns no tensor"),
        (lambda x: x.bfloat16(), r"computes in bfloat16 \(its outputs\).*call \.float\(\)"),
    ],
)
def test_what_cant_be_returned(returned, message, tmp_path):
    class Network(nn.Module):
        def forward(self, x):
            return returned(x)

    with pytest.raises(ExportError, match=message):
        mamba.export(Network().eval(), (torch.ones(2),), tmp_path / "network.onnx")


@pytest.mark.parametrize("where", ["parameters", "inputs"])
def test_bfloat16_is_refused(where, tmp_path):
    network, x = nn.Linear(2, 2).eval(), torch.ones(1, 2)
    network, x = (network.bfloat16(), x) if where == "parameters" else (network, x.bfloat16())
    with pytest.raises(ExportError, match=r"computes in bfloat16 \(its parameters or inputs\).*call \.float\(\)"):
        mamba.export(network, (x,), tmp_path / "network.onnx")


@pytest.mark.parametrize("stable", [True, False])
@pytest.mark.parametrize("descending", [True, False])
def test_sorting(stable, descending, tmp_path):
    class Sort(nn.Module):
        def forward(self, x):
            values, places = x.sort(dim=1, stable=stable, descending=descending)
            return values, places, x.argsort(dim=-1, stable=stable, descending=descending)

    x = torch.randint(4, (3, 20)).float() if stable else torch.randperm(60).reshape(3, 20).float()
    free = ({1: Dim("n")},) if stable else None  # in another size some are equal
    exported = mamba.export(Sort().eval(), (x,), tmp_path / "network.onnx", dynamic_shapes=free)
    assert max(exported.difference.values()) == 0


class Scans(nn.Module):
    """Two scans of different kinds."""

    def __init__(self):
        super().__init__()
        self.A, self.D, self.constant = (
            nn.Parameter(-torch.rand(4, 3)),
            nn.Parameter(torch.randn(4)),
            torch.ones(4, 3),
        )

    def forward(self, x):
        groups = x.unflatten(1, (2, 2)).repeat(1, 1, 2, 1)[:, :, :3]
        y = mamba.selective_scan(x, x, self.A, groups, groups, self.D, x, self.D, True)
        return mamba.selective_scan(y, x, self.A, self.constant, x[:, 1:])


@pytest.mark.parametrize("dynamic", [False, True])
def test_without_the_memory_bodies_are_checked_apart(dynamic, tmp_path, monkeypatch):
    args, path = (torch.randn(2, 4, 1500) if not dynamic else torch.randn(2, 4, 9),), tmp_path / "network.onnx"
    options = {"dynamic_shapes": [{2: Dim("tokens", max=50)}], "max_tokens": 50} if dynamic else {}
    network = Scans().eval()
    monkeypatch.setattr(verify, "free_memory", lambda: 100)
    message = r"network\.onnx: for these inputs ONNX Runtime needs \S+ GB without the library, and 1e-07 are free"
    with pytest.warns(UserWarning, match=message):
        exported = mamba.export(network, args, path, **options)
    assert 0 < exported.difference["without"] < 1e-5
    body = bodies.difference_of_bodies(path, options.get("max_tokens"))
    assert body == exported.difference["without"]
    model = onnx.load(path)
    for function in model.functions:  # a wrong body is found out
        inner = [part for node in function.node for part in (*(a.g.node for a in node.attribute), [node])]
        exp = next(node for nodes in inner for node in nodes if node.op_type == "Exp")
        exp.op_type = "Sigmoid"
    onnx.save(model, path)
    assert bodies.difference_of_bodies(path, options.get("max_tokens")) > 1e-2


def test_memory_that_is_free():
    assert 1e8 < bodies.free_memory() < 1e14
    assert bodies.memory_of_body(16384 * 64 * 16) == pytest.approx(0.5e9, rel=0.1)
