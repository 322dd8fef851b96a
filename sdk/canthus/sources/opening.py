"""The source that a path or an address names."""

from __future__ import annotations

from pathlib import Path

from canthus.errors import SourceError
from canthus.sources import Source
from canthus.view import View


def open(path: Path | str, *, camera: str | None = None, view: View | None = None) -> Source:
    """Open an AEDAT4 recording, a sequence of SEE by its folder of frames (`SEE/frame/LABEL/NAME`), or a live camera.

    "camera" is one of iniVation's on USB; "tcp://HOST:PORT,PORT" are two streams of dv-processing's NetworkWriter, of
    events and of frames.

    Args:
        path: of a file or folder, or an address.
        camera: which, where there are several: in a recording by its name, on USB by its serial number. None takes
            the only one; of a recording, the only one that gives both events and frames.
        view: how its camera is mounted; None is `View()`. It is kept in the source's `view`, which `watch` takes; the
            packets are as the camera gave them.

    Raises:
        SourceError: there is nothing there, nothing that canthus can read, or several cameras, which are named.
    """
    source = _open(path, camera)
    source.view = View() if view is None else view
    return source


def _open(path: Path | str, camera: str | None) -> Source:
    if path == "camera":
        from canthus.sources.dv_live import open_camera

        return open_camera(camera)
    if camera is not None and (str(path).startswith("tcp:") or Path(path).is_dir()):
        raise SourceError(f"{path}: has one camera only; leave out camera {camera!r}")
    if str(path).startswith("tcp:"):
        from canthus.sources.dv_live import open_network

        return open_network(str(path))
    path = Path(path)
    if path.is_dir():
        from canthus.sources.see import SeeSequence

        return SeeSequence(path)
    if not path.exists():
        raise SourceError(f"{path}: no such file or folder")
    if path.suffix != ".aedat4":
        raise SourceError(f"{path}: not an .aedat4 recording nor a folder of a SEE sequence")
    from canthus.sources.aedat4 import Aedat4Recording

    return Aedat4Recording(path, camera)
