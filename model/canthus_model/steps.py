"""Says what long work is doing step by step, and how long each step took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.status import Status


class Steps:
    """Prints a line per finished step; on a terminal, a spinner for the one under way."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """One step; what it found out is told by `Step.result`."""
        start = time.perf_counter()
        with self._console.status(f"{name} …") as status:
            step = Step(name, status)
            yield step
        seconds = time.perf_counter() - start
        self._console.print(f"  {name:<9} {escape(step.text)}  [dim]{seconds:.1f} s[/dim]", soft_wrap=True)

    def note(self, text: str) -> None:
        """Print what is worth knowing."""
        self._console.print(f"  {'note':<9} {escape(text)}", soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print what went other than hoped for, without ending the work."""
        self._console.print(f"  [yellow]warning[/yellow]   {escape(text)}", soft_wrap=True)


class Step:
    """A step under way."""

    text = ""

    def __init__(self, name: str, status: Status) -> None:
        self._name, self._status = name, status

    def report(self, done: int, total: int) -> None:
        """How much is done, and how much there is."""
        self._status.update(f"{self._name} … {done} of {total}")

    def result(self, text: str) -> None:
        """What to print behind the step's name when it is done."""
        self.text = text
