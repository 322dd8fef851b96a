"""TensorRT on an NVIDIA GPU, by plans that `canthus build` made."""

from __future__ import annotations

import shlex

from canthus.bundle import Bundle
from canthus.errors import EngineError
from canthus.runtimes import Floats, Images, Reaction
from canthus.runtimes.one_by_one import Inputs, one_by_one
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
        first_frame, first_event = one_by_one(self._prime.run, {"frame": frame, "event": event})
        return first_frame, first_event

    def react(self, frame: Images, event: Images, first_frame: Floats, first_event: Floats) -> Reaction:
        batch: Inputs = {"frame": frame, "event": event, "first_frame": first_frame, "first_event": first_event}
        return Reaction(*one_by_one(self._react.run, batch))


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
