"""Mamba-2's scan: the kernels against the recurrence in float64, and what they say to wrong input."""

import re

import numpy as np
import pytest

from canthus._native import instruction_sets, ssd
from ssd_inputs import make_inputs, recurrence

INSTRUCTION_SETS = pytest.mark.parametrize("instruction_set", instruction_sets())
SHAPES = [
    {"batch": 2, "tokens": 40, "heads": 4, "head_size": 8, "groups": 2, "states": 16},
    {"batch": 1, "tokens": 1, "heads": 1, "head_size": 1, "groups": 1, "states": 1},
    {"batch": 1, "tokens": 17, "heads": 3, "head_size": 5, "groups": 1, "states": 7},
    {"batch": 1, "tokens": 33, "heads": 2, "head_size": 64, "groups": 1, "states": 128},
    {"batch": 2, "tokens": 64, "heads": 6, "head_size": 96, "groups": 3, "states": 33},
    {"batch": 1, "tokens": 300, "heads": 2, "head_size": 24, "groups": 2, "states": 20},
]


def error(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


@INSTRUCTION_SETS
@pytest.mark.parametrize("initial_state", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_against_the_recurrence(shape, initial_state, instruction_set):
    inputs = make_inputs(**shape, initial_state=initial_state)
    found = ssd(**inputs, threads=2, instruction_set=instruction_set)
    for one, expected in zip(found, recurrence(**inputs), strict=True):
        assert one.dtype == np.float32 and one.shape == expected.shape
        assert error(one, expected) < 2e-6


@INSTRUCTION_SETS
@pytest.mark.parametrize("longest", [1e-3, 50.0, 1e4])
def test_decays_that_hardly_are_and_that_leave_nothing(longest, instruction_set):
    inputs = make_inputs(tokens=90, longest=longest)
    found = ssd(**inputs, instruction_set=instruction_set)
    for one, expected in zip(found, recurrence(**inputs), strict=True):
        assert error(one, expected) < 2e-6


def test_threads_change_nothing_and_a_state_goes_on():
    inputs = make_inputs(tokens=70)
    y, state = ssd(**inputs, threads=1)
    again = ssd(**inputs, threads=5)
    assert np.array_equal(y, again[0]) and np.array_equal(state, again[1])
    first, second = (
        {name: np.ascontiguousarray(array[:, part]) if name in ("x", "dt", "B", "C") else array
         for name, array in inputs.items()}
        for part in (np.s_[:27], np.s_[27:])
    )  # fmt: skip
    y_first, between = ssd(**first)
    y_second, last = ssd(**second | {"initial_state": between})
    assert error(np.concatenate([y_first, y_second], 1), y) < 1e-6 and error(last, state) < 1e-6


def test_no_token_sees_a_later_one():
    inputs = make_inputs(tokens=40)
    y, _ = ssd(**inputs)
    for name in ("x", "dt", "B", "C"):
        inputs[name][:, 21:] *= 3
    assert np.array_equal(ssd(**inputs)[0][:, :21], y[:, :21])


@pytest.mark.parametrize("sizes", [{"batch": 0}, {"tokens": 0}, {"heads": 0}, {"head_size": 0}, {"states": 0}], ids=str)
def test_nothing_to_do(sizes):
    inputs = make_inputs(**sizes)
    y, state = ssd(**inputs)
    assert y.shape == inputs["x"].shape and not y.any()
    if "tokens" in sizes:
        assert np.array_equal(state, inputs["initial_state"])


@pytest.mark.parametrize(
    "name, change, says",
    [
        ("x", lambda a: a[0], "x must have shape (B, L, H, P), got (40, 4, 8)"),
        ("dt", lambda a: a[:, 1:], "dt must have shape (B, L, H) = (2, 40, 4), got (2, 39, 4)"),
        ("A", lambda a: a[1:], "A must have shape (H,) = (4,), got (3,)"),
        ("B", lambda a: a[:, :, [0, 0, 0]], "B must have shape (B, L, G, N) with G dividing H"),
        ("C", lambda a: a[..., 1:], "C must have shape that of B, (B, L, G, N) = (2, 40, 2, 16)"),
        ("initial_state", lambda a: a[:, :, 1:], "initial_state must have shape (B, H, P, N) = (2, 4, 8, 16)"),
    ],
)
def test_shapes_that_do_not_fit(name, change, says):
    inputs = make_inputs()
    inputs[name] = np.ascontiguousarray(change(inputs[name]))
    with pytest.raises(ValueError, match=re.escape(f"ssd: {says}")):
        ssd(**inputs)


def test_what_else_is_refused():
    inputs = make_inputs()
    with pytest.raises(TypeError, match="ssd: dt must be float32, got float64"):
        ssd(**inputs | {"dt": inputs["dt"].astype(float)})
    with pytest.raises(TypeError, match="ssd: B must be a numpy array, got None"):
        ssd(**inputs | {"B": None})
    with pytest.raises(ValueError, match="ssd: x must be C-contiguous"):
        ssd(**inputs | {"x": inputs["x"][:, ::-1]})
    with pytest.raises(ValueError, match="ssd: threads must be at least 1, got 0"):
        ssd(**inputs, threads=0)
    with pytest.raises(ValueError, match="ssd: this machine has no instruction set 'mmx'"):
        ssd(**inputs, instruction_set="mmx")
