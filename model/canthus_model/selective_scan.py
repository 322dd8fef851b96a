"""Mamba's selective scan with gradients: a PyTorch operator, `torch.ops.canthus.selective_scan`, where it has a kernel.

`selective_scan` has the signature of mamba_ssm's `selective_scan_fn`, for real A.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from canthus import _native
from canthus.device.requirements import covers
from canthus_model.selective_scan_doubling import selective_scan_doubling


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    return_last_state: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Run the state-space recurrence of Mamba (arXiv 2312.00752) over tokens.

    d = softplus(delta + delta_bias); h[t] = exp(d[t] A) h[t-1] + d[t] B[t] u[t], h[-1] = 0;
    y[t] = (sum over states of C[t] h[t] + D u[t]) SiLU(z[t]). Arithmetic is float32. The CPU has a kernel, and
    NVIDIA's GPUs of compute capability 8.0 or later have one where canthus was built with CUDA (gradients there are by
    PyTorch's own operations). Elsewhere those do it all, in log2(L) steps.

    Args:
        u, delta: (B, D, L), one of float32, float16, bfloat16: the data type.
        A: (D, N), real.
        B, C: each (D, N), the same for all tokens; or of the data type, (B, N, L), or in G groups of D / G
            neighbouring channels, (B, G, N, L).
        D, delta_bias: (D,), or None for zero.
        z: (B, D, L), of the data type, or None for no gate.
        delta_softplus: whether d is softplus of delta plus bias, or just that.
        return_last_state: whether to return h[L-1] too.

    A, D, delta_bias and constant B and C are converted to float32.

    Returns:
        y, (B, D, L) of the data type; with return_last_state a tuple of y and (B, D, N) float32.

    Raises:
        ValueError: a shape doesn't fit.
        TypeError: a dtype doesn't fit.

    Where there is no kernel, nothing but PyTorch's broadcasting looks at shapes and dtypes.
    """
    scan = torch.ops.canthus.selective_scan if _has_kernel(u.device, A) else selective_scan_doubling
    y, last_state = scan(
        u,
        delta,
        _float32(A),
        _float32(B) if B.dim() == 2 else B,
        _float32(C) if C.dim() == 2 else C,
        None if D is None else _float32(D),
        z,
        None if delta_bias is None else _float32(delta_bias),
        delta_softplus,
    )
    return (y, last_state) if return_last_state else y


def _has_kernel(device: torch.device, A: Tensor) -> bool:
    if device.type == "cuda":
        covered = covers(_native.cuda_architectures(), torch.cuda.get_device_capability(device))
        return covered and A.dim() == 2 and A.shape[1] <= _native.cuda.MOST_STATES
    return device.type == "cpu"


@torch.library.custom_op("canthus::selective_scan", mutates_args=(), device_types="cpu")
def _forward(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
) -> tuple[Tensor, Tensor]:
    arrays = [None if x is None else _array(x) for x in (u, delta, A, B, C, D, z, delta_bias)]
    y, last_state = _native.selective_scan(
        *arrays, delta_softplus, return_last_state=True, threads=torch.get_num_threads()
    )
    return _tensor(y, u.dtype), torch.from_numpy(last_state)


@_forward.register_kernel("cuda")
def _(u: Tensor, *inputs: Tensor | bool | None) -> tuple[Tensor, Tensor]:
    *tensors, delta_softplus = (x.contiguous() if isinstance(x, Tensor) else x for x in (u, *inputs))
    y = torch.empty_like(tensors[0])
    last_state = y.new_empty((*y.shape[:2], tensors[2].shape[1]), dtype=torch.float32)
    with torch.cuda.device(u.device):
        _native.cuda.selective_scan(
            *(None if x is None else _device_array(x) for x in tensors),
            delta_softplus,
            y=_device_array(y),
            last_state=_device_array(last_state),
            stream=torch.cuda.current_stream().cuda_stream,
        )
    return y, last_state


@_forward.register_fake
def _(u: Tensor, delta: Tensor, A: Tensor, *_others: Tensor | bool | None) -> tuple[Tensor, Tensor]:
    y = torch.empty_like(u, memory_format=torch.contiguous_format)
    return y, u.new_empty((u.shape[0], u.shape[1], A.shape[1]), dtype=torch.float32)


@torch.library.custom_op("canthus::selective_scan_backward", mutates_args=(), device_types="cpu")
def _backward(
    grad_y: Tensor,
    grad_last_state: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
) -> list[Tensor]:
    """The gradients of those inputs that are given, in their order and dtypes."""
    inputs = (u, delta, A, B, C, D, z, delta_bias)
    arrays = [None if x is None else _array(x.float()) for x in (grad_y, grad_last_state, *inputs)]
    gradients = _native.selective_scan_backward(*arrays, delta_softplus, threads=torch.get_num_threads())
    return [
        torch.from_numpy(gradient).to(x.dtype)
        for gradient, x in zip(gradients, inputs, strict=True)
        if gradient is not None and x is not None
    ]


@_backward.register_fake
def _(grad_y: Tensor, grad_last_state: Tensor, *inputs: Tensor | bool | None) -> list[Tensor]:
    tensors = [x for x in inputs if isinstance(x, Tensor)]
    return [torch.empty_like(x, memory_format=torch.contiguous_format) for x in tensors]


def _save(ctx, inputs, output) -> None:
    *tensors, ctx.delta_softplus = inputs
    ctx.save_for_backward(*tensors)


def _differentiate(ctx, grad_y: Tensor, grad_last_state: Tensor) -> tuple[Tensor | None, ...]:
    inputs = ctx.saved_tensors
    backward = _backward if grad_y.device.type == "cpu" else backward_by_doubling
    gradients = iter(backward(grad_y, grad_last_state, *inputs, ctx.delta_softplus))
    return *(None if x is None else next(gradients) for x in inputs), None


def backward_by_doubling(grad_y: Tensor, grad_last_state: Tensor, *inputs: Tensor | bool | None) -> tuple[Tensor, ...]:
    """As `_backward`, by PyTorch's own operations: the forward pass is done again, and differentiated."""
    *tensors, delta_softplus = inputs
    leaves = [None if x is None else x.detach().requires_grad_() for x in tensors]
    with torch.enable_grad():
        outputs = selective_scan_doubling(*leaves, delta_softplus)
    given = [leaf for leaf in leaves if leaf is not None]
    to_outputs = (grad_y.to(outputs[0].dtype), grad_last_state)
    # Without tokens, no input moves the last state.
    depend = [(output, gradient) for output, gradient in zip(outputs, to_outputs, strict=True) if output.requires_grad]
    differentiated, gradients = zip(*depend, strict=True)
    return torch.autograd.grad(differentiated, given, gradients, materialize_grads=True)


_forward.register_autograd(_differentiate, setup_context=_save)


def _float32(tensor: Tensor) -> Tensor:
    # A cast to the dtype that it has would leave a node behind in an exported graph.
    return tensor if tensor.dtype == torch.float32 else tensor.float()


def _array(tensor: Tensor) -> np.ndarray:
    """The tensor's own memory as a numpy array, or a contiguous copy of it."""
    tensor = tensor.detach().contiguous()
    if tensor.dtype != torch.bfloat16:
        return tensor.numpy()
    import ml_dtypes  # numpy has no bfloat16 of its own

    return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)


def _device_array(tensor: Tensor) -> _native.cuda.DeviceArray:
    return _native.cuda.DeviceArray(tensor.data_ptr(), tensor.shape, str(tensor.dtype).removeprefix("torch."))


def _tensor(array: np.ndarray, dtype: torch.dtype) -> Tensor:
    if dtype != torch.bfloat16:
        return torch.from_numpy(array)
    return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
