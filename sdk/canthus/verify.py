"""Does this machine compute what the checkpoint computed? Replays a bundle's golden vectors and says."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from canthus.bundle import Bundle
from canthus.engine import Engine
from canthus.errors import BundleError, EngineError
from canthus.manifest import Manifest
from canthus.parts import ENCODERS, HEAD, shown

Floats = NDArray[np.floating]

TOLERANCE = 1e-3
"""Largest difference of a logit from the unfolded float32 network's that still counts as equal."""
FEATURES_TOLERANCE = 1e-3
"""The same of an encoder's features, as a share of their size."""


@dataclass(frozen=True)
class Golden:
    """Inputs, and what the unfolded float32 network makes of them; in an INT8 bundle, what its own graphs do.

    Attributes:
        frame, event: uint8 (N, 2, H, W): the first and the last moment's images.
        features: float32 (N, 4, F), of the encoders in the order of `parts.ENCODERS`.
        logits: float32 (N, 7).
        light: uint8 (N,): windows of one number were seen in one kind of light.
    """

    frame: NDArray[np.uint8]
    event: NDArray[np.uint8]
    features: NDArray[np.float32]
    logits: NDArray[np.float32]
    light: NDArray[np.uint8]

    def images(self, part: str) -> NDArray[np.uint8]:
        """What an encoder is shown, (N, H, W)."""
        return shown(part, self.frame, self.event)

    def to_bytes(self) -> bytes:
        """The `golden.npz` that `from_bundle` reads."""
        buffer = io.BytesIO()
        np.savez(buffer, **vars(self))
        return buffer.getvalue()

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Golden:
        """Read and check a bundle's golden vectors.

        Raises:
            BundleError: they are missing, of another type or another shape.
        """
        content = bundle.read("golden.npz")
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
                    raise ValueError("its arrays are compressed")
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                golden = cls(**{name: arrays[name] for name in cls.__dataclass_fields__})
        except (ValueError, KeyError, OSError, EOFError, MemoryError, zipfile.BadZipFile) as error:
            raise BundleError(f"{bundle.path}: golden.npz can't be read ({error}); export it again") from error
        golden._check(bundle.manifest, str(bundle.path))
        return golden

    def _check(self, manifest: Manifest, path: str) -> None:
        count = len(self.logits) if self.logits.ndim else 0
        images = (count, 2, *manifest.image_size)
        right = (
            count > 0
            and self.frame.dtype == self.event.dtype == self.light.dtype == np.uint8
            and self.features.dtype == self.logits.dtype == np.float32
            and self.frame.shape == self.event.shape == images
            and self.features.ndim == 3
            and self.features.shape[:2] == (count, len(ENCODERS))
            and self.logits.shape == (count, len(manifest.labels))
            and self.light.shape == (count,)
        )
        if not right:
            raise BundleError(f"{path}: golden.npz doesn't fit the manifest; export the bundle again")


def answered(engine: Engine, golden: Golden) -> Golden:
    """The engine's own features and logits for the golden inputs, one by one as on a device.

    Raises:
        EngineError: its parts don't fit each other.
    """
    features, logits = [], []
    for frame, event in zip(golden.frame, golden.event, strict=True):
        first = engine.prime(frame[0], event[0])
        answer = engine.react(frame[1], event[1], first)
        widths = {part: made.shape[1] for part, made in zip(ENCODERS, (*first, *answer.last), strict=True)}
        if len(set(widths.values())) > 1:
            raise EngineError(f"the encoders give features of several widths, {widths}; export the bundle again")
        features.append(np.stack([*first, *answer.last])[:, 0])
        logits.append(answer.logits[0])
    return replace(golden, features=np.stack(features), logits=np.stack(logits))


@dataclass(frozen=True)
class Difference:
    """How far an engine is from the golden vectors; infinite where what it gives is no number.

    Attributes:
        answers: in INT8 `lead_moved`, else `furthest`.
        features: of each encoder, by part, `features_moved`.
    """

    answers: float
    features: Mapping[str, float]

    def wrong(self, allowed: Difference) -> dict[str, str]:
        """What is wrong with each part that differs by more than is allowed; nothing, if none does."""
        found = {
            part: f"its features are {moved:.1e} off, more than {allowed.features[part]:.2g}"
            for part, moved in self.features.items()
            if not moved <= allowed.features[part]
        }
        if not self.answers <= allowed.answers:
            reason = f"its answers are {self.answers:.1e} off, more than {allowed.answers:.2g}"
            found[HEAD] = reason + ("" if not found else ", which those features explain")
        return found


def allowed(manifest: Manifest) -> Difference:
    """What a device that computes what was exported may differ by.

    In float32 it is TOLERANCE. In float16 runtimes add up in float16 or in float32, which moves logits further: how far
    was measured at export. In INT8 it is what would change one answer in a hundred, in the light where answers are
    closest: as much as the hundredth closest of the clips that were answered at export leads by, within bounds.
    """
    limits = {} if manifest.precision == "float32" else manifest.parity
    features = max(FEATURES_TOLERANCE, limits.get("tolerance of features", 0.0))
    return Difference(max(TOLERANCE, limits.get("tolerance", 0.0)), dict.fromkeys(ENCODERS, features))


def replay(engine: Engine, golden: Golden) -> Difference:
    """How far the engine is from the golden vectors."""
    return difference(answered(engine, golden), golden, engine.manifest.precision)


def difference(own: Golden, golden: Golden, precision: str) -> Difference:
    """How far one set of features and logits is from another, for the same inputs."""
    answers = lead_moved(own.logits, golden) if precision == "int8" else furthest(own.logits, golden)
    moved = [features_moved(own.features[:, i], golden.features[:, i], golden.light) for i in range(len(ENCODERS))]
    return Difference(answers, dict(zip(ENCODERS, moved, strict=True)))


def furthest(logits: Floats, golden: Golden) -> float:
    """The largest difference of a logit, over all golden vectors, of answers (N, 7)."""
    apart = np.abs(logits.astype(np.float64) - golden.logits)
    return float(np.nan_to_num(apart, nan=np.inf, posinf=np.inf).max())


def lead_moved(logits: Floats, golden: Golden) -> float:
    """By how much the lead of the golden label over any other changes, on average in the light where it does most.

    An answer changes only where that is more than its lead, whatever else happens to the logits.
    """
    own, label = np.arange(len(logits)), golden.logits.argmax(1)

    def leads(values: Floats) -> Floats:
        return values[own, label, None] - values.astype(np.float64)

    moved = np.abs(leads(logits) - leads(golden.logits)).max(1)
    moved = np.nan_to_num(moved, nan=np.inf, posinf=np.inf)
    return float(max(moved[golden.light == light].mean() for light in np.unique(golden.light)))


def features_moved(own: Floats, golden: Floats, light: NDArray[np.uint8]) -> float:
    """The difference of features (N, F) as a share of their Euclidean norm, in the light where it is largest."""
    if own.shape != golden.shape:
        return float("inf")
    apart = own.astype(np.float64) - golden
    groups = [light == one for one in np.unique(light)]
    sizes, moved = (np.array([np.linalg.norm(values[group]) for group in groups]) for values in (golden, apart))
    shares = np.divide(moved, sizes, out=np.where(moved == 0, 0, np.inf), where=sizes > 0)
    return float(np.nan_to_num(shares, nan=np.inf, posinf=np.inf).max())
