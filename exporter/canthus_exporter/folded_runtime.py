"""The folded network in PyTorch, behind the face of a runtime, so that it is verified as the others are."""

from __future__ import annotations

import torch

from canthus.runtimes import Floats, Images, Reaction
from canthus_exporter.fold import Prime, React


class FoldedRuntime:
    name = "pytorch"

    def __init__(self, prime: Prime, react: React) -> None:
        self._prime, self._react = prime, react

    @torch.inference_mode()
    def prime(self, frame: Images, event: Images) -> tuple[Floats, Floats]:
        first_frame, first_event = self._prime(torch.from_numpy(frame), torch.from_numpy(event))
        return first_frame.numpy(), first_event.numpy()

    @torch.inference_mode()
    def react(self, frame: Images, event: Images, first_frame: Floats, first_event: Floats) -> Reaction:
        inputs = (frame, event, first_frame, first_event)
        return Reaction(*(x.numpy() for x in self._react(*map(torch.from_numpy, inputs))))
