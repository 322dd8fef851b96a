"""Mamba-2's blocks, for where `mamba_ssm` isn't installed: the same parameters, arguments and answers."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from canthus.errors import ExportError
from canthus_exporter.mamba.convolution import causal_conv1d_update
from canthus_exporter.mamba.heads import mamba_split_conv1d_scan_combined, state_update_of_heads
from canthus_exporter.mamba.norms import GatedRMSNorm


class _BlockOfHeads(nn.Module):
    """What both blocks are made of; see `Mamba2`."""

    def __init__(
        self,
        d_model: int,
        d_state: int,
        d_conv: int,
        channels: int,
        beside: int,
        headdim: int,
        ngroups: int,
        D_has_hdim: bool,
        dt_limit: tuple[float, float],
        bias: bool,
        conv_bias: bool,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        if channels % headdim:
            raise ExportError(f"Mamba2: a head of {headdim} doesn't divide {channels} channels")
        made: dict[str, Any] = {"device": device, "dtype": dtype}
        self.d_state, self.d_conv, self.headdim, self.ngroups = d_state, d_conv, headdim, ngroups
        self.channels, self.heads, self.dt_limit = channels, channels // headdim, dt_limit
        self.D_has_hdim = D_has_hdim
        convolved = channels + 2 * ngroups * d_state
        self.in_proj = nn.Linear(d_model, 2 * beside + channels + convolved + self.heads, bias=bias, **made)
        self.conv1d = nn.Conv1d(
            *(convolved, convolved, d_conv), groups=convolved, padding=d_conv - 1, bias=conv_bias, **made
        )
        self.dt_bias = nn.Parameter(torch.zeros(self.heads, **made))
        self.A_log = nn.Parameter(torch.zeros(self.heads, **made))
        self.D = nn.Parameter(torch.ones(channels if D_has_hdim else self.heads, device=device))
        self.norm: GatedRMSNorm | None = None
        self.out_proj = nn.Linear(beside + channels, d_model, bias=bias, **made)

    def _mixed(self, tokens: Tensor, activation: str, initial_states: Tensor | None = None) -> Tensor:
        answer = mamba_split_conv1d_scan_combined(
            self.in_proj(tokens),
            *(self.conv1d.weight.flatten(1), self.conv1d.bias, self.dt_bias, self._A(), self._D()),
            initial_states=initial_states,
            dt_limit=self.dt_limit,
            activation=activation,
            rmsnorm_weight=None if self.norm is None else self.norm.weight,
            rmsnorm_eps=1e-6 if self.norm is None else self.norm.eps,
            outproj_weight=self.out_proj.weight,
            outproj_bias=self.out_proj.bias,
            headdim=self.headdim,
            ngroups=self.ngroups,
            norm_before_gate=self.norm is not None and self.norm.norm_before_gate,
        )
        assert isinstance(answer, Tensor)
        return answer

    def _A(self) -> Tensor:
        return -torch.exp(self.A_log.float())

    def _D(self) -> Tensor:
        return self.D.view(self.heads, self.headdim) if self.D_has_hdim else self.D


class Mamba2(_BlockOfHeads):
    """One Mamba-2 block (Dao and Gu, arXiv 2405.21060): tokens (B, L, d_model) to the same shape.

    Loads the state of a `mamba_ssm.Mamba2`. Fresh weights are of the right sizes, but not initialised for training.

    Args:
        d_model: width of a token.
        d_state: states of a head, N.
        d_conv: tokens that the convolution sees.
        expand: channels, in multiples of the width.
        headdim: channels of a head, P.
        d_ssm: channels that are scanned, all if None; a gated perceptron has the rest.
        ngroups: of heads that share B and C.
        D_has_hdim: whether D has a number for each channel, not for each head.
        rmsnorm: whether a norm, gated, comes before the last projection.
        norm_before_gate: in that order.
        dt_limit: the least and the most of a time step.
        bias, conv_bias: of the outer projections, and of the convolution.
        conv_init, A_init_range, dt_min, dt_max, dt_init_floor: are about training, and ignored.
        chunk_size, use_mem_eff_path, sequence_parallel: are about how it is computed, and ignored.
        layer_idx: which block of a network it is.
        process_group: None.
        device, dtype: of the parameters.

    Raises:
        ExportError: there is a `process_group`, or another argument.
    """

    def __init__(
        self,
        d_model: int,
        d_state: int = 128,
        d_conv: int = 4,
        conv_init: float | None = None,
        expand: int = 2,
        headdim: int = 64,
        d_ssm: int | None = None,
        ngroups: int = 1,
        A_init_range: tuple[float, float] = (1, 16),
        D_has_hdim: bool = False,
        rmsnorm: bool = True,
        norm_before_gate: bool = False,
        dt_min: float = 0.001,
        dt_max: float = 0.1,
        dt_init_floor: float = 1e-4,
        dt_limit: tuple[float, float] = (0.0, math.inf),
        bias: bool = False,
        conv_bias: bool = True,
        chunk_size: int = 256,
        use_mem_eff_path: bool = True,
        layer_idx: int | None = None,
        process_group: None = None,
        sequence_parallel: bool = True,
        device: Any = None,
        dtype: Any = None,
        **unknown: Any,
    ) -> None:
        if unknown or process_group is not None:
            raise ExportError(
                f"Mamba2: canthus doesn't know the argument {', '.join(unknown) or 'process_group'}; put the fork of "
                "mamba_ssm that has it on Python's path, and it is used as it is"
            )
        channels = int(expand * d_model) if d_ssm is None else d_ssm
        super().__init__(
            *(d_model, d_state, d_conv, channels, int(expand * d_model) - channels, headdim, ngroups, D_has_hdim),
            *(dt_limit, bias, conv_bias, device, dtype),
        )
        self.layer_idx = layer_idx
        if rmsnorm:
            self.norm = GatedRMSNorm(channels, 1e-5, channels // ngroups, norm_before_gate, device, dtype)

    def forward(
        self,
        u: Tensor,
        seqlen: None = None,
        seq_idx: None = None,
        cu_seqlens: None = None,
        inference_params: Any = None,
    ) -> Tensor:
        """Tokens (B, L, d_model) to the same shape.

        Raises:
            ExportError: sequences are packed into one row, or there are `inference_params`.
        """
        given = {"seqlen": seqlen, "seq_idx": seq_idx, "cu_seqlens": cu_seqlens}
        if packed := [name for name, value in given.items() if value is not None]:
            raise ExportError(f"Mamba2: {', '.join(packed)} isn't supported: export with one sequence a row")
        if inference_params is not None:
            raise ExportError(
                "Mamba2: inference_params isn't supported; export `step`, whose states come in and go out"
            )
        return self._mixed(u, "silu")

    def step(self, hidden_states: Tensor, conv_state: Tensor, ssm_state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One token (B, 1, d_model); both states are replaced by the next, and returned behind the answer.

        As `mamba_ssm`'s, it passes over `dt_limit`.

        Args:
            conv_state: (B, channels + 2 ngroups d_state, d_conv), zeros at first.
            ssm_state: (B, heads, headdim, d_state), zeros at first.
        """
        zxbcdt = self.in_proj(hidden_states.squeeze(1))
        of_states, beside = self.ngroups * self.d_state, self.out_proj.in_features - self.channels
        parts = [beside, beside, self.channels, self.channels + 2 * of_states, self.heads]
        z0, x0, z, xBC, dt = zxbcdt.split(parts, dim=1)
        xBC = causal_conv1d_update(xBC, conv_state, self.conv1d.weight.flatten(1), self.conv1d.bias, "silu")
        x, B, C = xBC.split([self.channels, of_states, of_states], dim=1)
        heads = (self.heads, self.headdim)
        D = self._D()
        y = state_update_of_heads(
            *(ssm_state, x.unflatten(1, heads), dt.unsqueeze(2).expand(-1, *heads)),
            self._A().view(-1, 1, 1).expand(*heads, self.d_state),
            *(t.unflatten(1, (self.ngroups, self.d_state)) for t in (B, C)),
            D if self.D_has_hdim else D.unsqueeze(1).expand(heads),
            z.unflatten(1, heads) if self.norm is None else None,
            self.dt_bias.unsqueeze(1).expand(heads),
            dt_softplus=True,
        ).flatten(1)
        y = y if self.norm is None else self.norm(y, z)
        y = torch.cat([F.silu(z0) * x0, y], dim=1) if beside else y
        return self.out_proj(y).unsqueeze(1), conv_state, ssm_state

    def allocate_inference_cache(
        self, batch_size: int, max_seqlen: int = 0, dtype: torch.dtype | None = None
    ) -> tuple[Tensor, Tensor]:
        """Both states at the beginning, see `step`."""
        conv_state = torch.zeros(batch_size, self.conv1d.weight.shape[0], self.d_conv, dtype=dtype)
        return conv_state, torch.zeros(batch_size, self.heads, self.headdim, self.d_state, dtype=dtype)


class Mamba2Simple(_BlockOfHeads):
    """The same, as `mamba_ssm.modules.mamba2_simple` has it: always with a gated norm, and with states to begin from.

    Args:
        learnable_init_states: whether the states at the beginning are parameters, `init_states` (H, P, N).
        activation: of the convolution.

    The other arguments are those of `Mamba2`.

    Raises:
        ExportError: there is another argument, or groups without `use_mem_eff_path`.
    """

    def __init__(
        self,
        d_model: int,
        d_state: int = 64,
        d_conv: int = 4,
        conv_init: float | None = None,
        expand: int = 2,
        headdim: int = 128,
        ngroups: int = 1,
        A_init_range: tuple[float, float] = (1, 16),
        dt_min: float = 0.001,
        dt_max: float = 0.1,
        dt_init_floor: float = 1e-4,
        dt_limit: tuple[float, float] = (0.0, math.inf),
        learnable_init_states: bool = False,
        activation: str = "swish",
        bias: bool = False,
        conv_bias: bool = True,
        chunk_size: int = 256,
        use_mem_eff_path: bool = True,
        layer_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise ExportError(
                f"Mamba2Simple: canthus doesn't know the argument {', '.join(unknown)}; put the fork of mamba_ssm that "
                "has it on Python's path, and it is used as it is"
            )
        if ngroups > 1 and not use_mem_eff_path:
            raise ExportError(
                "Mamba2Simple: without use_mem_eff_path mamba_ssm norms all groups together, and with it each; canthus "
                "does the latter: leave use_mem_eff_path as it is"
            )
        channels = int(expand * d_model)
        super().__init__(
            *(d_model, d_state, d_conv, channels, 0, headdim, ngroups, False, dt_limit, bias, conv_bias, device, dtype)
        )
        self.layer_idx, self.activation = layer_idx, activation
        if learnable_init_states:
            shape = (self.heads, headdim, d_state)
            self.init_states = nn.Parameter(torch.zeros(shape, device=device, dtype=dtype))
        self.learnable_init_states = learnable_init_states
        # Without groups here: the fused path of mamba_ssm takes them all the same.
        self.norm = GatedRMSNorm(channels, 1e-5, None, False, device, dtype)

    def forward(self, u: Tensor, seq_idx: None = None) -> Tensor:
        """Tokens (B, L, d_model) to the same shape.

        Raises:
            ExportError: sequences are packed into one row.
        """
        if seq_idx is not None:
            raise ExportError("Mamba2Simple: seq_idx isn't supported: export with one sequence a row")
        states = self.init_states.expand(u.shape[0], -1, -1, -1) if self.learnable_init_states else None
        return self._mixed(u, self.activation, states)
