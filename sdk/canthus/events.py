"""Events as apps and recordings have them, checked and brought into one form."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from canthus.errors import EventError


class Events(NamedTuple):
    """A packet of events, one array entry each, in the order of their times.

    Attributes:
        t: int64, microseconds of the sensor's clock.
        x, y: column and row, any integer type; 0, 0 is the upper left.
        p: polarity: 1 or True brighter, 0 or False darker.
    """

    t: NDArray[Any]
    x: NDArray[Any]
    y: NDArray[Any]
    p: NDArray[Any]


def as_events(events: Any) -> Events:
    """The fields of a structured array (`t` or `timestamp`, `x`, `y`, `p` or `polarity`) or of an `EventStore`.

    Raises:
        EventError: it has no such fields.
    """
    if isinstance(events, Events):
        return events
    array = events if isinstance(events, np.ndarray) else getattr(events, "numpy", lambda: None)()
    names = array.dtype.names if isinstance(array, np.ndarray) else None
    fields = [next((n for n in choice if n in (names or ())), None) for choice in _FIELDS]
    if array is None or None in fields:
        raise EventError(
            f"events are a {type(events).__name__} with fields {names}; give t, x, y, p as four arrays, or one "
            "structured array or EventStore with the fields timestamp, x, y, polarity"
        )
    return Events(*(array[name] for name in fields))


_FIELDS = (("t", "timestamp"), ("x",), ("y",), ("p", "polarity"))


def prepare(events: Events) -> Events:
    """The same events in the types that the native code takes; nothing is copied that needn't be.

    Raises:
        EventError: an array is of another type, has more than one axis, or another length than t.
    """
    for name, array in events._asdict().items():
        if not isinstance(array, np.ndarray) or array.ndim != 1:
            found = f"of shape {array.shape}" if isinstance(array, np.ndarray) else f"a {type(array).__name__}"
            raise EventError(f"the events' {name} is {found}; give a numpy array of one axis")
        if len(array) != len(events.t):
            raise EventError(f"{len(events.t)} event times t but {len(array)} of {name}; give one of each per event")
    t, x, y, p = events
    if t.dtype != np.int64:
        raise EventError(f"the events' t is {t.dtype}; give int64 microseconds")
    for name, array in (("x", x), ("y", y)):
        if array.dtype.kind not in "iu":
            raise EventError(f"the events' {name} is {array.dtype}; give whole pixels, as int16 or uint16")
    if p.dtype not in (np.bool_, np.uint8, np.int8):
        raise EventError(f"the events' p is {p.dtype}; give bool, or uint8 with 0 darker and 1 brighter")
    if {x.dtype, y.dtype} <= {np.dtype(np.int16), np.dtype(np.uint16)}:
        x, y = (np.ascontiguousarray(a).view(np.uint16) for a in (x, y))
    else:  # what is negative becomes huge, and is refused as outside the sensor
        x, y = (a.astype(np.int64).view(np.uint64) for a in (x, y))
    return Events(np.ascontiguousarray(t), x, y, np.ascontiguousarray(p).view(np.uint8))
