"""What a step of training costs at the paper's size, and where the time goes.

    python benchmarks/training_step.py [BATCH]

Each part runs forward and backward on its own; the whole step is measured as one, without the decoding, which
other processes do meanwhile. Pictures are noise of SEE's size.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from stopwatch import best
from torch import Tensor, nn

from canthus_model.config import TOKEN_WIDTH
from canthus_model.network import MCOENet
from canthus_model.see.annotation import Entry
from canthus_model.see.dataset import See, Sequence
from canthus_model.see.moments import Clips
from canthus_model.see.names import SequenceName
from canthus_model.train.recipe import Recipe

FRAMES, SENSOR = 24, (346, 260)
NAME = "1_001_man_24_Master_normal_angry_24_take000"


def main() -> None:
    batch = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    network = MCOENet()
    optimizer = torch.optim.AdamW(network.parameters(), Recipe.learning_rate, weight_decay=Recipe.weight_decay)
    frame, event, seconds = decode(batch)
    label = torch.arange(batch) % 7
    parts = {"decode, one process": seconds} | measure(network, optimizer, frame, event)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(frame, event), label).backward()
        optimizer.step()

    whole = best(step)
    print(f"batch {batch}, {torch.get_num_threads()} threads, images {tuple(frame.shape[2:])}")
    for part, seconds in parts.items():
        print(f"{part:38}{seconds * 1000:9.0f} ms{seconds / whole:8.1%}")
    print(f"{'whole step':38}{whole * 1000:9.0f} ms    {batch / whole:.1f} samples/s")


def decode(batch: int) -> tuple[Tensor, Tensor, float]:
    """A batch of frames and of event images, and the seconds that its decoding takes."""
    with tempfile.TemporaryDirectory() as folder:
        random = np.random.default_rng(0)
        for number in range(FRAMES):
            noise = random.integers(100, 150, SENSOR[::-1], np.uint8)
            Image.fromarray(noise).save(Path(folder) / f"{number:05}.jpg")
        entry = Entry(NAME, SequenceName.parse(NAME), "training", "angry", (0, FRAMES))
        sequence = Sequence(entry, Path(folder), Path(folder))
        clips = Clips(See(Path(folder), ("angry",), (sequence,)))
        samples = [clips[turn, 0] for turn in range(batch)]
        seconds = best(lambda: [clips[turn, 0] for turn in range(batch)])
    return torch.stack([s.frame for s in samples]), torch.stack([s.event for s in samples]), seconds


def measure(network: MCOENet, optimizer: torch.optim.Optimizer, frame: Tensor, event: Tensor) -> dict[str, float]:
    encoders = (network.res00, network.res01, network.res10, network.res11)
    images = (frame[:, 0], frame[:, 1], event[:, 0], event[:, 1])

    def encode() -> list[Tensor]:
        return [encoder(image) for encoder, image in zip(encoders, images, strict=True)]

    def fuse(tokens: list[Tensor]) -> Tensor:
        return network.moe(network.fusion_proj(network.MCIB(*tokens).flatten(1)))[0]

    features = encode()
    tokens = [
        torch.cat(pair, 1).detach().view(len(frame), -1, TOKEN_WIDTH).requires_grad_()
        for pair in (features[:2], features[2:])
    ]
    seconds = {
        "encoders, forward": best(encode),
        "encoders, forward and backward": best(lambda: sum(f.sum() for f in encode()).backward()),
        "MCO-Mamba, forward and backward": best(lambda: sum(t.sum() for t in network.MCO(*tokens)).backward()),
        "fusion and experts, likewise": best(lambda: fuse(tokens).sum().backward()),
    }
    return seconds | {"optimizer": best(optimizer.step)}


if __name__ == "__main__":
    main()
