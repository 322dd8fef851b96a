"""The causal convolution that Mamba networks call, in the place of `causal_conv1d`'s, as PyTorch operations."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from canthus.errors import ExportError


def causal_conv1d_fn(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    seq_idx: str | None = None,
    initial_states: Tensor | None = None,
    return_final_states: bool = False,
    final_states_out: None = None,
    activation: str | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """A depthwise convolution that looks back only: x (B, D, L), weight (D, W), to (B, D, L).

    Args:
        seq_idx: None; versions before 1.2 had the activation in its place.
        initial_states: (B, D, W - 1), what came before; zeros otherwise.
        return_final_states: whether to return what the next call's are, too.

    Raises:
        ExportError: sequences are packed into one row, or the activation isn't SiLU.
    """
    if isinstance(seq_idx, str):
        seq_idx, activation = None, seq_idx
    if seq_idx is not None:
        raise ExportError("causal_conv1d_fn: seq_idx isn't supported: export with one sequence a row")
    if final_states_out is not None:
        raise ExportError("causal_conv1d_fn: final_states_out isn't supported: take what return_final_states gives")
    before = weight.shape[1] - 1
    padded = F.pad(x, (before, 0)) if initial_states is None else torch.cat((initial_states.to(x.dtype), x), 2)
    y = _activated(F.conv1d(padded, weight.unsqueeze(1), bias, groups=weight.shape[0]), activation)
    return (y, padded[:, :, padded.shape[2] - before :]) if return_final_states else y


def causal_conv1d_update(
    x: Tensor,
    conv_state: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    activation: str | None = None,
    cache_seqlens: None = None,
    conv_state_indices: None = None,
) -> Tensor:
    """The next tokens of it, x (B, D) or (B, D, L).

    Args:
        conv_state: (B, D, S), S at least W - 1: the newest inputs. It takes these in and lets the oldest go.

    Raises:
        ExportError: the state is kept in a ring or shared with others, or the activation isn't SiLU.
    """
    if cache_seqlens is not None or conv_state_indices is not None:
        raise ExportError(
            "causal_conv1d_update: cache_seqlens and conv_state_indices aren't supported: one state a row"
        )
    tokens = x.unsqueeze(2) if x.dim() == 2 else x
    seen = torch.cat((conv_state.to(tokens.dtype), tokens), 2)
    conv_state.copy_(seen[:, :, -conv_state.shape[2] :])
    needed = seen[:, :, seen.shape[2] - tokens.shape[2] - weight.shape[1] + 1 :]
    if x.dim() == 2:  # one product and a sum are quicker than a convolution of one place
        y = (needed * weight).sum(2)
        return _activated(y if bias is None else y + bias, activation)
    return _activated(F.conv1d(needed, weight.unsqueeze(1), bias, groups=weight.shape[0]), activation)


def _activated(y: Tensor, activation: str | None) -> Tensor:
    if activation not in (None, "silu", "swish"):
        raise ExportError(f"causal_conv1d: activation {activation!r} is none of None, 'silu', 'swish'")
    return y if activation is None else F.silu(y)
