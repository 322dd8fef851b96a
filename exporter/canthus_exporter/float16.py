"""The folded network's encoders in float16, and whether they fit into it.

For GPUs, which compute faster in it. It costs rounding, 11 bits of each weight and activation instead of 24, and range:
beyond 65504 there is nothing but infinity. What follows the encoders stays float32.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from canthus.errors import ExportError
from canthus.parts import ENCODERS
from canthus.verify import Golden
from canthus_exporter.fold import FoldedBlock, FoldedEncoder

LARGEST = 65504
"""Of float16's numbers."""
HEADROOM = 16
"""Times by which an activation may be larger on a device than on the golden windows. Those of two trained networks were
up to 8 times as large, on 672 and 168 clips of a data set."""
_GREY = 2.0**-6
"""What a grey level is to the first convolution. Its weights for whole grey levels are so small that float16 would
keep few bits of them; a power of two costs none."""


class Float16Encoder(nn.Module):
    """As `FoldedEncoder`, its layers in float16: raw images (B, H, W) uint8 to features (B, config.features) float32.

    The mean is taken off in float32; the images are rounded to float16 once, after that.

    Args:
        encoder: in float32; stays as it is.
        name: what errors call it.

    Raises:
        ExportError: a weight is beyond float16's range.
    """

    def __init__(self, encoder: FoldedEncoder, name: str) -> None:
        super().__init__()
        self.register_buffer("mean", encoder.mean)
        layers = nn.ModuleDict({"conv1": encoder.conv1, "blocks": encoder.blocks, "fc": encoder.fc})
        layers = copy.deepcopy(layers)
        layers["conv1"].weight.data /= _GREY
        for layer, module in layers.named_modules():
            _check_weights(f"{name}.{layer}", module)
        layers.half()
        self.conv1, self.blocks, self.fc = layers["conv1"], layers["blocks"], layers["fc"]

    def forward(self, image: Tensor) -> Tensor:
        x = ((image.to(torch.float32).unsqueeze(1) - self.mean) * _GREY).half()
        x = F.max_pool2d(F.relu(self.conv1(x)), 3, 2, 1)
        return self.fc(self.blocks(x).mean((2, 3))).float()


@dataclass(frozen=True)
class Rounding:
    """What float16 does to a layer's result on the golden windows.

    Attributes:
        layer: as the network calls it, behind its part.
        error: how far the result is off, as a share of its size (Euclidean norms).
        growth: how much more that is than of any layer before.
    """

    layer: str
    error: float
    growth: float


def to_float16(parts: nn.ModuleDict, golden: Golden) -> Rounding:
    """Put the encoders of a folded network into float16, in place.

    Returns:
        The layer by which rounding grows most.

    Raises:
        ExportError: a weight or an activation doesn't fit into float16.
    """
    roundings = []
    for part in ENCODERS:
        encoder = parts[part]
        float16 = Float16Encoder(encoder, part)
        roundings.append(_compare(encoder, float16, torch.from_numpy(golden.images(part)), part))
        parts[part] = float16.eval()
    return max(roundings, key=lambda rounding: rounding.growth)


def _check_weights(name: str, module: nn.Module) -> None:
    for kind, weights in module.named_parameters(recurse=False):
        largest = float(weights.detach().abs().max())
        if largest > LARGEST:
            raise ExportError(
                f"{name}: its {kind} reaches {largest:.3g}, and float16 ends at {LARGEST}: no bundle was written. "
                "Export in float32"
            )


@torch.inference_mode()
def _compare(encoder: FoldedEncoder, float16: Float16Encoder, images: Tensor, name: str) -> Rounding:
    """The layer by which rounding grows most on these images (B, H, W)."""
    exact = _results(encoder, images)
    for layer, result in exact.items():
        largest = float(result.abs().max())
        if largest * HEADROOM > LARGEST:
            raise ExportError(
                f"{name}.{layer}: its activations reach {largest:.3g} on the golden windows, and in float16 they "
                f"should stay below {LARGEST // HEADROOM}, since it ends at {LARGEST}: no bundle was written. "
                "Export in float32"
            )
    grown = Rounding(name, 0.0, 0.0)
    furthest = 0.0
    for layer, result in _results(float16, images).items():
        size = float(exact[layer].norm())
        error = float((result.float() - exact[layer]).norm()) / size if size else 0.0
        if error - furthest > grown.growth:
            grown = Rounding(f"{name}.{layer}", error, error - furthest)
        furthest = max(furthest, error)
    return grown


def _results(encoder: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """What each layer and each residual block gives, by its name, in the order in which they run."""
    results: dict[str, Tensor] = {}

    def keep(layer: str) -> torch.utils.hooks.RemovableHandle:
        module = encoder.get_submodule(layer)
        return module.register_forward_hook(lambda _module, _inputs, result: results.__setitem__(layer, result))

    kinds = (nn.Conv2d, nn.Linear, FoldedBlock)
    handles = [keep(layer) for layer, module in encoder.named_modules() if isinstance(module, kinds)]
    try:
        encoder(images)
    finally:
        for handle in handles:
            handle.remove()
    return results
