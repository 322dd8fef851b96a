"""A bundle's manifest: what is in it, what it was made from, and how to feed it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass

import yaml

from canthus.calibration import GOAL, Calibration, Cost
from canthus.confidence import Confidence, Honesty, Temperature
from canthus.errors import BundleError
from canthus.eye import MEMBER as EYE_MEMBER
from canthus.eye import Eye, Thresholds
from canthus.manifest_fields import Fields
from canthus.modalities import MODALITIES, VERDICTS, Exchanged, Modalities
from canthus.parts import ENCODERS, PARTS, member
from canthus.steady import Steadiness
from canthus.visible import Visible

FORMAT = 2
"""That this canthus writes and reads. In format 1, which was never released, the parts of a moment were one graph."""

MEMBERS = (*map(member, PARTS), "golden.npz")


@dataclass(frozen=True)
class Normalisation:
    """`(grey / 255 - mean) / std`, the same for the network's three equal channels."""

    mean: float
    std: float


@dataclass(frozen=True)
class Manifest:
    """The manifest of a bundle, checked.

    Attributes:
        labels: the expressions, in the order of logits and probabilities.
        image_size: (height, width) of the engine's images, in pixels.
        normalisation: of `frame` and of `event`; already inside the graphs, kept for the record.
        window_us: how long events are accumulated for one event image, in microseconds.
        span_us: time from the first moment to the last, in microseconds.
        event_contribution: what one event adds to or takes from a pixel, of the full range 1.
        event_neutral: a pixel without events, of the full range 1.
        precision: of the graphs' arithmetic: float32, int8, or float16 of the encoders and float32 behind them.
        target: the kind of device that the graphs were made for; `any` is every one.
        parameters: weights in all graphs.
        sha256: of each member, in hexadecimal.
        provenance: checkpoint hash, versions and date.
        parity: largest logit differences from the golden vectors, measured at export, and their limit, `tolerance`; in
            float16 also `agreement`, the percentage of golden windows with the checkpoint's label.
        calibration: of an INT8 bundle; None for others.
        modalities: whether each is used; None if that was not measured, as without a data set.
    """

    labels: tuple[str, ...]
    image_size: tuple[int, int]
    normalisation: Mapping[str, Normalisation]
    window_us: int
    span_us: int
    event_contribution: float
    event_neutral: float
    precision: str
    target: str
    parameters: int
    sha256: Mapping[str, str]
    provenance: Mapping[str, str]
    parity: Mapping[str, float]
    calibration: Calibration | None = None
    modalities: Modalities | None = None
    confidence: Confidence | None = None
    steadiness: Steadiness | None = None
    eye: Eye | None = None

    @property
    def members(self) -> tuple[str, ...]:
        """What the bundle holds beside the manifest."""
        return (*MEMBERS, *((EYE_MEMBER,) if self.eye else ()))

    def to_yaml(self) -> str:
        """The text that `from_yaml` reads."""
        fields = asdict(self)
        fields["labels"] = list(self.labels)
        fields["image_size"] = list(self.image_size)
        if self.calibration is None:
            del fields["calibration"]
        else:
            fields["calibration"]["warnings"] = list(self.calibration.warnings)
            if not self.calibration.features:
                del fields["calibration"]["features"]
        for name in ("modalities", "confidence", "steadiness", "eye"):
            if fields[name] is None:
                del fields[name]
        return yaml.safe_dump({"format": FORMAT, **fields}, sort_keys=False, allow_unicode=True)

    @classmethod
    def from_yaml(cls, text: str) -> Manifest:
        """Read and check a manifest.

        Raises:
            BundleError: not YAML, of a newer format, or a field is missing or makes no sense.
        """
        try:
            document = yaml.safe_load(text)
        except (yaml.YAMLError, RecursionError, ValueError, LookupError, TypeError) as error:
            raise BundleError("its manifest is not YAML; export the bundle again") from error
        fields = Fields(document)
        version = fields.integer("format", 1, 1 << 31)
        if version != FORMAT:
            remedy = "update canthus, or export again with this one" if version > FORMAT else _export_again(fields)
            raise BundleError(f"is of format {version} and this canthus reads {FORMAT}: {remedy}")
        size = fields.integers("image_size", 2, 16, 4096)
        return cls(
            labels=fields.strings("labels"),
            image_size=(size[0], size[1]),
            normalisation={
                name: Normalisation(mean=entry.number("mean", 0, 1), std=entry.number("std", 1e-6, 1))
                for name, entry in ((n, fields.mapping("normalisation").mapping(n)) for n in ("frame", "event"))
            },
            window_us=fields.integer("window_us", 1, 1_000_000),
            span_us=fields.integer("span_us", 1, 10_000_000),
            event_contribution=fields.number("event_contribution", 1e-6, 1),
            event_neutral=fields.number("event_neutral", 0, 1),
            precision=fields.string("precision"),
            target=fields.string("target"),
            parameters=fields.integer("parameters", 1, 1 << 40),
            sha256={
                name: fields.mapping("sha256").string(name)
                for name in (*MEMBERS, *((EYE_MEMBER,) if fields.has("eye") else ()))
            },
            provenance=fields.mapping("provenance").all_strings(),
            parity=fields.mapping("parity").all_numbers(),
            calibration=_calibration(fields.mapping("calibration")) if fields.has("calibration") else None,
            modalities=_modalities(fields.mapping("modalities")) if fields.has("modalities") else None,
            confidence=_confidence(fields.mapping("confidence")) if fields.has("confidence") else None,
            steadiness=_steadiness(fields.mapping("steadiness")) if fields.has("steadiness") else None,
            eye=_eye(fields.mapping("eye")) if fields.has("eye") else None,
        )


def _export_again(fields: Fields) -> str:
    """The command that made a bundle, as far as its manifest tells."""
    height, width = fields.integers("image_size", 2, 16, 4096)
    command = ["canthus", "export", fields.mapping("provenance").string("checkpoint")]
    command += ["--annotation", "emotion.json", "--image-size", f"{height}x{width}"]
    if (precision := fields.string("precision")) != "float32":
        command += ["--precision", precision]
    if precision == "int8":
        command += ["--see", "SEE", "--target", fields.string("target")]
    return f"export it again: {shlex.join(command)} -o NEW.canthus"


def _calibration(fields: Fields) -> Calibration:
    costs = fields.mapping("costs")
    return Calibration(
        ranges=fields.string("ranges"),
        clips=fields.mapping("clips").all_integers(),
        clips_sha256=fields.string("clips_sha256"),
        layers=fields.integer("layers", 0, 1 << 20),
        float_layers=fields.mapping("float_layers").all_strings(),
        warnings=fields.strings("warnings", empty=True),
        costs={name: _cost(costs.mapping(name)) for name in costs.names()},
        goal=fields.number("goal", 0, 100) if fields.has("goal") else GOAL,
        features=_features(fields.mapping("features")) if fields.has("features") else {},
    )


def _cost(fields: Fields) -> Cost:
    return Cost(
        clips=fields.integer("clips", 1, 1 << 31),
        divergence=fields.number("divergence", 0, 1),
        worst_divergence=fields.number("worst_divergence", 0, 1),
        **{name: fields.number(name, 0, 100) for name in ("agreement", "uar", "uar_int8", "war", "war_int8")},
        agreement_low=fields.number_or_none("agreement_low", 0, 100),
        agreement_high=fields.number_or_none("agreement_high", 0, 100),
        uar_loss_low=fields.number_or_none("uar_loss_low", -100, 100),
        sequences=fields.integer_or_none("sequences", 1, 1 << 31),
        volunteers=fields.integer_or_none("volunteers", 1, 1 << 31),
    )


def _features(fields: Fields) -> dict[str, float]:
    return {part: fields.number(part, 0, math.inf) for part in ENCODERS}


def _modalities(fields: Fields) -> Modalities:
    exchanged, lighting_uar = fields.mapping("exchanged"), fields.mapping("lighting_uar").all_numbers(100)
    return Modalities(
        clips=fields.integer("clips", 1, 1 << 31),
        volunteers=fields.integer("volunteers", 1, 1 << 31),
        agreement=fields.number("agreement", 0, 100),
        uar=fields.number("uar", 0, 100),
        lighting_uar=lighting_uar,
        exchanged={name: _exchanged(exchanged.mapping(name), lighting_uar) for name in MODALITIES},
    )


def _exchanged(fields: Fields, lightings: Collection[str]) -> Exchanged:
    lighting_uar = fields.mapping("lighting_uar")
    return Exchanged(
        verdict=fields.one_of("verdict", VERDICTS),
        why=fields.string("why"),
        agreement=fields.number("agreement", 0, 100),
        uar=fields.number("uar", 0, 100),
        lighting_uar={name: lighting_uar.number(name, 0, 100) for name in lightings},
    )


def _confidence(fields: Fields) -> Confidence:
    before, after = fields.mapping("before"), fields.mapping("after")
    return Confidence(
        temperature=Temperature(
            **{name: fields.mapping("temperature").number(name, -100, 100) for name in ("offset", "slope")}
        ),
        clips=fields.integer("clips", 1, 1 << 31),
        volunteers=fields.integer("volunteers", 1, 1 << 31),
        tested=fields.integer("tested", 1, 1 << 31),
        before={name: _honesty(before.mapping(name)) for name in before.names()},
        after={name: _honesty(after.mapping(name)) for name in before.names()},
        visible=Visible(**{name: fields.mapping("visible").number(name, 0, 1) for name in ("least_contrast", "noise")}),
    )


def _steadiness(fields: Fields) -> Steadiness:
    return Steadiness(
        **{name: fields.integer(name, 1_000, 1 << 31) for name in ("lasts_us", "independent_us")},
        to_neutral=fields.number("to_neutral", 0, 1),
        takes_over=fields.number("takes_over", 0, 1),
    )


def _eye(fields: Fields) -> Eye:
    thresholds = fields.mapping("thresholds")
    return Eye(
        thresholds=Thresholds(
            **{name: thresholds.number(name, -1e6, 1e6) for name in ("no_eye", "unfamiliar", "closed")}
        ),
        volunteers=fields.integer("volunteers", 1, 1 << 31),
        held=fields.integer("held", 1, 1 << 31),
        refused=fields.number("refused", 0, 1),
        told=fields.number("told", 0, 1),
        closed_told=fields.number("closed_told", 0, 1),
    )


def _honesty(fields: Fields) -> Honesty:
    return Honesty(
        clips=fields.integer("clips", 1, 1 << 31),
        **{name: fields.number(name, 0, 100) for name in ("accuracy", "confidence", "error")},
        brier=fields.number_or_none("brier", 0, 2),
        log_loss=fields.number_or_none("log_loss", 0, 100),
    )
