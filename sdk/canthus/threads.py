"""How many threads may be asked for: so many that they would only bring the machine to a halt are refused."""

from __future__ import annotations

import os

from canthus.errors import EngineError

_FOR_EACH_CORE = 4
_ALWAYS = 64  # so that what runs on a large machine runs on a small one, too


def most_threads() -> int:
    """The largest number that may be asked for on this machine: 64, or four for each core."""
    return max(_ALWAYS, _FOR_EACH_CORE * (os.cpu_count() or 1))


def check_threads(threads: int) -> None:
    """Raises EngineError if `threads` is none, or more than `most_threads`."""
    if threads < 1:
        raise EngineError(f"threads is {threads}; an engine needs at least 1")
    if threads > most_threads():
        raise EngineError(
            f"threads is {threads}; this machine has {os.cpu_count()} cores, and more than {most_threads()} threads "
            "would only wait for each other"
        )
