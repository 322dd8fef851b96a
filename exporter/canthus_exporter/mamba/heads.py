"""The scans that Mamba-2 networks call, with one decay for each head, as PyTorch operations that can be exported.

Each has the name, arguments and meaning of the one of `mamba_ssm` whose place it takes (Dao and Gu, arXiv 2405.21060).
On the CPU the scan is canthus's operator; all else is PyTorch's own.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from canthus.errors import ExportError
from canthus_exporter.mamba.convolution import causal_conv1d_fn
from canthus_exporter.mamba.norms import rmsnorm_fn, wide
from canthus_exporter.ssd_operator import ssd_reference

_NO_LIMIT = (0.0, math.inf)


def mamba_chunk_scan_combined(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    chunk_size: int | None = None,
    D: Tensor | None = None,
    z: Tensor | None = None,
    dt_bias: Tensor | None = None,
    initial_states: Tensor | None = None,
    seq_idx: None = None,
    cu_seqlens: None = None,
    dt_softplus: bool = False,
    dt_limit: tuple[float, float] = _NO_LIMIT,
    return_final_states: bool = False,
    return_varlen_states: bool = False,
    state_dtype: torch.dtype | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Mamba-2's scan: y (B, L, H, P) of x's dtype; arithmetic is float32, or float64 where that comes in.

    Args:
        x, z: (B, L, H, P); z is a gate.
        dt: (B, L, H).
        A: (H,).
        B, C: (B, L, G, N), G dividing H.
        chunk_size, state_dtype: are about how it is computed, and ignored.
        D: (H,) or (H, P).
        dt_bias: (H,).
        initial_states: (B, H, P, N), or None for zeros.
        dt_limit: the least and the most that dt may be, after softplus.
        return_final_states: whether to return the last states, (B, H, P, N), too.

    Raises:
        ExportError: sequences are packed into one row, or A has states.
    """
    if seq_idx is not None or cu_seqlens is not None or return_varlen_states:
        raise ExportError(
            "mamba_chunk_scan_combined: seq_idx and cu_seqlens aren't supported: export with one sequence a row"
        )
    if A.dim() != 1 or x.dim() != 4:
        raise ExportError(
            f"mamba_chunk_scan_combined: x's shape is {tuple(x.shape)} and A's {tuple(A.shape)}, not (batch, tokens, "
            "heads, head size) and (heads,)"
        )
    dt = wide(dt)
    dt = dt if dt_bias is None else dt + dt_bias
    dt = F.softplus(dt) if dt_softplus else dt
    if tuple(dt_limit) != _NO_LIMIT:
        dt = dt.clamp(*dt_limit)
    elif not dt_softplus:
        dt = dt.clamp(min=0)  # as mamba_ssm's kernel does by that limit
    inputs = (wide(x), dt, wide(A), wide(B), wide(C), None if initial_states is None else wide(initial_states))
    if x.dtype == torch.float64:
        y, state = ssd_reference(*inputs)
    else:
        y, state = torch.ops.canthus.ssd(*inputs)
    if D is not None:
        y = y + wide(x) * (D if D.dim() == 2 else D.unsqueeze(1))
    if z is not None:
        y = y * F.silu(wide(z))
    y = y.to(x.dtype)
    return (y, state) if return_final_states else y


def mamba_chunk_scan(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    chunk_size: int | None = None,
    D: Tensor | None = None,
    z: Tensor | None = None,
    dt_bias: Tensor | None = None,
    dt_softplus: bool = False,
) -> Tensor:
    """As `mamba_chunk_scan_combined`, from zero states."""
    y = mamba_chunk_scan_combined(x, dt, A, B, C, chunk_size, D, z, dt_bias, dt_softplus=dt_softplus)
    assert isinstance(y, Tensor)
    return y


def mamba_split_conv1d_scan_combined(
    zxbcdt: Tensor,
    conv1d_weight: Tensor,
    conv1d_bias: Tensor | None,
    dt_bias: Tensor,
    A: Tensor,
    D: Tensor,
    chunk_size: int | None = None,
    initial_states: Tensor | None = None,
    seq_idx: None = None,
    dt_limit: tuple[float, float] = _NO_LIMIT,
    return_final_states: bool = False,
    activation: str | None = "silu",
    rmsnorm_weight: Tensor | None = None,
    rmsnorm_eps: float = 1e-6,
    outproj_weight: Tensor | None = None,
    outproj_bias: Tensor | None = None,
    headdim: int | None = None,
    ngroups: int = 1,
    norm_before_gate: bool = True,
    state_dtype: torch.dtype | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """All of a Mamba-2 block behind its first projection: (B, L, ...) to (B, L, width).

    Args:
        zxbcdt: (B, L, 2 M + 2 H P + 2 G N + H): M for a gated perceptron beside the scan, which isn't there mostly,
            and its gate; z, x, B, C; dt.
        conv1d_weight: (H P + 2 G N, W); conv1d_bias: (H P + 2 G N,).
        dt_bias, A: (H,).
        D: (H,), with `headdim`, or (H, P).
        rmsnorm_weight: (H P,), of a norm gated by z; without it z gates the scan's answer.
        outproj_weight: (width, M + H P); outproj_bias: (width,).
        chunk_size, initial_states, seq_idx, dt_limit, return_final_states, state_dtype: as for
            `mamba_chunk_scan_combined`.

    Raises:
        ExportError: as there.
    """
    heads = D.shape[0]
    size = headdim if D.dim() == 1 else D.shape[1]
    if size is None:
        raise ExportError("mamba_split_conv1d_scan_combined: where D is (heads,), headdim must be given")
    width = heads * size
    states = (conv1d_weight.shape[0] - width) // ngroups // 2
    beside = (zxbcdt.shape[2] - 2 * width - 2 * ngroups * states - heads) // 2
    parts = [beside, beside, width, width + 2 * ngroups * states, heads]
    z0, x0, z, xBC, dt = zxbcdt.split(parts, dim=2)
    convolved = causal_conv1d_fn(xBC.transpose(1, 2), conv1d_weight, conv1d_bias, seq_idx, activation=activation)
    assert isinstance(convolved, Tensor)
    x, B, C = convolved.transpose(1, 2).split([width, ngroups * states, ngroups * states], dim=2)
    answer = mamba_chunk_scan_combined(
        x.unflatten(2, (heads, size)),
        *(dt, A, B.unflatten(2, (ngroups, states)), C.unflatten(2, (ngroups, states)), chunk_size, D),
        z=z.unflatten(2, (heads, size)) if rmsnorm_weight is None else None,
        dt_bias=dt_bias,
        initial_states=initial_states,
        dt_softplus=True,
        dt_limit=dt_limit,
        return_final_states=True,
    )
    y, state = answer[0].flatten(2), answer[1]
    if rmsnorm_weight is not None:
        y = rmsnorm_fn(y, rmsnorm_weight, None, z, rmsnorm_eps, width // ngroups, norm_before_gate)
    if beside:
        y = torch.cat([F.silu(z0) * x0, y], dim=2)
    if outproj_weight is not None:
        y = F.linear(y, outproj_weight, outproj_bias)
    return (y, state) if return_final_states else y


def state_update_of_heads(
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
    """One token: `state` (B, H, P, N) is replaced by the next one, y (B, H, P) returned.

    Args:
        x, dt, z: (B, H, P).
        A: (H, P, N).
        B, C: (B, G, N), G dividing H.
        D, dt_bias: (H, P).
    """
    dt = dt if dt_bias is None else dt + dt_bias
    dt = F.softplus(dt) if dt_softplus else dt
    in_group = state.shape[1] // B.shape[1]
    B, C = ((t if in_group == 1 else t.repeat_interleave(in_group, 1)).unsqueeze(2) for t in (B, C))
    state.copy_(state * torch.exp(dt.unsqueeze(3) * A) + (dt * x).unsqueeze(3) * B)
    y = (state.to(C.dtype) * C).sum(3)
    y = y if D is None else y + D * x
    return (y if z is None else y * F.silu(z)).to(x.dtype)
