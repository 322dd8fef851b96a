"""The selective scan in PyTorch's own operations, for accelerators without a kernel: parallel over tokens.

The recurrence h[t] = a[t] h[t-1] + b[t] is an associative scan: the pair (a, b) of a run of tokens and that
of the run before it combine to (a a', b + a b'). Combining each token with the one k before it, for
k = 1, 2, 4, ..., reaches all earlier tokens in log2(L) steps (Hillis and Steele, 1986).
"""

import torch
from torch import Tensor
from torch.nn.functional import silu, softplus


def selective_scan_doubling(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
) -> tuple[Tensor, Tensor]:
    """y, (B, D, L) of u's dtype, and the last state, (B, D, N) float32, of `selective_scan`'s arguments.

    Arithmetic is float32, under autocast too. Any device; differentiable in every tensor.
    """
    with torch.autocast(u.device.type, enabled=False):
        # Axes (B, L, G, D/G, N) from here on: a shift by k tokens is then a move of whole rows.
        groups = next((x.shape[1] for x in (B, C) if x.dim() == 4), 1)
        B, C = (_per_group(x.float(), groups) for x in (B, C))
        tokens, delta = u.float().transpose(1, 2), delta.float().transpose(1, 2)
        if delta_bias is not None:
            delta = delta + delta_bias.float()
        if delta_softplus:
            delta = softplus(delta)
        per_state = (groups, -1, 1)
        decay = torch.exp(delta.unflatten(2, per_state) * A.float().unflatten(0, (groups, -1)))
        state = _Scan.apply(decay, (delta * tokens).unflatten(2, per_state) * B)
        y = (state * C).sum(-1).flatten(2)
        if D is not None:
            y = y + D.float() * tokens
        y = y.transpose(1, 2)
        if z is not None:
            y = y * silu(z.float())
        last_state = state[:, -1].flatten(1, 2) if u.shape[2] else state.new_zeros(*u.shape[:2], A.shape[1])
        return y.to(u.dtype), last_state


def _per_group(projection: Tensor, groups: int) -> Tensor:
    """B or C of any of its three shapes as one that goes with (B, L, G, D/G, N)."""
    if projection.dim() == 2:
        return projection.unflatten(0, (groups, -1))
    if projection.dim() == 3:
        projection = projection[:, None]
    return projection.permute(0, 3, 1, 2).unsqueeze(3)


class _Scan(torch.autograd.Function):
    """The states after every token; axis 1 is tokens. Its gradient is a scan from the last token to the first."""

    @staticmethod
    def forward(ctx, decay: Tensor, step: Tensor) -> Tensor:
        state = _scan(decay, step)
        ctx.save_for_backward(decay, state)
        return state

    @staticmethod
    def backward(ctx, grad_state: Tensor) -> tuple[Tensor, Tensor]:
        decay, state = ctx.saved_tensors
        decay_after = torch.cat((decay[:, 1:], torch.zeros_like(decay[:, :1])), 1)
        grad_step = _scan(decay_after.flip(1), grad_state.flip(1)).flip(1)
        state_before = torch.cat((torch.zeros_like(state[:, :1]), state[:, :-1]), 1)
        return grad_step * state_before, grad_step


def _scan(decay: Tensor, step: Tensor) -> Tensor:
    shift = 1
    while shift < step.shape[1]:
        tail = decay[:, shift:]
        step = torch.cat((step[:, :shift], step[:, shift:] + tail * step[:, :-shift]), 1)
        decay = torch.cat((decay[:, :shift], tail * decay[:, :-shift]), 1)
        shift *= 2
    return step
