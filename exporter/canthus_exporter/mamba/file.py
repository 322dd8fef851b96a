"""An ONNX file, and one of weights beside it where they don't fit: both there whole, or neither."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx

from canthus.errors import ExportError

LARGEST = 2_000_000_000
"""Bytes of weights in one file. Its format, Protocol Buffers, ends at 2 GiB."""


@contextmanager
def written(model: onnx.ModelProto, path: Path) -> Iterator[Path]:
    """Write a model, for it to be looked at before it is at `path`; where this is left by an error, it never is.

    Weights of more than LARGEST bytes in all go into `path` with `.data` behind, and out of `model`.

    Yields:
        where it is.

    Raises:
        ExportError: it can't be written.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            partial, weights = Path(folder, path.name), f"{path.name}.data"
            apart = sum(len(one.raw_data) for one in model.graph.initializer) > LARGEST
            onnx.save_model(model, partial, save_as_external_data=apart, location=weights)
            onnx.checker.check_model(str(partial))
            yield partial
            if apart:
                Path(folder, weights).replace(path.with_name(weights))
            try:
                partial.replace(path)
            except OSError:
                if apart:
                    path.with_name(weights).unlink()
                raise
    except OSError as error:
        raise ExportError(f"{path}: can't be written ({error.strerror or error})") from error
