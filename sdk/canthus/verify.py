"""Does this machine compute what the checkpoint computed? Replays a bundle's golden vectors and says."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from canthus.bundle import Bundle
from canthus.engine import Engine
from canthus.errors import BundleError
from canthus.manifest import Manifest

Floats = NDArray[np.floating]

TOLERANCE = 1e-3
"""Largest difference of a logit from the unfolded float32 network's that still counts as equal."""


def tolerance(manifest: Manifest) -> float:
    """What `replay` may find on a device that computes what was exported.

    In float32 it is TOLERANCE. In float16 runtimes add up in float16 or in float32, which moves logits further: how far
    was measured at export. In INT8 it is what would change one answer in a hundred, in the light where answers are
    closest: as much as the hundredth closest of the clips that were answered at export leads by, within bounds.
    """
    return TOLERANCE if manifest.precision == "float32" else max(TOLERANCE, manifest.parity.get("tolerance", 0.0))


@dataclass(frozen=True)
class Golden:
    """Inputs, and what the unfolded float32 network answers to them; in an INT8 bundle, what its own graphs did.

    Attributes:
        frame, event: uint8 (N, 2, H, W): the first and the last moment's images.
        logits: float32 (N, 7).
        light: uint8 (N,): windows of one number were seen in one kind of light.
    """

    frame: NDArray[np.uint8]
    event: NDArray[np.uint8]
    logits: NDArray[np.float32]
    light: NDArray[np.uint8]

    def to_bytes(self) -> bytes:
        """The `golden.npz` that `from_bundle` reads."""
        buffer = io.BytesIO()
        np.savez(buffer, frame=self.frame, event=self.event, logits=self.logits, light=self.light)
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
                golden = cls(arrays["frame"], arrays["event"], arrays["logits"], arrays["light"])
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
            and self.logits.dtype == np.float32
            and self.frame.shape == self.event.shape == images
            and self.logits.shape == (count, len(manifest.labels))
            and self.light.shape == (count,)
        )
        if not right:
            raise BundleError(f"{path}: golden.npz doesn't fit the manifest; export the bundle again")


def answer(engine: Engine, golden: Golden) -> NDArray[np.float32]:
    """The engine's logits (N, 7) for the golden inputs, one by one as on a device."""
    answers = [
        engine.react(frame[1], event[1], engine.prime(frame[0], event[0])).logits[0]
        for frame, event in zip(golden.frame, golden.event, strict=True)
    ]
    return np.stack(answers)


def replay(engine: Engine, golden: Golden) -> float:
    """How far the engine is from the golden answers, for `tolerance`; infinite where an answer is no number.

    In float32 and float16 that is `furthest`, in INT8 `lead_moved`.
    """
    measure = lead_moved if engine.manifest.precision == "int8" else furthest
    return measure(answer(engine, golden), golden)


def furthest(logits: Floats, golden: Golden) -> float:
    """The largest difference of a logit, over all golden vectors, of answers (N, 7)."""
    difference = np.abs(logits.astype(np.float64) - golden.logits)
    return float(np.nan_to_num(difference, nan=np.inf, posinf=np.inf).max())


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
