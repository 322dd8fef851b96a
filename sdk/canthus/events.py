"""Events as apps and recordings have them, checked and brought into one form."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from canthus.errors import EventError


class Events(NamedTuple):
    """A packet of events, one array entry each, in the order of their times.

    Attributes:
        t: microseconds of the sensor's clock, any integer type.
        x, y: column and row, any integer type; 0, 0 is the upper left.
        p: polarity, bool or any integer type: 1 brighter, 0 or -1 darker.
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

    Whole numbers of any type are taken, and lists of them. Of polarities 1 is brighter, 0 and -1 are darker; what else
    there is counts as damage, as long as it is the smaller part.

    Raises:
        EventError: an array is of another type, has more than one axis, or another length than t; a time is beyond
            int64, or most polarities mean nothing.
    """
    t, x, y, p = (_of_one_axis(name, array) for name, array in events._asdict().items())
    for name, array in (("x", x), ("y", y), ("p", p)):
        if len(array) != len(t):
            raise EventError(f"{len(t)} event times t but {len(array)} of {name}; give one of each per event")
    if t.dtype.kind not in "iu":
        raise EventError(f"the events' t is {t.dtype}; give int64 microseconds")
    if t.dtype == np.uint64 and t.max(initial=0) > np.iinfo(np.int64).max:
        raise EventError(f"the events' t reaches {t.max()}, beyond int64; give microseconds of the sensor's clock")
    for name, array in (("x", x), ("y", y)):
        if array.dtype.kind not in "iu":
            raise EventError(f"the events' {name} is {array.dtype}; give whole pixels, as int16 or uint16")
    if {x.dtype, y.dtype} <= {np.dtype(np.int16), np.dtype(np.uint16)}:
        x, y = (np.ascontiguousarray(a).view(np.uint16) for a in (x, y))
    else:  # what is negative becomes huge, and is refused as outside the sensor
        x, y = (a.astype(np.int64).view(np.uint64) for a in (x, y))
    return Events(np.ascontiguousarray(t, np.int64), x, y, _polarities(p))


def _of_one_axis(name: str, given: Any) -> NDArray[Any]:
    if isinstance(given, list | tuple):
        try:
            given = np.array(given, None if given else np.int64)
        except (ValueError, TypeError, OverflowError) as error:
            raise EventError(f"the events' {name} is a list that is no array ({error})") from error
    if not isinstance(given, np.ndarray) or given.ndim != 1:
        found = f"of shape {given.shape}" if isinstance(given, np.ndarray) else f"a {type(given).__name__}"
        raise EventError(f"the events' {name} is {found}; give a numpy array of one axis")
    return given


_CODES = np.full(256, 2, np.uint8)  # by a polarity's byte: what the native code counts as invalid is 2 or more
_CODES[[0, 1, 255]] = 0, 1, 0  # as int8, 255 is -1


def _polarities(p: NDArray[Any]) -> NDArray[np.uint8]:
    if p.dtype == np.bool_:
        return np.ascontiguousarray(p).view(np.uint8)
    if p.dtype.kind not in "iu":
        raise EventError(f"the events' p is {p.dtype}; give bool, or whole numbers: 1 brighter, 0 or -1 darker")
    if p.dtype not in (np.int8, np.uint8):
        p = np.where((p >= -1) & (p <= 1), p, 2).astype(np.int8)
    codes: NDArray[np.uint8] = np.ascontiguousarray(p).view(np.uint8)
    if codes.max(initial=0) > 1:
        codes = codes if p.dtype == np.uint8 else _CODES[codes]
        odd = codes > 1
        if 2 * np.count_nonzero(odd) > len(p):
            raise EventError("most of the events' p are neither 1 (brighter) nor 0 or -1 (darker)")
    return codes
