"""A Mamba-2 network of one's own as ONNX, run with canthus's library and without, and how long it takes by length.

python examples/own_mamba.py network.onnx mamba.png
"""

import sys
import time

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
import torch

from canthus.operators import library_path
from canthus_exporter import mamba

with mamba.drop_in():  # mamba_ssm need not be installed
    from mamba_ssm import Mamba2

WIDTH, CLASSES = 64, 5


class Classifier(torch.nn.Module):
    """Tokens (B, L, 64) to logits (B, 5)."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = torch.nn.ModuleList(Mamba2(WIDTH, d_state=32, headdim=32) for _ in range(2))
        self.norm, self.head = torch.nn.LayerNorm(WIDTH), torch.nn.Linear(WIDTH, CLASSES)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            tokens = tokens + block(tokens)
        return self.head(self.norm(tokens).mean(1))


def milliseconds(session: onnxruntime.InferenceSession, tokens: np.ndarray) -> float:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        session.run(None, {"tokens": tokens})
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def main(network: str, picture: str, longest: int = 2048) -> None:
    torch.manual_seed(0)
    free = [{0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", max=longest)}]
    example = (torch.randn(2, 50, WIDTH),)
    exported = mamba.export(
        Classifier().eval(), example, network, input_names=["tokens"], dynamic_shapes=free, max_tokens=longest
    )
    print(f"{network}: {exported.scans} scans; from PyTorch: {exported.difference}")
    lengths = [n for n in (16, 64, 256, 1024, 2048) if n <= longest]
    for name, with_library in (("with the library", True), ("without", False)):
        options = onnxruntime.SessionOptions()
        if with_library:
            options.register_custom_ops_library(str(library_path()))
        session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        random = np.random.default_rng(0)
        times = [milliseconds(session, random.standard_normal((1, n, WIDTH), np.float32)) for n in lengths]
        plt.loglog(lengths, times, "o-", label=name)
    plt.xlabel("tokens")
    plt.ylabel("ms")
    plt.legend()
    plt.savefig(picture, dpi=120)
    plt.close()
    print(f"{picture}: how long it takes")


if __name__ == "__main__":
    main(*sys.argv[1:])
