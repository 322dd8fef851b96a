"""Einsums of two tensors become products of matrices, whatever their labels; all others stay as they are."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")

from canthus_exporter.torch_to_onnx import torch_to_onnx  # noqa: E402

SIZES = dict(zip("bkdlcrhpnxy", (2, 3, 4, 5, 6, 7, 2, 3, 5, 4, 3), strict=True))


class Network(torch.nn.Module):
    def __init__(self, equation):
        super().__init__()
        self.equation = equation

    def forward(self, *tensors):
        return torch.einsum(self.equation, *tensors)


def exported(equation, free=False):
    terms = equation.replace(" ", "").split("->")[0].split(",")
    tensors = [torch.randn([SIZES[label] for label in term]) for term in terms]
    axes = None
    if free:
        dims = {label: torch.export.Dim(label, min=1) for label in "bl"}
        axes = (tuple({i: dims[label] for i, label in enumerate(term) if label in dims} for term in terms),)
    model = torch_to_onnx(Network(equation).eval(), tensors, None, None, axes, {})
    return model, tensors


def near(model, tensors, equation):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feed = {value.name: tensor.numpy() for value, tensor in zip(session.get_inputs(), tensors, strict=True)}
    (y,), expected = session.run(None, feed), torch.einsum(equation, *tensors).numpy()
    return y.shape == expected.shape and np.abs(y - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(
    "equation, turned",
    [
        ("b k d l, k c d -> b k c l", 0),  # VMamba's, nothing to turn
        ("b k r l, k d r -> b k d l", 0),
        ("bld,nd->bln", 1),  # a linear layer
        ("bhpn,bhn->bhp", 0),
        ("bhn,bhpn->bhp", 1),
        ("bkl,bkd->bld", 1),
        ("bl,ld->db", 1),
        ("xd,yd->yx", 1),
        ("bkdl,kcd->lbkc", None),
        ("bxd,byd->bxy", 1),
        ("bxyd,bpd->bxyp", 1),
        ("d,dn->n", 0),
        ("bd,d->b", 0),
        ("kd,bkd->bk", None),
    ],
)
def test_products(equation, turned):
    model, tensors = exported(equation)
    kinds = [node.op_type for node in model.graph.node]
    assert "Einsum" not in kinds and kinds.count("MatMul") == 1
    assert turned is None or kinds.count("Transpose") <= turned, kinds
    assert near(model, tensors, equation)


def test_free_axes_stay_free():
    equation = "bkdl,kcd->bkcl"
    model, _ = exported(equation, free=True)
    assert "Einsum" not in [node.op_type for node in model.graph.node]
    for batch, tokens in ((1, 1), (3, 9)):
        tensors = [torch.randn(batch, 3, 4, tokens), torch.randn(3, 6, 4)]
        assert near(model, tensors, equation)


@pytest.mark.parametrize("equation", ["bk,bd->bkd", "bkd,bdk->b", "bxd,byd,bd->bxy", "bxl,byd->bxy", "bkd,bkd->b"])
def test_what_is_no_product_stays(equation):
    model, tensors = exported(equation)
    assert "MatMul" not in [node.op_type for node in model.graph.node]
    assert near(model, tensors, equation)


def test_a_single_number_along_what_is_summed_goes_for_all():
    equation, tensors = "bij,bjk->bik", [torch.randn(2, 3, 4), torch.randn(2, 1, 5)]
    model = torch_to_onnx(Network(equation).eval(), tensors, None, None, None, {})
    assert near(model, tensors, equation)


def test_other_notations():
    for equation in ("...d,dn->...n", "bd,dn"):
        tensors = [torch.randn(2, 4), torch.randn(4, 5)]
        model = torch_to_onnx(Network(equation).eval(), tensors, None, None, None, {})
        assert near(model, tensors, equation)
