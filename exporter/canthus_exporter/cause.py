"""What an error of PyTorch's exporter is about: its cause, and the line of the user's code."""

from __future__ import annotations

import importlib.util
import linecache
import re
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

from torch.export import ExportedProgram

_NOT_THE_USERS = tuple(
    str(Path(spec.origin).parent)
    for name in ("torch", "onnxscript", "onnx_ir", "einops", "canthus", "canthus_exporter", "canthus_model")
    if (spec := importlib.util.find_spec(name)) and spec.origin
)
_STANDARD_LIBRARY = sysconfig.get_paths()["stdlib"]

_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_ADVICE = re.compile(
    r"\s*(For more information, run with TORCH_LOGS=\S+|The error above occurred when calling torch.*)"
)


def explain(error: BaseException, program: ExportedProgram | None = None) -> str:
    """Why, and where: `the cause (file.py:12: x.sort())`.

    Args:
        program: what was being translated, whose nodes know their lines.
    """
    chain = list(_chain(error))
    innermost = next((one for one in reversed(chain) if str(one).strip()), error)
    message = _COLOURS.sub("", str(innermost)).strip() or type(innermost).__name__
    message = re.split(r"\n\s*\n|\nUser stack:|\nSuggested fixes:|\nFrom user code:", _ADVICE.sub("", message))[0]
    message = re.sub(r"<OpOverload\(op='(\S+)', overload='(\S+)'\)>", r"\1.\2", " ".join(message.split()))
    where = place(error) or (program and _node_place(chain, program))
    return f"{message} ({where})" if where else message


def place(error: BaseException) -> str | None:
    """The innermost line of the user's own that an error came from or tells of; None where that isn't known."""
    for one in reversed(list(_chain(error))):
        told = _users(_FRAME.findall(_COLOURS.sub("", str(one))))
        frames = traceback.extract_tb(one.__traceback__)
        found = told or _users((frame.filename, str(frame.lineno)) for frame in frames)
        if found:
            return found
    return None


def _node_place(chain: Iterable[BaseException], program: ExportedProgram) -> str | None:
    named = re.search(r"translating node %(\w+)", " ".join(map(str, chain)))
    for node in program.graph.nodes:
        if named and node.name == named.group(1):
            return _users(_FRAME.findall(node.meta.get("stack_trace") or ""))
    return None


def _users(frames: Iterable[tuple[str, str]]) -> str | None:
    """The last of some lines that is the user's own, as text."""
    own = [(name, line) for name, line in frames if is_users(name)]
    if not own:
        return None
    return line_of(own[-1][0], int(own[-1][1]))


def line_of(file: str, number: int) -> str:
    """A line of code, as `file.py:12: x = x.sort()`."""
    source = linecache.getline(file, number).strip()
    return f"{file}:{number}: {source}" if source else f"{file}:{number}"


def is_users(file: str) -> bool:
    """Whether code is neither PyTorch's, nor Python's, nor canthus's."""
    standard = file.startswith(_STANDARD_LIBRARY) and "-packages" not in file
    return not (standard or file.startswith((*_NOT_THE_USERS, "<")))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
