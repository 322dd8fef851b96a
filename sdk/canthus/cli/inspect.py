"""`canthus inspect`."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import asdict

from canthus.bundle import Bundle, read_bundle
from canthus.calibration import Calibration, Cost
from canthus.confidence import Confidence, Honesty, shown
from canthus.eye import Eye
from canthus.modalities import Modalities
from canthus.parts import ENCODERS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Say what a bundle holds and where it comes from, after checking every hash in it."
    parser.add_argument("bundle", help="a .canthus file")
    parser.add_argument("--json", action="store_true", help="for machines: the manifest as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    bundle = read_bundle(arguments.bundle)
    sizes = {name: len(bundle.read(name)) for name in bundle.manifest.members}
    if arguments.json:
        print(json.dumps(asdict(bundle.manifest)))
    else:
        print(_describe(bundle, sizes))
    return 0


def _describe(bundle: Bundle, sizes: dict[str, int]) -> str:
    manifest = bundle.manifest
    height, width = manifest.image_size
    rows = [
        ("bundle", f"{bundle.path}, {bundle.size / 1e6:.1f} MB"),
        ("network", f"{manifest.parameters / 1e6:.1f} M parameters, {manifest.precision}"),
        ("target", manifest.target),
        ("labels", ", ".join(manifest.labels)),
        ("images", f"{height} x {width} pixels (height x width), uint8 grey"),
        (
            "events",
            f"accumulated over {manifest.window_us / 1000:g} ms, ±{manifest.event_contribution:g} each "
            f"around {manifest.event_neutral:g}",
        ),
        ("span", f"{manifest.span_us / 1000:g} ms from the first moment to the last"),
        ("parity", ", ".join(_describe_parity(name, value) for name, value in manifest.parity.items())),
        *_describe_calibration(manifest.calibration),
        *_describe_modalities(manifest.modalities),
        *_describe_confidence(manifest.confidence),
        *_describe_eye(manifest.eye),
        *((f"from {name}", text) for name, text in manifest.provenance.items()),
        *((name, f"{size} bytes, sha256 {manifest.sha256[name]}") for name, size in sizes.items()),
    ]
    column = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{column}}  {text}" for name, text in rows)


def _describe_parity(name: str, value: float) -> str:
    return f"{name} {value:g} %" if name == "agreement" else f"{name} {value:.1e}"


def _describe_calibration(calibration: Calibration | None) -> list[tuple[str, str]]:
    if calibration is None:
        return []
    clips = ", ".join(f"{count} {name}" for name, count in calibration.clips.items())
    rows = [
        ("calibrated", f"by {calibration.ranges} on clips: {clips}; sha256 {calibration.clips_sha256}"),
        ("layers", f"{calibration.layers} in INT8, {len(calibration.float_layers)} in float{_by_encoder(calibration)}"),
        *(("in float", f"{name}: {reason}") for name, reason in calibration.float_layers.items()),
        *(("warning", text) for text in calibration.warnings),
    ]
    for name, cost in calibration.costs.items():
        text = (
            f"{cost.agreement:.1f} %{_interval(cost)} of {cost.clips} clips answered as in float32; divergence "
            f"{cost.divergence:.1e} "
            f"bits, at most {cost.worst_divergence:.1e}; UAR {cost.uar_int8:.1f} % (float32 {cost.uar:.1f}), "
            f"WAR {cost.war_int8:.1f} % ({cost.war:.1f})"
        )
        rows.append((f"INT8 in {name}", text))
    if calibration.features:
        off = ", ".join(f"{part} {100 * error:.1f} %" for part, error in calibration.features.items())
        rows.append(("INT8 features", f"off, in the worst lighting: {off}"))
    return rows


def _interval(cost: Cost) -> str:
    return f" ({cost.agreement_interval}, {cost.volunteers} volunteers)" if cost.agreement_interval else ""


def _by_encoder(calibration: Calibration) -> str:
    counts = Counter(name.partition(".")[0] for name in calibration.float_layers)
    return ": " + ", ".join(f"{part} {counts[part]}" for part in ENCODERS) if counts else ""


def _describe_modalities(modalities: Modalities | None) -> list[tuple[str, str]]:
    if modalities is None:
        return []
    rows = [
        (
            "modalities",
            f"measured on {modalities.clips} clips of {modalities.volunteers} testing volunteers; in brackets with "
            "their own frames and events",
        )
    ]
    for name, exchanged in modalities.exchanged.items():
        lightings = "".join(
            f", {lighting} {uar:.1f} % ({modalities.lighting_uar[lighting]:.1f})"
            for lighting, uar in exchanged.lighting_uar.items()
        )
        text = (
            f"{exchanged.agreement:.1f} % answered as with their own; UAR {exchanged.uar:.1f} % "
            f"({modalities.uar:.1f}){lightings}"
        )
        rows += [(name, exchanged.why), (f"{name} of others", text)]
    return rows


def _describe_confidence(confidence: Confidence | None) -> list[tuple[str, str]]:
    if confidence is None:
        return [("confidence", "uncalibrated: how sure it is was never held against how often it is right")]
    rows = [
        (
            "confidence",
            f"temperature {shown(confidence.temperature)}, by {confidence.clips} clips of {confidence.volunteers} "
            f"volunteers held back from training; what follows is of {confidence.tested} testing volunteers, in "
            "brackets without it",
        )
    ]
    for name, after in confidence.after.items():
        before = confidence.before[name]
        text = (
            f"right in {after.accuracy:.1f} % of {after.clips} clips, sure by {_both(after, before, 'confidence')} %; "
            f"calibration error {_both(after, before, 'error')} %"
        )
        for figure, what in (("brier", "Brier score"), ("log_loss", "log loss")):
            if getattr(after, figure) is not None:
                text += f", {what} {_both(after, before, figure, 3)}"
        rows.append((f"sure in {name}", text))
    visible = confidence.visible
    text = (
        f"a contrast of {255 * visible.least_contrast:.2g} grey levels in the frame, or events in more than "
        f"{100 * visible.noise:.2g} % of the pixels; with less an answer is unsure"
    )
    rows.append(("to be seen", text))
    return rows


def _both(after: Honesty, before: Honesty, figure: str, digits: int = 1) -> str:
    return f"{getattr(after, figure):.{digits}f} ({getattr(before, figure):.{digits}f})"


def _describe_eye(eye: Eye | None) -> list[tuple[str, str]]:
    if eye is None:
        return [("eye in view", "never learned: where there is none, answers can't say so")]
    text = (
        f"learned from {eye.volunteers} volunteers; of pictures of {eye.held} others' eyes {100 * eye.refused:.1f} % "
        f"are denied, of pictures of none {100 * eye.told:.1f} % told, of shut ones {100 * eye.closed_told:.1f} %"
    )
    return [("eye in view", text)]
