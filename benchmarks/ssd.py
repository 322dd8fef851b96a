"""Mamba-2's scan, one block: canthus's kernel and body beside LinearAttention, PyTorch, and Mamba-1's scan.

    python benchmarks/ssd.py --threads 1 2

prints milliseconds, the best of some runs, each in one process after the other.
"""

import argparse
import os

import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, helper
from stopwatch import best

from canthus.operators import library_path
from canthus_exporter.trace import trace
from canthus_model.selective_scan import selective_scan

os.environ["ALLOW_RELEASED_ONNX_OPSET_ONLY"] = "0"  # ONNX Runtime 1.31 has opset 27's kernels, as a preview


class Scan(torch.nn.Module):
    """By canthus's operator."""

    def forward(self, x, dt, A, B, C):
        return torch.ops.canthus.ssd(x, dt, A, B, C, None)[0]


class Spread(torch.nn.Module):
    """The same by Mamba-1's: decay and time step of a head given to each of its channels."""

    def forward(self, x, dt, A, B, C):
        head_size, states = x.shape[3], B.shape[3]
        u, delta = x.flatten(2).transpose(1, 2), dt.repeat_interleave(head_size, 2).transpose(1, 2)
        A = A.repeat_interleave(head_size).unsqueeze(1).expand(-1, states)
        y = selective_scan(u, delta, A, B.permute(0, 2, 3, 1), C.permute(0, 2, 3, 1))
        return y.transpose(1, 2).unflatten(2, (-1, head_size))


def in_chunks(x, dt, A, B, C, chunk=64):
    """The paper's chunked form in PyTorch (arXiv 2405.21060, listing 1), of one group and whole chunks."""
    batch, tokens, heads, head_size = x.shape
    x = (x * dt.unsqueeze(3)).view(batch, -1, chunk, heads, head_size)
    B, C = (one.view(batch, -1, chunk, one.shape[3]) for one in (B, C))
    logarithms = (dt * A).view(batch, -1, chunk, heads).permute(0, 3, 1, 2)
    sums = logarithms.cumsum(3)
    apart = sums.unsqueeze(4) - sums.unsqueeze(3)
    left = apart.masked_fill(~torch.ones(chunk, chunk, dtype=torch.bool).tril(), -torch.inf).exp()
    y = torch.einsum("bcln,bcsn,bhcls,bcshp->bclhp", C, B, left, x)
    added = torch.einsum("bcln,bhcl,bclhp->bchpn", B, (sums[..., -1:] - sums).exp(), x)
    state, before = torch.zeros_like(added[:, 0]), []
    for number in range(added.shape[1]):
        before.append(state)
        state = state * sums[:, :, number, -1, None, None].exp() + added[:, number]
    y = y + torch.einsum("bcln,bchpn,bhcl->bclhp", C, torch.stack(before, 1), sums.exp())
    return y.reshape(batch, tokens, heads, head_size)


def linear_attention(x, dt, A, B, C):
    """ONNX's own operator, with what it is given ready for it."""
    batch, tokens, heads, head_size = x.shape
    states = B.shape[3]
    feed = {
        "query": np.repeat(C, heads, 2).reshape(batch, tokens, -1),
        "key": np.repeat(B, heads, 2).reshape(batch, tokens, -1),
        "value": (x * dt[..., None]).reshape(batch, tokens, -1),
        "decay": dt * A,
    }
    node = helper.make_node(
        "LinearAttention",
        ["query", "key", "value", "", "decay"],
        ["y", "last_state"],
        q_num_heads=heads,
        kv_num_heads=heads,
        scale=1.0,
        update_rule="gated",
        chunk_size=64,
    )
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape) for name, array in feed.items()]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, (batch, tokens, heads * head_size))
    graph = helper.make_graph([node], "attention", inputs, [output])
    assert states == feed["query"].shape[2] // heads
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 27)], ir_version=11), feed


def session(model, threads, with_library):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    if with_library:
        options.register_custom_ops_library(str(library_path()))
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    for name, value in (("channels", 768), ("tokens", 512), ("states", 128), ("head-size", 64)):
        parser.add_argument(f"--{name}", type=int, default=value)
    chosen = parser.parse_args()
    heads, random = chosen.channels // chosen.head_size, np.random.default_rng(0)

    def normal(*shape):
        return random.standard_normal(shape).astype(np.float32)

    x = normal(1, chosen.tokens, heads, chosen.head_size)
    dt = np.log1p(np.exp(normal(1, chosen.tokens, heads) - 3)).astype(np.float32)
    A, B, C = -np.exp(normal(heads)), *(normal(1, chosen.tokens, 1, chosen.states) for _ in range(2))
    arrays = (x, dt, A, B, C)
    tensors = [torch.from_numpy(array) for array in arrays]
    own, spread = (trace(module().eval(), tensors, None, None, None) for module in (Scan, Spread))
    attention, feed = linear_attention(*arrays)
    for threads in chosen.threads:
        torch.set_num_threads(threads)
        ways = {"PyTorch, in chunks": lambda: in_chunks(*tensors)}
        for name, model, with_library in (
            ("canthus::Ssd, kernel", own, True),
            ("canthus::Ssd, body", own, False),
            ("LinearAttention", attention, False),
            ("canthus::SelectiveScan", spread, True),
        ):
            given = feed if model is attention else dict(zip([i.name for i in model.graph.input], arrays, strict=True))
            run = session(model, threads, with_library).run
            ways[name] = lambda run=run, given=given: run(None, given)[0]
        expected = np.asarray(ways["canthus::Ssd, kernel"]()).reshape(-1)
        sizes = f"{chosen.channels} channels in heads of {chosen.head_size}, {chosen.tokens} tokens, N {chosen.states}"
        print(f"{threads} threads, {sizes}")
        for name, way in ways.items():
            apart = np.abs(np.asarray(way()).reshape(-1) - expected).max() / np.abs(expected).max()
            print(f"  {name:<24}{1000 * best(way, 15):8.2f} ms, {apart:.0e} from the kernel")


if __name__ == "__main__":
    main()
