"""The five parts as one network: which of them run at once, and on how many threads."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from canthus.parts import ENCODERS, FIRST, HEAD, LAST
from canthus.runtimes import Encoder, Floats, Head, Images, Reaction, Runtime


class PartsNetwork:
    """Runs the two encoders of a moment at once, if it may.

    A thread for each takes half the time of two threads for one after the other, whose layers are too small to be
    shared out.

    Args:
        name: of the runtimes.
        encoders: by part.
        at_once: use a second thread.
    """

    def __init__(self, name: str, encoders: Mapping[str, Encoder], head: Head, *, at_once: bool) -> None:
        self.name = name
        self.encoders, self.head, self.at_once = dict(encoders), head, at_once
        self._beside = ThreadPoolExecutor(1, "canthus-encoder")
        if at_once:
            self._beside.submit(int).result()  # its thread is there before the first frame

    def prime(self, frame: Images, event: Images) -> tuple[Floats, Floats]:
        return self._encode(FIRST, frame, event)

    def react(self, frame: Images, event: Images, first_frame: Floats, first_event: Floats) -> Reaction:
        last = self._encode(LAST, frame, event)
        logits, probabilities, experts = self.head.answer((first_frame, first_event, *last))
        return Reaction(logits, probabilities, experts, *last)

    def _encode(self, parts: tuple[str, str], frame: Images, event: Images) -> tuple[Floats, Floats]:
        of_frame, of_event = (self.encoders[part] for part in parts)
        if not self.at_once:
            return of_frame.encode(frame), of_event.encode(event)
        started = self._beside.submit(of_event.encode, event)
        return of_frame.encode(frame), started.result()


def open_network(runtime: Runtime, graphs: Mapping[str, bytes], threads: int) -> PartsNetwork:
    """Open all parts in one runtime.

    Args:
        graphs: ONNX, by part.
        threads: that one call of `prime` or `react` may use.

    Raises:
        EngineError: as `Runtime.open_encoder`.
    """
    for_each = max(threads // 2, 1)
    encoders = {part: runtime.open_encoder(part, graphs[part], for_each) for part in ENCODERS}
    return PartsNetwork(runtime.name, encoders, runtime.open_head(graphs[HEAD], threads), at_once=threads > 1)
