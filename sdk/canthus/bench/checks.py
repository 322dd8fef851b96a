"""What must hold in every run, and in a soak."""

from __future__ import annotations

from collections.abc import Iterator

from canthus.bench.histogram import Histogram
from canthus.bench.result import Check
from canthus.bench.settings import Settings
from canthus.bench.tally import Tally
from canthus.live.health import Health

MOST_GROWTH_BYTES = 1_000_000
"""By which memory may grow in a soak, after the first minute."""

MOST_DRIFT = 0.1
"""By which the median latency may be longer in the last tenth of a soak than in the first."""


def checks(settings: Settings, tally: Tally, health: Health, growth: float | None) -> list[Check]:
    """All that apply."""
    return [*_always(settings, tally, health), *(_of_a_soak(tally, growth) if settings.soak else ())]


def _always(settings: Settings, tally: Tally, health: Health) -> Iterator[Check]:
    answered = health.frames.ended.get("answered", 0)
    measured = tally.frames - tally.unanswered
    yield Check("answered", measured > 0, f"{measured:,} of {tally.frames:,} frames have an answer of their own")
    ledgers = (health.frames, health.packets, health.events)
    balanced = all(ledger.balanced and not ledger.waiting for ledger in ledgers)
    counted = health.frames.came == tally.pushed_frames and answered == tally.answers
    found = "every frame, packet and event that was pushed ended for one reason"
    if not (balanced and counted):
        found = (
            f"don't add up: {tally.pushed_frames:,} frames pushed and {tally.answers:,} answers seen, against "
            f"{health.frames.came:,} and {answered:,} in the stream's books; that is a bug of canthus"
        )
    yield Check("books balance", balanced and counted, found)
    if settings.faults:  # another input
        return
    found = f"{tally.compared - tally.different:,} of {tally.compared:,} compared equal the synchronous stream's"
    yield Check("same answers", tally.different == 0, found)


def _of_a_soak(tally: Tally, growth: float | None) -> Iterator[Check]:
    flat = growth is not None and growth <= MOST_GROWTH_BYTES
    found = "this platform doesn't tell how much it is" if growth is None else f"{growth / 1e6:+.2f} MB"
    allowed = f"{MOST_GROWTH_BYTES / 1e6:g} MB"
    yield Check("memory is flat", flat, f"{found} after the first minute, allowed {allowed}")
    first, last = _median(tally.tenths[0]), _median(tally.tenths[-1])
    drift = last / first - 1 if first else float("inf")
    yield Check(
        "no drift",
        drift <= MOST_DRIFT,
        f"median latency {first / 1000:.2f} ms in the first tenth, {last / 1000:.2f} ms in the last: {drift:+.0%}, "
        f"allowed {MOST_DRIFT:+.0%}",
    )


def _median(latencies: Histogram) -> float:
    found = latencies.quantile(0.5)
    return float("inf") if found is None else found
