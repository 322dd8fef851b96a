"""What a calibration has measured so far, on disk, so that one that was stopped goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from canthus.errors import CalibrationError
from canthus.whole_file import whole_file


class Journal:
    """Measurements by name, kept in a JSON file beside the bundle until the bundle is written.

    A journal of another checkpoint, other clips or other options is begun anew.
    """

    def __init__(self, path: Path, key: str) -> None:
        """`key` tells what the measurements depend on.

        Raises:
            CalibrationError: the file can't be written.
        """
        self._path, self._key = path, key
        self._measured = _read(path, key)
        self._write()

    def get(self, name: str) -> Any:
        """What was measured, None if it wasn't yet."""
        return self._measured.get(name)

    def put(self, name: str, value: Any) -> None:
        """Keep `value`, JSON, on disk."""
        self._measured[name] = value
        self._write()

    def remove(self) -> None:
        """The bundle is written: nothing is left to go on with."""
        self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        try:
            with whole_file(self._path) as partial:
                partial.write_text(json.dumps({"key": self._key, "measured": self._measured}), encoding="utf-8")
        except OSError as error:
            raise CalibrationError(
                f"{self._path}: can't be written ({error.strerror}); choose another output"
            ) from error


def _read(path: Path, key: str) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(document, dict) or document.get("key") != key or not isinstance(document.get("measured"), dict):
        return {}
    return dict(document["measured"])
