"""Whether each way to run the exported network answers as the checkpoint does."""

from __future__ import annotations

from canthus.errors import ExportError
from canthus.verify import FEATURES_TOLERANCE, TOLERANCE, Golden, allowed, answered, difference, replay
from canthus_exporter.exported import Ways
from canthus_exporter.float16 import Rounding

_FLOAT16_ROUNDING = 4
"""Times by which a device may be further from the golden vectors than the ways to run it here.

Some runtimes add up in float16 too: of two networks that took them 1.8 times as far as to add up in float32, which
PyTorch and ONNX Runtime do on the CPU.
"""
FLOAT16_LIMIT = 0.05
"""Largest difference of a logit that float16 may cost at export: it moves no probability by more than 0.025."""
FLOAT16_FEATURES_LIMIT = 0.03
"""The same of an encoder's features, as a share of their size: four times that of a trained network."""


def verify_float32(ways: Ways, golden: Golden) -> dict[str, float]:
    """Largest logit difference from the unfolded network, of each way to run the folded one.

    Raises:
        ExportError: it, or that of an encoder's features, is larger than rounding explains.
    """
    parity = {}
    for name, open_engine in ways.items():
        engine = open_engine()
        found = replay(engine, golden)
        if wrong := found.wrong(allowed(engine.manifest)):  # which tells of no tolerance yet: that of float32
            part, reason = next(iter(wrong.items()))
            raise ExportError(
                f"the {name} network doesn't compute what the checkpoint does: {part}: {reason}: no bundle was "
                "written. Please report this with the checkpoint's hash"
            )
        parity[name] = found.answers
    return parity


def verify_float16(ways: Ways, golden: Golden, rounding: Rounding) -> dict[str, float]:
    """The same in float16; also how many golden windows get its label, in percent, and the tolerances.

    Raises:
        ExportError: it is larger than FLOAT16_LIMIT, or that of an encoder's features than FLOAT16_FEATURES_LIMIT.
    """
    answers = {name: answered(engine(), golden) for name, engine in ways.items()}
    found = {name: difference(own, golden, "float16") for name, own in answers.items()}
    name, worst = max(found.items(), key=lambda item: item[1].answers)
    if not worst.answers <= FLOAT16_LIMIT:
        raise ExportError(
            f"in float16 the network's logits ({name}) are up to {worst.answers:.3g} away from the checkpoint's, more "
            f"than {FLOAT16_LIMIT:g}: no bundle was written. Most is rounded in {rounding.layer}, whose activations "
            f"are {100 * rounding.error:.2g} % off. Export in float32"
        )
    # A head that ignores an encoder would let it pass.
    part, furthest = max((item for one in found.values() for item in one.features.items()), key=lambda item: item[1])
    if not furthest <= FLOAT16_FEATURES_LIMIT:
        raise ExportError(
            f"in float16 the features of {part} are up to {100 * furthest:.2g} % off, more than "
            f"{100 * FLOAT16_FEATURES_LIMIT:g} %: no bundle was written. Export in float32"
        )
    same = [float((own.logits.argmax(1) == golden.logits.argmax(1)).mean()) for own in answers.values()]
    return {
        **{name: one.answers for name, one in found.items()},
        "agreement": 100 * min(same),
        "tolerance": max(TOLERANCE, _FLOAT16_ROUNDING * worst.answers),
        "tolerance of features": max(FEATURES_TOLERANCE, _FLOAT16_ROUNDING * furthest),
    }
