"""An engine: a bundle, loaded into a runtime and ready to answer."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from canthus.errors import EngineError, FrameError
from canthus.eye import EyeCheck
from canthus.forks import has_threads
from canthus.images import check_grey
from canthus.manifest import Manifest
from canthus.runtimes import Floats, Images, Network
from canthus.steady import Steadiness
from canthus.visible import Visible, contrast


class Features(NamedTuple):
    """What the encoders of a moment give: float32 (B, F) each, F being 1000 in the paper's network."""

    frame: Floats
    event: Floats


class Answer(NamedTuple):
    """What `Engine.react` says.

    Attributes:
        logits: float32 (B, 7).
        probabilities: float32 (B, 7), in the order of `Engine.labels`: of the logits, divided by a temperature if the
            bundle has one; see `Confidence`.
        experts: float32 (B, 8), the weights of the two experts that answered; 0 for those that did not.
        last: the features of the last moment, which it was made from.
    """

    logits: Floats
    probabilities: Floats
    experts: Floats
    last: Features


class Engine:
    """Runs one bundle. Get one from `canthus.load`; keep the state of a stream in a `Stream`.

    Attributes:
        manifest: of the bundle.
        why: why this backend answers and no other, in a few words.
        eye_check: tells whether there is an eye in view; None if the bundle can't.
    """

    def __init__(self, manifest: Manifest, network: Network, why: str = "") -> None:
        self.manifest = manifest
        self.why = why
        self.eye_check: EyeCheck | None = None
        self._network = network
        self._temperature = manifest.confidence.temperature if manifest.confidence else None
        self._process = os.getpid()
        has_threads(self)

    @property
    def labels(self) -> tuple[str, ...]:
        """The expressions, in the order of logits and probabilities."""
        return self.manifest.labels

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) of the images that `prime` and `react` take, in pixels."""
        return self.manifest.image_size

    @property
    def window_us(self) -> int:
        """How long events are accumulated for one event image, in microseconds."""
        return self.manifest.window_us

    @property
    def span_us(self) -> int:
        """Time from the first moment to the last, in microseconds."""
        return self.manifest.span_us

    @property
    def event_contribution(self) -> float:
        """What one event adds to or takes from a pixel, of the full range 1."""
        return self.manifest.event_contribution

    @property
    def event_neutral(self) -> float:
        """A pixel without events, of the full range 1."""
        return self.manifest.event_neutral

    @property
    def steadiness(self) -> Steadiness:
        """How a stream's answers are made steady: as was measured at export, or documented defaults."""
        return self.manifest.steadiness or Steadiness()

    @property
    def visible(self) -> Visible:
        """What is least to be seen for an answer to be believed: as was measured at export, or documented defaults."""
        return self.manifest.confidence.visible if self.manifest.confidence else Visible()

    @property
    def backend(self) -> str:
        """The runtime that answers; of several, whose encoders were faster together, the names with + between."""
        return self._network.name

    def prime(self, frame: NDArray[np.uint8], event: NDArray[np.uint8]) -> Features:
        """Features of a first moment, for a `react` that follows `span_us` later.

        Args:
            frame: grey frame, uint8 (H, W) or (B, H, W), of `image_size`.
            event: event image, likewise.

        Raises:
            FrameError: an image of another size, type or count.
            EngineError: the process was forked since this engine was loaded.
        """
        return Features(*self._network.prime(*self._check_images(frame, event)))

    def react(self, frame: NDArray[np.uint8], event: NDArray[np.uint8], first: Features) -> Answer:
        """The expression between the first moment and this, the last.

        Args:
            frame, event: as in `prime`.
            first: what `prime` gave for the first moment, of the same batch size.

        Raises:
            FrameError: an image of another size, type or count.
            EngineError: `first` is of another batch size, or the process was forked since this engine was loaded.
        """
        frame, event = self._check_images(frame, event)
        if any(len(features) != len(frame) for features in first):
            raise EngineError(
                f"react got {len(frame)} images and the features of {len(first.frame)} first moments; "
                "prime and react the same number"
            )
        logits, probabilities, experts, *last = self._network.react(frame, event, *first)
        if self._temperature is not None:
            probabilities = self._temperature.softened(logits, contrast(frame))
        return Answer(logits, probabilities, experts, Features(*last))

    def _check_images(self, frame: Images, event: Images) -> tuple[Images, Images]:
        if os.getpid() != self._process:  # a runtime would wait for ever for threads that a fork leaves behind
            raise EngineError(
                "this engine was loaded before the process was forked, and its threads stayed behind: call "
                "canthus.load in the process that uses it (or start processes by spawn)"
            )
        images = []
        for name, image in (("frame", frame), ("event image", event)):
            check_grey(name, image)
            if image.ndim not in (2, 3) or image.shape[-2:] != self.image_size:
                raise FrameError(
                    f"the {name} is of shape {image.shape}, not (height, width) = {self.image_size} "
                    "or a batch of those; canthus.Stream crops and resizes sensor images"
                )
            images.append(image if image.ndim == 3 else image[None])
        if len(images[0]) != len(images[1]):
            raise FrameError(f"{len(images[0])} frames but {len(images[1])} event images; give pairs")
        if not len(images[0]):
            raise FrameError("a batch of no images; give one at least")
        return images[0], images[1]
