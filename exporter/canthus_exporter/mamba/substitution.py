"""A function of someone's does what another does, for a while: wherever it is kept, since it stays the same object."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from types import CodeType, FunctionType
from typing import Any

substitutes: dict[int, Callable[..., Any]] = {}
"""What is called now in a function's place, by the number that its code holds."""

_numbers = count()

# A function's code can be replaced by one with as many variables from outside, `cells`.
_SOURCE = """
def around({cells}):
    def called(*args, **kwargs):
        from canthus_exporter.mamba.substitution import substitutes
        None and ({cells})
        return substitutes[{number}](*args, **kwargs)
    return called
"""


@contextmanager
def substituted(original: FunctionType, ours: Callable[..., Any]) -> Iterator[None]:
    """While this lasts, whoever calls `original` calls `ours`.

    Only the function's code is replaced: modules, attributes, `functools.partial` and closures that hold it are left
    as they are, and there is nothing of theirs to restore.
    """
    number, code = next(_numbers), original.__code__
    signature, signed = inspect.signature(original), "__signature__" in vars(original)
    substitutes[number] = ours
    original.__signature__ = signature  # type: ignore[attr-defined]
    original.__code__ = _calling(number, code)
    try:
        yield
    finally:
        original.__code__ = code
        if not signed:
            del original.__signature__  # type: ignore[attr-defined]
        del substitutes[number]


def _calling(number: int, code: CodeType) -> CodeType:
    names = {}
    exec(_SOURCE.format(cells=", ".join(code.co_freevars), number=number), names)
    around: Callable[..., FunctionType] = names["around"]
    return around(*code.co_freevars).__code__
