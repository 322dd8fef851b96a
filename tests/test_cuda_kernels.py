"""The CUDA kernels: on the CPU, as fibers (tests/cuda_on_host), and on a GPU where there is one."""

import re
import subprocess

import ml_dtypes
import numpy as np
import pytest

import head_inputs
from canthus import _native
from canthus.operators import library_path
from cuda_device import cuda_toolkit, open_device
from scan_inputs import any_inputs, assert_near, error, make_inputs, recurrence

BFLOAT16 = ml_dtypes.bfloat16
TOLERANCE = {np.float32: 1e-5, np.float16: 5e-4, BFLOAT16: 4e-3}
"""As on the CPU, see test_selective_scan.py."""


@pytest.fixture(scope="module", params=["host", "gpu"])
def device(request):
    return open_device(request.param)


def scan(device, last_state=True, **inputs):
    y = np.full_like(inputs["u"], 7)
    results = {"y": y}
    if last_state:
        results["last_state"] = np.full((*y.shape[:2], inputs["A"].shape[1]), 7, np.float32)
    device.run(device.cuda.selective_scan, results=results, **inputs)
    return tuple(results.values())


@pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize(
    "shape",
    [
        {"batch": 1, "channels": 8, "tokens": 500, "groups": 1},
        {"batch": 2, "channels": 12, "tokens": 64, "groups": 4},
        {"batch": 3, "channels": 5, "tokens": 257, "states": 1, "groups": 5},
        {"batch": 1, "channels": 7, "tokens": 1, "states": 3, "groups": 1},
        {"batch": 2, "channels": 6, "tokens": 256, "states": 17, "groups": 2},
        {"batch": 1, "channels": 2, "tokens": 9, "states": 256, "groups": 1},
        {"batch": 8, "channels": 65, "tokens": 8, "states": 2, "groups": 1},  # blocks of eight channels
    ],
    ids=str,
)
def test_scan_is_the_recurrence(device, shape, dtype):
    for B_rank, C_rank, optional in [(4, 4, True), (2, 4, False), (4, 2, True), (2, 2, False)]:
        inputs = make_inputs(**shape, B_rank=B_rank, C_rank=C_rank, optional=optional, dtype=dtype)
        y, state = scan(device, **inputs)
        expected_y, expected_state = recurrence(**inputs)
        assert error(y, expected_y) <= TOLERANCE[dtype]
        assert error(state, expected_state) <= 1e-5


def test_scan_fuzz(device):
    """Shapes and sizes of values as they come, zeros, NaN and infinity among them."""
    random = np.random.default_rng(3)
    for seed in range(40):
        inputs, case = any_inputs(random, seed, channels=4, tokens=300, states=20)
        with np.errstate(invalid="ignore", over="ignore"):
            expected = recurrence(**inputs)
        for got, wanted in zip(scan(device, **inputs), expected, strict=True):
            assert_near(got, wanted, case)


def test_scan_without_last_state_batch_or_tokens(device):
    inputs = make_inputs(tokens=33)
    assert np.array_equal(scan(device, last_state=False, **inputs)[0], scan(device, **inputs)[0])
    y, state = scan(device, **make_inputs(tokens=0))
    assert y.size == 0 and not state.any()
    assert scan(device, **make_inputs(batch=0))[0].size == 0


@pytest.mark.parametrize(
    "change, kind, message",
    [
        ({"u": None}, TypeError, "u must be float32, float16 or bfloat16, got None"),
        ({"z": np.zeros((2, 8, 70), np.float16)}, TypeError, "z must be float32, got float16"),
        ({"A": np.zeros((7, 16), np.float32)}, ValueError, r"A must have shape \(D, N\)"),
        ({"B": np.zeros((2, 3, 16, 70), np.float32)}, ValueError, "G dividing D"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_scan_refuses(device, change, kind, message):
    results = {"y": np.zeros((2, 8, 70), np.float32)}
    with pytest.raises(kind, match=message):
        device.run(device.cuda.selective_scan, results=results, **(make_inputs() | change))


def test_scan_refuses_more_states_than_it_keeps_and_wrong_results(device):
    with pytest.raises(ValueError, match="A has 257 states; on a GPU it may have 256"):
        scan(device, **make_inputs(channels=2, tokens=2, states=257))
    with pytest.raises(ValueError, match=r"y must be float32 of shape \(2, 8, 70\), got float32 of shape \(2, 8, 69\)"):
        results = {"y": np.zeros((2, 8, 69), np.float32)}
        device.run(device.cuda.selective_scan, results=results, **make_inputs())
    with pytest.raises(TypeError, match="u must be an array in a GPU's memory, got list"):
        device.cuda.selective_scan([1.0], [1.0], [1.0], [1.0], [1.0], y=[1.0])


RESULTS = {"mco_mamba": ["y"], "mcib": ["fused"], "routed_experts": ["logits", "weights"]}
HEAD_CASES = {
    "mco_mamba": [{}, {"batch": 1, "tokens": 500}, {"tokens": 1}, {"tokens": 128}, {"tokens": 129, "batch": 3}],
    "mcib": [
        {},
        {"batch": 1, "tokens": 500, "width": 64},
        {"tokens": 1, "width": 3},
        {"tokens": 16, "int8": True},
        {"tokens": 200, "width": 130, "int8": True},
        {"tokens": 33, "scale": 30.0},
    ],
    "routed_experts": [
        {},
        {"batch": 64, "seed": 1},
        {"batch": 1, "width": 1024, "int8": True},
        {"width": 130, "int8": True, "labels": 3},
        {"width": 8, "labels": 8},
    ],
}


def head(device, name, inputs):
    shapes = [wanted.shape for wanted in getattr(head_inputs, name)(*inputs)]
    results = dict(zip(RESULTS[name], (np.full(shape, 7, np.float32) for shape in shapes), strict=True))
    workspace = device.workspace(name, inputs)
    device.run(getattr(device.cuda, name), *inputs, results=results, workspace=workspace)
    return tuple(results.values())


@pytest.mark.parametrize("name, case", [(n, c) for n, cases in HEAD_CASES.items() for c in cases], ids=str)
def test_head_is_that_in_float64(device, name, case):
    inputs = getattr(head_inputs, f"{name}_inputs")(**case)
    for got, wanted in zip(head(device, name, inputs), getattr(head_inputs, name)(*inputs), strict=True):
        assert error(got, wanted) <= 1e-5


@pytest.mark.parametrize("name", head_inputs.NAMES)
def test_head_of_nothing(device, name):
    for case in [{"batch": 0}, *([] if name == "routed_experts" else [{"tokens": 0}])]:
        inputs = getattr(head_inputs, f"{name}_inputs")(**case)
        for got, wanted in zip(head(device, name, inputs), getattr(head_inputs, name)(*inputs), strict=True):
            assert error(got, wanted) <= 1e-5


@pytest.mark.parametrize("name", head_inputs.NAMES)
def test_odd_values_stay_in_their_batch_element(device, name):
    inputs = getattr(head_inputs, f"{name}_inputs")(batch=3)
    clean = head(device, name, inputs)
    inputs[0][1].reshape(-1)[5] = np.nan
    for before, after in zip(clean, head(device, name, inputs), strict=True):
        assert np.array_equal(before[[0, 2]], after[[0, 2]]) and np.isnan(after[1]).any()


def test_head_refuses_a_workspace_of_another_size(device):
    inputs = head_inputs.mcib_inputs()
    with pytest.raises(ValueError, match=r"workspace must be float32 of shape \(560,\), got float32 of shape \(3,\)"):
        device.run(
            device.cuda.mcib,
            *inputs,
            results={"fused": np.zeros((2, 24), np.float32)},
            workspace=np.zeros(3, np.float32),
        )


@pytest.mark.parametrize("contribution, neutral", [(0.5, 0.5), (0.1, 0.3)])
def test_events_become_the_image_that_the_cpu_makes(device, contribution, neutral):
    random = np.random.default_rng(0)
    width, height, count = 70, 61, 9001
    t = np.sort(random.integers(0, 40_000, count)).astype(np.int64)
    x, y = (random.integers(0, n, count).astype(np.uint16) for n in (width, height))
    x[:3000] %= 3  # many of a few pixels, so that a warp has several of one
    y[:3000] %= 2
    p = random.integers(0, 2, count).astype(np.uint8)
    window = _native.EventWindow(width, height, contribution, neutral)
    window.push(t, x, y, p)
    x[5], p[count - 1] = width, 2
    image, refused = np.zeros((height, width), np.uint8), np.array([10], np.uint32)
    # The two events that were spoilt lie outside the window of the first image.
    for after, until, expected in [(7000, 39_990, 10), (-1, 50_000, 12)]:
        device.run(
            device.cuda.accumulate,
            *(t, x, y, p),
            after=after,
            until=until,
            contribution=contribution,
            neutral=neutral,
            results={"image": image, "refused": refused},
        )
        assert refused[0] == expected
        if until < 40_000:
            assert np.array_equal(image, window.image(until, until - after))


@pytest.mark.parametrize(
    "box, width, height", [((43, 0, 303, 260), 100, 100), ((0, 0, 346, 260), 133, 100), ((5, 6, 20, 16), 40, 41)]
)
def test_resize_is_that_of_the_cpu(device, box, width, height):
    image = np.random.default_rng(0).integers(0, 256, (260, 346)).astype(np.uint8)
    out = np.zeros((height, width), np.uint8)
    device.run(device.cuda.Resize(346, 260, box, width, height), image, results={"out": out})
    assert np.array_equal(out, _native.Resize(346, 260, box, width, height)(image))


def cuobjdump(*arguments):
    """What it prints; skips the test where there is none, or canthus was built without CUDA."""
    toolkit = cuda_toolkit()
    if not _native.cuda_architectures():
        pytest.skip("canthus was built without CUDA")
    if toolkit is None or not (toolkit / "bin" / "cuobjdump").is_file():
        pytest.skip("there is no cuobjdump")
    command = [toolkit / "bin" / "cuobjdump", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("library", [_native.__file__, library_path()], ids=["_native", "canthus_ops"])
def test_kernels_are_there_for_every_gpu_that_is_promised(library):
    listed = {what: set(re.findall(r"sm_\d+", cuobjdump(f"--list-{what}", library))) for what in ("elf", "ptx")}
    assert listed["elf"] == set(_native.cuda_architectures()) >= {"sm_80", "sm_86", "sm_87", "sm_89", "sm_90"}
    assert listed["ptx"] == {"sm_80"}


def test_no_kernel_spills_registers():
    """They would be in a stack."""
    usage = cuobjdump("--dump-resource-usage", _native.__file__)
    found = re.findall(r"Function (\S+):\s*REG:(\d+) STACK:(\d+) .*?LOCAL:(\d+)", usage)
    scans = [name for name, *_ in found if "scan" in name]
    assert len(scans) == 7 * len(_native.cuda_architectures())  # six of SelectiveScan, one of McoMamba
    assert all(int(stack) == int(local) == 0 for _, _, stack, local in found)
    assert all(int(registers) <= 128 for _, registers, _, _ in found)
