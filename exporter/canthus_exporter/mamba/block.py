"""Mamba's block, for where `mamba_ssm` isn't installed: the same parameters, arguments and answers."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from canthus.errors import ExportError
from canthus_exporter.mamba.functions import (
    causal_conv1d_update,
    mamba_inner_fn,
    selective_state_update,
)


class Mamba(nn.Module):
    """One Mamba block (Gu and Dao, arXiv 2312.00752): tokens (B, L, d_model) to the same shape.

    Loads the state of a `mamba_ssm.Mamba`. Fresh weights are of the right sizes, but not initialised for training.

    Args:
        d_model: width of a token.
        d_state: states of a channel.
        d_conv: tokens that the convolution sees.
        expand: channels, in multiples of the width.
        dt_rank: "auto" is a sixteenth of the width.
        conv_bias, bias: of the convolution, and of the outer projections.
    """

    def __init__(
        self,
        d_model: int,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        dt_rank: int | str = "auto",
        conv_bias: bool = True,
        bias: bool = False,
        **_training: Any,
    ) -> None:
        super().__init__()
        channels = expand * d_model
        rank = math.ceil(d_model / 16) if dt_rank == "auto" else int(dt_rank)
        self.d_state, self.d_conv, self.channels = d_state, d_conv, channels
        self.in_proj = nn.Linear(d_model, 2 * channels, bias=bias)
        self.conv1d = nn.Conv1d(channels, channels, d_conv, groups=channels, padding=d_conv - 1, bias=conv_bias)
        self.x_proj = nn.Linear(channels, rank + 2 * d_state, bias=False)
        self.dt_proj = nn.Linear(rank, channels)
        self.A_log = nn.Parameter(torch.log(torch.arange(1, d_state + 1).float()).repeat(channels, 1))
        self.D = nn.Parameter(torch.ones(channels))
        self.out_proj = nn.Linear(channels, d_model, bias=bias)

    def forward(self, hidden_states: Tensor, inference_params: None = None) -> Tensor:
        if inference_params is not None:
            raise ExportError("Mamba: inference_params isn't supported; export `step`, whose states come in and go out")
        return mamba_inner_fn(
            self.in_proj(hidden_states).transpose(1, 2),
            self.conv1d.weight,
            self.conv1d.bias,
            self.x_proj.weight,
            self.dt_proj.weight,
            self.out_proj.weight,
            self.out_proj.bias,
            -torch.exp(self.A_log),
            D=self.D,
            delta_bias=self.dt_proj.bias,
        )

    def step(self, hidden_states: Tensor, conv_state: Tensor, ssm_state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One token (B, 1, d_model); both states are replaced by the next, and returned behind the answer.

        Args:
            conv_state: (B, channels, d_conv), zeros at first.
            ssm_state: (B, channels, d_state), zeros at first.
        """
        x, z = self.in_proj(hidden_states.squeeze(1)).chunk(2, dim=1)
        x = causal_conv1d_update(x, conv_state, self.conv1d.weight.flatten(1), self.conv1d.bias, "silu")
        rank = self.dt_proj.weight.shape[1]
        dt, B, C = self.x_proj(x).split([rank, self.d_state, self.d_state], dim=1)
        y = selective_state_update(
            ssm_state,
            x,
            F.linear(dt, self.dt_proj.weight),
            -torch.exp(self.A_log),
            B,
            C,
            self.D,
            z,
            self.dt_proj.bias,
            dt_softplus=True,
        )
        return self.out_proj(y).unsqueeze(1), conv_state, ssm_state

    def allocate_inference_cache(
        self, batch_size: int, max_seqlen: int = 0, dtype: torch.dtype | None = None
    ) -> tuple[Tensor, Tensor]:
        """Both states at the beginning."""
        sizes = (self.d_conv, self.d_state)
        conv_state, ssm_state = (torch.zeros(batch_size, self.channels, size, dtype=dtype) for size in sizes)
        return conv_state, ssm_state
