"""canthus's operators in ONNX: how torch.onnx.export writes them, and their portable function bodies.

    program = torch.onnx.export(
        network, inputs, dynamo=True, custom_translation_table=custom_translation_table()
    )
    add_function_bodies(program.model_proto)

gives a file that any runtime can run and that runs faster where canthus's library is registered.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import onnx

from canthus_exporter.function_bodies import add_bodies
from canthus_exporter.head_bodies import HEAD_OPERATORS, find_head_body, head_translations
from canthus_exporter.selective_scan_node import find_scan_body, scan_translation
from canthus_exporter.ssd_operator import find_ssd_body, ssd_translation


def custom_translation_table() -> dict[Any, Callable[..., Any]]:
    """The `custom_translation_table` of torch.onnx.export that writes nodes of domain `canthus`."""
    return {**scan_translation(), **ssd_translation(), **head_translations()}


def add_function_bodies(model: onnx.ModelProto, max_tokens: int | None = None) -> None:
    """Add to `model`, in place, the function bodies that its nodes of domain `canthus` need.

    The tensors' ranks, dtypes and sizes but for the batch must be known: torch.onnx.export writes them; for other
    models run onnx.shape_inference first.

    Args:
        max_tokens: the most tokens that will come to a scan, needed where its token axis is dynamic.

    Raises:
        ExportError: a size, rank or dtype isn't known, or the model's opset is too old.
    """
    scans = {
        "SelectiveScan": partial(find_scan_body, max_tokens=max_tokens),
        "Ssd": partial(find_ssd_body, max_tokens=max_tokens),
    }
    add_bodies(model, {**scans, **dict.fromkeys(HEAD_OPERATORS, find_head_body)})
