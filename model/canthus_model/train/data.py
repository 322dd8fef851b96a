"""Decoding in processes of their own, and what becomes of their errors."""

from __future__ import annotations

import lightning as L
import torch
from torch.utils.data import DataLoader, Dataset

from canthus.errors import DataSetError
from canthus_model.see.moments import Sample
from canthus_model.train.sampler import InOrderSampler, TrainingSampler
from canthus_model.workers import cores, leave_interrupts

MOST_WORKERS = 8


class Batches(L.LightningDataModule):
    """Batches to train on and batches to look at, for the process that asks."""

    def __init__(
        self, training: Dataset[Sample], looked_at: Dataset[Sample], batch: int, seed: int, workers: int, pinned: bool
    ) -> None:
        """`batch` is of all processes together; `workers` of each; `pinned` batches copy faster to GPUs."""
        super().__init__()
        self._training, self._looked_at, self._batch, self._seed = training, looked_at, batch, seed
        self._workers, self._pinned = workers, pinned

    @property
    def share(self) -> int:
        """Clips of a batch for each process."""
        return self._batch // self.trainer.world_size

    def train_dataloader(self) -> DataLoader[Sample]:
        place = self.trainer.global_rank, self.trainer.world_size
        sampler = TrainingSampler(len(self._training), self._batch, self._seed, *place)
        # A run that goes on is first asked for clips before Lightning tells the sampler the epoch.
        sampler.set_epoch(self.trainer.fit_loop.epoch_progress.current.processed)
        return self._loader(self._training, sampler)

    def val_dataloader(self) -> DataLoader[Sample]:
        place = self.trainer.global_rank, self.trainer.world_size
        return self._loader(self._looked_at, InOrderSampler(len(self._looked_at), *place))

    def _loader(self, clips: Dataset[Sample], sampler) -> DataLoader[Sample]:
        return DataLoader(
            clips,
            self.share,
            sampler=sampler,
            num_workers=self._workers,
            worker_init_fn=_begin,
            pin_memory=self._pinned,
            generator=torch.Generator(),  # else it draws from the one that dropout draws from
            persistent_workers=self._workers > 0,  # they keep what they decoded
        )


def default_workers(devices: int) -> int:
    """Decoding processes for each of a machine's `devices`: its cores but one, shared out."""
    return min(MOST_WORKERS, max(1, (cores() - 1) // devices))


def unwrapped(error: DataSetError) -> DataSetError:
    """The error as the decoding process raised it: a DataLoader puts the process's traceback before it."""
    return DataSetError(str(error).rpartition(f"{DataSetError.__name__}: ")[2].strip())


def _begin(_worker: int) -> None:
    leave_interrupts()
