"""Mamba-2's scan as an ONNX operator: by the kernel and by its portable body, sizes fixed and free."""

import re

import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch")

from canthus import ExportError  # noqa: E402
from canthus.operators import library_path  # noqa: E402
from canthus_exporter.ssd_operator import ssd_reference  # noqa: E402
from canthus_exporter.trace import trace  # noqa: E402
from ssd_inputs import make_inputs, recurrence  # noqa: E402

SHAPES = [
    {"batch": 2, "tokens": 40, "heads": 4, "head_size": 8, "groups": 2, "states": 16},
    {"batch": 1, "tokens": 64, "heads": 2, "head_size": 8, "groups": 1, "states": 4},
    {"batch": 1, "tokens": 1, "heads": 2, "head_size": 3, "groups": 2, "states": 5},
    {"batch": 2, "tokens": 200, "heads": 3, "head_size": 8, "groups": 3, "states": 16},
]


class Network(torch.nn.Module):
    """Nothing but the scan."""

    def __init__(self, last_state):
        super().__init__()
        self.last_state = last_state

    def forward(self, x, dt, A, B, C, initial_state=None):
        y, last_state = torch.ops.canthus.ssd(x, dt, A, B, C, initial_state)
        return (y, last_state) if self.last_state else y


def exported(inputs, last_state=True, free=False):
    tensors = [torch.from_numpy(array) for array in inputs.values()]
    axes = None
    if free:
        batch, tokens = torch.export.Dim("batch"), torch.export.Dim("tokens", max=300)
        axes = [{0: batch, 1: tokens} if name in ("x", "dt", "B", "C") else {} for name in inputs]
        if "initial_state" in inputs:
            axes[-1] = {0: batch}
    return trace(Network(last_state).eval(), tensors, None, None, axes, 300 if free else None)


def run(model, inputs, with_library):
    options = onnxruntime.SessionOptions()
    if with_library:
        options.register_custom_ops_library(str(library_path()))
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return session.run(None, dict(zip(names, inputs.values(), strict=True)))


def near(found, inputs):
    return [
        np.abs(one - expected).max() <= 3e-6 * np.abs(expected).max() and one.shape == expected.shape
        for one, expected in zip(found, recurrence(**inputs), strict=False)
    ]


@pytest.mark.parametrize("with_library", [True, False], ids=["kernel", "body"])
@pytest.mark.parametrize("initial_state", [True, False])
@pytest.mark.parametrize("last_state", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_both_ways(shape, last_state, initial_state, with_library):
    inputs = make_inputs(**shape, initial_state=initial_state)
    found = run(exported(inputs, last_state), inputs, with_library)
    assert len(found) == 1 + last_state and all(near(found, inputs))


@pytest.mark.parametrize("initial_state", [True, False])
def test_batch_and_tokens_stay_free(initial_state):
    model = exported(make_inputs(initial_state=initial_state), free=True)
    for batch, tokens in ((1, 1), (3, 64), (2, 65), (1, 300)):
        inputs = make_inputs(batch=batch, tokens=tokens, initial_state=initial_state)
        for with_library in (True, False):
            assert all(near(run(model, inputs, with_library), inputs))


def test_a_body_knows_decays_that_leave_nothing():
    """Sums of logarithms that are thousands apart, and differences of neighbours that matter."""
    inputs = make_inputs(tokens=130, longest=300.0)
    assert all(near(run(exported(inputs), inputs, False), inputs))


def test_a_kernel_refuses_shapes_that_a_graph_does_not_know():
    inputs = make_inputs()
    model = exported(inputs, free=True)
    inputs["dt"] = inputs["dt"][:, 1:]
    with pytest.raises(Exception, match=re.escape("ssd: dt must have shape (B, L, H) = (2, 40, 4), got (2, 39, 4)")):
        run(model, inputs, True)


def test_free_tokens_need_their_most():
    inputs = make_inputs()
    tokens = torch.export.Dim("tokens", max=300)
    axes = [{1: tokens} if name in ("x", "dt", "B", "C") else {} for name in inputs]
    with pytest.raises(ExportError, match="its number of tokens is dynamic: give max_tokens"):
        trace(Network(True).eval(), [torch.from_numpy(array) for array in inputs.values()], None, None, axes)


def test_pytorchs_operator_and_the_reference_in_its_own_type():
    inputs = make_inputs()
    tensors = [torch.from_numpy(array) for array in inputs.values()]
    torch.library.opcheck(torch.ops.canthus.ssd.default, tuple(tensors))
    assert all(near([one.numpy() for one in torch.ops.canthus.ssd(*tensors)], inputs))
    wide = ssd_reference(*(tensor.double() for tensor in tensors))
    assert all(one.dtype == torch.float64 for one in wide)
    for one, expected in zip(wide, recurrence(**inputs), strict=True):
        np.testing.assert_allclose(one.numpy(), expected, rtol=1e-12, atol=1e-12)
