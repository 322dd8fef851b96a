"""The main job of the exporter: a checkpoint becomes a verified bundle."""

from __future__ import annotations

import datetime
import hashlib
import platform
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import onnx
import onnxruntime
import torch
from torch import nn

from canthus.bundle import write_bundle
from canthus.engine import Engine
from canthus.errors import ExportError
from canthus.manifest import Manifest
from canthus.operators import library_path
from canthus.runtimes.onnxruntime import PRIME, REACT, OnnxRuntime
from canthus.verify import TOLERANCE, Golden, replay
from canthus_exporter.fold import Prime, React
from canthus_exporter.folded_runtime import FoldedRuntime
from canthus_exporter.golden import make_golden
from canthus_exporter.progress import Progress
from canthus_exporter.trace import trace
from canthus_model.checkpoint import load_network
from canthus_model.config import EVENT, FRAME
from canthus_model.see.annotation import read_labels

WINDOW_US = 33_000
SPAN_US = 400_000


def export(
    checkpoint: Path | str,
    annotation: Path | str,
    output: Path | str,
    image_size: tuple[int, int] = (100, 100),
    progress: Progress | None = None,
) -> Manifest:
    """Export a trained checkpoint as a float32 bundle.

    Args:
        checkpoint: a published `.pth` file.
        annotation: the data set's annotation file, whose `labels` give the class order.
        output: the `.canthus` file to write; nothing is written unless everything was verified.
        image_size: (height, width) in pixels that the network was trained with.
        progress: told about each step.

    Raises:
        CheckpointError: the checkpoint can't be used.
        DataSetError: the annotation can't be used.
        ExportError: what was exported doesn't compute what the checkpoint does.
        BundleError: the output can't be written.
    """
    progress = progress or Progress()
    output = Path(output)
    if not output.parent.is_dir():
        raise ExportError(f"{output}: there is no folder {output.parent}; make it first")
    labels = read_labels(annotation)
    with progress.step("load") as step:
        network = load_network(checkpoint, image_size)
        checkpoint_hash = _sha256_of(Path(checkpoint))
        step.result(f"{checkpoint}: {_parameters(network) / 1e6:.1f} M parameters")
    with progress.step("fold") as step:
        prime, react = Prime(network).eval(), React(network).eval()
        parameters = _parameters(prime) + _parameters(react)
        golden = make_golden(network)
        step.result(f"{parameters / 1e6:.1f} M parameters are left")
    with progress.step("trace") as step:
        graphs = _trace(prime, react, network.config.features, image_size)
        step.result("prime.onnx, react.onnx")
    members = {name: graph.SerializeToString() for name, graph in graphs.items()}
    members["golden.npz"] = golden.to_bytes()
    manifest = Manifest(
        labels=labels,
        image_size=image_size,
        normalisation={"frame": FRAME, "event": EVENT},
        window_us=WINDOW_US,
        span_us=SPAN_US,
        event_contribution=0.5,
        event_neutral=0.5,
        precision="float32",
        target="any",
        parameters=parameters,
        sha256={name: hashlib.sha256(content).hexdigest() for name, content in members.items()},
        provenance={
            "checkpoint": Path(checkpoint).name,
            "checkpoint_sha256": checkpoint_hash,
            "canthus": version("canthus"),
            **{package.__name__: str(package.__version__) for package in (torch, onnx, onnxruntime)},
            "python": platform.python_version(),
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        },
        parity={},
    )
    with progress.step("verify") as step:
        parity = _verify(manifest, prime, react, members, golden)
        manifest = replace(manifest, parity={**parity, "tolerance": TOLERANCE})
        differences = ", ".join(f"{name} {value:.1e}" for name, value in parity.items())
        step.result(f"largest logit difference from the unfolded network: {differences}")
    with progress.step("pack") as step:
        write_bundle(output, manifest, members)
        step.result(f"{output}: {output.stat().st_size / 1e6:.1f} MB")
    return manifest


def _trace(prime: Prime, react: React, features: int, image_size: tuple[int, int]) -> dict[str, onnx.ModelProto]:
    # Each example is a tensor of its own: one given twice would be traced as one input.
    images = [torch.zeros(2, *image_size, dtype=torch.uint8) for _ in range(2)]
    firsts = [torch.zeros(2, features) for _ in range(2)]
    return {
        "prime.onnx": trace(prime, images, *PRIME),
        "react.onnx": trace(react, images + firsts, *REACT),
    }


def _verify(
    manifest: Manifest, prime: Prime, react: React, members: dict[str, bytes], golden: Golden
) -> dict[str, float]:
    """Largest logit difference from the unfolded network, of each way to run what was exported."""
    graphs = (members["prime.onnx"], members["react.onnx"])
    runtimes = {
        "folded": lambda: FoldedRuntime(prime, react),
        "operators": lambda: OnnxRuntime(*graphs, threads=2, operators=library_path()),
        "portable": lambda: OnnxRuntime(*graphs, threads=2, operators=None),
    }
    parity = {}
    for name, runtime in runtimes.items():
        parity[name] = replay(Engine(manifest, runtime()), golden)
        if not parity[name] <= TOLERANCE:
            raise ExportError(
                f"the {name} network's logits are up to {parity[name]:.3g} away from the checkpoint's, more than "
                f"{TOLERANCE:g}: no bundle was written. Please report this with the checkpoint's hash"
            )
    return parity


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
