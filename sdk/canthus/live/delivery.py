"""Answers on their way to the app: by callback, by iteration, or by asyncio."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from canthus.errors import LiveError
from canthus.expression import Expression
from canthus.live.inbox import Inbox, logger

UNREAD = 64


class Delivery:
    """Answers that wait to be read, UNREAD of them at most; each goes to one reader.

    With a callback, they go there instead, on the worker's thread.
    """

    def __init__(self, inbox: Inbox, callback: Callable[[Expression], None] | None) -> None:
        """The books are the inbox's: an answer that nobody read, and made room for a newer one, ends there."""
        self._inbox = inbox
        self._callback = callback
        self.callback_errors = 0
        self._ready = threading.Condition()
        self._answers: deque[Expression] = deque()
        self._closed = False
        self._failure: BaseException | None = None
        self._sleepers: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def give(self, expression: Expression) -> None:
        """One more answer. An Exception of the callback's is counted; SystemExit and its like get through."""
        if self._callback is not None:
            try:
                self._callback(expression)
            except Exception:
                self.callback_errors += 1
                if self.callback_errors == 1:
                    logger.exception("on_expression raised; counted in `health` from now on, not told again")
            return
        with self._ready:
            self._answers.append(expression)
            unread = len(self._answers) > UNREAD
            if unread:
                self._answers.popleft()
            self._ready.notify()
            self._wake()
        if unread:
            with self._inbox.arrived:
                self._inbox.frames.move("answered", "unread")
            self._inbox.tell("unread", f"answers are not read; of {UNREAD} the oldest is let go")

    def take(self, timeout: float | None = None) -> Expression | None:
        """The next answer; None when the stream is closed and all are read, or after `timeout` seconds."""
        with self._ready:
            self._ready.wait_for(lambda: self._answers or self._closed, timeout)
            return self._answers.popleft() if self._answers else None

    async def take_async(self) -> Expression | None:
        """As `take`, for the running event loop."""
        sleeper = asyncio.get_running_loop(), asyncio.Event()
        while True:
            with self._ready:
                if self._answers:
                    return self._answers.popleft()
                if self._closed:
                    return None
                sleeper[1].clear()
                self._sleepers.add(sleeper)
            try:
                await sleeper[1].wait()
            finally:
                with self._ready:
                    self._sleepers.discard(sleeper)

    def fail(self, error: BaseException) -> None:
        """The stream ends by itself, for an error that nobody expects."""
        self._failure = error
        logger.error("%s", self.why_ended, exc_info=error)

    @property
    def why_ended(self) -> str | None:
        """In words; None if it didn't end by itself."""
        if self._failure is None:
            return None
        return f"the stream ended, since on_expression or the engine raised {self._failure!r}"

    def check(self) -> None:
        """
        Raises:
            LiveError: the stream ended by itself.
        """
        if self._failure is not None:
            raise LiveError(f"{self.why_ended}; make a new one to go on") from self._failure

    def close(self) -> None:
        """No more will come: readers end once they have read the rest."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()
            self._wake()

    def _wake(self) -> None:
        for loop, event in self._sleepers:
            with suppress(RuntimeError):  # that loop was closed
                loop.call_soon_threadsafe(event.set)
