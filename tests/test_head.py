"""McoMamba, Mcib and RoutedExperts: every instruction set against float64, and shapes and values of all kinds."""

import numpy as np
import pytest

import head_inputs
from canthus import _native
from scan_inputs import error

SETS = _native.instruction_sets()
CASES = {
    "mco_mamba": [{}, {"batch": 1, "tokens": 500}, {"tokens": 1}, {"tokens": 64}, {"tokens": 129, "batch": 3}],
    "mcib": [
        {},
        {"batch": 1, "tokens": 500, "width": 64},
        {"tokens": 1, "width": 3},
        {"tokens": 16, "int8": True},
        {"tokens": 200, "width": 130, "int8": True},
        {"tokens": 33, "scale": 30.0},  # scores beyond what two to the power of them could hold
    ],
    "routed_experts": [
        {},
        {"batch": 64, "seed": 1},
        {"batch": 1, "width": 1024, "int8": True},
        {"width": 130, "int8": True, "labels": 3},
        {"width": 8, "labels": 8},
    ],
}
EVERY_CASE = pytest.mark.parametrize("name, case", [(n, c) for n, cases in CASES.items() for c in cases], ids=str)


def make_inputs(name, **case):
    return getattr(head_inputs, f"{name}_inputs")(**case)


def run(name, inputs, **options):
    """All outputs, as a tuple."""
    result = getattr(_native, name)(*inputs, **options)
    return result if isinstance(result, tuple) else (result,)


def expected(name, inputs):
    return getattr(head_inputs, name)(*inputs)


@EVERY_CASE
@pytest.mark.parametrize("instruction_set", SETS)
def test_equals_float64(name, case, instruction_set):
    inputs = make_inputs(name, **case)
    for got, wanted in zip(run(name, inputs, instruction_set=instruction_set), expected(name, inputs), strict=True):
        assert got.dtype == np.float32 and got.shape == wanted.shape
        assert error(got, wanted) <= 1e-5


@EVERY_CASE
def test_threads_change_nothing(name, case):
    inputs = make_inputs(name, **case)
    for one, three in zip(run(name, inputs), run(name, inputs, threads=3), strict=True):
        assert np.array_equal(one, three)


def test_fuzz():
    """Shapes, sizes of values and kinds of weights as they come."""
    random = np.random.default_rng(7)
    for seed in range(120):
        name = head_inputs.NAMES[seed % 3]
        case = {"batch": int(random.integers(1, 4)), "seed": seed, "scale": float(10 ** random.uniform(-3, 1))}
        if name == "routed_experts":
            case |= {"width": 2 * int(random.integers(4, 60)), "labels": int(random.integers(1, 9))}
        else:
            case["tokens"] = int(random.integers(1, 150))
        if name != "mco_mamba":
            case["int8"] = bool(random.integers(2))
        inputs = make_inputs(name, **case)
        wanted = expected(name, inputs)
        for instruction_set in SETS:
            for got, one in zip(run(name, inputs, instruction_set=instruction_set), wanted, strict=True):
                assert error(got, one) <= 1e-5, (name, case, instruction_set)


@pytest.mark.parametrize("instruction_set", SETS)
def test_every_expert_answers_when_it_is_chosen(instruction_set):
    inputs = make_inputs("routed_experts", batch=64, seed=1)
    logits, weights = run("routed_experts", inputs, instruction_set=instruction_set)
    assert (weights > 0).any(0).all(), "some expert is never chosen: this test would miss it"
    assert ((weights > 0).sum(1) == 2).all()
    assert error(logits, expected("routed_experts", inputs)[0]) <= 1e-5


@pytest.mark.parametrize("name", head_inputs.NAMES)
@pytest.mark.parametrize("instruction_set", SETS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, 1e-42])
def test_odd_values_reach_the_answer_they_belong_to_and_no_other(name, instruction_set, value):
    inputs = make_inputs(name, batch=3)
    clean = run(name, inputs, instruction_set=instruction_set)
    inputs[0][1].reshape(-1)[5] = value
    odd = run(name, inputs, instruction_set=instruction_set)
    for before, after in zip(clean, odd, strict=True):
        assert np.array_equal(before[[0, 2]], after[[0, 2]])
        assert np.isfinite(after[1]).all() or not np.isfinite(value) or abs(value) > 1e30
        if np.isnan(value) and name != "mco_mamba":  # there only what follows in time
            assert np.isnan(after[1]).any()


@pytest.mark.parametrize("name", head_inputs.NAMES)
def test_empty_batch_and_no_tokens(name):
    inputs = make_inputs(name, batch=0)
    assert [len(result) for result in run(name, inputs)] == [0] * len(expected(name, inputs))
    if name != "routed_experts":
        inputs = make_inputs(name, tokens=0)
        for got, wanted in zip(run(name, inputs), expected(name, inputs), strict=True):
            assert got.shape == wanted.shape and error(got, wanted) <= 1e-5


@pytest.mark.parametrize("name", head_inputs.NAMES)
def test_every_wrong_argument_is_named(name):
    inputs = make_inputs(name)
    for place, array in enumerate(inputs):
        for wrong in (array[..., None].copy(), array.astype(np.float64), np.concatenate([array, array], -1)):
            with pytest.raises(ValueError, match=rf"^{name}: \w+ must (have shape|be float32)"):
                run(name, [*inputs[:place], wrong, *inputs[place + 1 :]])
        with pytest.raises(TypeError, match="must be a numpy array"):
            run(name, [*inputs[:place], array.tolist(), *inputs[place + 1 :]])
        if array.ndim > 1:
            with pytest.raises(ValueError, match="must be C-contiguous"):
                run(name, [*inputs[:place], array.T, *inputs[place + 1 :]])
        with pytest.raises(ValueError, match="got none"):
            run(name, [*inputs[:place], None, *inputs[place + 1 :]])
    with pytest.raises(TypeError, match="takes"):
        run(name, [*inputs, inputs[0]])
    with pytest.raises(ValueError, match="no instruction set 'mmx'"):
        run(name, inputs, instruction_set="mmx")
