"""The selective scan as a PyTorch operator: gradients, dtypes, and what torch itself asks of an operator."""

import pytest

from canthus import _native
from scan_inputs import error, make_inputs, recurrence

torch = pytest.importorskip("torch")
from canthus_model.selective_scan import backward_by_doubling, selective_scan  # noqa: E402
from canthus_model.selective_scan_reference import selective_scan_reference  # noqa: E402

NAMES = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias")
CASES = [
    {"groups": 2},
    {"groups": 4, "states": 5, "tokens": 129},
    {"B_rank": 2, "C_rank": 4, "states": 17},
    {"B_rank": 3, "C_rank": 2, "groups": 1},
    {"B_rank": 2, "C_rank": 2, "states": 33, "optional": False},
    {"tokens": 0},
]


def as_tensors(inputs, dtype=None, gradient=False):
    return {
        name: torch.from_numpy(value).to(dtype).requires_grad_(gradient) if name in NAMES else value
        for name, value in inputs.items()
    }


def test_reference_is_the_recurrence():
    for case in CASES[:5]:
        inputs = make_inputs(**case)
        y, state = selective_scan_reference(**as_tensors(inputs, torch.float64), return_last_state=True)
        expected_y, expected_state = recurrence(**inputs)
        assert error(y, expected_y) <= 1e-12 and error(state, expected_state) <= 1e-12


@pytest.mark.parametrize("instruction_set", _native.instruction_sets())
@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_against_autograd(case, instruction_set):
    inputs = make_inputs(**case)
    wide = as_tensors(inputs, torch.float64, gradient=True)
    y, state = selective_scan_reference(**wide, return_last_state=True)
    grad_y, grad_state = torch.randn_like(y), torch.randn_like(state)
    ((y * grad_y).sum() + (state * grad_state).sum()).backward()
    gradients = _native.selective_scan_backward(
        grad_y.float().numpy(), grad_state.float().numpy(), **inputs, threads=2, instruction_set=instruction_set
    )
    for name, gradient in zip(NAMES, gradients, strict=True):
        if name not in inputs:
            assert gradient is None
            continue
        expected = wide[name].grad if wide[name].grad is not None else torch.zeros_like(wide[name])
        assert gradient.shape == inputs[name].shape
        assert error(gradient, expected) <= 2e-5, name


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_by_doubling(case):
    """What GPUs take."""
    tensors = as_tensors(make_inputs(**case))
    grad_y = torch.randn_like(tensors["u"])
    grad_state = torch.randn(*grad_y.shape[:2], tensors["A"].shape[1])
    inputs = [tensors.get(name) for name in NAMES]
    softplus = tensors["delta_softplus"]
    expected = _native.selective_scan_backward(
        grad_y.numpy(), grad_state.numpy(), *(None if x is None else x.numpy() for x in inputs), softplus
    )
    found = iter(backward_by_doubling(grad_y, grad_state, *inputs, softplus))
    for wanted in expected:
        if wanted is not None:
            assert error(next(found), wanted) <= 2e-5
    assert next(found, None) is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_on_a_gpu(case, dtype):
    """As on the CPU, and as mamba_ssm where that is installed."""
    if not (torch.cuda.is_available() and _native.cuda_architectures()):
        pytest.skip("PyTorch sees no GPU, or canthus was built without CUDA")
    data = {name for name in ("u", "delta", "z", "B", "C") if case.get(f"{name}_rank", 4) != 2}
    tensors = {
        name: value.to(dtype).requires_grad_() if name in data else value
        for name, value in as_tensors(make_inputs(**case)).items()
    }
    on_gpu = {
        name: value.detach().cuda().requires_grad_(value.requires_grad) if torch.is_tensor(value) else value
        for name, value in tensors.items()
    }
    tolerance = {torch.float32: 1e-5, torch.float16: 1e-3, torch.bfloat16: 8e-3}[dtype]
    expected, found = (selective_scan(**inputs, return_last_state=True) for inputs in (tensors, on_gpu))
    for one, other in zip(found, expected, strict=True):
        assert error(one.detach().float().cpu(), other.detach().float()) <= tolerance
    for y, state in (expected, found):
        (y.float().sum() + state.sum()).backward()
    for name in data & tensors.keys():
        assert error(on_gpu[name].grad.float().cpu(), tensors[name].grad.float()) <= 2 * tolerance
    try:
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
    except ImportError:
        return
    if case != {"tokens": 0}:
        assert error(selective_scan_fn(**on_gpu).detach().float().cpu(), expected[0].detach().float()) <= tolerance


def test_gradients_against_finite_differences():
    """Of the reference in float64, along one random direction for each input."""
    inputs = make_inputs(tokens=20)
    wide = as_tensors(inputs, torch.float64)
    tensors = as_tensors(inputs, gradient=True)
    selective_scan(**tensors).sin().sum().backward()
    for name in NAMES:
        direction = torch.randn_like(wide[name])
        ahead = selective_scan_reference(**wide | {name: wide[name] + 1e-6 * direction}).sin().sum()
        behind = selective_scan_reference(**wide | {name: wide[name] - 1e-6 * direction}).sin().sum()
        expected = ((ahead - behind) / 2e-6).item()
        actual = (tensors[name].grad.double() * direction).sum().item()
        assert actual == pytest.approx(expected, rel=1e-4, abs=1e-4), name


@pytest.mark.parametrize("dtype, tolerance", [(torch.float16, 5e-4), (torch.bfloat16, 4e-3)])
def test_half_data_and_half_weights(dtype, tolerance):
    tensors = as_tensors(make_inputs(B_rank=3, C_rank=2), dtype, gradient=True)
    wide = {n: v.detach().double().requires_grad_() if n in NAMES else v for n, v in tensors.items()}
    y, state = selective_scan(**tensors, return_last_state=True)
    expected, expected_state = selective_scan_reference(**wide, return_last_state=True)
    assert y.dtype == dtype and state.dtype == torch.float32
    assert error(y.detach().double(), expected.detach()) <= tolerance
    assert error(state.detach(), expected_state.detach()) <= 1e-5
    y.sum().backward()
    expected.sum().backward()
    for name in NAMES:
        assert tensors[name].grad.dtype == dtype
        assert error(tensors[name].grad.double(), wide[name].grad) <= tolerance, name


def test_strided_inputs_are_taken_as_they_are():
    inputs = make_inputs()
    tensors = as_tensors(inputs)
    strided = tensors | {n: tensors[n].transpose(1, -1).contiguous().transpose(1, -1) for n in ("u", "delta", "B")}
    assert not strided["u"].is_contiguous()
    assert torch.equal(selective_scan(**strided), torch.from_numpy(_native.selective_scan(**inputs)))


@pytest.mark.parametrize("case", [{}, {"B_rank": 2, "C_rank": 3, "groups": 1, "optional": False}], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_torch_accepts_the_operator(case, dtype):
    tensors = as_tensors(make_inputs(tokens=6, **case), gradient=True)
    for name in ("u", "delta", "z", "B", "C"):
        if name in tensors and tensors[name].dim() > 2:
            tensors[name] = tensors[name].detach().to(dtype).requires_grad_()
    arguments = [tensors.get(name) for name in NAMES] + [tensors["delta_softplus"]]
    torch.library.opcheck(torch.ops.canthus.selective_scan.default, arguments)


def test_traced_as_one_node_of_any_batch():
    class Scan(torch.nn.Module):
        def forward(self, u, delta, A, B, C):
            return selective_scan(u, delta, A, B, C, delta_softplus=True)

    inputs = as_tensors(make_inputs(optional=False))
    arguments = [inputs[name] for name in NAMES[:5]]
    batch = torch.export.Dim("batch")
    axes = [{0: batch}, {0: batch}, None, {0: batch}, {0: batch}]
    program = torch.export.export(Scan(), tuple(arguments), dynamic_shapes=axes)
    operators = [n.target for n in program.graph.nodes if isinstance(n.target, torch._ops.OpOverload)]
    assert operators == [torch.ops.canthus.selective_scan.default]
    other = as_tensors(make_inputs(batch=5, optional=False))
    arguments = [other[name] for name in NAMES[:5]]
    assert torch.equal(program.module()(*arguments), Scan()(*arguments))


def test_wrong_shape():
    with pytest.raises(ValueError, match="A must have shape"):
        selective_scan(**as_tensors(make_inputs()) | {"A": torch.zeros(3, 16)})
