"""Clips in batches, decoded by processes of their own.

PyTorch's DataLoader is not used: when one of its processes ends before its time, it raises in the middle of whatever
is going on, and it wraps an error of theirs into pages of text.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from canthus.errors import DataSetError
from canthus_model.see.moments import Clips
from canthus_model.workers import obey_the_parent

Keys = Sequence[tuple[int, int]]
"""What clips are asked for by: (round, index of the sequence)."""


class Batch(NamedTuple):
    """Some clips.

    Attributes:
        frame: uint8 (B, 2, H, W), the first and the last moment of each clip.
        event: likewise.
        index: int64 (B,), places in the data set's sequences.
    """

    frame: NDArray[np.uint8]
    event: NDArray[np.uint8]
    index: NDArray[np.int64]


def batches(clips: Clips, keys: Keys, size: int, workers: int) -> Iterator[Batch]:
    """The items of `clips` that `keys` ask for, in that order, `size` at a time; the last batch may be smaller.

    Args:
        workers: processes that decode; with 0 this one does.

    Raises:
        DataSetError: as `Clips` does, in whatever process; or a process was ended from outside.
    """
    parts = [keys[begin : begin + size] for begin in range(0, len(keys), size)]
    if workers == 0:
        yield from (_decode(clips, part) for part in parts)
        return
    ahead: deque[Future[Batch]] = deque()
    pool = ProcessPoolExecutor(workers, initializer=_begin, initargs=(clips,))
    try:
        for part in parts:
            ahead.append(pool.submit(_decode_here, part))
            if len(ahead) > 2 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    except (BrokenProcessPool, OSError) as error:
        raise DataSetError(f"decoding in {workers} processes failed ({error}); take fewer of them, or 0") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _decode(clips: Clips, keys: Keys) -> Batch:
    samples = [clips[key] for key in keys]
    frame, event = (np.stack([sample[place].numpy() for sample in samples]) for place in (0, 1))
    return Batch(frame, event, np.array([index for _, index in keys]))


# In a process that decodes.

_clips: Clips


def _begin(clips: Clips) -> None:
    global _clips
    _clips = clips
    obey_the_parent()


def _decode_here(keys: Keys) -> Batch:
    return _decode(_clips, keys)
