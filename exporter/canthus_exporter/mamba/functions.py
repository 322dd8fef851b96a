"""The functions that Mamba networks call, as PyTorch operations that can be exported.

Each has the name, arguments and meaning of the one of `mamba_ssm` or `causal_conv1d` whose place it takes. On the CPU
the scan is canthus's operator; all else is PyTorch's own.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from canthus.errors import ExportError
from canthus_model.selective_scan import selective_scan


def selective_scan_fn(
    u: Tensor, delta: Tensor, A: Tensor, *others: Any, **options: Any
) -> Tensor | tuple[Tensor, Tensor]:
    """As `canthus_model.selective_scan.selective_scan`, which has all arguments, and their shapes.

    Raises:
        ExportError: A is complex.
    """
    if A.is_complex():
        raise ExportError("selective_scan_fn: A is complex; canthus's SelectiveScan is for real A, as Mamba's is")
    return selective_scan(u, delta, A, *others, **options)


def mamba_inner_fn(
    xz: Tensor,
    conv1d_weight: Tensor,
    conv1d_bias: Tensor | None,
    x_proj_weight: Tensor,
    delta_proj_weight: Tensor,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    *others: Any,
    **options: Any,
) -> Tensor:
    """As `mamba_inner_fn_no_out_proj`, which has the other arguments, and the last projection: (B, L, width)."""
    y = mamba_inner_fn_no_out_proj(xz, conv1d_weight, conv1d_bias, x_proj_weight, delta_proj_weight, *others, **options)
    return F.linear(y.transpose(1, 2), out_proj_weight, out_proj_bias)


def mamba_inner_fn_no_out_proj(
    xz: Tensor,
    conv1d_weight: Tensor,
    conv1d_bias: Tensor | None,
    x_proj_weight: Tensor,
    delta_proj_weight: Tensor,
    A: Tensor,
    B: Tensor | None = None,
    C: Tensor | None = None,
    D: Tensor | None = None,
    delta_bias: Tensor | None = None,
    B_proj_bias: Tensor | None = None,
    C_proj_bias: Tensor | None = None,
    delta_softplus: bool = True,
    **_speed: Any,
) -> Tensor:
    """All of a Mamba block between its two outer projections: xz (B, 2 D, L) to (B, D, L).

    Bidirectional vision Mambas add two of these.
    """
    x, z = xz.chunk(2, dim=1)
    x = causal_conv1d_fn(x, conv1d_weight.flatten(1), conv1d_bias, activation="silu")
    rank, states = delta_proj_weight.shape[1], A.shape[1]
    sizes = [rank, 0 if B is not None else states, 0 if C is not None else states]
    delta, own_B, own_C = F.linear(x.transpose(1, 2), x_proj_weight).split(sizes, dim=2)
    if B is None:
        B = (own_B if B_proj_bias is None else own_B + B_proj_bias).transpose(1, 2)
    if C is None:
        C = (own_C if C_proj_bias is None else own_C + C_proj_bias).transpose(1, 2)
    delta = F.linear(delta, delta_proj_weight).transpose(1, 2)
    y = selective_scan_fn(x, delta, A, B, C, D, z, delta_bias, delta_softplus)
    assert isinstance(y, Tensor)
    return y


def selective_state_update(
    state: Tensor,
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    dt_bias: Tensor | None = None,
    dt_softplus: bool = False,
) -> Tensor:
    """One token of the scan: `state` (B, D, N) is replaced by the next one, y (B, D) returned.

    Args:
        x, dt, z: (B, D).
        A: (D, N).
        B, C: (B, N).
        D, dt_bias: (D,).

    Raises:
        ExportError: the state is Mamba-2's, with heads.
    """
    if state.dim() != 3:
        raise ExportError(
            f"selective_state_update: the state's shape is {tuple(state.shape)}, and Mamba's is (batch, channels, "
            "states); Mamba-2 isn't supported"
        )
    dt = dt if dt_bias is None else dt + dt_bias
    dt = F.softplus(dt) if dt_softplus else dt
    decay = torch.exp(dt.unsqueeze(2) * A)
    state.copy_(state * decay + (dt * x).unsqueeze(2) * B.unsqueeze(1))
    y = (state * C.unsqueeze(1)).sum(2)
    y = y if D is None else y + D * x
    return y if z is None else y * F.silu(z)


def causal_conv1d_fn(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, seq_idx: None = None, activation: str | None = None
) -> Tensor:
    """A depthwise convolution that looks back only: x (B, D, L), weight (D, W)."""
    if seq_idx is not None:
        raise ExportError("causal_conv1d_fn: seq_idx isn't supported: export with one sequence a row")
    padded = F.pad(x, (weight.shape[1] - 1, 0))
    return _activated(F.conv1d(padded, weight.unsqueeze(1), bias, groups=weight.shape[0]), activation)


def causal_conv1d_update(
    x: Tensor, conv_state: Tensor, weight: Tensor, bias: Tensor | None = None, activation: str | None = None
) -> Tensor:
    """One token of it: x (B, D); `conv_state` (B, D, W), the newest inputs, takes it in and lets the oldest go."""
    conv_state.copy_(torch.cat((conv_state[:, :, 1:], x.unsqueeze(2)), 2))
    y = (conv_state * weight).sum(2)
    return _activated(y if bias is None else y + bias, activation)


def _activated(y: Tensor, activation: str | None) -> Tensor:
    if activation not in (None, "silu", "swish"):
        raise ExportError(f"causal_conv1d: activation {activation!r} is none of None, 'silu', 'swish'")
    return y if activation is None else F.silu(y)
