"""One run of training, from data sets to a checkpoint."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import lightning as L
import tensorboard  # noqa: F401  Lightning would miss it only later
import torch
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch.utils.data import Dataset

from canthus.errors import CheckpointError, DataSetError, TrainingError
from canthus_model.config import NetworkConfig
from canthus_model.network import MCOENet
from canthus_model.pictures import check_matplotlib
from canthus_model.see.moments import Sample
from canthus_model.train.best import KeepBest
from canthus_model.train.checkpointing import LAST, PublishedFormat, SaveEveryEpoch, final_name, remove_partial
from canthus_model.train.curves import Curves
from canthus_model.train.data import Batches, unwrapped
from canthus_model.train.doubts import Doubts
from canthus_model.train.encoder_weights import start_encoders
from canthus_model.train.folder import LOGS, check_folder, run_folder
from canthus_model.train.history import History
from canthus_model.train.looked_at import CHOSEN_BY, SHOWN
from canthus_model.train.machine import Machine
from canthus_model.train.module import Training
from canthus_model.train.recipe import Recipe
from canthus_model.train.report import duration, quiet, report
from canthus_model.train.resume import check_same_run, read_begun
from canthus_model.train.scarcity import Scarcity
from canthus_model.train.settings import Settings, sha256_of

LOOK_EVERY = 5  # epochs, at clips that aren't trained on
_ALONE_SECONDS = 10  # that the other processes may take to end


def train(
    training: Dataset[Sample],
    looked_at: Dataset[Sample],
    labels: Sequence[str],
    output: Path,
    config: NetworkConfig,
    recipe: Recipe,
    *,
    seed: int = 0,
    machine: Machine | None = None,
    resume: bool = False,
    encoder_weights: Path | None = None,
    volunteers: Sequence[str] = (),
) -> Path:
    """Train a network and return the final checkpoint, `output/save_{epochs}.pth`.

    `output/last.pth` is written after every epoch, `output/curves.png` after some, and TensorBoard's logs to
    `output/tensorboard`; with `volunteers` also the weights of the best epoch by them, `output/best.pth`. The weights
    that result follow from the data, config, recipe and seed, as far as the machine's arithmetic does.

    Args:
        training, looked_at: data sets with a length, whose items are asked for by (epoch, index) and are
            `Sample`s of image size `config.image_size`; those of `looked_at` are always asked for with epoch
            0, and nothing is learned from them.
        labels: names of the samples' labels, in order.
        machine: what to train on; a GPU if there is one, unless told otherwise.
        resume: go on after the last epoch that `output` has; all else must be as it was begun, but for the
            number of epochs.
        encoder_weights: torchvision's state dict of a ResNet-18, which all four encoders start from; of a run that
            goes on, they did.
        volunteers: those whom `looked_at` shows, if they were held back from training; none if it is the testing
            subset, by which nothing is chosen.

    Raises:
        TrainingError: it can't start or go on as asked; the loss or weights became NaN; a file can't be
            written. The checkpoint of the last epoch that succeeded stays.
        CheckpointError: a checkpoint to go on from, or encoder weights, can't be used.
        DataSetError: an image can't be decoded.
    """
    machine = machine or Machine()
    check(output, recipe, machine, resume)
    check_batch(recipe.batch, len(training), len(volunteers))
    machine.use_threads()
    last = output / LAST if resume else None
    begun_from = sha256_of(encoder_weights) if encoder_weights else None
    settings = Settings(config, recipe, seed, tuple(labels), len(training), begun_from, tuple(volunteers))
    if last:
        check_same_run(last, settings)
        settings = replace(settings, encoder_weights=read_begun(last).settings.encoder_weights)
    torch.manual_seed(seed)
    network = MCOENet(config).to(memory_format=torch.channels_last)  # a fifth faster on a CPU
    if encoder_weights and not last:
        start_encoders(network, encoder_weights)
    begin = time.monotonic()
    first = rank_zero_only.rank == 0
    with quiet(), run_folder(output) if first else contextlib.nullcontext():
        if first:
            remove_partial(output)
        looks = CHOSEN_BY if volunteers else SHOWN
        module = Training(network, recipe, seed, settings.as_dict(), looks)
        history = History(looks)
        told = report(recipe.epochs, looks, history)
        watching = [Doubts(len(labels), looks, history, told.say), Scarcity(told.say), LearningRateMonitor("epoch")]
        best = KeepBest(output, history, told.say)
        curves = Curves(output, history, looks, len(labels), best, told.say)
        trainer = L.Trainer(
            **machine.trainer_options,
            max_epochs=recipe.epochs,
            check_val_every_n_epoch=LOOK_EVERY,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            logger=TensorBoardLogger(output, name=LOGS, version="", default_hp_metric=False),
            callbacks=[
                SaveEveryEpoch(output, recipe.epochs),
                history,  # before those that ask it
                told,
                *watching,
                *([best] if volunteers else []),
                curves,
            ],
            plugins=[PublishedFormat()],
            enable_model_summary=False,
            enable_progress_bar=False,
        )
        batches = Batches(training, looked_at, recipe.batch, seed, machine.decoders, machine.on_gpu)
        _fit(trainer, module, batches, last)
    final = output / final_name(recipe.epochs)
    if trainer.is_global_zero:
        print(f"{final}: {recipe.epochs} epochs, {duration(time.monotonic() - begin)}")
        if chosen := best.told(len(volunteers)):
            print(chosen)
    return final


def check(output: Path, recipe: Recipe, machine: Machine, resume: bool) -> None:
    """What can be told before the data set is looked at; raises TrainingError."""
    machine.check(recipe.batch)
    check_matplotlib(TrainingError, "the curves can't be drawn: ")
    if rank_zero_only.rank == 0:  # the others begin when the first one already writes
        check_folder(output, resume)


def check_batch(batch: int, sequences: int, held_back: int = 0) -> None:
    """Raises TrainingError if there are too few training sequences for one batch, `held_back` volunteers' left out."""
    if batch > sequences:
        left = f" that --validation {held_back} leaves; give less of it, or" if held_back else "; give"
        raise TrainingError(f"a batch of {batch} exceeds the {sequences} training sequences{left} --batch")


def _fit(trainer: L.Trainer, module: Training, batches: Batches, last: Path | None) -> None:
    """Let Lightning train, and tell what went wrong as canthus does."""
    try:
        trainer.fit(module, datamodule=batches, ckpt_path=last, weights_only=True)
    except BaseException as error:
        told = _told(error, trainer, module, last)
        if hasattr(trainer.strategy.launcher, "procs"):
            trainer.strategy.launcher.kill(9)
        if told is None:
            raise
        raise told from error


def _told(error: BaseException, trainer: L.Trainer, module: Training, last: Path | None) -> BaseException | None:
    match error:
        case SystemExit(__context__=KeyboardInterrupt()) if trainer.local_rank == 0:  # what Lightning makes of Ctrl-C
            return KeyboardInterrupt()
        case SIGTERMException():
            return TrainingError("training was told to end (SIGTERM); --resume goes on after the last whole epoch")
        case DataSetError():
            return unwrapped(error)
        case MisconfigurationException():
            return TrainingError(f"Lightning can't train on what was asked for: {error}")
        case torch.OutOfMemoryError():
            return TrainingError("the GPU's memory is full; give a smaller --batch, or more --devices")
        case OSError():
            return TrainingError(f"{trainer.logger.save_dir}: training stopped ({error}); --resume goes on")
        case RuntimeError() if "DataLoader worker" in str(error):
            return _of_a_decoder(str(error))
        case RuntimeError() if _another_ended(trainer):
            return TrainingError("another process of this training ended; what it said is above")
        case KeyError() | IndexError() | ValueError() | TypeError() | AttributeError() | RuntimeError():
            if last and not module.begun:
                return CheckpointError(f"{last}: training can't go on from it ({error!r}); it is damaged")
    return None


def _of_a_decoder(said: str) -> TrainingError:
    """What a decoding process said, which may be pages."""
    if "shared memory" in said:
        return TrainingError(
            "/dev/shm, through which decoding processes hand over images, is full: give --workers 0, or fewer; or make "
            "it larger, in a container by docker run --shm-size=1g"
        )
    last = said.strip().splitlines()[-1]
    return TrainingError(f"a decoding process ended ({last}); fewer --workers take less memory")


def _another_ended(trainer: L.Trainer) -> bool:
    """Whether one of the processes that share the work has ended, as the connection's end suggests."""
    if trainer.world_size == 1:
        return False
    processes = getattr(trainer.strategy.launcher, "procs", [])
    end = time.monotonic() + _ALONE_SECONDS
    while processes and time.monotonic() < end:
        if any(process.poll() is not None for process in processes):
            return True
        time.sleep(0.1)
    return trainer.local_rank > 0
