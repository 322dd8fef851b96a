"""What PyTorch computes of a network, with canthus's functions in it: what its file is compared with."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from canthus.errors import ExportError
from canthus_exporter.cause import explain
from canthus_exporter.free_axes import Axes, other_sizes
from canthus_exporter.mamba.drop_in import drop_in
from canthus_exporter.mamba.float64 import in_float64
from canthus_exporter.mamba.judge import Arrays, judge
from canthus_exporter.mamba.places import Also
from canthus_exporter.mamba.values import copied, outputs_of, shapes_of
from canthus_exporter.mamba.watch import Watch

_SAME = 1e-4
"""Of a network's outputs that differ by rounding only, relative to their largest magnitude."""


@dataclass(frozen=True)
class Answer:
    """What a network answers.

    Attributes:
        args: what it was given.
        outputs: what it returned.
        states: of all tokens of its largest scan, see `Watch`.
    """

    args: Sequence[Any]
    outputs: Arrays
    states: int


def answer(module: nn.Module, args: Sequence[Any], also: Also) -> Answer:
    """The answer that a file must give.

    Raises:
        ExportError: PyTorch can't run the network on a CPU; it loops over tokens and has no scan; or it can be run
            without canthus's functions, and then computes something else.
    """
    try:
        with torch.no_grad():
            by_itself = outputs_of(module(*copied(args)))
    except Exception:  # it has functions for a GPU; if it has another fault, the next try will tell
        by_itself = None
    watch = Watch()
    try:
        with drop_in(also), torch.no_grad(), watch:
            returned = module(*copied(args))
    except ExportError:
        raise
    except Exception as error:  # anything may be wrong with a network
        raise ExportError(
            f"PyTorch can't run the network on a CPU: {explain(error)}; if that is in a scan of its own, name its "
            "function: also=['package.module.function']"
        ) from error
    expected = outputs_of(returned)
    if watch.loop and not watch.scans:
        where, steps = watch.loop
        raise ExportError(
            f"no selective scan was found, and {steps} tokens are taken one by one ({where}): each would be written "
            "down by itself. If that is the scan, name its function: also=['package.module.function']"
        )
    if by_itself is not None:
        what = "with canthus's functions in the place of the network's own, its outputs are"
        judge(what, expected, by_itself, exact(module, args), _SAME)
    return Answer(args, expected, watch.most_states)


def answers_in_other_sizes(module: nn.Module, args: Sequence[Any], axes: Axes, also: Also) -> list[Answer]:
    """The answers to inputs of another size along free axes, and of the smallest, if PyTorch takes it.

    Raises:
        ExportError: it takes none.
    """
    *others, smallest = other_sizes(list(args), axes)
    reason, found = "no other size is allowed", list[Answer]()
    for resized in [*others, smallest]:
        if found and resized is not smallest:
            continue
        try:
            with drop_in(also), torch.no_grad(), Watch() as watch:
                outputs = outputs_of(module(*copied(resized)))
            found.append(Answer(resized, outputs, watch.most_states))
        except Exception as error:  # any that a network may raise
            reason = f"inputs of {shapes_of(resized)}: {explain(error)}"
    if not found:
        raise ExportError(
            f"axes are to stay free, and PyTorch runs the network in no other size ({reason}); leave them out of "
            "dynamic_shapes"
        )
    return found


def exact(module: nn.Module, args: Sequence[Any], also: Also | None = None) -> Callable[[], Arrays | None]:
    """What the network computes in float64, with canthus's functions if `also` isn't None; once, when it is asked."""

    @functools.cache
    def compute() -> Arrays | None:
        if also is None:
            returned = in_float64(module, copied(args))
        else:
            with drop_in(also):
                returned = in_float64(module, copied(args))
        return None if returned is None else outputs_of(returned)

    return compute
