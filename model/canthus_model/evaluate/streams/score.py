"""Answers held against the truth: how much of the time they are right, and what an app would be told wrongly.

While no eye is in view there is no right answer, and for BACK_US after it came back what a window shows is mixed: that
time counts for nothing but how often it was said so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from canthus.expression import REASONS
from canthus.eye_watch import EYE_CLOSED
from canthus_model.evaluate.streams.answers import Answers
from canthus_model.evaluate.streams.truth import Span, Truth
from canthus_model.see.names import LIGHTINGS

BACK_US = 900_000  # a window looks 0.4 s back, and an app may take half a second to see that the eye is back
SAID_WITHIN_US = 500_000  # after the eye went
_BLINK_TELLS_US = 450_000  # how long after a blink it is still in what is looked at
_A_CHANGE_TELLS_US = 1_500_000  # how long after a change of expression an episode may end or begin for it
_LIKE_AN_EYE = (EYE_CLOSED,)  # reasons that don't deny that there is an eye
_OPEN_AGAIN_US = 80_000  # after a blink: its frame was exposed, and looked at, by then
_DRAWS = 200  # of other times for the blinks


@dataclass
class Tally:
    """Counts of one kind of answer, in one lighting or in all."""

    right_us: int = 0
    wrong_us: int = 0
    unsure_us: int = 0
    changes: int = 0
    true_changes: int = 0
    delays_us: list[int] = field(default_factory=list)  # of expressions that were found, from their onset
    missed: int = 0  # expressions that were never answered
    expressions: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Shares in percent of the time, delays in milliseconds."""
        time_us = max(self.right_us + self.wrong_us + self.unsure_us, 1)
        p50, p90 = np.percentile(self.delays_us, [50, 90]) / 1000 if self.delays_us else (None, None)
        return {
            "seconds": round(time_us / 1e6, 1),
            "right": 100 * self.right_us / time_us,
            "wrong": 100 * self.wrong_us / time_us,
            "unsure": 100 * self.unsure_us / time_us,
            "changes": self.changes,
            "true_changes": self.true_changes,
            "changes_per_true_change": self.changes / self.true_changes if self.true_changes else None,
            "onset_delay_ms": {"median": p50, "p90": p90},
            "expressions": self.expressions,
            "missed": self.missed,
        }


@dataclass
class Score:
    """Of some recordings.

    Attributes:
        raw, steady: by lighting, and `all`.
        added_us: by lighting, how much later than the raw answer the steady one was right after each onset.
        episodes, invented: how many were told, and how many of them never while their expression was shown.
        blinks, blinks_told: how many there were, and during how many an eye was said to be closed.
        open, open_denied: answers with an open eye, and of how many it was said to be closed.
        at_blinks: how many edges of episodes came with a blink, or just after it, and with no other reason.
        at_other_times: the same had all blinks of a recording been shifted in time: the mean of many such, which is
            what chance does.
        no_eye, said: answers without an eye in view, from half a second on, and of how many that was said.
        eye, refused: answers with one, and of how many it was denied.
        reasons: how many answers were unsure for what.
    """

    raw: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    steady: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    added_us: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    recordings: int = 0
    episodes: int = 0
    invented: int = 0
    blinks: int = 0
    blinks_told: int = 0
    open: int = 0
    open_denied: int = 0
    at_blinks: int = 0
    at_other_times: float = 0.0
    no_eye: int = 0
    said: int = 0
    eye: int = 0
    refused: int = 0
    reasons: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))

    @property
    def lightings(self) -> list[str]:
        """Those that there was something of, and `all`."""
        return [name for name in (*LIGHTINGS, "all") if name in self.raw]

    def add(self, truth: Truth, said: Answers) -> None:
        """One more recording."""
        self.recordings += 1
        counted = [not any(span.holds(time, after_us=BACK_US) for span in truth.no_eye) for time in said.times_us]
        for tally, labels in ((self.raw, said.raw), (self.steady, said.steady)):
            _shares(tally, truth, said.times_us, labels, counted)
            _changes(tally, truth, said.times_us, labels, counted)
        self._onsets(truth, said)
        self._episodes(truth, said)
        self._blinks(truth, said)
        self._no_eye(truth, said)

    def as_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        by_lighting = {}
        for name in self.lightings:
            added = [one / 1000 for one in self.added_us[name]]
            p50, p90 = np.percentile(added, [50, 90]) if added else (None, None)
            by_lighting[name] = {
                "raw": self.raw[name].as_dict(),
                "steady": self.steady[name].as_dict(),
                "added_delay_ms": {"median": p50, "p90": p90, "onsets": len(added)},
            }
        return {
            "recordings": self.recordings,
            "lightings": by_lighting,
            "episodes": {"told": self.episodes, "invented": self.invented},
            "blinks": {
                "shown": self.blinks,
                "told": self.blinks_told,
                "answers with an open eye": self.open,
                "wrongly closed": 100 * self.open_denied / self.open if self.open else None,
                "episode begun or ended": self.at_blinks,
                "as often by chance": round(self.at_other_times, 2),
            },
            "no_eye": {
                "answers": self.no_eye,
                "said so within 0.5 s": 100 * self.said / self.no_eye if self.no_eye else None,
                "answers with an eye": self.eye,
                "wrongly refused": 100 * self.refused / self.eye if self.eye else None,
            },
            "unsure": self.reasons,
        }

    def _onsets(self, truth: Truth, said: Answers) -> None:
        """How soon after its onset each expression is answered; the one that a recording begins with has none."""
        for before, shown in pairwise(truth.expressions):
            span = Span(shown.onset_us, shown.until_us)
            away = any(gone.from_us < span.until_us and span.from_us < gone.until_us + BACK_US for gone in truth.no_eye)
            if away or before.label == shown.label:
                continue
            for name in ("all", truth.lighting(shown.onset_us)):
                found = []
                for tally, labels in ((self.raw[name], said.raw), (self.steady[name], said.steady)):
                    tally.expressions += 1
                    at = _first(said.times_us, labels, shown.label, span)
                    if at is None:
                        tally.missed += 1
                    else:
                        tally.delays_us.append(at - shown.onset_us)
                        found.append(at)
                if len(found) == 2:
                    self.added_us[name].append(found[1] - found[0])

    def _episodes(self, truth: Truth, said: Answers) -> None:
        self.episodes += len(said.episodes)
        for episode in said.episodes:
            assert episode.offset_us is not None
            lasted = Span(episode.onset_us, episode.offset_us)
            # What is shown reaches into the windows of half a second after it.
            self.invented += not any(
                shown.label == episode.label
                and shown.onset_us < lasted.until_us
                and lasted.from_us < shown.until_us + 500_000
                for shown in truth.expressions
            )
        edges = [time for one in said.episodes for time in (one.onset_us, one.offset_us) if time is not None]
        edges = [time for time in edges if not any(0 <= time - turn < _A_CHANGE_TELLS_US for turn in _turns(truth))]
        self.at_blinks += _at_blinks(edges, truth.blinks)
        self.at_other_times += _by_chance(edges, truth.blinks, said.times_us)

    def _blinks(self, truth: Truth, said: Answers) -> None:
        """Whether it is said that an eye is closed: of each blink, and of answers with an open eye."""
        closed = [time for time, unsure in zip(said.times_us, said.unsure, strict=True) if unsure == EYE_CLOSED]
        for blink in truth.blinks:
            if not any(gone.holds(blink.from_us, _BLINK_TELLS_US, BACK_US) for gone in truth.no_eye):
                self.blinks += 1
                self.blinks_told += any(blink.holds(time, after_us=_OPEN_AGAIN_US) for time in closed)
        for time, unsure in zip(said.times_us, said.unsure, strict=True):
            away = any(gone.holds(time, after_us=BACK_US) for gone in truth.no_eye)
            if not away and not any(blink.holds(time, after_us=_OPEN_AGAIN_US) for blink in truth.blinks):
                self.open += 1
                self.open_denied += unsure == EYE_CLOSED

    def _no_eye(self, truth: Truth, said: Answers) -> None:
        for time, unsure in zip(said.times_us, said.unsure, strict=True):
            if unsure:
                self.reasons[unsure] += 1
            denied = unsure is not None and unsure not in _LIKE_AN_EYE
            if any(Span(gone.from_us + SAID_WITHIN_US, gone.until_us).holds(time) for gone in truth.no_eye):
                self.no_eye += 1
                self.said += denied
            elif not any(gone.holds(time, after_us=BACK_US) for gone in truth.no_eye):
                self.eye += 1
                self.refused += denied


def _turns(truth: Truth) -> list[int]:
    """When something other than a blink gave an episode a reason to begin or end."""
    shown = [time for one in truth.expressions for time in (one.onset_us, one.until_us)]
    gone = [time for one in truth.no_eye for time in (one.from_us, one.until_us)]
    return [*shown, *gone, *(time for time, _ in truth.lightings)]


def _at_blinks(edges: Sequence[int], blinks: Iterable[Span]) -> int:
    return sum(any(blink.holds(edge, after_us=_BLINK_TELLS_US) for blink in blinks) for edge in edges)


def _by_chance(edges: Sequence[int], blinks: Sequence[Span], times: Sequence[int]) -> float:
    """The mean of `_at_blinks` over shifts of all blinks by the same time, round the ends of the recording."""
    if not edges or not blinks:
        return 0.0
    first, length = times[0], max(times[-1] - times[0], 1)
    shifts = np.linspace(0, length, _DRAWS + 2)[1:-1].astype(int).tolist()
    moved = ([_shifted(one, shift, first, length) for one in blinks] for shift in shifts)
    return sum(_at_blinks(edges, one) for one in moved) / len(shifts)


def _shifted(span: Span, shift_us: int, first_us: int, length_us: int) -> Span:
    begin = first_us + (span.from_us - first_us + shift_us) % length_us
    return Span(begin, begin + span.until_us - span.from_us)


def _shares(
    tallies: dict[str, Tally], truth: Truth, times: list[int], labels: Sequence[str | None], counted: list[bool]
) -> None:
    """Each answer holds until the next one; so does the last one as long as the one before."""
    lasts = [later - time for time, later in pairwise(times)]
    for time, length, label, counts in zip(times, [*lasts, lasts[-1] if lasts else 0], labels, counted, strict=True):
        if not counts:
            continue
        for tally in (tallies["all"], tallies[truth.lighting(time)]):
            if label is None:
                tally.unsure_us += length
            elif label == truth.at(time).label:
                tally.right_us += length
            else:
                tally.wrong_us += length


def _changes(
    tallies: dict[str, Tally], truth: Truth, times: list[int], labels: Sequence[str | None], counted: list[bool]
) -> None:
    """How often the label is another than the last one that was sure; over a time without an eye none is counted."""
    for tally_times, tally_labels in _runs(times, labels, counted):
        sure = [(time, label) for time, label in zip(tally_times, tally_labels, strict=True) if label is not None]
        for changed, of in (
            ("changes", sure),
            ("true_changes", [(time, truth.at(time).label) for time in tally_times]),
        ):
            for (_, before), (time, label) in pairwise(of):
                if label != before:
                    for tally in (tallies["all"], tallies[truth.lighting(time)]):
                        setattr(tally, changed, getattr(tally, changed) + 1)


def _runs(
    times: list[int], labels: Sequence[str | None], counted: list[bool]
) -> Iterable[tuple[list[int], list[str | None]]]:
    run: tuple[list[int], list[str | None]] = [], []
    for time, label, counts in zip(times, labels, counted, strict=True):
        if counts:
            run[0].append(time)
            run[1].append(label)
        elif run[0]:
            yield run
            run = [], []
    if run[0]:
        yield run


def _first(times: list[int], labels: Sequence[str | None], label: str, span: Span) -> int | None:
    return next(
        (time for time, one in zip(times, labels, strict=True) if one == label and span.holds(time)),
        None,
    )
