"""How the camera is mounted, as a page sets it up: read, checked, and written to one file."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from canthus.errors import MonitorError, ViewError
from canthus.view import View


class SetUp:
    """The view that a set-up page begins with, and the only file that it may have written.

    Args:
        path: of that file.
        view: to begin with.
        sensor: (width, height) in pixels, that the view must fit.
        image_size: (height, width) of the engine's images.

    Raises:
        MonitorError: nothing can be written there.
        ViewError: another kind of file is there.
    """

    def __init__(self, path: Path, view: View, sensor: tuple[int, int], image_size: tuple[int, int]) -> None:
        self._path = path.absolute()
        if self._path.is_dir() or not os.access(self._path.parent, os.W_OK):  # now, not after all was set up
            raise MonitorError(f"{path}: can't be written there; choose another file in a folder that there is")
        if self._path.exists():  # no other file is overwritten than one that says how a camera is mounted
            View.read(self._path)
        self._view, self._sensor, self._image_size = view, sensor, image_size
        self._lock = threading.Lock()  # two pages may save at once

    def told(self) -> dict[str, Any]:
        """For JSON: the `file`, and the fields of the view that was last saved, or begun with."""
        return {"file": str(self._path), **asdict(self._view)}

    def save(self, body: bytes) -> None:
        """Write the view that a page sent as JSON.

        Raises:
            ViewError: it is none, doesn't fit the sensor, or can't be written; the file is as it was.
        """
        try:
            given = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ViewError("what the page sent is no JSON; open it again") from error
        view = View.from_fields(given)
        view.region(self._sensor, self._image_size)
        with self._lock:
            view.write(self._path)
            self._view = view
