"""The selective scan as a plain PyTorch loop over tokens: slow, differentiable, in any floating dtype."""

import torch
from torch import Tensor
from torch.nn.functional import silu, softplus


def selective_scan_reference(
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
    """The recurrence of `selective_scan` (same arguments), computed in the dtype of the inputs.

    From the definition in arXiv 2312.00752, section 3.2; autograd gives the gradients.
    """
    if delta_bias is not None:
        delta = delta + delta_bias[:, None]
    if delta_softplus:
        delta = softplus(delta)
    batch, channels, tokens = u.shape
    B = _per_channel_and_token(B, batch, channels, tokens)
    C = _per_channel_and_token(C, batch, channels, tokens)
    decay = torch.exp(delta[..., None] * A[:, None])
    step = (delta * u)[..., None] * B
    state = step.new_zeros(batch, channels, A.shape[1])
    outputs = []
    for token in range(tokens):
        state = decay[:, :, token] * state + step[:, :, token]
        outputs.append((state * C[:, :, token]).sum(-1))
    y = torch.stack(outputs, -1) if outputs else torch.zeros_like(u)
    if D is not None:
        y = y + D[:, None] * u
    if z is not None:
        y = y * silu(z)
    return (y, state) if return_last_state else y


def _per_channel_and_token(projection: Tensor, batch: int, channels: int, tokens: int) -> Tensor:
    """B or C of any of the three shapes as (batch, channels, tokens, states)."""
    if projection.dim() == 2:
        return projection[None, :, None, :].expand(batch, -1, tokens, -1)
    if projection.dim() == 3:
        projection = projection[:, None]
    groups = projection.shape[1]
    return projection.repeat_interleave(channels // groups, dim=1).transpose(2, 3)
