"""The main job of the exporter: a checkpoint becomes a verified bundle."""

from __future__ import annotations

import datetime
import gc
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
from canthus.parts import ENCODERS, HEAD, PARTS, member, signature
from canthus.verify import TOLERANCE
from canthus.whole_file import why_unwritable
from canthus_calibration.confidence import look_at_confidence
from canthus_calibration.eye_check import look_at_eyes
from canthus_calibration.page import write_page
from canthus_calibration.subsets import check_size
from canthus_exporter.exported import Exported
from canthus_exporter.float16 import to_float16
from canthus_exporter.fold import fold
from canthus_exporter.folded_runtime import folded_runtime
from canthus_exporter.golden import make_golden
from canthus_exporter.int8 import Int8, to_int8
from canthus_exporter.parity import verify_float16, verify_float32
from canthus_exporter.trace import trace, with_weights
from canthus_exporter.trained_on import TrainedOn, check_labels, trained_on
from canthus_model.checkpoint import load_network
from canthus_model.config import EVENT, FRAME
from canthus_model.see.annotation import TESTING
from canthus_model.see.dataset import open_see
from canthus_model.steps import Steps


def export(
    checkpoint: Path | str,
    annotation: Path | str | None,
    output: Path | str,
    image_size: tuple[int, int] | None = None,
    int8: Int8 | None = None,
    steps: Steps | None = None,
    *,
    see: Path | None = None,
    float16: bool = False,
    weights: str | None = None,
) -> Manifest:
    """Export a trained checkpoint as a bundle, in float32 unless `int8` or `float16` is given.

    Args:
        checkpoint: a published `.pth` file, or one that `canthus train` wrote.
        annotation: the data set's annotation file, whose `labels` give the class order; None if the checkpoint says.
        output: the `.canthus` file to write; nothing is written unless everything was verified.
        image_size: (height, width) in pixels that the network was trained with; None for what the checkpoint says, or
            100x100 if it doesn't.
        int8: quantise, by the data set in `see`, after the float32 network was verified. What was measured so far is
            kept beside the output, in a file with `.calibrating` behind its name, until the bundle is there.
        steps: told about each step.
        see: the data set that the network was trained with, to measure on how sure it is against how often it is
            right, to set the temperature by which its probabilities are honest, and to learn how an eye looks.
        float16: put the encoders into float16, for GPUs; not together with `int8`.
        weights: which network of the checkpoint, where it holds several.

    Raises:
        CheckpointError: the checkpoint can't be used.
        DataSetError: the annotation, or the data set to calibrate on, can't be used.
        CalibrationError: the data set has too little of a lighting.
        ExportError: what was exported doesn't compute what the checkpoint does; float16 can't hold a weight or an
            activation, or costs too much; the checkpoint says otherwise than `annotation` or `image_size`, or the
            data set has other labels.
        BundleError: the output can't be written.
    """
    if int8 and float16:
        raise ExportError("a bundle is of one precision: int8 or float16, not both")
    if int8 and see is None:
        raise ExportError("INT8 needs a data set to take ranges from: random images would be guesses")
    steps = steps or Steps()
    checkpoint, output = Path(checkpoint), Path(output)
    written = [output, *([int8.page] if int8 and int8.page else [])]
    for path in written:
        if path.parent.is_dir() and (reason := why_unwritable(path)):
            raise ExportError(f"{path}: {reason}")
    if not output.parent.is_dir():
        raise ExportError(f"{output}: there is no folder {output.parent}; make it first")
    given = [path for path in (checkpoint, annotation) if path and Path(path).exists()]
    for path in filter(Path.exists, written):
        if any(path.samefile(other) for other in given):
            raise ExportError(f"{path}: is what is to be exported, and would be overwritten; give another output")
    facts = trained_on(checkpoint, annotation, image_size, steps.note)
    if int8:
        int8.check()
    if see:
        check_labels(see, facts.labels)
        check_size(open_see(see, TESTING, ends=False), facts.image_size)
    exported = _folded(checkpoint, weights, facts, steps, float16=float16)
    gc.collect()  # cycles of torch.export hold the network, and with it the checkpoint
    calibrated = None
    if int8 and see:
        journal = output.with_name(f"{output.name}.calibrating")
        exported, calibrated = to_int8(exported, int8, see, journal, steps)
    if see:
        confidence = look_at_confidence(exported.engine(library_path()), see, facts.held_back, steps)
        learned = look_at_eyes(see, steps)
        manifest = replace(exported.manifest, confidence=confidence, eye=learned.eye if learned else None)
        exported = replace(exported, manifest=manifest, eye_check=learned.check if learned else None)
    with steps.step("pack") as step:
        if int8 and int8.page and calibrated:
            write_page(int8.page, output.name, int8.target, calibrated)
        members = exported.members()
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
        manifest = replace(exported.manifest, sha256=hashes)
        write_bundle(output, manifest, members)
        if calibrated:
            calibrated.journal.remove()
        step.result(f"{output}: {output.stat().st_size / 1e6:.1f} MB")
    return manifest


def _folded(
    checkpoint: Path,
    weights: str | None,
    facts: TrainedOn,
    steps: Steps,
    *,
    float16: bool,
) -> Exported:
    """The folded network, in float32 or with its encoders in float16, traced and verified."""
    image_size = facts.image_size
    with steps.step("load") as step:
        network = load_network(checkpoint, image_size, weights, steps.warn)
        step.result(f"{checkpoint}: {_parameters(network) / 1e6:.1f} M parameters")
    with steps.step("fold") as step:
        parts = fold(network)
        golden = make_golden(network)
        manifest = _manifest(checkpoint, facts, _parameters(parts), "float16" if float16 else "float32")
        step.result(f"{manifest.parameters / 1e6:.1f} M parameters are left")
    folded = {"folded": lambda: Engine(manifest, folded_runtime(parts))}
    parity, rounding = {}, None
    if float16:
        with steps.step("float16") as step:
            parity = verify_float32(folded, golden)
            rounding = to_float16(parts, golden)
            folded = {"float16": folded["folded"]}  # the same, but its encoders are in float16 now
            step.result(f"most is rounded in {rounding.layer}: its activations are {100 * rounding.error:.2g} % off")
    with steps.step("trace") as step:
        graphs = _trace(parts, network.config.features, image_size)
        step.result(", ".join(map(member, graphs)))
    exported = Exported(manifest, graphs, golden)
    ways = {**folded, **exported.ways()}
    with steps.step("verify") as step:
        parity |= verify_float16(ways, golden, rounding) if rounding else verify_float32(ways, golden)
        differences = ", ".join(f"{name} {parity[name]:.1e}" for name in parity if name in {"folded", *ways})
        same = f"; {parity['agreement']:g} % of the golden windows get its label" if rounding else ""
        step.result(f"largest logit difference from the unfolded network: {differences}{same}")
    parity.setdefault("tolerance", TOLERANCE)
    return replace(exported, manifest=replace(manifest, parity=parity))


def _manifest(checkpoint: Path, facts: TrainedOn, parameters: int, precision: str) -> Manifest:
    """Without what is measured."""
    packages = {package.__name__: str(package.__version__) for package in (torch, onnx, onnxruntime)}
    return Manifest(
        labels=facts.labels,
        image_size=facts.image_size,
        normalisation={"frame": FRAME, "event": EVENT},
        window_us=facts.window_us,
        span_us=facts.span_us,
        event_contribution=0.5,
        event_neutral=0.5,
        precision=precision,
        target="any",
        parameters=parameters,
        sha256={},
        provenance={
            "checkpoint": checkpoint.name,
            "checkpoint_sha256": _sha256_of(checkpoint),
            "canthus": version("canthus"),
            **packages,
            "python": platform.python_version(),
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        },
        parity={},
    )


def _trace(parts: nn.ModuleDict, features: int, image_size: tuple[int, int]) -> dict[str, onnx.ModelProto]:
    batch = torch.export.Dim("batch", min=1)
    graphs: dict[str, onnx.ModelProto] = {}
    for part in PARTS:
        # The encoders are built alike: to trace one of them takes seconds, to give its graph other weights nothing.
        graph = with_weights(graphs[ENCODERS[0]], parts[part]) if part in ENCODERS[1:] else None
        if graph is None:
            names = signature(part)
            # Each example is a tensor of its own: one given twice would be traced as one input.
            examples = [
                torch.zeros(2, features) if part == HEAD else torch.zeros(2, *image_size, dtype=torch.uint8)
                for _ in names[0]
            ]
            graph = trace(parts[part], examples, *names, dynamic_shapes=[{0: batch} for _ in examples])
        onnx.checker.check_model(graph)
        graphs[part] = graph
    return graphs


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
