"""Clips in batches, decoded by processes of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from canthus.errors import DataSetError
from canthus_model.see.moments import Clips, Sample


def batches(clips: Clips, keys: Sequence[tuple[int, int]], size: int, workers: int) -> Iterator[Sample]:
    """The items of `clips` asked for by `keys`, in that order, `size` at a time; the last batch may be smaller.

    Args:
        workers: processes that decode; with 0 this one does.

    Raises:
        DataSetError: as `Clips` does, in whatever process; or a process ended before its time.
    """
    loader = torch.utils.data.DataLoader(
        _Telling(clips), batch_size=size, sampler=keys, num_workers=workers, collate_fn=_collate
    )
    try:
        for batch in loader:
            if isinstance(batch, DataSetError):
                raise batch
            yield batch
    except (RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataSetError(f"the decoding of images failed ({reason}); take fewer workers, or none") from error


class _Telling(torch.utils.data.Dataset[Sample | DataSetError]):
    """Gives errors as items: torch wraps those that processes raise into pages of text."""

    def __init__(self, clips: Clips) -> None:
        self._clips = clips

    def __getitem__(self, key: tuple[int, int]) -> Sample | DataSetError:
        try:
            return self._clips[key]
        except DataSetError as error:
            return error


def _collate(items: list[Sample | DataSetError]) -> Sample | DataSetError:
    errors = [item for item in items if isinstance(item, DataSetError)]
    return errors[0] if errors else torch.utils.data.default_collate(items)
