"""What float16 costs: how often a float16 bundle's network answers as the float32 one, and how far its logits are off.

    python benchmarks/float16_labels.py CHECKPOINT.pth FLOAT16.canthus SEE

runs both on clips of the testing subset, all on the CPU. ONNX Runtime's CPU provider computes a float16 graph in
float32, so PyTorch runs the same network in float16 twice more, as GPUs do: products are added up in float32 and
rounded to float16 after each layer; or added up in float16, rounded after each 16, as tensor cores of GPUs may.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from canthus.bundle import read_bundle
from canthus.engine import Engine
from canthus.network import open_network
from canthus.operators import library_path
from canthus.parts import ENCODERS
from canthus.runtimes.onnxruntime import OnnxRuntime
from canthus.verify import Golden, replay
from canthus_calibration.agreement import compare
from canthus_calibration.subsets import Drawn, decode
from canthus_exporter.float16 import to_float16
from canthus_exporter.fold import fold
from canthus_exporter.folded_runtime import folded_runtime
from canthus_model.checkpoint import load_network
from canthus_model.see.annotation import TESTING
from canthus_model.see.dataset import open_see

AT_ONCE = 16  # clips; also the products that a tensor core adds up before it rounds


class Float16Sum(nn.Module):
    """A convolution or a dense layer that adds up in float16."""

    def __init__(self, layer: nn.Conv2d | nn.Linear) -> None:
        super().__init__()
        self.layer = layer
        self.rows = layer.weight.detach().float().flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        layer = self.layer
        if isinstance(layer, nn.Linear):
            return (self._sum(x.float().unsqueeze(2)).squeeze(2) + layer.bias.float()).half()
        columns = F.unfold(x.float(), layer.kernel_size, padding=layer.padding, stride=layer.stride)
        sizes = zip(x.shape[2:], layer.padding, layer.kernel_size, layer.stride, strict=True)
        image = [(size + 2 * padding - kernel) // stride + 1 for size, padding, kernel, stride in sizes]
        return (self._sum(columns) + layer.bias.float()[:, None]).half().unflatten(2, image)

    def _sum(self, columns: Tensor) -> Tensor:
        """(B, products, places) to (B, outputs, places), numbers of float16 in float32."""
        total = torch.zeros(())
        for i in range(0, columns.shape[1], AT_ONCE):
            total = (total + self.rows[:, i : i + AT_ONCE] @ columns[:, i : i + AT_ONCE]).half().float()
        return total


def add_up_in_float16(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv2d | nn.Linear):
            setattr(module, name, Float16Sum(child))
        else:
            add_up_in_float16(child)


def logits_of(engine: Engine, clips: Drawn) -> NDArray[np.float32]:
    logits = []
    for i in range(0, len(clips), AT_ONCE):
        frame, event = clips.frame[i : i + AT_ONCE], clips.event[i : i + AT_ONCE]
        logits.append(engine.react(frame[:, 1], event[:, 1], engine.prime(frame[:, 0], event[:, 0])).logits)
    return np.concatenate(logits)


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    powers = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("bundle", type=Path, help="of this checkpoint, in float16")
    parser.add_argument("see", type=Path)
    parser.add_argument("--rounds", type=int, default=3, help="of a clip of each sequence (default: 3)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take each Nth clip alone (default: all)")
    arguments = parser.parse_args()
    bundle = read_bundle(arguments.bundle)
    golden = Golden.from_bundle(bundle)
    see = open_see(arguments.see, TESTING)
    keys = [(turn, place) for turn in range(arguments.rounds) for place in range(len(see.sequences))]
    clips = decode(see, keys[:: arguments.every])
    network = load_network(arguments.checkpoint, bundle.manifest.image_size)

    def folded(*changes: Callable[[nn.ModuleDict], object]) -> Engine:
        parts = fold(network)
        for change in changes:
            change(parts)
        return Engine(bundle.manifest, folded_runtime(parts))

    def rounded(parts: nn.ModuleDict) -> None:
        to_float16(parts, golden)

    def summed(parts: nn.ModuleDict) -> None:
        for part in ENCODERS:
            add_up_in_float16(parts[part])

    on_this_cpu = open_network(OnnxRuntime(library_path()), bundle.graphs(), 2)
    engines = {
        "ONNX Runtime, CPU": lambda: Engine(bundle.manifest, on_this_cpu),
        "PyTorch, sums in float32": lambda: folded(rounded),
        "PyTorch, sums in float16": lambda: folded(rounded, summed),
    }
    expected = logits_of(folded(), clips)
    print(f"{len(clips)} clips; logits from {expected.min():.1f} to {expected.max():.1f}")
    for name, engine in engines.items():
        opened = engine()
        found = logits_of(opened, clips)
        others = int((found.argmax(1) != expected.argmax(1)).sum())
        difference = np.abs(found - expected)
        print(
            f"{name}: {100 - 100 * others / len(clips):.2f} % answered alike, {others} otherwise; logits off by "
            f"{np.sqrt(np.square(difference).mean()):.1e} (root mean square), at most {difference.max():.1e}, on the "
            f"golden windows {replay(opened, golden).answers:.1e}",
            flush=True,
        )
        costs = compare(probabilities(expected), probabilities(found), clips)
        for lighting, cost in costs.items():
            print(
                f"    {lighting:<12}{cost.agreement:>7.2f} % of {cost.clips}, divergence {cost.divergence:.1e} bits; "
                f"UAR {cost.uar:.1f} -> {cost.uar_int8:.1f}"
            )


if __name__ == "__main__":
    main()
