"""`mamba_ssm.models`, for where `mamba_ssm` isn't installed: language models of Mamba blocks.

The same parameters, arguments and answers; fresh weights aren't initialised for training.
"""

from __future__ import annotations

import json
import pickle
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from canthus.errors import ExportError
from canthus_exporter.mamba.block import Mamba
from canthus_exporter.mamba.block_of_heads import Mamba2
from canthus_exporter.mamba.norms import RMSNorm, layer_norm_fn

CausalLMOutput = namedtuple("CausalLMOutput", ["logits"])


@dataclass
class MambaConfig:
    """Of a `MambaLMHeadModel`; the names are `mamba_ssm`'s, which are those of a checkpoint's `config.json`."""

    d_model: int = 2560
    d_intermediate: int = 0
    n_layer: int = 64
    vocab_size: int = 50277
    ssm_cfg: dict[str, Any] = field(default_factory=dict)
    attn_layer_idx: list[int] = field(default_factory=list)
    attn_cfg: dict[str, Any] = field(default_factory=dict)
    rms_norm: bool = True
    residual_in_fp32: bool = True
    fused_add_norm: bool = True
    pad_vocab_size_multiple: int = 8
    tie_embeddings: bool = True


class GatedMLP(nn.Module):
    """Tokens (..., in_features) to (..., out_features) by way of hidden ones, one half gating the other."""

    def __init__(
        self,
        in_features: int,
        hidden_features: int | None = None,
        out_features: int | None = None,
        activation: Callable[[Tensor], Tensor] = F.silu,
        bias: bool = False,
        multiple_of: int = 128,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        hidden = hidden_features or int(8 * in_features / 3)
        hidden = -(-hidden // multiple_of) * multiple_of
        self.activation = activation
        self.fc1 = nn.Linear(in_features, 2 * hidden, bias=bias, device=device, dtype=dtype)
        self.fc2 = nn.Linear(hidden, out_features or in_features, bias=bias, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        y, gate = self.fc1(x).chunk(2, dim=-1)
        return self.fc2(y * self.activation(gate))


class Block(nn.Module):
    """Adds what came before, norms, mixes: tokens and their residual (B, L, dim) to the next of both.

    Args:
        mixer_cls, mlp_cls, norm_cls: make its parts, given `dim`; `nn.Identity` for no multi-layer perceptron.
        fused_add_norm: chooses a kernel, and is ignored.
        residual_in_fp32: whether the residual is float32.
    """

    def __init__(
        self,
        dim: int,
        mixer_cls: Callable[[int], nn.Module],
        mlp_cls: Any = nn.Identity,
        norm_cls: Any = nn.LayerNorm,
        fused_add_norm: bool = False,
        residual_in_fp32: bool = False,
    ) -> None:
        super().__init__()
        self.residual_in_fp32 = residual_in_fp32
        self.norm, self.mixer, self.mlp = norm_cls(dim), mixer_cls(dim), None
        if mlp_cls is not nn.Identity:
            self.norm2, self.mlp = norm_cls(dim), mlp_cls(dim)

    def forward(
        self, hidden_states: Tensor, residual: Tensor | None = None, inference_params: None = None
    ) -> tuple[Tensor, Tensor]:
        hidden_states, residual = _add_and_norm(self.norm, hidden_states, residual, self.residual_in_fp32)
        hidden_states = self.mixer(hidden_states, inference_params=inference_params)
        if self.mlp is not None:
            hidden_states, residual = _add_and_norm(self.norm2, hidden_states, residual, self.residual_in_fp32)
            hidden_states = self.mlp(hidden_states)
        return hidden_states, residual

    def allocate_inference_cache(self, batch_size: int, max_seqlen: int, dtype: torch.dtype | None = None) -> Any:
        """Of the mixer."""
        return self.mixer.allocate_inference_cache(batch_size, max_seqlen, dtype)


class BlockWithoutPerceptron(Block):
    """The same as `mamba_ssm` had it before version 2, in `modules.mamba_simple`."""

    def __init__(
        self,
        dim: int,
        mixer_cls: Callable[[int], nn.Module],
        norm_cls: Any = nn.LayerNorm,
        fused_add_norm: bool = False,
        residual_in_fp32: bool = False,
    ) -> None:
        super().__init__(dim, mixer_cls, nn.Identity, norm_cls, fused_add_norm, residual_in_fp32)


def create_block(
    d_model: int,
    d_intermediate: int = 0,
    ssm_cfg: dict[str, Any] | None = None,
    attn_layer_idx: list[int] | None = None,
    attn_cfg: dict[str, Any] | None = None,
    norm_epsilon: float = 1e-5,
    rms_norm: bool = False,
    residual_in_fp32: bool = False,
    fused_add_norm: bool = False,
    layer_idx: int | None = None,
    device: Any = None,
    dtype: Any = None,
) -> Block:
    """A `Block` with a Mamba or a Mamba-2 in it.

    Raises:
        ExportError: it has attention, or another mixer.
    """
    settings = dict(ssm_cfg or {})
    layer = settings.pop("layer", "Mamba1")
    mixers: dict[str, Any] = {"Mamba1": Mamba, "Mamba2": Mamba2}
    if layer not in mixers or layer_idx in (attn_layer_idx or []):
        what = f"a mixer '{layer}'" if layer not in mixers else f"attention in layer {layer_idx}"
        raise ExportError(f"mamba_ssm.models: {what} isn't supported where mamba_ssm isn't installed; install it")
    made = {"device": device, "dtype": dtype}
    mlp: Any = nn.Identity
    if d_intermediate:
        mlp = partial(GatedMLP, hidden_features=d_intermediate, out_features=d_model, **made)
    block = Block(
        d_model,
        partial(mixers[layer], layer_idx=layer_idx, **settings, **made),
        mlp,
        norm_cls=partial(RMSNorm if rms_norm else nn.LayerNorm, eps=norm_epsilon, **made),
        fused_add_norm=fused_add_norm,
        residual_in_fp32=residual_in_fp32,
    )
    block.layer_idx = layer_idx  # type: ignore[assignment]
    return block


class MixerModel(nn.Module):
    """Token numbers (B, L) to features (B, L, d_model): an embedding, blocks, a norm."""

    def __init__(
        self,
        d_model: int,
        n_layer: int,
        d_intermediate: int,
        vocab_size: int,
        ssm_cfg: dict[str, Any] | None = None,
        attn_layer_idx: list[int] | None = None,
        attn_cfg: dict[str, Any] | None = None,
        norm_epsilon: float = 1e-5,
        rms_norm: bool = False,
        initializer_cfg: dict[str, Any] | None = None,
        fused_add_norm: bool = False,
        residual_in_fp32: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        made = {"device": device, "dtype": dtype}
        self.residual_in_fp32 = residual_in_fp32
        self.embedding = nn.Embedding(vocab_size, d_model, **made)
        self.layers = nn.ModuleList(
            create_block(
                *(d_model, d_intermediate, ssm_cfg, attn_layer_idx, attn_cfg, norm_epsilon, rms_norm),
                *(residual_in_fp32, fused_add_norm, place),
                **made,
            )
            for place in range(n_layer)
        )
        self.norm_f = (RMSNorm if rms_norm else nn.LayerNorm)(d_model, eps=norm_epsilon, **made)

    def forward(self, input_ids: Tensor, inference_params: None = None) -> Tensor:
        hidden_states, residual = self.embedding(input_ids), None
        for layer in self.layers:
            hidden_states, residual = layer(hidden_states, residual, inference_params=inference_params)
        return _add_and_norm(self.norm_f, hidden_states, residual, self.residual_in_fp32)[0]


class MambaLMHeadModel(nn.Module):
    """Token numbers (B, L) to `logits` (B, L, vocabulary), a named tuple of one."""

    def __init__(
        self,
        config: MambaConfig,
        initializer_cfg: dict[str, Any] | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.config = config
        vocabulary = -(-config.vocab_size // config.pad_vocab_size_multiple) * config.pad_vocab_size_multiple
        self.backbone = MixerModel(
            *(config.d_model, config.n_layer, config.d_intermediate, vocabulary, config.ssm_cfg),
            *(config.attn_layer_idx, config.attn_cfg),
            rms_norm=config.rms_norm,
            fused_add_norm=config.fused_add_norm,
            residual_in_fp32=config.residual_in_fp32,
            device=device,
            dtype=dtype,
        )
        self.lm_head = nn.Linear(config.d_model, vocabulary, bias=False, device=device, dtype=dtype)
        self.tie_weights()

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name: Path | str, device: Any = None, dtype: Any = None
    ) -> MambaLMHeadModel:
        """From a folder that has `config.json` and `pytorch_model.bin`. Nothing is downloaded.

        Raises:
            ExportError: there is no such folder, or not that in it.
        """
        folder = Path(pretrained_model_name)
        try:
            config = MambaConfig(**json.loads((folder / "config.json").read_text()))
            state = torch.load(folder / "pytorch_model.bin", map_location=device or "cpu", weights_only=True)
        except OSError as error:
            raise ExportError(
                f"{folder}: no folder with config.json and pytorch_model.bin in it; canthus downloads nothing: fetch "
                "the model first, and give its folder"
            ) from error
        except (TypeError, ValueError, pickle.UnpicklingError) as error:
            raise ExportError(f"{folder}: isn't a model of mamba_ssm's ({error})") from error
        model = cls(config, device=device, dtype=dtype)
        model.load_state_dict(state)
        return model

    def tie_weights(self) -> None:
        """The head's weights are the embedding's, if the configuration says so."""
        if self.config.tie_embeddings:
            self.lm_head.weight = self.backbone.embedding.weight

    def forward(
        self, input_ids: Tensor, position_ids: None = None, inference_params: None = None, num_last_tokens: int = 0
    ) -> CausalLMOutput:
        hidden_states = self.backbone(input_ids, inference_params)
        if num_last_tokens > 0:
            hidden_states = hidden_states[:, -num_last_tokens:]
        return CausalLMOutput(logits=self.lm_head(hidden_states))


def _add_and_norm(
    norm: nn.Module, hidden_states: Tensor, residual: Tensor | None, residual_in_fp32: bool
) -> tuple[Tensor, Tensor]:
    """The norm of their sum, and the sum."""
    both = layer_norm_fn(
        *(hidden_states, norm.weight, norm.bias, residual),
        eps=norm.eps,
        prenorm=True,
        residual_in_fp32=residual_in_fp32,
        is_rms_norm=isinstance(norm, RMSNorm),
    )
    assert isinstance(both, tuple)
    return both
