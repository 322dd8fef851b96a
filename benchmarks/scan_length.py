"""How the selective scan's time and memory grow with the number of tokens: the kernel, and the portable body.

    python benchmarks/scan_length.py --tokens 1024 4096 16384 65536 --channels 64 --states 16

prints, for one thread, nanoseconds for each token and channel by the kernel and by the body in ONNX Runtime, and how
much more memory the body takes, each length in a process of its own.
"""

import argparse
import resource
import subprocess
import sys

import numpy as np
import onnxruntime
import torch
from stopwatch import best

from canthus._native import selective_scan as kernel
from canthus_exporter.trace import trace
from canthus_model.selective_scan import selective_scan


class Scan(torch.nn.Module):
    def forward(self, u, delta, A, B, C):
        return selective_scan(u, delta, A, B, C, delta_softplus=True)


def one(tokens, channels, states):
    random = np.random.default_rng(0)

    def normal(*shape):
        return random.standard_normal(shape).astype(np.float32)

    u, delta, B, C = (normal(1, rows, tokens) for rows in (channels, channels, states, states))
    arrays = (u, delta - 2, -np.exp(normal(channels, states)), B, C)
    by_kernel = best(lambda: kernel(*arrays, delta_softplus=True), 10)
    model = trace(Scan().eval(), [torch.from_numpy(array) for array in arrays], None, None, None)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feed = dict(zip((value.name for value in session.get_inputs()), arrays, strict=True))
    by_body = best(lambda: session.run(None, feed), 2)
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6
    each = 1e9 / tokens / channels
    told = f"kernel {by_kernel * each:6.2f} ns, body {by_body * each:7.2f} ns, {more:.2f} GB more"
    print(f"{tokens:>7} tokens: {told}, file {model.ByteSize()} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[1024, 4096, 16384, 20000, 65536, 66000])
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--states", type=int, default=16)
    chosen = parser.parse_args()
    if len(chosen.tokens) == 1:
        one(chosen.tokens[0], chosen.channels, chosen.states)
        return
    for tokens in chosen.tokens:
        sizes = ["--channels", str(chosen.channels), "--states", str(chosen.states)]
        subprocess.run([sys.executable, __file__, "--tokens", str(tokens), *sizes], check=True)


if __name__ == "__main__":
    main()
