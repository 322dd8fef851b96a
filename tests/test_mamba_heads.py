"""Mamba-2's functions and blocks, in the place of `mamba_ssm`'s and of transformers': whole, step by step, exported."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from canthus import ExportError
from canthus_exporter import mamba
from canthus_exporter.mamba import drop_in, functions, heads
from canthus_exporter.mamba.block_of_heads import Mamba2, Mamba2Simple
from canthus_exporter.ssd_operator import ssd_reference
from mamba_checks import Logits, close
from mamba_checks import randomised as moved
from mamba_packages import importable

B, L, H, P, G, N = 2, 21, 4, 6, 2, 5
randomised = partial(moved, by=0.3)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def inputs():
    return (
        *(torch.randn(B, L, H, P), torch.randn(B, L, H), -torch.rand(H) - 0.1),
        *(torch.randn(B, L, G, N), torch.randn(B, L, G, N)),
    )


@pytest.mark.parametrize("by_channel", [False, True], ids=["D of heads", "D of channels"])
def test_what_comes_around_the_scan(by_channel):
    x, dt, A, B_, C = inputs()
    D, z, bias = torch.randn(H, P) if by_channel else torch.randn(H), torch.randn(B, L, H, P), torch.randn(H)
    before = torch.randn(B, H, P, N)
    y, state = heads.mamba_chunk_scan_combined(
        *(x, dt, A, B_, C, 16, D, z, bias, before),
        dt_softplus=True,
        dt_limit=(0.2, 0.9),
        return_final_states=True,
    )
    steps = F.softplus(dt + bias).clamp(0.2, 0.9)
    expected, last = ssd_reference(*(t.double() for t in (x, steps, A, B_, C, before)))
    expected = (expected + x * (D if by_channel else D[:, None])) * F.silu(z)
    assert close(y, expected.float()) and close(state, last.float())
    signed = heads.mamba_chunk_scan_combined(x, dt, A, B_, C, 16)  # mamba_ssm's kernel bounds dt by 0
    assert close(signed, ssd_reference(x, dt.clamp(min=0), A, B_, C, None)[0])
    plain = heads.mamba_chunk_scan_combined(x, dt.abs(), A, B_, C, 16)
    assert close(plain, ssd_reference(x, dt.abs(), A, B_, C, None)[0])
    assert torch.equal(heads.mamba_chunk_scan(x, dt.abs(), A, B_, C, 16), plain)


def test_halves_are_computed_in_float32_and_float64_in_itself():
    x, dt, A, B_, C = inputs()
    dt = dt.abs()
    narrow = heads.mamba_chunk_scan_combined(*(t.to(torch.bfloat16) for t in (x, dt)), A, B_, C)
    assert narrow.dtype == torch.bfloat16 and close(narrow.float(), heads.mamba_chunk_scan(x, dt, A, B_, C), 0.02)
    wide = heads.mamba_chunk_scan_combined(*(t.double() for t in (x, dt, A, B_, C)))
    assert wide.dtype == torch.float64 and torch.equal(
        wide, ssd_reference(*(t.double() for t in (x, dt, A, B_, C)), None)[0]
    )


@pytest.mark.parametrize("packed", ["seq_idx", "cu_seqlens"])
def test_sequences_in_one_row_are_refused(packed):
    with pytest.raises(ExportError, match="seq_idx and cu_seqlens aren't supported: export with one sequence a row"):
        heads.mamba_chunk_scan_combined(*inputs(), **{packed: torch.zeros(B, L, dtype=torch.int32)})
    with pytest.raises(ExportError, match=r"A's \(4, 5\), not \(batch, tokens, heads, head size\) and \(heads,\)"):
        x, dt, _, B_, C = inputs()
        heads.mamba_chunk_scan_combined(x, dt, -torch.rand(H, N), B_, C)


def test_a_token_at_a_time_with_heads():
    x, dt, A, B_, C = inputs()
    D, z, bias = torch.randn(H, P), torch.randn(B, L, H, P), torch.randn(H)
    state, y = torch.zeros(B, H, P, N), []
    for t in range(L):
        y.append(
            functions.selective_state_update(
                *(state, x[:, t], dt[:, t, :, None].expand(B, H, P), A[:, None, None].expand(H, P, N)),
                *(B_[:, t], C[:, t], D, z[:, t], bias[:, None].expand(H, P)),
                dt_softplus=True,
            )
        )
    expected, last = heads.mamba_chunk_scan_combined(
        x, dt, A, B_, C, None, D, z, bias, dt_softplus=True, return_final_states=True
    )
    assert close(torch.stack(y, 1), expected) and close(state, last)
    with pytest.raises(ExportError, match="state_batch_indices isn't supported"):
        functions.selective_state_update(*[None] * 10, state_batch_indices=torch.zeros(2))


BLOCKS = {
    "as it is": {},
    "groups": {"ngroups": 2},
    "a perceptron beside, D of channels": {"d_ssm": 24, "D_has_hdim": True, "headdim": 6},
    "no norm, bounds": {"rmsnorm": False, "dt_limit": (0.05, 0.7), "bias": True, "conv_bias": False},
    "norm before gate": {"norm_before_gate": True},
}


class Step(nn.Module):
    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, token, conv_state, ssm_state):
        return self.block.step(token, conv_state, ssm_state)


@pytest.mark.parametrize("options", BLOCKS.values(), ids=BLOCKS)
def test_a_block_whole_and_step_by_step_and_exported(options, tmp_path):
    block = randomised(Mamba2(16, **{"d_state": 5, "headdim": 8} | options))
    tokens = torch.randn(2, 9, 16)
    with torch.no_grad():
        whole, states = block(tokens), block.allocate_inference_cache(2)
        steps = []
        for t in range(9):
            y, *states = block.step(tokens[:, t : t + 1], *states)
            steps.append(y)
    # The steps of mamba_ssm's block know no bounds of dt, so these don't either.
    assert close(torch.cat(steps, 1), whole) != ("dt_limit" in options)
    exported = mamba.export(block, (tokens,), tmp_path / "block.onnx")
    assert exported.scans == 1 and max(exported.difference.values()) < 1e-5
    step = mamba.export(Step(block).eval(), (tokens[:, :1], *states), tmp_path / "step.onnx")
    assert max(step.difference.values()) < 1e-5


def test_a_block_by_its_own_formula():
    """What the paper's figure 6 shows: projections, a convolution, the scan, a gated norm of each group."""
    block = randomised(Mamba2(16, d_state=5, headdim=8, ngroups=2))
    tokens = torch.randn(2, 9, 16)
    z, xBC, dt = block.in_proj(tokens).split([32, 32 + 2 * 2 * 5, 4], 2)
    xBC = F.silu(block.conv1d(xBC.transpose(1, 2))[..., :9]).transpose(1, 2)
    x, B_, C = xBC.split([32, 10, 10], 2)
    x = x.unflatten(2, (4, 8))
    dt, A = F.softplus(dt + block.dt_bias), -block.A_log.exp()
    y = ssd_reference(x, dt, A, B_.unflatten(2, (2, 5)), C.unflatten(2, (2, 5)), None)[0] + block.D[:, None] * x
    y = F.rms_norm((y.flatten(2) * F.silu(z)).unflatten(2, (2, 16)), (16,), eps=1e-5).flatten(2) * block.norm.weight
    assert close(block(tokens), block.out_proj(y))


def test_the_simple_block_has_states_to_begin_from(tmp_path):
    block = randomised(Mamba2Simple(16, d_state=5, headdim=8, learnable_init_states=True))
    tokens = torch.randn(2, 9, 16)
    exported = mamba.export(block, (tokens,), tmp_path / "block.onnx")
    assert exported.scans == 1 and max(exported.difference.values()) < 1e-5
    begun = block(tokens)
    with torch.no_grad():
        block.init_states.zero_()
    assert not close(block(tokens), begun, 0.01)
    plain = Mamba2(16, d_state=5, headdim=8).eval()
    weights = block.state_dict()
    del weights["init_states"]
    plain.load_state_dict(weights)
    assert close(plain(tokens), block(tokens))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: Mamba2(16, nslices=5), r"Mamba2: canthus doesn't know the argument nslices; put the fork"),
        (lambda: Mamba2(16, process_group=1), r"Mamba2: canthus doesn't know the argument process_group"),
        (lambda: Mamba2Simple(16, 4, d_ssm=8), r"Mamba2Simple: canthus doesn't know the argument d_ssm"),
        (
            lambda: Mamba2Simple(16, headdim=8, ngroups=2, use_mem_eff_path=False),
            r"Mamba2Simple: without use_mem_eff_path mamba_ssm norms all groups together",
        ),
        (lambda: Mamba2(16, headdim=7), r"a head of 7 doesn't divide 32 channels"),
        (
            lambda: Mamba2(16, headdim=8)(torch.ones(1, 2, 16), seq_idx=torch.zeros(1, 2)),
            r"Mamba2: seq_idx isn't supported: export with one sequence a row",
        ),
        (
            lambda: Mamba2(16, headdim=8)(torch.ones(1, 2, 16), inference_params={}),
            r"Mamba2: inference_params isn't supported; export `step`",
        ),
    ],
)
def test_a_block_refuses_what_it_does_not_know(call, message):
    with pytest.raises(ExportError, match=message):
        call()


def test_a_language_model_of_mamba_2(tmp_path):
    with drop_in():
        from mamba_ssm.models.config_mamba import MambaConfig
        from mamba_ssm.models.mixer_seq_simple import MambaLMHeadModel
    settings = {"layer": "Mamba2", "headdim": 8, "d_state": 5}
    model = randomised(MambaLMHeadModel(MambaConfig(d_model=16, n_layer=2, vocab_size=21, ssm_cfg=settings)))
    free = [{0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", max=100)}]
    exported = mamba.export(
        model, (torch.randint(21, (2, 70)),), tmp_path / "network.onnx", dynamic_shapes=free, max_tokens=100
    )
    assert exported.scans == 2 and max(exported.difference.values()) < 1e-5


TRANSFORMERS = {
    "transformers/__init__.py": "",
    "transformers/models/__init__.py": "",
    "transformers/models/mamba2/__init__.py": "",
    "transformers/models/mamba2/modeling_mamba2.py": """
import torch
from torch import nn

def mamba2_chunk_scan(hidden_states, dt, A, B, C, chunk_size, D=None, dt_bias=None, initial_states=None,
                      dt_softplus=False, dt_limit=(0.0, float("inf")), return_final_states=False, **kwargs):
    dt = torch.nn.functional.softplus(dt + dt_bias).clamp(*dt_limit)
    state, y = hidden_states.new_zeros((*hidden_states[:, 0].shape, B.shape[3])), []
    for t in range(hidden_states.shape[1]):
        added = (dt[:, t, :, None] * hidden_states[:, t])[..., None] * B[:, t, :1, None]
        state = (dt[:, t] * A).exp()[:, :, None, None] * state + added
        y.append((state * C[:, t, :1, None]).sum(3) + D[:, None] * hidden_states[:, t])
    return torch.stack(y, 1)

class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.A_log, self.D, self.dt_bias = (nn.Parameter(torch.rand(4)) for _ in range(3))

    def forward(self, x, dt, B, C):
        return mamba2_chunk_scan(x, dt, -self.A_log.exp(), B, C, chunk_size=8, D=self.D, z=None,
                                 return_final_states=False, dt_bias=self.dt_bias, dt_softplus=True,
                                 initial_states=None, dt_limit=(0.0, 5.0))
""",
}


def test_a_scan_like_that_of_transformers_needs_no_line(tmp_path, monkeypatch):
    with importable(tmp_path, monkeypatch, TRANSFORMERS):
        from transformers.models.mamba2.modeling_mamba2 import Mixer

        x, dt, _, B_, C = inputs()
        args = (x, dt, B_[:, :, :1], C[:, :, :1])
        exported = mamba.export(Mixer().eval(), args, tmp_path / "mixer.onnx")
        assert exported.scans == 1 and max(exported.difference.values()) < 1e-5


def test_transformers_own_mamba_2(tmp_path):
    """With no line at all."""
    transformers = pytest.importorskip("transformers", reason="Hugging Face's transformers isn't installed")

    sizes = {"num_heads": 4, "head_dim": 16, "hidden_size": 32, "state_size": 16, "n_groups": 2, "vocab_size": 50}
    model = transformers.Mamba2ForCausalLM(transformers.Mamba2Config(num_hidden_layers=2, expand=2, **sizes))
    exported = mamba.export(Logits(model).eval(), (torch.randint(50, (2, 12)),), tmp_path / "model.onnx")
    assert exported.scans == 2 and max(exported.difference.values()) < 1e-5


def test_a_body_is_checked_by_itself_where_memory_does_not_do(tmp_path, monkeypatch):
    from canthus_exporter.mamba import bodies, verify

    monkeypatch.setattr(verify, "free_memory", lambda: 1)
    block = randomised(Mamba2(16, d_state=5, headdim=8))
    with pytest.warns(UserWarning, match="function bodies were compared with the kernel each by itself"):
        exported = mamba.export(block, (torch.randn(2, 70, 16),), tmp_path / "block.onnx")
    assert 0 < exported.difference["without"] < 1e-5
    assert math.isclose(bodies.difference_of_bodies(tmp_path / "block.onnx"), exported.difference["without"])
