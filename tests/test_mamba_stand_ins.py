"""What stands in for `mamba_ssm` where it isn't installed: norms, both directions, language models, and refusals."""

import importlib
import json

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from canthus import ExportError
from canthus_exporter import mamba
from canthus_exporter.mamba import drop_in, functions, norms, stand_ins
from canthus_model.selective_scan_reference import selective_scan_reference
from mamba_checks import close, randomised


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("module", stand_ins.MODULES)
def test_every_module_can_be_imported_with_all_that_it_has(module):
    with drop_in():
        imported = importlib.import_module(module)
        for name, member in stand_ins.MODULES[module].items():
            assert getattr(imported, name) is member
    with pytest.raises(ImportError):
        importlib.import_module(module)


def test_what_has_no_stand_in_says_its_own_name():
    with drop_in():
        from mamba_ssm.modules.mha import MHA
        from mamba_ssm.ops.triton.k_activations import swiglu

        class Attention(MHA):
            """As networks inherit from it."""

        with pytest.raises(
            ExportError, match=r"^mamba_ssm\.modules\.mha\.MHA: canthus has nothing to put in its place"
        ):
            Attention(16)
        with pytest.raises(ExportError, match=r"^mamba_ssm\.ops\.triton\.k_activations\.swiglu: "):
            swiglu(torch.ones(2))
        with pytest.raises(ImportError, match="cannot import name 'Nothing' from 'mamba_ssm"):
            from mamba_ssm.modules import Nothing  # noqa: F401


@pytest.mark.parametrize("rms", [True, False], ids=["rms", "layer"])
@pytest.mark.parametrize("has_residual", [True, False])
def test_norms_with_a_residual(rms, has_residual):
    x, residual = torch.randn(2, 3, 8), torch.randn(2, 3, 8) if has_residual else None
    norm = randomised(nn.RMSNorm(8, eps=1e-3) if rms else nn.LayerNorm(8, eps=1e-3))
    bias = None if rms else norm.bias
    total = x if residual is None else x + residual
    arguments = {"residual": residual, "eps": 1e-3, "prenorm": True, "residual_in_fp32": True}
    y, after = norms.layer_norm_fn(x, norm.weight, bias, is_rms_norm=rms, **arguments)
    assert close(y, norm(total)) and torch.equal(after, total)
    if rms:
        again = norms.rms_norm_fn(x, norm.weight, None, residual=residual, eps=1e-3)
        assert torch.equal(again, y)
    weight = torch.randn(5, 8)
    projected = norms.layer_norm_linear_fn(
        x, norm.weight, bias, weight, None, residual=residual, eps=1e-3, is_rms_norm=rms
    )
    assert close(projected, F.linear(norm(total), weight))


def test_a_residual_keeps_its_own_type():
    x, weight = torch.randn(2, 8).half(), torch.ones(8)
    y, after = norms.rms_norm_fn(x, weight, None, prenorm=True, residual_in_fp32=True)
    assert (y.dtype, after.dtype) == (torch.float16, torch.float32)
    y, after = norms.rms_norm_fn(x, weight, None, residual=after, prenorm=True)
    assert (y.dtype, after.dtype) == (torch.float16, torch.float32)
    assert norms.rms_norm_fn(x, weight, None, prenorm=True)[1].dtype == torch.float16


@pytest.mark.parametrize("options", [{"x1": 1}, {"weight1": 1}, {"rowscale": 1}, {"dropout_p": 0.1}])
def test_norms_refuse_what_they_dont_compute(options):
    with pytest.raises(ExportError, match=f"{next(iter(options)).removesuffix('_p')} isn't supported"):
        norms.layer_norm_fn(torch.ones(1, 2), torch.ones(2), None, **options)


@pytest.mark.parametrize("before", [True, False], ids=["norm, gate", "gate, norm"])
@pytest.mark.parametrize("group", [None, 4])
@pytest.mark.parametrize("kind", [norms.GatedRMSNorm, norms.GatedLayerNorm])
def test_gated_norms(kind, group, before):
    x, z = torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    norm = randomised(kind(8, eps=1e-3, group_size=group, norm_before_gate=before))
    groups = (x if before else x * F.silu(z)).unflatten(-1, (-1, group or 8))
    size = groups.shape[-1:]
    plain = F.rms_norm(groups, size, eps=1e-3) if norm.bias is None else F.layer_norm(groups, size, eps=1e-3)
    expected = plain.flatten(-2) * norm.weight + (0 if norm.bias is None else norm.bias)
    assert close(norm(x, z), expected * F.silu(z) if before else expected)


@pytest.mark.parametrize(
    "options", [{"bimamba_type": "v2"}, {"bimamba": True}, {"bimamba_type": "v2", "if_divide_out": True}]
)
def test_two_directions_are_two_blocks(options):
    """Which share their outer projections."""
    block = randomised(mamba.Mamba(12, d_state=4, **options))
    state = block.state_dict()
    there, back = mamba.Mamba(12, d_state=4), mamba.Mamba(12, d_state=4)
    there.load_state_dict({name: state[name] for name in there.state_dict()})
    parts = [f"{part}.{kind}" for part in ("conv1d", "x_proj", "dt_proj") for kind in ("weight", "bias")]
    renamed = {"A_log": "A_b_log", "D": "D_b", **{part: part.replace(".", "_b.") for part in parts}}
    back.load_state_dict({name: state[renamed.get(name, name)] for name in back.state_dict()})
    x = torch.randn(2, 9, 12)
    expected = there(x) + back(x.flip(1)).flip(1)
    assert close(block(x), expected / 2 if "if_divide_out" in options else expected)
    assert not close(block(x), there(x), 0.01)


def test_two_directions_behind_one_convolution():
    block = randomised(mamba.Mamba(12, d_state=4, bimamba_type="v1", init_layer_scale=0.5))
    tokens = torch.randn(2, 9, 12)
    x, z = block.in_proj(tokens).transpose(1, 2).chunk(2, 1)
    x = F.silu(block.conv1d(x)[:, :, :9])
    dt, B, C = (y.transpose(1, 2) for y in block.x_proj(x.transpose(1, 2)).split([1, 4, 4], 2))
    dt = F.softplus(block.dt_proj(dt.transpose(1, 2)).transpose(1, 2))
    y = selective_scan_reference(x, dt, -block.A_log.exp(), B, C, block.D, z)
    x, dt, B, C, z = (y.flip(-1) for y in (x, dt, B, C, z))
    y = y + selective_scan_reference(x, dt, -block.A_b_log.exp(), B, C, block.D, z).flip(-1)
    assert close(block(tokens), block.out_proj(y.transpose(1, 2)) * block.gamma)


@pytest.mark.parametrize("options", [{"bimamba_type": "v1"}, {"bimamba": True}])
def test_both_kinds_of_two_directions_are_exported(options, tmp_path):
    block = randomised(mamba.Mamba(12, d_state=4, **options))
    exported = mamba.export(block, (torch.randn(1, 7, 12),), tmp_path / "network.onnx")
    assert exported.scans == 2 and max(exported.difference.values()) < 1e-5


@pytest.mark.parametrize(
    "options, message",
    [
        ({"bimamba_type": "v3"}, r"bimamba_type 'v3' is none of 'none', 'v1', 'v2'"),
        ({"nslices": 5}, r"doesn't know the argument nslices; put the fork of mamba_ssm"),
    ],
)
def test_a_block_refuses_what_it_doesnt_know(options, message):
    with pytest.raises(ExportError, match=message):
        mamba.Mamba(16, **options)


def test_two_directions_have_no_step():
    block = mamba.Mamba(16, bimamba=True)
    with pytest.raises(ExportError, match="a bidirectional block needs all tokens at once"):
        block.step(torch.ones(1, 1, 16), *block.allocate_inference_cache(1))


@pytest.mark.parametrize("which", ["b_rms_weight", "c_rms_weight", "dt_rms_weight"])
def test_extra_norms_of_the_inner_function(which):
    x, states, rank, channels = torch.randn(2, 8, 6), 3, 2, 4
    weights = torch.randn(4, 1, 2), torch.randn(4), torch.randn(rank + 2 * states, 4), torch.randn(4, rank)
    A, norm = -torch.rand(4, states), torch.rand(channels if which == "dt_rms_weight" else states)
    u, z = x.chunk(2, 1)
    u = F.silu(F.conv1d(F.pad(u, (1, 0)), weights[0], weights[1], groups=4))
    dt, B, C = F.linear(u.transpose(1, 2), weights[2]).split([rank, states, states], 2)
    dt = F.linear(dt, weights[3])
    normed = {"dt_rms_weight": dt, "b_rms_weight": B, "c_rms_weight": C}
    normed[which] = F.rms_norm(normed[which], norm.shape, norm, 1e-3)
    dt, B, C = (y.transpose(1, 2) for y in normed.values())
    expected = selective_scan_reference(u, F.softplus(dt), A, B, C, None, z)
    found = functions.mamba_inner_fn_no_out_proj(x, *weights, A, **{which: norm}, b_c_dt_rms_eps=1e-3)
    assert close(found, expected)
    out = torch.randn(5, 4)
    found = functions.mamba_inner_fn(x, *weights, out, None, A, **{which: norm}, b_c_dt_rms_eps=1e-3)
    assert close(found, F.linear(expected.transpose(1, 2), out))


def test_the_kernel_in_cuda_by_its_own_name():
    u, z, A, B = torch.randn(2, 4, 6), torch.randn(2, 4, 6), -torch.rand(4, 3), torch.randn(2, 1, 3, 6)
    D, bias = torch.randn(4), torch.randn(4)
    with drop_in():
        import selective_scan_cuda
        import selective_scan_cuda_oflex

        y, states, gated = selective_scan_cuda.fwd(u, u, A, B, B, D, z, bias, True)
        wide, _ = selective_scan_cuda_oflex.fwd(u, u, A, B, B, D, bias, True, 1, True)
        with pytest.raises(ExportError, match=r"^selective_scan_cuda\.bwd: canthus has nothing"):
            selective_scan_cuda.bwd(u)
    expected, last = selective_scan_reference(u, u, A, B, B, D, None, bias, True, True)
    assert close(y, expected) and close(gated, expected * F.silu(z)) and torch.equal(wide, y)
    assert close(states[:, :, -1, 1::2], last)


def test_convolutions_as_older_and_newer_versions_have_them():
    from canthus_exporter.mamba.convolution import causal_conv1d_fn, causal_conv1d_update

    x, weight, bias = torch.randn(2, 3, 7), torch.randn(3, 4), torch.randn(3)
    expected = F.silu(F.conv1d(F.pad(x, (3, 0)), weight[:, None], bias, groups=3))
    assert close(causal_conv1d_fn(x, weight, bias, "silu"), expected)
    first, state = causal_conv1d_fn(x[:, :, :4], weight, bias, return_final_states=True, activation="silu")
    second = causal_conv1d_fn(x[:, :, 4:], weight, bias, initial_states=state, activation="silu")
    assert close(torch.cat((first, second), 2), expected)
    for size in (3, 4, 6):  # of a state, which needs the width less one
        state = torch.zeros(2, 3, size)
        steps = [causal_conv1d_update(x[:, :, i], state, weight, bias, "silu") for i in range(4)]
        steps += causal_conv1d_update(x[:, :, 4:], state, weight, bias, "silu").unbind(2)
        assert close(torch.stack(steps, 2), expected)


@pytest.mark.parametrize("options", [{}, {"rms_norm": False, "fused_add_norm": False, "d_intermediate": 16}])
def test_a_language_model(options, tmp_path):
    """As mamba_ssm's users have it, whose fused norms are the default."""
    with drop_in():
        from mamba_ssm.models.config_mamba import MambaConfig
        from mamba_ssm.models.mixer_seq_simple import MambaLMHeadModel
    model = randomised(MambaLMHeadModel(MambaConfig(d_model=12, n_layer=2, vocab_size=21, **options)))
    tokens = torch.randint(21, (2, 9))
    exported = mamba.export(model, (tokens,), tmp_path / "network.onnx", output_names=["logits"])
    assert exported.scans == 2 and max(exported.difference.values()) < 1e-5
    x = model.backbone.embedding(tokens)
    for layer in model.backbone.layers:
        x = x + layer.mixer(_normed(layer.norm, x))
        x = x if layer.mlp is None else x + layer.mlp(_normed(layer.norm2, x))
    expected = F.linear(_normed(model.backbone.norm_f, x), model.backbone.embedding.weight)
    logits = model(tokens, num_last_tokens=3).logits
    assert expected.shape == (2, 9, 24) and close(logits, expected[:, -3:])


def _normed(norm, x):
    if isinstance(norm, nn.LayerNorm):
        return norm(x)
    return F.rms_norm(x, x.shape[-1:], norm.weight, norm.eps)


def test_a_language_model_refuses_what_it_hasnt():
    create = stand_ins.language_model.create_block
    with pytest.raises(ExportError, match="a mixer 'Mamba3' isn't supported where mamba_ssm isn't installed"):
        create(16, ssm_cfg={"layer": "Mamba3"})
    with pytest.raises(ExportError, match="attention in layer 1 isn't supported"):
        create(16, attn_layer_idx=[1], layer_idx=1)


def test_a_language_model_from_a_folder(tmp_path):
    with drop_in():
        from mamba_ssm import MambaLMHeadModel
        from mamba_ssm.models.config_mamba import MambaConfig
    config = MambaConfig(d_model=12, n_layer=1, vocab_size=16)
    model = randomised(MambaLMHeadModel(config))
    (tmp_path / "config.json").write_text(json.dumps(vars(config)))
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    tokens = torch.randint(16, (1, 5))
    assert torch.equal(MambaLMHeadModel.from_pretrained(tmp_path).eval()(tokens).logits, model(tokens).logits)
    with pytest.raises(ExportError, match=r"state-spaces/mamba: no folder .* canthus downloads nothing"):
        MambaLMHeadModel.from_pretrained("state-spaces/mamba")
    (tmp_path / "config.json").write_text('{"width": 12}')
    with pytest.raises(ExportError, match=r"isn't a model of mamba_ssm's .*width"):
        MambaLMHeadModel.from_pretrained(tmp_path)


def test_blocks_of_both_versions():
    """Before version 2 the norm was in the place of the perceptron."""
    with drop_in():
        from mamba_ssm.modules.block import Block as After
        from mamba_ssm.modules.mamba_simple import Block as Before
    before, after = Before(8, mamba.Mamba, nn.RMSNorm), After(8, mamba.Mamba, nn.Identity, nn.RMSNorm)
    assert before.state_dict().keys() == after.state_dict().keys() and before.mlp is None
    assert isinstance(before.norm, nn.RMSNorm)
