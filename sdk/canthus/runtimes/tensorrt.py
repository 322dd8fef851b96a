"""TensorRT on an NVIDIA GPU, by plans that `canthus build` made."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from canthus.bundle import Bundle
from canthus.errors import EngineError
from canthus.runtimes import Floats, Images, Reaction
from canthus.runtimes.onnxruntime import PRIME, REACT
from canthus.tensorrt.cache import find_plan
from canthus.tensorrt.destination import check_buildable, destinations_here
from canthus.tensorrt.library import Library
from canthus.tensorrt.loaded import LoadedPlan


class TensorRt:
    """Both plans on the GPU, each with a stream of its own, so that `react` doesn't wait for a `prime`.

    A batch is run one image at a time. Both have been run once before this returns.

    Args:
        bundle: whose plans lie beside it.

    Raises:
        EngineError: there is no GPU, no TensorRT or no plan for them, or a plan that isn't one that this user built.
    """

    name = "tensorrt"

    def __init__(self, bundle: Bundle) -> None:
        library, prime, react = _plans(bundle)
        self._prime = LoadedPlan(library, "prime.onnx", prime, PRIME)
        self._react = LoadedPlan(library, "react.onnx", react, REACT)

    def prime(self, frame: Images, event: Images) -> tuple[Floats, Floats]:
        first_frame, first_event = _each(self._prime, {"frame": frame, "event": event}, PRIME[1])
        return first_frame, first_event

    def react(self, frame: Images, event: Images, first_frame: Floats, first_event: Floats) -> Reaction:
        features = {"first_frame": first_frame, "first_event": first_event}
        inputs: dict[str, NDArray[Any]] = {"frame": frame, "event": event, **features}
        return Reaction(*_each(self._react, inputs, REACT[1]))


def _plans(bundle: Bundle) -> tuple[Library, memoryview, memoryview]:
    """Of the best library here that plans were built for."""
    check_buildable(bundle)
    places = destinations_here()
    for place in places:
        prime, react = (find_plan(bundle, member, place) for member in ("prime.onnx", "react.onnx"))
        if prime is not None and react is not None:
            return place.library, prime, react
    wanted = " or ".join(f"{place.library} on {place.gpus}" for place in places)
    raise EngineError(
        f"{bundle.path}: has no plans for {wanted}; run `canthus build {shlex.quote(str(bundle.path))}` first"
    )


def _each(plan: LoadedPlan, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[Floats]:
    """The outputs (B, ...) of a batch, one image after the other."""
    count = len(inputs["frame"])
    answers = [plan.run({name: value[i : i + 1] for name, value in inputs.items()}) for i in range(count)]
    return [np.concatenate([answer[name] for answer in answers]) for name in outputs]
