"""TensorRT on an NVIDIA GPU, by plans that `canthus build` made."""

from __future__ import annotations

import shlex

from canthus.bundle import Bundle
from canthus.errors import EngineError
from canthus.parts import FIRST, HEAD, LAST, PARTS, member
from canthus.runtimes import Floats, Images, Reaction
from canthus.runtimes.one_by_one import one_by_one
from canthus.tensorrt.cache import find_plan
from canthus.tensorrt.destination import check_buildable, destinations_here
from canthus.tensorrt.library import Library
from canthus.tensorrt.moment import Moment


class TensorRt:
    """All five parts on the GPU. The two moments share no stream, so that `react` doesn't wait for a `prime`.

    What runs at once is decided here, not by `canthus.network`: a CUDA graph holds all of a moment.

    A batch is run one image at a time. Both moments have been run before this returns.

    Args:
        bundle: whose plans lie beside it.

    Raises:
        EngineError: there is no GPU, no TensorRT or no plan for them, or a plan that isn't one that this user built.
    """

    name = "tensorrt"

    def __init__(self, bundle: Bundle) -> None:
        library, plans = _plans(bundle)
        self._first = Moment(library, {part: plans[part] for part in FIRST})
        self._last = Moment(library, {part: plans[part] for part in LAST}, plans[HEAD])

    def prime(self, frame: Images, event: Images) -> tuple[Floats, Floats]:
        first_frame, first_event = one_by_one(self._first.run, (frame, event))
        return first_frame, first_event

    def react(self, frame: Images, event: Images, first_frame: Floats, first_event: Floats) -> Reaction:
        return Reaction(*one_by_one(self._last.run, (frame, event, first_frame, first_event)))


def _plans(bundle: Bundle) -> tuple[Library, dict[str, memoryview]]:
    """By part, of the best library here that all were built for."""
    check_buildable(bundle)
    places = destinations_here()
    for place in places:
        found = {part: find_plan(bundle, member(part), place) for part in PARTS}
        plans = {part: plan for part, plan in found.items() if plan is not None}
        if len(plans) == len(PARTS):
            return place.library, plans
    wanted = " or ".join(f"{place.library} on {place.gpus}" for place in places)
    raise EngineError(
        f"{bundle.path}: has no plans for {wanted}; run `canthus build {shlex.quote(str(bundle.path))}` first"
    )
