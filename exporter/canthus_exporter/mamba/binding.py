"""Calls to someone's function, understood by its own parameters' names, as calls to one of canthus's."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from canthus.errors import ExportError

_SAME_NAMES = (
    ("u", "x", "xs", "us", "hidden_states"),
    ("delta", "dt", "dts", "time_step", "discrete_time_step"),
    ("A", "As"),
    ("B", "Bs"),
    ("C", "Cs"),
    ("D", "Ds"),
    ("z", "gate"),
    ("delta_bias", "dt_bias", "dt_projs_bias"),
    ("delta_softplus", "dt_softplus", "softplus"),
    ("return_last_state", "return_final_state", "output_final_state"),
)
"""What people call the same argument of a scan."""

_HOW_ONLY = frozenset(
    ("backend", "nrows", "backnrows", "oflex", "ssoflex", "use_mambapy", "use_associative_scan", "checkpoint_lvl")
)
"""Arguments that choose an implementation, not what is computed."""

Parameters = inspect.Parameter


def called_as(original: Callable[..., Any], name: str, ours: Callable[..., Any]) -> Callable[..., Any]:
    """`ours`, taking its arguments as `original` does: by the names of its parameters, in its order, by its defaults.

    An argument that `ours` hasn't is passed over if it only chooses an implementation, or is None or False; so is the
    object of a method.

    Args:
        name: of `original`, for errors.

    Raises:
        ExportError: from the call: there is another argument, of which canthus can't know what it does.
    """
    try:
        theirs = inspect.signature(original)
    except (TypeError, ValueError):  # of a function in C: as ours, then
        return ours
    accepted = inspect.signature(ours).parameters
    names = {other: same for same in accepted for group in _SAME_NAMES if same in group for other in group}
    names |= {same: same for same in accepted}
    first = next(iter(theirs.parameters), "")
    owner = first if first in ("self", "cls", "ctx") else None

    @functools.wraps(ours)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = theirs.bind(*args, **kwargs)
        given.apply_defaults()
        given.arguments.pop(owner, None)
        arguments: dict[str, Any] = {}
        for key, value in given.arguments.items():
            kind = theirs.parameters[key].kind
            if kind is Parameters.VAR_POSITIONAL:
                following = [same for same in accepted if same not in arguments]
                pairs = list(zip(following, value, strict=False))
                if len(value) > len(following):
                    raise _unknown(name, f"number {len(given.args)}", value[len(following)])
            else:
                pairs = list(value.items()) if kind is Parameters.VAR_KEYWORD else [(key, value)]
            for key_, value_ in pairs:
                if key_ in names:
                    arguments[names[key_]] = value_
                elif key_ not in _HOW_ONLY and value_ is not None and value_ is not False:
                    raise _unknown(name, f"'{key_}'", value_)
        return ours(**arguments)

    return call


def _unknown(name: str, argument: str, value: Any) -> ExportError:
    shown = repr(value) if isinstance(value, bool | int | float | str) else type(value).__name__
    return ExportError(
        f"{name}: canthus doesn't know what its argument {argument} does (it is {shown}); give a function that does "
        f"all of it by mamba.selective_scan: also={{'{name}': my_function}}"
    )
