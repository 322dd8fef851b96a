"""The selective scan for accelerators, run on the CPU: the same answers and gradients as the loop."""

import sys
import types

import pytest

from scan_inputs import error, make_inputs
from test_selective_scan_torch import CASES, NAMES, as_tensors

torch = pytest.importorskip("torch")
from canthus_model.mamba import scan_for  # noqa: E402
from canthus_model.selective_scan import selective_scan  # noqa: E402
from canthus_model.selective_scan_doubling import selective_scan_doubling  # noqa: E402
from canthus_model.selective_scan_reference import selective_scan_reference  # noqa: E402


@pytest.mark.parametrize("case", [*CASES, {"tokens": 1}, {"B_rank": 3, "C_rank": 3, "tokens": 500}], ids=str)
def test_same_as_the_loop_forward_and_backward(case):
    inputs = make_inputs(**case)
    narrow, wide = as_tensors(inputs, gradient=True), as_tensors(inputs, torch.float64, gradient=True)
    y, state = selective_scan_doubling(**narrow)
    expected_y, expected_state = selective_scan_reference(**wide, return_last_state=True)
    assert y.dtype == state.dtype == torch.float32
    assert y.shape == expected_y.shape and state.shape == expected_state.shape
    assert error(y.detach(), expected_y.detach()) <= 1e-5 and error(state.detach(), expected_state.detach()) <= 1e-5
    weights, state_weights = torch.randn_like(expected_y), torch.randn_like(expected_state)
    ((y * weights).sum() + (state * state_weights).sum()).backward()
    ((expected_y * weights).sum() + (expected_state * state_weights).sum()).backward()
    for name in NAMES:
        if name in narrow and inputs["u"].size:
            assert error(narrow[name].grad, wide[name].grad) <= 2e-5, name


def test_half_data_is_summed_in_float32():
    tensors = as_tensors(make_inputs(), torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        y, state = selective_scan_doubling(**tensors)
    wide = {n: v.double() if n in NAMES else v for n, v in tensors.items()}
    expected, expected_state = selective_scan_reference(**wide, return_last_state=True)
    assert y.dtype == torch.bfloat16 and state.dtype == torch.float32
    assert error(y.double(), expected) <= 4e-3 and error(state, expected_state) <= 1e-5


def test_off_the_cpu_the_doubling_is_used(monkeypatch):
    answer = torch.zeros(2, 8, 70), torch.zeros(2, 8, 16)
    monkeypatch.setattr("canthus_model.selective_scan.selective_scan_doubling", lambda *inputs: answer)
    tensors = {n: v.to("meta") if n in NAMES else v for n, v in as_tensors(make_inputs()).items()}
    assert selective_scan(**tensors) is answer[0]
    assert selective_scan(**tensors, return_last_state=True) == answer


def test_network_takes_mamba_ssm_on_gpus_where_installed(monkeypatch):
    interface = types.ModuleType("mamba_ssm.ops.selective_scan_interface")
    interface.selective_scan_fn = lambda *inputs: None
    for name in ("mamba_ssm", "mamba_ssm.ops"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, interface.__name__, interface)
    choose = scan_for.__wrapped__
    assert choose("cuda") is interface.selective_scan_fn
    assert choose("cpu") is selective_scan
    monkeypatch.setitem(sys.modules, interface.__name__, None)  # importing it fails
    assert choose("cuda") is selective_scan
