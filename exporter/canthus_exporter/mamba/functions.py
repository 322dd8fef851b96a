"""The scans that Mamba networks call, as PyTorch operations that can be exported.

Each has the name, arguments and meaning of the one of `mamba_ssm` whose place it takes. On the CPU the scan is
canthus's operator; all else is PyTorch's own.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from canthus.errors import ExportError
from canthus_exporter.mamba.convolution import causal_conv1d_fn
from canthus_exporter.mamba.heads import state_update_of_heads
from canthus_exporter.mamba.norms import rms_norm
from canthus_model.selective_scan import selective_scan
from canthus_model.selective_scan_reference import selective_scan_reference


def selective_scan_fn(
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
    """As `canthus_model.selective_scan.selective_scan`; in float64 too, which rounding is judged by.

    Args:
        u, delta, z: (B, D, L).
        A: (D, N), real.
        B, C: (D, N), (B, N, L) or (B, G, N, L).
        D, delta_bias: (D,).

    Returns:
        y, (B, D, L); with `return_last_state` a tuple of it and the last state, (B, D, N).

    Raises:
        ExportError: A is complex, or u doesn't have its channels.
    """
    if A.is_complex():
        raise ExportError("selective_scan_fn: A is complex; canthus's SelectiveScan is for real A, as Mamba's is")
    if A.dim() != 2 or u.dim() != 3 or u.shape[1] != A.shape[0]:
        raise ExportError(
            f"selective_scan_fn: u's shape is {tuple(u.shape)} and A's {tuple(A.shape)}, not (batch, channels, tokens) "
            "and (channels, states); where tokens come before channels, use mamba.selective_scan_tokens_first"
        )
    if u.dtype == torch.float64:
        others = [x if x is None else x.double() for x in (delta, A, B, C, D, z, delta_bias)]
        return selective_scan_reference(u, *others, delta_softplus, return_last_state)  # type: ignore[arg-type]
    return selective_scan(u, delta, A, B, C, D, z, delta_bias, delta_softplus, return_last_state)


def selective_scan_tokens_first(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
) -> Tensor:
    """As `selective_scan_fn`, of u, delta and z (B, L, D) and B and C (B, L, N): (B, L, D)."""
    tokens_last = [x if x is None else x.transpose(1, 2) for x in (u, delta, B, C, z)]
    y = selective_scan_fn(
        *(tokens_last[0], tokens_last[1], A, tokens_last[2], tokens_last[3], D, tokens_last[4]),  # type: ignore[arg-type]
        delta_bias,
        delta_softplus,
    )
    assert isinstance(y, Tensor)
    return y.transpose(1, 2)


def selective_scan_fwd(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
) -> tuple[Tensor, ...]:
    """`selective_scan_cuda.fwd`: y without the gate; states (B, D, 1, 2 N), the last one at odd places; y with it."""
    y, state = selective_scan_fn(u, delta, A, B, C, D, None, delta_bias, delta_softplus, True)
    states = torch.stack((torch.zeros_like(state), state), 3).flatten(2).unsqueeze(2)
    return (y, states) if z is None else (y, states, y * F.silu(z))


def selective_scan_without_gate_fwd(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    nrows: int = 1,
    oflex: bool = True,
) -> tuple[Tensor, ...]:
    """As `selective_scan_fwd`, as VMamba's `selective_scan_cuda_core` and `selective_scan_cuda_oflex` have it."""
    return selective_scan_fwd(u, delta, A, B, C, D, None, delta_bias, delta_softplus)


def mamba_inner_fn(
    xz: Tensor,
    conv1d_weight: Tensor,
    conv1d_bias: Tensor | None,
    x_proj_weight: Tensor,
    delta_proj_weight: Tensor,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    A: Tensor,
    B: Tensor | None = None,
    C: Tensor | None = None,
    D: Tensor | None = None,
    delta_bias: Tensor | None = None,
    B_proj_bias: Tensor | None = None,
    C_proj_bias: Tensor | None = None,
    delta_softplus: bool = True,
    checkpoint_lvl: int = 1,
    b_rms_weight: Tensor | None = None,
    c_rms_weight: Tensor | None = None,
    dt_rms_weight: Tensor | None = None,
    b_c_dt_rms_eps: float = 1e-6,
) -> Tensor:
    """As `mamba_inner_fn_no_out_proj`, which has the other arguments, and the last projection: (B, L, width)."""
    y = mamba_inner_fn_no_out_proj(
        *(xz, conv1d_weight, conv1d_bias, x_proj_weight, delta_proj_weight),
        *(A, B, C, D, delta_bias, B_proj_bias, C_proj_bias, delta_softplus, checkpoint_lvl),
        *(b_rms_weight, c_rms_weight, dt_rms_weight, b_c_dt_rms_eps),
    )
    return F.linear(y.transpose(1, 2), out_proj_weight, out_proj_bias)


def bimamba_inner_fn(
    xz: Tensor,
    conv1d_weight: Tensor,
    conv1d_bias: Tensor | None,
    x_proj_weight: Tensor,
    delta_proj_weight: Tensor,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    A: Tensor,
    A_b: Tensor,
    B: Tensor | None = None,
    C: Tensor | None = None,
    D: Tensor | None = None,
    delta_bias: Tensor | None = None,
    B_proj_bias: Tensor | None = None,
    C_proj_bias: Tensor | None = None,
    delta_softplus: bool = True,
) -> Tensor:
    """Vim's first kind of two directions: all but A is shared, the convolution's answer too, which looks back only."""
    x, z, delta, B, C = _projected(
        *(xz, conv1d_weight, conv1d_bias, x_proj_weight, delta_proj_weight), A, B, C, B_proj_bias, C_proj_bias
    )
    y = selective_scan_fn(x, delta, A, B, C, D, z, delta_bias, delta_softplus)
    x, z, delta, B, C = (t if t.dim() == 2 else t.flip(-1) for t in (x, z, delta, B, C))
    y_b = selective_scan_fn(x, delta, A_b, B, C, D, z, delta_bias, delta_softplus)
    assert isinstance(y, Tensor) and isinstance(y_b, Tensor)
    return F.linear((y + y_b.flip(-1)).transpose(1, 2), out_proj_weight, out_proj_bias)


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
    checkpoint_lvl: int = 1,
    b_rms_weight: Tensor | None = None,
    c_rms_weight: Tensor | None = None,
    dt_rms_weight: Tensor | None = None,
    b_c_dt_rms_eps: float = 1e-6,
) -> Tensor:
    """All of a Mamba block between its two outer projections: xz (B, 2 D, L) to (B, D, L).

    Bidirectional vision Mambas add two of these.

    Args:
        B, C: the same for all tokens or given; None for those of the projection.
        checkpoint_lvl: is about training, and ignored.
        b_rms_weight, c_rms_weight: (N,), weights of an RMS norm of B and C over the states, as Falcon Mamba has.
        dt_rms_weight: (D,), that of an RMS norm of delta over the channels.
        b_c_dt_rms_eps: what keeps those norms from dividing by zero.
    """
    x, z, delta, B, C = _projected(
        *(xz, conv1d_weight, conv1d_bias, x_proj_weight, delta_proj_weight), A, B, C, B_proj_bias, C_proj_bias
    )
    B, C, delta = (
        x if weight is None else rms_norm(x.transpose(1, 2), weight, b_c_dt_rms_eps).transpose(1, 2)
        for x, weight in ((B, b_rms_weight), (C, c_rms_weight), (delta, dt_rms_weight))
    )
    y = selective_scan_fn(x, delta, A, B, C, D, z, delta_bias, delta_softplus)
    assert isinstance(y, Tensor)
    return y


def _projected(
    xz: Tensor,
    conv1d_weight: Tensor,
    conv1d_bias: Tensor | None,
    x_proj_weight: Tensor,
    delta_proj_weight: Tensor,
    A: Tensor,
    B: Tensor | None,
    C: Tensor | None,
    B_proj_bias: Tensor | None,
    C_proj_bias: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """x and z, delta, all (B, D, L); B and C as given, or (B, N, L)."""
    x, z = xz.chunk(2, dim=1)
    x = causal_conv1d_fn(x, conv1d_weight.flatten(1), conv1d_bias, activation="silu")
    rank, states = delta_proj_weight.shape[1], A.shape[1]
    sizes = [rank, 0 if B is not None else states, 0 if C is not None else states]
    delta, own_B, own_C = F.linear(x.transpose(1, 2), x_proj_weight).split(sizes, dim=2)
    if B is None:
        B = (own_B if B_proj_bias is None else own_B + B_proj_bias).transpose(1, 2)
    if C is None:
        C = (own_C if C_proj_bias is None else own_C + C_proj_bias).transpose(1, 2)
    return x, z, F.linear(delta, delta_proj_weight).transpose(1, 2), B, C


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
    state_batch_indices: None = None,
) -> Tensor:
    """One token of the scan: `state` (B, D, N) is replaced by the next one, y (B, D) returned.

    Args:
        x, dt, z: (B, D).
        A: (D, N).
        B, C: (B, N).
        D, dt_bias: (D,).

    With heads, as Mamba-2 has them, as `state_update_of_heads`.

    Raises:
        ExportError: states are shared with others.
    """
    if state_batch_indices is not None:
        raise ExportError("selective_state_update: state_batch_indices isn't supported: one state a row")
    if state.dim() == 4:
        return state_update_of_heads(state, x, dt, A, B, C, D, z, dt_bias, dt_softplus)
    x, dt, B, C, state = (value.unsqueeze(1) for value in (x, dt, B, C, state))  # of one head; `state` is a view
    z = None if z is None else z.unsqueeze(1)
    A, D, dt_bias = (None if value is None else value.unsqueeze(0) for value in (A, D, dt_bias))  # type: ignore[misc]
    return state_update_of_heads(state, x, dt, A, B, C, D, z, dt_bias, dt_softplus).squeeze(1)
