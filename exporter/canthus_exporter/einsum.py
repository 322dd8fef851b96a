"""Einsum of two tensors as a product of matrices, which runtimes compute many times quicker than ONNX's Einsum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from onnxscript import opset20


class _Product(NamedTuple):
    """Labels of a product of matrices: (*batch, row, inner) times (*batch, inner, column), and what comes of it.

    A row or a column of "" is one that isn't there.
    """

    first: int
    batch: str
    row: str
    inner: str
    column: str


def einsum(equation: str, tensors: Sequence[Any], path: Any = None) -> Any:
    """`aten.einsum`, for `torch.onnx.export`'s `custom_translation_table`.

    Labels that only one tensor has may be rows, columns or, with a 1 in the other, batches: so that a tensor of weights
    isn't copied for each batch. What is no such product stays an Einsum.
    """
    equation = equation.replace(" ", "")
    product = _as_product(equation) if len(tensors) == 2 else None
    terms, wanted = equation.partition("->")[0].split(","), equation.partition("->")[2]
    if product is None or _is_repeated(terms, tensors, product.inner):
        return opset20.Einsum(*tensors, equation=equation)
    (first, second), (left, right) = (_ordered(two, product) for two in (terms, tensors))
    left = _arranged(left, first, product.batch, product.row + product.inner)
    right = _arranged(right, second, product.batch, product.inner + product.column)
    if not product.row:
        left = opset20.Unsqueeze(left, opset20.Constant(value_ints=[-2]))
    if not product.column:
        right = opset20.Unsqueeze(right, opset20.Constant(value_ints=[-1]))
    y = opset20.MatMul(left, right)
    absent = [axis for axis, label in ((-2, product.row), (-1, product.column)) if not label]
    if absent:
        y = opset20.Squeeze(y, opset20.Constant(value_ints=absent))
    return _transposed(y, product.batch + product.row + product.column, wanted)


def _as_product(equation: str) -> _Product | None:
    """None where it isn't one: labels are repeated or summed in one tensor alone, or not just one is in both."""
    left, arrow, wanted = equation.partition("->")
    terms = left.split(",")
    if not arrow or "." in equation or any(len(set(labels)) < len(labels) for labels in (*terms, wanted)):
        return None
    if not set(wanted) <= set(left) or len(inner := (set(terms[0]) & set(terms[1])) - set(wanted)) != 1:
        return None
    if (set(terms[0]) ^ set(terms[1])) - set(wanted):
        return None
    products = (_product(terms, wanted, first, *inner) for first in (0, 1))
    return min(products, key=lambda product: _turned(terms, wanted, product))


def _product(terms: Sequence[str], wanted: str, first: int, inner: str) -> _Product:
    """Rows are the last labels that only the first tensor has, columns those that only the other has."""
    alone = [[label for label in wanted if label not in terms[1 - place]] for place in (first, 1 - first)]
    row, column = (labels[-1] if labels else "" for labels in alone)
    return _Product(first, "".join(label for label in wanted if label not in (row, column)), row, inner, column)


def _turned(terms: Sequence[str], wanted: str, product: _Product) -> int:
    """How many transpositions it takes."""
    arranged = zip(_ordered(terms, product), (product.row + product.inner, product.inner + product.column), strict=True)
    changed = [labels != _of_batch(labels, product.batch) + matrix for labels, matrix in arranged]
    return sum(changed) + (product.batch + product.row + product.column != wanted)


def _ordered(two: Sequence[Any], product: _Product) -> tuple[Any, Any]:
    """The first factor, and the other."""
    return two[product.first], two[1 - product.first]


def _of_batch(labels: str, batch: str) -> str:
    return "".join(label for label in batch if label in labels)


def _is_repeated(terms: Sequence[str], tensors: Sequence[Any], inner: str) -> bool:
    """Whether one of the tensors has a single number along what is summed over, and the other more."""
    sizes = [tensor.shape and tensor.shape[term.index(inner)] for term, tensor in zip(terms, tensors, strict=True)]
    return sizes[0] != sizes[1] and 1 in sizes


def _arranged(tensor: Any, labels: str, batch: str, matrix: str) -> Any:
    """With axes (*batch, *matrix); of batches that it hasn't, 1, and nothing of the first ones."""
    own = _of_batch(labels, batch)
    tensor = _transposed(tensor, labels, own + matrix)
    if not own:
        return tensor
    needed = batch[batch.index(own[0]) :]
    absent = [axis for axis, label in enumerate(needed) if label not in own]
    return opset20.Unsqueeze(tensor, opset20.Constant(value_ints=absent)) if absent else tensor


def _transposed(tensor: Any, labels: str, wanted: str) -> Any:
    return tensor if labels == wanted else opset20.Transpose(tensor, perm=[labels.index(label) for label in wanted])
