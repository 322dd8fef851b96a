"""What a network is trained on."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from canthus.errors import TrainingError
from canthus_model.train.data import default_workers
from canthus_model.workers import cores


@dataclass(frozen=True)
class Machine:
    """Devices to share each batch.

    Attributes:
        accelerator: "cpu", "gpu", or "auto" for GPUs if there are any.
        devices: of each node, one process each.
        nodes: machines that train together.
        workers: decoding processes of each device; None for as many as suit the cores.
        threads: that PyTorch may use on the CPU, in each device's process; None for a core each.
    """

    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    workers: int | None = None
    threads: int | None = None

    def check(self, batch: int) -> None:
        """Raises TrainingError if devices are missing or can't share a batch of this size."""
        processes = self.devices * self.nodes
        if batch % processes or batch < 2 * processes:
            raise TrainingError(
                f"a batch of {batch} can't be shared by {processes} devices: "
                f"--batch must be a multiple of {processes}, at least {2 * processes}"
            )
        if self.accelerator == "gpu" and not torch.cuda.is_available():
            raise TrainingError("PyTorch finds no GPU here; leave out --accelerator gpu, or install its CUDA build")
        if self.on_gpu and self.devices > torch.cuda.device_count():
            raise TrainingError(f"--devices {self.devices}: PyTorch finds {torch.cuda.device_count()} GPUs here")

    @property
    def on_gpu(self) -> bool:
        return self.accelerator != "cpu" and torch.cuda.is_available()

    @property
    def decoders(self) -> int:
        """Decoding processes of each device."""
        return default_workers(self.devices) if self.workers is None else self.workers

    @property
    def checkers(self) -> int:
        """Processes that look at every image before training, when nothing else runs."""
        return cores() if self.workers is None else self.workers

    def use_threads(self) -> None:
        """Let PyTorch have so many of them in this process, and in those that Lightning starts."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)
            os.environ["OMP_NUM_THREADS"] = str(self.threads)  # else Lightning sets another number

    def can_hold(self, size: int) -> bool:
        """Whether each decoding process may hold so many bytes: all of a node's together half of its memory."""
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
        return self.devices * max(1, self.decoders) * size <= memory // 2

    @property
    def trainer_options(self) -> dict[str, object]:
        """What Lightning's Trainer is told of it."""
        bf16 = self.on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
        return {
            "accelerator": "gpu" if self.on_gpu else "cpu",
            "devices": self.devices,
            "num_nodes": self.nodes,
            # The network has parameters that it never reads.
            "strategy": "ddp_find_unused_parameters_true" if self.devices * self.nodes > 1 else "auto",
            "precision": "bf16-mixed" if bf16 else "32-true",
        }
