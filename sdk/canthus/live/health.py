"""How a live stream is doing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from canthus.live.ledger import Ledger


@dataclass
class Counts:
    """What happened that is no fate of one frame or packet; see `Health`."""

    clocks_set: int = 0
    stalls: int = 0
    frozen_frames: int = 0
    black_frames: int = 0
    unsure: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Health:
    """A live stream at one moment. Every count only grows, but for what is waiting.

    Attributes:
        frames: what became of the frames: `answered`; `warming up`, no moment 0.4 s before is known yet;
            `superseded` by a newer one; `late`, past the deadline; `unread`, answered but not read in time;
            `duplicate`, `out of order`, `time jump`, `malformed`, as they came; `too late`, their events were let
            go; `failed`, the engine raised; `stopped`, the stream was closed before their turn.
        packets: what became of the packets of events: `taken`; `in part`; or why nothing of it was taken: `too
            late`, `time jump`, `invalid` (outside the sensor, or of no polarity), `malformed`, `overflowed`,
            `unmatched` (the offset between two clocks isn't known yet), `stopped`.
        events: the same of single events; `late` ones were taken, after newer ones had come.
        queued_frames, queued_packets: not yet looked at.
        stalls: how often no frame came for 0.2 s; `stalled`: whether that is so now.
        frozen_frames: to the last bit as the one before; black_frames: of nothing but zeros.
        unsure: how many answers weren't to be believed, by why; see `Expression`.
        clocks_set: how often a sensor's clock was set, and the stream began anew.
        clock_offset_us: what is added to events' times to have them in the frames' clock; None if both are of one
            clock, or nothing is known yet.
        callback_errors: exceptions that the app's callback raised.
        temperature_celsius: of the hottest part that the platform tells of; None where it tells none.
        ended: why the stream ended by itself; None as long as it didn't.
    """

    frames: Ledger
    packets: Ledger
    events: Ledger
    queued_frames: int
    queued_packets: int
    stalls: int
    stalled: bool
    frozen_frames: int
    black_frames: int
    unsure: Mapping[str, int]
    clocks_set: int
    clock_offset_us: int | None
    callback_errors: int
    temperature_celsius: float | None
    ended: str | None = None
