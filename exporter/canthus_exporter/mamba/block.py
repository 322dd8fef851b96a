"""Mamba's block, for where `mamba_ssm` isn't installed: the same parameters, arguments and answers.

Forks of `mamba_ssm` have a block of the same name that reads tokens both ways; so does this one.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from canthus.errors import ExportError
from canthus_exporter.mamba.convolution import causal_conv1d_update
from canthus_exporter.mamba.functions import (
    bimamba_inner_fn,
    mamba_inner_fn_no_out_proj,
    selective_state_update,
)


class Mamba(nn.Module):
    """One Mamba block (Gu and Dao, arXiv 2312.00752): tokens (B, L, d_model) to the same shape.

    Loads the state of a `mamba_ssm.Mamba`, or of Vim's and VideoMamba's forks of it. Fresh weights are of the right
    sizes, but not initialised for training.

    Args:
        d_model: width of a token.
        d_state: states of a channel.
        d_conv: tokens that the convolution sees.
        expand: channels, in multiples of the width.
        dt_rank: "auto" is a sixteenth of the width.
        conv_bias, bias: of the convolution, and of the outer projections.
        dt_min, dt_max, dt_init, dt_scale, dt_init_floor: are about training, and ignored.
        use_fast_path: chooses a kernel, and is ignored.
        layer_idx: which block of a network it is.
        device, dtype: of the parameters.
        bimamba_type: "none"; "v1" and "v2" are Vim's (arXiv 2401.09417): the other direction has an A of its own, or
            everything between the outer projections.
        bimamba: VideoMamba's (arXiv 2403.06977): as "v2".
        if_divide_out: whether the two directions are averaged, not added.
        init_layer_scale: what a factor for each of the answer's features starts from; None for no such factor.

    Raises:
        ExportError: there is another argument, or the kind of bidirectional block isn't one of these.
    """

    def __init__(
        self,
        d_model: int,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        dt_rank: int | str = "auto",
        dt_min: float = 0.001,
        dt_max: float = 0.1,
        dt_init: str = "random",
        dt_scale: float = 1.0,
        dt_init_floor: float = 1e-4,
        conv_bias: bool = True,
        bias: bool = False,
        use_fast_path: bool = True,
        layer_idx: int | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
        bimamba_type: str | None = "none",
        if_divide_out: bool = False,
        init_layer_scale: float | None = None,
        *,
        bimamba: bool = False,
        **unknown: Any,
    ) -> None:
        super().__init__()
        if unknown:
            raise ExportError(
                f"Mamba: canthus doesn't know the argument {', '.join(unknown)}; put the fork of mamba_ssm that has it "
                "on Python's path, and it is used as it is"
            )
        kinds = ("none", "v1", "v2")
        if (bimamba_type or "none") not in kinds:
            raise ExportError(
                f"Mamba: bimamba_type {bimamba_type!r} is none of {', '.join(map(repr, kinds))}, which canthus knows; "
                "put the fork of mamba_ssm that has it on Python's path, and it is used as it is"
            )
        channels = int(expand * d_model)
        rank = math.ceil(d_model / 16) if dt_rank == "auto" else int(dt_rank)
        self.d_model, self.d_state, self.d_conv, self.channels = d_model, d_state, d_conv, channels
        self.layer_idx, self.if_divide_out = layer_idx, if_divide_out
        self.directions = "v2" if bimamba else bimamba_type or "none"
        made: dict[str, Any] = {"device": device, "dtype": dtype}
        sides = ("", "_b") if self.directions == "v2" else ("",)
        self.in_proj = nn.Linear(d_model, 2 * channels, bias=bias, **made)
        for side in sides:
            convolution = nn.Conv1d(
                *(channels, channels, d_conv), groups=channels, padding=d_conv - 1, bias=conv_bias, **made
            )
            self.add_module(f"conv1d{side}", convolution)
            self.add_module(f"x_proj{side}", nn.Linear(channels, rank + 2 * d_state, bias=False, **made))
            self.add_module(f"dt_proj{side}", nn.Linear(rank, channels, **made))
            self.register_parameter(f"D{side}", nn.Parameter(torch.ones(channels, device=device)))
        for name in ("A_log", "A_b_log")[: 1 if self.directions == "none" else 2]:
            states = torch.arange(1, d_state + 1, device=device).float()
            self.register_parameter(name, nn.Parameter(torch.log(states).repeat(channels, 1)))
        self.out_proj = nn.Linear(channels, d_model, bias=bias, **made)
        self.gamma = None
        if init_layer_scale is not None:
            self.gamma = nn.Parameter(init_layer_scale * torch.ones(d_model, device=device))

    def forward(self, hidden_states: Tensor, inference_params: None = None, T: int = 1) -> Tensor:
        """Tokens (B, L, d_model) to the same shape. T, VideoMamba's frames, changes nothing there either.

        Raises:
            ExportError: there are `inference_params`.
        """
        if inference_params is not None:
            raise ExportError("Mamba: inference_params isn't supported; export `step`, whose states come in and go out")
        xz = self.in_proj(hidden_states).transpose(1, 2)
        if self.directions == "v1":
            y = bimamba_inner_fn(
                *(xz, self.conv1d.weight, self.conv1d.bias, self.x_proj.weight, self.dt_proj.weight),
                *(self.out_proj.weight, self.out_proj.bias, self._A("A_log"), self._A("A_b_log")),
                D=self.D,
                delta_bias=self.dt_proj.bias,
            )
        else:
            y = self._one_way(xz, "A_log", "")
            if self.directions == "v2":
                y = y + self._one_way(xz.flip(-1), "A_b_log", "_b").flip(-1)
                y = y / 2 if self.if_divide_out else y
            y = self.out_proj(y.transpose(1, 2))
        return y if self.gamma is None else y * self.gamma

    def _one_way(self, xz: Tensor, A_log: str, side: str) -> Tensor:
        conv1d, x_proj, dt_proj = (self.get_submodule(f"{name}{side}") for name in ("conv1d", "x_proj", "dt_proj"))
        return mamba_inner_fn_no_out_proj(
            *(xz, conv1d.weight, conv1d.bias, x_proj.weight, dt_proj.weight, self._A(A_log)),
            D=self.get_parameter(f"D{side}"),
            delta_bias=dt_proj.bias,
        )

    def _A(self, name: str) -> Tensor:
        return -torch.exp(self.get_parameter(name).float())

    def step(self, hidden_states: Tensor, conv_state: Tensor, ssm_state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One token (B, 1, d_model); both states are replaced by the next, and returned behind the answer.

        Args:
            conv_state: (B, channels, d_conv), zeros at first.
            ssm_state: (B, channels, d_state), zeros at first.

        Raises:
            ExportError: the block reads tokens both ways.
        """
        if self.directions != "none":
            raise ExportError("Mamba: a bidirectional block needs all tokens at once; export the block, not its `step`")
        x, z = self.in_proj(hidden_states.squeeze(1)).chunk(2, dim=1)
        x = causal_conv1d_update(x, conv_state, self.conv1d.weight.flatten(1), self.conv1d.bias, "silu")
        rank = self.dt_proj.weight.shape[1]
        dt, B, C = self.x_proj(x).split([rank, self.d_state, self.d_state], dim=1)
        y = selective_state_update(
            *(ssm_state, x, F.linear(dt, self.dt_proj.weight), self._A("A_log"), B, C, self.D, z, self.dt_proj.bias),
            dt_softplus=True,
        )
        y = self.out_proj(y).unsqueeze(1)
        return y if self.gamma is None else y * self.gamma, conv_state, ssm_state

    def allocate_inference_cache(
        self, batch_size: int, max_seqlen: int = 0, dtype: torch.dtype | None = None
    ) -> tuple[Tensor, Tensor]:
        """Both states at the beginning: (batch_size, channels, d_conv) and (batch_size, channels, d_state)."""
        sizes = (self.d_conv, self.d_state)
        conv_state, ssm_state = (torch.zeros(batch_size, self.channels, size, dtype=dtype) for size in sizes)
        return conv_state, ssm_state
