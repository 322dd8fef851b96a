"""The selective scan's kernels against the recurrence in float64, and what they say to wrong input."""

import re

import ml_dtypes
import numpy as np
import pytest

from canthus._native import instruction_sets, selective_scan, selective_scan_backward
from scan_inputs import any_inputs, assert_near, error, make_inputs, recurrence

BFLOAT16 = ml_dtypes.bfloat16
# Of the largest magnitude. For the halves it is the rounding of the output, 2^-11 and 2^-8 of each value.
TOLERANCE = {np.float32: 1e-5, np.float16: 5e-4, BFLOAT16: 4e-3}
DTYPES = pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda dtype: np.dtype(dtype).name)
INSTRUCTION_SETS = pytest.mark.parametrize("instruction_set", instruction_sets())
SHAPES = [
    {"batch": 1, "channels": 8, "tokens": 500, "groups": 1},
    {"batch": 2, "channels": 12, "tokens": 64, "groups": 4},
    {"batch": 3, "channels": 5, "tokens": 65, "states": 1, "groups": 5},
    {"batch": 1, "channels": 7, "tokens": 1, "states": 3, "groups": 1},
    {"batch": 2, "channels": 6, "tokens": 127, "states": 17, "groups": 2},
    {"batch": 2, "channels": 4, "tokens": 40, "states": 33, "groups": 1},
    # From 32 channels in a group on, vectors hold channels and not states.
    {"batch": 2, "channels": 32, "tokens": 130, "states": 16, "groups": 1},
    {"batch": 1, "channels": 74, "tokens": 33, "states": 11, "groups": 2},
    {"batch": 1, "channels": 50, "tokens": 1, "states": 1, "groups": 1},
]


@INSTRUCTION_SETS
@DTYPES
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_against_the_recurrence(shape, dtype, instruction_set):
    for B_rank, C_rank in [(4, 4), (2, 4), (4, 2), (2, 2)]:
        for optional in (True, False):
            inputs = make_inputs(**shape, B_rank=B_rank, C_rank=C_rank, optional=optional, dtype=dtype)
            y, state = selective_scan(**inputs, return_last_state=True, threads=2, instruction_set=instruction_set)
            expected_y, expected_state = recurrence(**inputs)
            assert y.dtype == dtype and state.dtype == np.float32
            assert error(y, expected_y) <= TOLERANCE[dtype]
            assert error(state, expected_state) <= 1e-5


@pytest.mark.parametrize("left_out", ["D", "z", "delta_bias", "delta_softplus"])
def test_each_optional_input_alone(left_out):
    inputs = make_inputs(B_rank=3, C_rank=3)
    inputs["delta"] = abs(inputs["delta"])
    inputs["delta_bias"] = abs(inputs["delta_bias"])
    del inputs[left_out]
    assert error(selective_scan(**inputs), recurrence(**inputs)[0]) <= 1e-5


def test_threads_change_nothing():
    inputs = make_inputs(channels=80, groups=1)
    assert np.array_equal(selective_scan(**inputs, threads=1), selective_scan(**inputs, threads=5))


@pytest.mark.parametrize("channels", [8, 32])
def test_no_states(channels):
    u = np.ones((2, channels, 40), np.float32)
    B = np.zeros((2, 0, 40), np.float32)
    y, state = selective_scan(u, u, np.zeros((channels, 0), np.float32), B, B, return_last_state=True)
    assert not y.any() and state.shape == (2, channels, 0)


@pytest.mark.parametrize("batch, tokens", [(0, 10), (2, 0), (0, 0)])
def test_nothing_to_do(batch, tokens):
    inputs = make_inputs(batch=batch, tokens=tokens)
    y, state = selective_scan(**inputs, return_last_state=True)
    assert y.shape == (batch, 8, tokens)
    assert np.array_equal(state, np.zeros((batch, 8, 16)))


def test_empty_arrays_of_huge_sizes_take_no_time():
    empty = np.zeros((1, 2**40, 0), np.float32)
    none = np.zeros((2**40, 0), np.float32)
    assert selective_scan(empty, empty, none, none, none).shape == empty.shape


@INSTRUCTION_SETS
@pytest.mark.parametrize("channels", [8, 80])
@pytest.mark.parametrize("states", [3, 16])
def test_nan_stays_in_its_channel_and_after_its_token(states, channels, instruction_set):
    inputs = make_inputs(states=states, channels=channels)
    inputs["u"][1, 3, 40] = np.nan
    y, state = selective_scan(**inputs, return_last_state=True, instruction_set=instruction_set)
    expected_y, expected_state = recurrence(**inputs)
    assert np.isnan(expected_y).sum() == 30
    assert np.array_equal(np.isnan(y), np.isnan(expected_y))
    assert np.array_equal(np.isnan(state), np.isnan(expected_state))


@INSTRUCTION_SETS
@pytest.mark.parametrize("channels", [8, 80])
def test_nan_whose_bits_are_all_ones(channels, instruction_set):
    """Arithmetic on the bits of an exponential must not make a number of it."""
    nan = np.array([0xFFFFFFFF], np.uint32).view(np.float32)[0]
    inputs = make_inputs(states=8, channels=channels)
    inputs["A"][2, 1] = inputs["delta"][0, 5, 9] = nan
    y = selective_scan(**inputs, instruction_set=instruction_set)
    assert np.isnan(y[:, 2]).all()
    assert np.isnan(y[0, 5, 9:]).all()
    assert not np.isnan(y[0, 5, :9]).any()


@INSTRUCTION_SETS
@pytest.mark.parametrize("channels", [8, 80])
def test_infinite_and_large_steps(channels, instruction_set):
    """A step of infinity forgets the state; with N = 3 the padding sees 0 times infinity and must not leak."""
    inputs = make_inputs(states=3, channels=channels, optional=False)
    inputs["delta"][0, 0, 20] = np.inf
    inputs["delta"][0, 1, 20] = 1e30
    inputs["B"], inputs["C"] = abs(inputs["B"]), abs(inputs["C"])
    inputs["u"] = abs(inputs["u"])
    y, state = selective_scan(**inputs, return_last_state=True, instruction_set=instruction_set)
    expected, expected_state = recurrence(**inputs)
    assert y[0, 0, 20] == expected[0, 0, 20] == np.inf
    assert np.array_equal(np.isnan(y), np.isnan(expected))
    assert np.array_equal(np.isinf(y), np.isinf(expected))
    assert np.array_equal(np.isnan(state), np.isnan(expected_state))
    assert np.allclose(y[0, 1, 20:], expected[0, 1, 20:], rtol=1e-5)


def test_fuzz():
    """Shapes and sizes of values as they come, each instruction set against float64."""
    random = np.random.default_rng(3)
    for seed in range(150):
        inputs, case = any_inputs(random, seed, channels=50, tokens=140, states=40)
        with np.errstate(invalid="ignore", over="ignore"):
            expected = recurrence(**inputs)
        for instruction_set in instruction_sets():
            found = selective_scan(**inputs, return_last_state=True, instruction_set=instruction_set)
            for got, wanted in zip(found, expected, strict=True):
                assert_near(got, wanted, (case, instruction_set))


@INSTRUCTION_SETS
def test_softplus_and_gate_over_their_whole_range(instruction_set):
    """One token: y = delta u B C SiLU(z), so each function can be seen by itself."""
    x = np.concatenate([np.linspace(-80, 80, 2001), [-np.inf, np.inf, np.nan]]).astype(np.float32)
    weights = {"A": -np.ones((1, 1), np.float32), "B": np.ones((1, 1), np.float32), "C": np.ones((1, 1), np.float32)}
    tokens = x.reshape(-1, 1, 1)  # each its own batch element
    one = np.ones_like(tokens)
    options = {"instruction_set": instruction_set}
    softplus = selective_scan(one, tokens, **weights, delta_softplus=True, **options)
    gate = selective_scan(one, one, **weights, z=tokens, **options)
    wide = tokens.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        np.testing.assert_allclose(softplus, np.logaddexp(0, wide), rtol=1e-5)
        np.testing.assert_allclose(gate, wide / (1 + np.exp(-wide)), rtol=1e-5, atol=1e-30)


@INSTRUCTION_SETS
@pytest.mark.parametrize("dtype", [np.float16, BFLOAT16])
def test_every_half_precision_number(dtype, instruction_set):
    """From u to y with D and no states: all 65536 go through a factor of 1, and are rounded as numpy does."""
    u = np.arange(65536, dtype=np.uint16).view(dtype).reshape(1, 1, -1)
    none, zero = np.zeros((1, 0), np.float32), np.zeros_like(u)
    full_nan = np.array([0x7FFFFFFF], np.uint32).view(np.float32)[0]  # rounding up would make it zero
    for factor in (1.0, 1.5, 0.7003, 1.9e-3, full_nan):  # 1.5 gives ties
        D = np.array([factor], np.float32)
        y = selective_scan(u, zero, none, none, none, D=D, instruction_set=instruction_set)
        with np.errstate(all="ignore"):
            expected = (u.astype(np.float32) * D).astype(dtype)
            nan = np.isnan(expected)
            assert np.array_equal(np.isnan(y), nan)
        assert np.array_equal(y.view(np.uint16)[~nan], expected.view(np.uint16)[~nan])


@pytest.mark.parametrize(
    "change, kind, message",
    [
        ({"u": [1.0]}, TypeError, "u must be a numpy array, got list"),
        ({"B": None}, TypeError, "B must be a numpy array, got None"),
        ({"u": np.zeros((2, 8, 70))}, TypeError, "u must be float32, float16 or bfloat16, got float64"),
        ({"z": np.zeros((2, 8, 70), np.float16)}, TypeError, "z must be float32, got float16"),
        ({"A": np.zeros((8, 16), np.float16)}, TypeError, "A must be float32, got float16"),
        ({"u": np.zeros((70, 8, 2), np.float32).T}, ValueError, "u must be C-contiguous.*ascontiguousarray"),
        ({"u": np.zeros((8, 70), np.float32)}, ValueError, r"u must have shape (B, D, L), got (8, 70)"),
        ({"delta": np.zeros((2, 8, 69), np.float32)}, ValueError, "= (2, 8, 70), got (2, 8, 69)"),
        ({"A": np.zeros((7, 16), np.float32)}, ValueError, "A must have shape (D, N) = (8, 16), got (7, 16)"),
        ({"B": np.zeros((2, 3, 16, 70), np.float32)}, ValueError, "G dividing D, got (2, 3, 16, 70)"),
        ({"B": np.zeros((2, 0, 16, 70), np.float32)}, ValueError, "G dividing D, got (2, 0, 16, 70)"),
        ({"C": np.zeros((2, 2, 16, 70, 1), np.float32)}, ValueError, "got (2, 2, 16, 70, ...)"),
        ({"C": np.zeros((2, 4, 16, 70), np.float32)}, ValueError, "equally many groups, got 2 and 4"),
        ({"D": np.zeros(7, np.float32)}, ValueError, "D must have shape (D,) = (8,), got (7,)"),
        ({"threads": 0}, ValueError, "threads must be at least 1, got 0"),
        ({"instruction_set": "mmx"}, ValueError, "no instruction set 'mmx'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_wrong_input(change, kind, message):
    pattern = message if ".*" in message else re.escape(message)
    with pytest.raises(kind, match=pattern):
        selective_scan(**(make_inputs() | change))


def test_wrong_gradients():
    inputs = make_inputs()
    with pytest.raises(ValueError, match=re.escape("grad_y must have shape (B, D, L) = (2, 8, 70), got (2, 8, 1)")):
        selective_scan_backward(np.zeros((2, 8, 1), np.float32), None, **inputs)
    halves = make_inputs(dtype=np.float16)
    with pytest.raises(TypeError, match="gradients need float32, got float16"):
        selective_scan_backward(np.zeros((2, 8, 70), np.float32), None, **halves)
