"""What one step of training and one of looking at other clips do."""

from __future__ import annotations

from typing import Any

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

from canthus.errors import TrainingError
from canthus_model.network import MCOENet
from canthus_model.see.moments import Sample
from canthus_model.train.leave_out import leave_out
from canthus_model.train.looked_at import LookedAt
from canthus_model.train.losses import Readouts, unbalance
from canthus_model.train.noise import add_noise
from canthus_model.train.recall import UnweightedRecall, unweighted_recall
from canthus_model.train.recipe import Recipe
from canthus_model.train.reseat import reseat

LOSS, ACCURACY, TRAINING_UAR = "training/loss", "training/accuracy", "training/UAR"
PREFIX = "network."
"""What Lightning's names of the network's tensors begin with."""


class Training(L.LightningModule):
    """A network that learns by a recipe. Everything random in an epoch follows from seed, epoch and process."""

    def __init__(
        self, network: MCOENet, recipe: Recipe, seed: int, settings: dict[str, Any], looked_at: LookedAt
    ) -> None:
        """`settings` are plain values that go into checkpoints, for `resume.py` to compare."""
        super().__init__()
        self.network = network
        self.begun = False
        self._recipe, self._seed, self._looked_at = recipe, seed, looked_at
        self.save_hyperparameters(settings)
        labels = network.output.out_features
        self.readouts = Readouts(network.config, labels) if recipe.each_alone else None
        self._accuracy = MulticlassAccuracy(labels, average="micro")
        self._uar = UnweightedRecall(labels)
        self._look_loss = MeanMetric()
        self._confusion = MulticlassConfusionMatrix(labels)

    def configure_optimizers(self) -> dict[str, Any]:
        recipe = self._recipe
        optimizer = torch.optim.AdamW(self.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
        return {
            "optimizer": optimizer,
            "lr_scheduler": torch.optim.lr_scheduler.ExponentialLR(optimizer, recipe.decay),
        }

    def on_train_start(self) -> None:
        self.begun = True

    def on_train_epoch_start(self) -> None:
        source = np.random.SeedSequence([self._seed, self.current_epoch, self.global_rank])
        torch.manual_seed(int(source.generate_state(1)[0]))  # of the dropout
        if self.current_epoch + 1 == self._recipe.epochs:
            self.trainer.check_val_every_n_epoch = 1  # the last epoch is looked at too

    def training_step(self, batch: Sample, _batch_index: int) -> dict[str, Tensor]:
        """What is made small, and the loss that is told: of the answers alone, as that of clips that are looked at."""
        logits, answers, loss = self._learn(batch)
        if not loss.isfinite():
            raise TrainingError(
                f"the loss became {loss.item()} in epoch {self.current_epoch + 1}; begin again with a smaller "
                "--learning-rate. Checkpoints that there are, are of epochs before"
            )
        self._accuracy(logits, batch.label)
        self._uar.update(logits, batch.label)
        size, told = len(batch.label), answers.detach()
        self.log(LOSS, told, on_step=False, on_epoch=True, sync_dist=True, batch_size=size)
        self.log(ACCURACY, self._accuracy, on_step=False, on_epoch=True, batch_size=size)
        self.log(TRAINING_UAR, self._uar, on_step=False, on_epoch=True, batch_size=size)
        return {"loss": loss, LOSS: told}

    def _learn(self, batch: Sample) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of a batch's clips, varied as the recipe has it, their loss, and with it all that is made small."""
        recipe, frame, event = self._recipe, batch.frame, batch.event
        if recipe.reseat:
            frame, event = reseat(frame, event)
        if recipe.noise:
            frame, event = add_noise(frame, event, recipe.noise)
        frame, event, shown = leave_out(frame, event, recipe.left_out)
        features = self.network.encode(frame, event)
        out = self.network.fuse(features)
        answers = loss = F.cross_entropy(out["logits"], batch.label)
        if self.readouts is not None:
            loss = loss + recipe.each_alone * self.readouts.loss(features, batch.label, shown)
        if recipe.balance:
            loss = loss + recipe.balance * unbalance(out["router_logits"])
        return out["logits"], answers, loss

    def validation_step(self, batch: Sample, batch_index: int) -> None:
        logits = self.network(batch.frame, batch.event)
        loader = self.trainer.val_dataloaders
        real = loader.sampler.is_real(batch_index * loader.batch_size, len(logits)).to(logits.device)
        self._look_loss(F.cross_entropy(logits, batch.label, reduction="none")[real])
        self._confusion.update(logits[real], batch.label[real])

    def on_validation_epoch_end(self) -> None:
        confusion, looked_at = self._confusion.compute(), self._looked_at
        self.log(looked_at.loss, self._look_loss.compute())
        self.log(looked_at.war, confusion.diag().sum() / confusion.sum())
        self.log(looked_at.uar, unweighted_recall(confusion))
        self._confusion.reset()
        self._look_loss.reset()
