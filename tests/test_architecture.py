"""The house: who may import whom, no circles, and what is public."""

import inspect
import re
from pathlib import Path

import pytest

import canthus
from import_arrows import ROOT, arrows, circles, modules

MAY_IMPORT = {
    "canthus": set(),
    "canthus_model": {"canthus"},
    "canthus_calibration": {"canthus", "canthus_model"},
    "canthus_exporter": {"canthus", "canthus_model", "canthus_calibration"},
}
"""By package; itself too. The command line names other packages' commands as texts, and finds them when called."""

PUBLIC_API = Path(__file__).parent / "data" / "public_api.txt"


@pytest.fixture(scope="module")
def graph():
    return arrows(modules())


def package(name):
    return name.partition(".")[0]


def test_the_arrows_point_down(graph):
    up = [
        f"{name} imports {other}"
        for name, others in graph.items()
        for other in others
        if package(other) not in MAY_IMPORT[package(name)] | {package(name)}
    ]
    assert up == []


def test_no_circles(graph):
    assert circles(graph) == []


def test_these_would_be_seen(tmp_path):
    """A circle of three, one of them inside a function; an import for types alone is none."""
    files = {}
    for name, text in {
        "a": "import b",
        "b": "def late():\n    from c import thing",
        "c": "from a import x",
        "d": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import e",
        "e": "import d",
    }.items():
        files[name] = tmp_path / f"{name}.py"
        files[name].write_text(text)
    assert circles(arrows(files)) == [["a", "b", "c"]]


def test_the_device_needs_no_more_than_numpy_yaml_and_a_runtime():
    """What sdk/canthus imports from outside, by where: nothing of PyTorch's or ONNX's."""
    found = set()
    for path in (ROOT / "sdk").rglob("*.py"):
        found |= set(re.findall(r"^\s*(?:import|from) (\w+)", path.read_text(), re.MULTILINE))
    assert found & {"torch", "onnx", "onnxscript", "lightning", "canthus_model", "canthus_exporter"} == set()


def test_the_public_api_is_as_it_was():
    """A change to it is seen in a diff: `python tests/test_architecture.py` writes the file again."""
    assert PUBLIC_API.read_text() == public_api()


def public_api():
    """Every public name with its signature and the first line of its docstring."""
    return "\n".join(line for name in canthus.__all__ for line in describe(name, getattr(canthus, name))) + "\n"


def describe(name, thing):
    yield f"{name}{signature(thing)}  {first_line(thing)}"
    if not inspect.isclass(thing) or issubclass(thing, Exception):
        return
    fields = getattr(thing, "_fields", ())
    for member in dir(thing):
        if member.startswith("_") or member in fields:
            continue
        value = inspect.getattr_static(thing, member)
        if value is not getattr(tuple, member, None):
            yield f"  .{member}{signature(getattr(thing, member))}  {first_line(value)}"
    for field in fields:
        yield f"  .{field}"


def signature(thing):
    if hasattr(thing, "_fields"):  # which are listed
        return ""
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return f" < {thing.__base__.__name__}"
    try:
        return re.sub(r" at 0x\w+", "", str(inspect.signature(thing)))
    except (TypeError, ValueError):
        return ""


def first_line(thing):
    return (inspect.getdoc(thing) or "").partition("\n")[0]


if __name__ == "__main__":
    PUBLIC_API.write_text(public_api())
