"""The main job of the exporter: a checkpoint becomes a verified bundle."""

from __future__ import annotations

import datetime
import gc
import hashlib
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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
from canthus.verify import TOLERANCE, Golden, answer, furthest, replay
from canthus_calibration.calibrate import Calibrated, calibrate
from canthus_calibration.page import write_page
from canthus_exporter.exact_runtime import ExactRuntime
from canthus_exporter.float16 import Rounding, to_float16
from canthus_exporter.fold import Prime, React
from canthus_exporter.folded_runtime import FoldedRuntime
from canthus_exporter.golden import make_golden
from canthus_exporter.trace import trace
from canthus_model.checkpoint import load_network
from canthus_model.config import EVENT, FRAME
from canthus_model.see.annotation import read_labels
from canthus_model.see.dataset import ANNOTATION
from canthus_model.steps import Steps

WINDOW_US = 33_000
SPAN_US = 400_000
_FLOAT16_ROUNDING = 4
"""Times by which a device's logits may be further from the golden ones than those of the ways to run it here.

Some runtimes add up in float16 too: of two networks that took them 1.8 times as far as to add up in float32, which
PyTorch and ONNX Runtime do on the CPU.
"""
_MOST_MOVED = 0.25
"""By which an INT8 answer's lead may move, however far apart the data set's answers are: 6 points of a probability."""
_FAITHFUL = 4
"""Times the difference between faithful ways to run an INT8 network that must be allowed, or none would be right."""
FLOAT16_LIMIT = 0.05
"""Largest difference of a logit that float16 may cost at export: it moves no probability by more than 0.025."""


@dataclass(frozen=True)
class Int8:
    """How to make an INT8 bundle.

    Attributes:
        see: the data set to calibrate on, and to measure the cost on.
        target: one of `canthus_calibration.targets.TARGETS`.
        ranges: one of `canthus_calibration.ranges.ESTIMATORS`.
        clips: to take ranges from, a quarter from each lighting.
        page: file for a page about it (HTML), if any.
    """

    see: Path
    target: str = "x86"
    ranges: str = "entropy"
    clips: int = 400
    page: Path | None = None


def export(
    checkpoint: Path | str,
    annotation: Path | str,
    output: Path | str,
    image_size: tuple[int, int] = (100, 100),
    int8: Int8 | None = None,
    steps: Steps | None = None,
    *,
    float16: bool = False,
) -> Manifest:
    """Export a trained checkpoint as a bundle, in float32 unless `int8` or `float16` is given.

    Args:
        checkpoint: a published `.pth` file.
        annotation: the data set's annotation file, whose `labels` give the class order.
        output: the `.canthus` file to write; nothing is written unless everything was verified.
        image_size: (height, width) in pixels that the network was trained with.
        int8: quantise, after the float32 network was verified. What was measured so far is kept beside the output,
            in a file with `.calibrating` behind its name, until the bundle is there.
        steps: told about each step.
        float16: put the encoders into float16, for GPUs; not together with `int8`.

    Raises:
        CheckpointError: the checkpoint can't be used.
        DataSetError: the annotation, or the data set to calibrate on, can't be used.
        CalibrationError: the data set has too little of a lighting.
        ExportError: what was exported doesn't compute what the checkpoint does; float16 can't hold a weight or an
            activation, or costs too much; the data set has other labels.
        BundleError: the output can't be written.
    """
    if int8 and float16:
        raise ExportError("a bundle is of one precision: int8 or float16, not both")
    steps = steps or Steps()
    output = Path(output)
    if not output.parent.is_dir():
        raise ExportError(f"{output}: there is no folder {output.parent}; make it first")
    labels = read_labels(annotation)
    if int8:
        _check(int8, labels)
    exported = _folded(Path(checkpoint), labels, image_size, steps, float16=float16)
    gc.collect()  # cycles of torch.export hold the network, and with it the checkpoint
    calibrated = None
    if int8:
        calibrated = calibrate(
            exported.graphs,
            int8.see,
            target=int8.target,
            estimator=int8.ranges,
            clips=int8.clips,
            journal=output.with_name(f"{output.name}.calibrating"),
            steps=steps,
        )
        exported = _quantised(exported, calibrated, int8.target, steps)
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


@dataclass(frozen=True)
class _Exported:
    """What goes into a bundle; the manifest's hashes are yet to come."""

    manifest: Manifest
    graphs: dict[str, onnx.ModelProto]  # "prime", "react"
    golden: Golden

    def members(self) -> dict[str, bytes]:
        graphs = {f"{name}.onnx": graph.SerializeToString() for name, graph in self.graphs.items()}
        return {**graphs, "golden.npz": self.golden.to_bytes()}

    def engine(self, operators: Path | None, *, as_written: bool = False) -> Engine:
        graphs = [self.graphs[name].SerializeToString() for name in ("prime", "react")]
        return Engine(self.manifest, OnnxRuntime(*graphs, threads=2, operators=operators, as_written=as_written))


def _folded(
    checkpoint: Path, labels: tuple[str, ...], image_size: tuple[int, int], steps: Steps, *, float16: bool
) -> _Exported:
    """The folded network, in float32 or with its encoders in float16, traced and verified."""
    with steps.step("load") as step:
        network = load_network(checkpoint, image_size)
        checkpoint_hash = _sha256_of(checkpoint)
        step.result(f"{checkpoint}: {_parameters(network) / 1e6:.1f} M parameters")
    with steps.step("fold") as step:
        prime, react = Prime(network).eval(), React(network).eval()
        parameters = _parameters(prime) + _parameters(react)
        golden = make_golden(network)
        step.result(f"{parameters / 1e6:.1f} M parameters are left")
    manifest = Manifest(
        labels=labels,
        image_size=image_size,
        normalisation={"frame": FRAME, "event": EVENT},
        window_us=WINDOW_US,
        span_us=SPAN_US,
        event_contribution=0.5,
        event_neutral=0.5,
        precision="float16" if float16 else "float32",
        target="any",
        parameters=parameters,
        sha256={},
        provenance={
            "checkpoint": checkpoint.name,
            "checkpoint_sha256": checkpoint_hash,
            "canthus": version("canthus"),
            **{package.__name__: str(package.__version__) for package in (torch, onnx, onnxruntime)},
            "python": platform.python_version(),
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        },
        parity={},
    )
    ways: dict[str, Callable[[], Engine]] = {"folded": lambda: Engine(manifest, FoldedRuntime(prime, react))}
    parity: dict[str, float] = {}
    rounding = None
    if float16:
        with steps.step("float16") as step:
            parity = _verify(ways, golden)
            rounding = to_float16(prime, react, golden)
            step.result(f"most is rounded in {rounding.layer}: its activations are {100 * rounding.error:.2g} % off")
        ways["float16"] = ways.pop("folded")  # the same, but prime and react are in float16 now
    with steps.step("trace") as step:
        graphs = _trace(prime, react, network.config.features, image_size)
        step.result("prime.onnx, react.onnx")
    exported = _Exported(manifest, graphs, golden)
    ways["operators"] = lambda: exported.engine(library_path())
    ways["portable"] = lambda: exported.engine(None)
    with steps.step("verify") as step:
        parity |= _verify_float16(ways, golden, rounding) if rounding else _verify(ways, golden)
        differences = ", ".join(f"{name} {value:.1e}" for name, value in parity.items() if name in {"folded", *ways})
        same = f"; {parity['agreement']:g} % of the golden windows get its label" if rounding else ""
        step.result(f"largest logit difference from the unfolded network: {differences}{same}")
    parity.setdefault("tolerance", TOLERANCE)
    return replace(exported, manifest=replace(manifest, parity=parity))


def _check(int8: Int8, labels: tuple[str, ...]) -> None:
    """Say at once what would be said in the end."""
    if int8.page and not int8.page.parent.is_dir():
        raise ExportError(f"{int8.page}: there is no folder {int8.page.parent}; make it first")
    found = read_labels(int8.see / ANNOTATION)
    if found != labels:
        raise ExportError(
            f"{int8.see}: its labels are {', '.join(found)}, and those of the checkpoint, by its annotation, "
            f"{', '.join(labels)}; calibrate on the data set that it was trained with"
        )


def _quantised(exported: _Exported, calibrated: Calibrated, target: str, steps: Steps) -> _Exported:
    """The same in INT8; its golden answers are its own, which no processor's arithmetic has a part in."""
    manifest = replace(exported.manifest, precision="int8", target=target, calibration=calibrated.record)
    int8 = replace(exported, manifest=manifest, graphs=calibrated.graphs)
    exact = Engine(manifest, ExactRuntime(calibrated.graphs["prime"], calibrated.graphs["react"]))
    own = replace(exported.golden, logits=answer(exact, exported.golden))
    spread = max(replay(int8.engine(library_path()), own), replay(int8.engine(None, as_written=True), own))
    if _FAITHFUL * spread > calibrated.closest_lead:
        steps.warn(
            f"the network hears rounding: ways to compute it in INT8 that are all faithful move an answer's lead by "
            f"{spread:.1e}, and {calibrated.closest_lead:.1e} changes one answer in a hundred"
        )
    parity = {
        **manifest.parity,
        "int8": furthest(own.logits, exported.golden),
        "int8 as run here": spread,
        "tolerance": max(TOLERANCE, min(calibrated.closest_lead, _MOST_MOVED), _FAITHFUL * spread),
    }
    return _Exported(replace(manifest, parity=parity), calibrated.graphs, own)


def _trace(prime: Prime, react: React, features: int, image_size: tuple[int, int]) -> dict[str, onnx.ModelProto]:
    # Each example is a tensor of its own: one given twice would be traced as one input.
    images = [torch.zeros(2, *image_size, dtype=torch.uint8) for _ in range(2)]
    firsts = [torch.zeros(2, features) for _ in range(2)]
    batch = torch.export.Dim("batch", min=1)
    return {
        name: trace(part, inputs, *names, dynamic_shapes=[{0: batch} for _ in inputs])
        for name, part, inputs, names in (("prime", prime, images, PRIME), ("react", react, images + firsts, REACT))
    }


def _verify(ways: Mapping[str, Callable[[], Engine]], golden: Golden) -> dict[str, float]:
    """Largest logit difference from the unfolded network, of each way to run the folded one in float32."""
    parity = {}
    for name, engine in ways.items():
        parity[name] = replay(engine(), golden)
        if not parity[name] <= TOLERANCE:
            raise ExportError(
                f"the {name} network's logits are up to {parity[name]:.3g} away from the checkpoint's, more than "
                f"{TOLERANCE:g}: no bundle was written. Please report this with the checkpoint's hash"
            )
    return parity


def _verify_float16(ways: Mapping[str, Callable[[], Engine]], golden: Golden, rounding: Rounding) -> dict[str, float]:
    """The same in float16; also how many golden windows get its label, in percent, and the tolerance."""
    answers = {name: answer(engine(), golden) for name, engine in ways.items()}
    parity = {name: furthest(logits, golden) for name, logits in answers.items()}
    name, worst = max(parity.items(), key=lambda item: item[1])
    if not worst <= FLOAT16_LIMIT:
        raise ExportError(
            f"in float16 the network's logits ({name}) are up to {worst:.3g} away from the checkpoint's, more than "
            f"{FLOAT16_LIMIT:g}: no bundle was written. Most is rounded in {rounding.layer}, whose activations are "
            f"{100 * rounding.error:.2g} % off. Export in float32"
        )
    same = [float((logits.argmax(1) == golden.logits.argmax(1)).mean()) for logits in answers.values()]
    return {**parity, "agreement": 100 * min(same), "tolerance": max(TOLERANCE, _FLOAT16_ROUNDING * worst)}


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
