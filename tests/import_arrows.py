"""Who imports whom, read from the source: also what is imported inside functions, but not what types alone need."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "canthus": ROOT / "sdk",
    "canthus_model": ROOT / "model",
    "canthus_calibration": ROOT / "calibration",
    "canthus_exporter": ROOT / "exporter",
}


def modules():
    """By dotted name, the file."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted((folder / package).rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def arrows(files):
    """By module, the modules of `files` that it imports."""
    return {name: sorted(_imported(ast.parse(path.read_text()), files) - {name}) for name, path in files.items()}


def _imported(tree, known):
    found = set()
    for node in _run(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner & set(known) or {node.module}
    return found & set(known)


def _run(tree):
    """Every node but what stands under `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        yield from _run(node)


def circles(graph):
    """Each circle once, as the modules on it, by Tarjan's strongly connected components."""
    order, low, stack, found = {}, {}, [], []

    def visit(name):
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in graph[name]:
            if other not in order:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], order[other])
        if low[name] == order[name]:
            place = stack.index(name)
            if len(stack) - place > 1:
                found.append(sorted(stack[place:]))
            del stack[place:]

    for name in graph:
        if name not in order:
            visit(name)
    return found
