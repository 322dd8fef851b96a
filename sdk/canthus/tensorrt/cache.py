"""Where plans lie: in a folder beside the bundle, a file for each graph, library and kind of GPU."""

from __future__ import annotations

import platform
import re
from pathlib import Path

from canthus.bundle import Bundle
from canthus.errors import EngineError
from canthus.parts import PARTS
from canthus.tensorrt.build import RECIPE
from canthus.tensorrt.destination import Destination
from canthus.tensorrt.key import read_key, read_or_make_key
from canthus.tensorrt.plan_file import read_plan, write_plan

_NAME = re.compile(rf"(?:{'|'.join(PARTS)})\.([0-9a-f]{{16}})\..*\.plan")


def plan_folder(bundle: Bundle) -> Path:
    """`eye.canthus.engines` beside `eye.canthus`."""
    return bundle.path.with_name(f"{bundle.path.name}.engines")


def plan_path(bundle: Bundle, member: str, destination: Destination) -> Path:
    """Where the plan of a graph lies, or would."""
    library = destination.library
    gpus = re.sub(r"[^A-Za-z0-9.]+", "-", destination.gpus)[:80]
    graph = f"{member.removesuffix('.onnx')}.{bundle.manifest.sha256[member][:16]}"
    return plan_folder(bundle) / f"{graph}.{library.name}-{library.version}.{gpus}.plan"


def find_plan(bundle: Bundle, member: str, destination: Destination) -> memoryview | None:
    """The plan of a graph, checked to be one that this user built; None if there is none.

    Raises:
        EngineError: what lies there is not to be trusted, or this user has no key.
    """
    path = plan_path(bundle, member, destination)
    try:
        if not path.exists():
            return None
        return read_plan(path, read_key(), _fields(bundle, member, destination))
    except FileNotFoundError:  # removed since
        return None
    except OSError as error:
        raise EngineError(f"{path}: can't be read ({error.strerror}); make its folder readable to you") from error


def keep_plan(bundle: Bundle, member: str, destination: Destination, plan: bytes) -> Path:
    """Seal a plan with this user's key and put it in its place.

    Raises:
        EngineError: there is no room or right to write there, or the key is not private.
    """
    path = plan_path(bundle, member, destination)
    key = read_or_make_key()
    try:
        path.parent.mkdir(exist_ok=True)
        write_plan(path, key, _fields(bundle, member, destination), plan)
    except OSError as error:
        raise EngineError(
            f"{path}: can't be written ({error.strerror}); plans lie beside the bundle, so put it where you may write"
        ) from error
    return path


def remove_others(bundle: Bundle) -> list[Path]:
    """Remove the plans of what was this bundle before it was exported anew, and say which those were.

    Raises:
        EngineError: there is no right to.
    """
    current = {sha256[:16] for sha256 in bundle.manifest.sha256.values()}
    folder = plan_folder(bundle)
    stale = []
    try:
        for path in sorted(folder.iterdir()):
            match = _NAME.fullmatch(path.name)
            if match and match[1] not in current and not path.is_dir():
                path.unlink(missing_ok=True)
                stale.append(path)
    except OSError as error:
        raise EngineError(f"{folder}: plans of an older bundle can't be removed ({error.strerror})") from error
    return stale


def _fields(bundle: Bundle, member: str, destination: Destination) -> dict[str, str]:
    """All that a plan depends on."""
    return {
        "graph": member,
        "graph_sha256": bundle.manifest.sha256[member],
        "library": destination.library.name,
        "version": destination.library.version,
        "gpus": destination.gpus,
        "system": f"{platform.system()} {platform.machine()}",
        "recipe": str(RECIPE),
    }
