"""What canthus has in the place of `mamba_ssm`, `causal_conv1d` and kernels in CUDA, by module and name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from canthus.errors import ExportError
from canthus_exporter.mamba import convolution, functions, heads, language_model, norms
from canthus_exporter.mamba.block import Mamba
from canthus_exporter.mamba.block_of_heads import Mamba2, Mamba2Simple


def missing(name: str) -> type:
    """A class in the place of something that canthus has nothing for: it can be imported, and says so when called."""

    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise ExportError(
            f"{name}: canthus has nothing to put in its place; leave the part that calls it out, or replace that call "
            "by PyTorch's own operations"
        )

    return type(name.rpartition(".")[2], (), {"__new__": refuse, "__module__": name.rpartition(".")[0]})


class GenerationMixin:
    """`mamba_ssm.utils.generation.GenerationMixin`: networks inherit from it."""

    def generate(self, *_arguments: Any, **_options: Any) -> Any:
        """
        Raises:
            ExportError: always: a network is exported, not run.
        """
        raise ExportError("generate: isn't there while canthus stands in for mamba_ssm; call the network itself")


@dataclass
class InferenceParams:
    """`mamba_ssm.utils.generation.InferenceParams`, which networks name in their signatures."""

    max_seqlen: int
    max_batch_size: int
    seqlen_offset: int = 0
    batch_size_offset: int = 0
    key_value_memory_dict: dict[int, Any] = field(default_factory=dict)
    lengths_per_sample: torch.Tensor | None = None


SCAN: dict[str, Any] = {
    "selective_scan_fn": functions.selective_scan_fn,
    "selective_scan_ref": functions.selective_scan_fn,
    "mamba_inner_fn": functions.mamba_inner_fn,
    "mamba_inner_ref": functions.mamba_inner_fn,
    "mamba_inner_fn_no_out_proj": functions.mamba_inner_fn_no_out_proj,
    "bimamba_inner_fn": functions.bimamba_inner_fn,
    "bimamba_inner_ref": functions.bimamba_inner_fn,
}
CONVOLUTION: dict[str, Any] = {
    "causal_conv1d_fn": convolution.causal_conv1d_fn,
    "causal_conv1d_update": convolution.causal_conv1d_update,
}
UPDATE: dict[str, Any] = {
    "selective_state_update": functions.selective_state_update,
    "selective_state_update_ref": functions.selective_state_update,
}
HEADS: dict[str, Any] = {
    "mamba_chunk_scan_combined": heads.mamba_chunk_scan_combined,
    "mamba_chunk_scan": heads.mamba_chunk_scan,
    "mamba_split_conv1d_scan_combined": heads.mamba_split_conv1d_scan_combined,
}
NORMS: dict[str, Any] = {
    "layer_norm_fn": norms.layer_norm_fn,
    "rms_norm_fn": norms.rms_norm_fn,
    "layer_norm_linear_fn": norms.layer_norm_linear_fn,
    "RMSNorm": norms.RMSNorm,
}
GATED_NORMS: dict[str, Any] = {
    "layernorm_fn": norms.layernorm_fn,
    "rmsnorm_fn": norms.rmsnorm_fn,
    "LayerNorm": norms.GatedLayerNorm,
    "RMSNorm": norms.GatedRMSNorm,
}


def _missing(module: str, *names: str) -> dict[str, Any]:
    return {name: missing(f"{module}.{name}") for name in names}


MODULES: dict[str, dict[str, Any]] = {
    "selective_scan_cuda": {"fwd": functions.selective_scan_fwd, **_missing("selective_scan_cuda", "bwd")},
    **{
        module: {"fwd": functions.selective_scan_without_gate_fwd, **_missing(module, "bwd")}
        for module in ("selective_scan_cuda_core", "selective_scan_cuda_oflex")
    },
    "causal_conv1d": CONVOLUTION,
    "causal_conv1d.causal_conv1d_interface": CONVOLUTION,
    "mamba_ssm": {
        **SCAN,
        "Mamba": Mamba,
        "MambaLMHeadModel": language_model.MambaLMHeadModel,
        "Mamba2": Mamba2,
        **_missing("mamba_ssm", "Mamba3"),
    },
    "mamba_ssm.ops": {},
    "mamba_ssm.ops.selective_scan_interface": SCAN,
    "mamba_ssm.ops.triton": {},
    "mamba_ssm.ops.triton.layer_norm": NORMS,
    "mamba_ssm.ops.triton.layernorm": NORMS,
    "mamba_ssm.ops.triton.layernorm_gated": GATED_NORMS,
    "mamba_ssm.ops.triton.selective_state_update": UPDATE,
    "mamba_ssm.ops.triton.ssd_combined": HEADS,
    "mamba_ssm.modules": {},
    "mamba_ssm.modules.mamba_simple": {
        **SCAN,
        **CONVOLUTION,
        **UPDATE,
        **NORMS,
        "Mamba": Mamba,
        "Block": language_model.BlockWithoutPerceptron,
    },
    "mamba_ssm.modules.block": {"Block": language_model.Block},
    "mamba_ssm.modules.mlp": {"GatedMLP": language_model.GatedMLP},
    "mamba_ssm.modules.mha": _missing("mamba_ssm.modules.mha", "MHA"),
    "mamba_ssm.modules.mamba2": {"Mamba2": Mamba2},
    "mamba_ssm.modules.mamba2_simple": {"Mamba2Simple": Mamba2Simple},
    "mamba_ssm.modules.mamba3": _missing("mamba_ssm.modules.mamba3", "Mamba3"),
    "mamba_ssm.models": {},
    "mamba_ssm.models.config_mamba": {"MambaConfig": language_model.MambaConfig},
    "mamba_ssm.models.mixer_seq_simple": {
        name: getattr(language_model, name)
        for name in ("MambaConfig", "MambaLMHeadModel", "MixerModel", "create_block", "Block", "Mamba", "RMSNorm")
    },
    "mamba_ssm.utils": {},
    "mamba_ssm.utils.generation": {"GenerationMixin": GenerationMixin, "InferenceParams": InferenceParams},
    "mamba_ssm.utils.hf": _missing("mamba_ssm.utils.hf", "load_config_hf", "load_state_dict_hf"),
    "mamba_ssm.utils.torch": {"custom_fwd": torch.amp.custom_fwd, "custom_bwd": torch.amp.custom_bwd},
}
"""Modules that may be imported, with all that they have."""
