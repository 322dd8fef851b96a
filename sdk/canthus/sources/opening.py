"""The source that a path or an address names."""

from __future__ import annotations

from pathlib import Path

from canthus.errors import SourceError
from canthus.sources import Source


def open(path: Path | str) -> Source:
    """Open an AEDAT4 recording, a sequence of SEE by its folder of frames (`SEE/frame/LABEL/NAME`), or a live camera.

    "camera" is the first of iniVation's on USB; "tcp://HOST:PORT,PORT" are two streams of dv-processing's
    NetworkWriter, of events and of frames.

    Raises:
        SourceError: there is nothing there, or nothing that canthus can read.
    """
    if path == "camera" or str(path).startswith("tcp:"):
        from canthus.sources.dv_live import open_camera, open_network

        return open_camera() if path == "camera" else open_network(str(path))
    path = Path(path)
    if path.is_dir():
        from canthus.sources.see import SeeSequence

        return SeeSequence(path)
    if not path.exists():
        raise SourceError(f"{path}: no such file or folder")
    if path.suffix != ".aedat4":
        raise SourceError(f"{path}: not an .aedat4 recording nor a folder of a SEE sequence")
    from canthus.sources.aedat4 import Aedat4Recording

    return Aedat4Recording(path)
