"""canthus reads a wearer's expression from one eye, on the device that they wear.

engine = canthus.load("eye.canthus")
stream = canthus.Stream(engine, sensor=(346, 260))
stream.push_events(t, x, y, p)
expression = stream.push_frame(image, t)
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from canthus.errors import (
    BenchError,
    BundleError,
    CalibrationError,
    CheckpointError,
    DataSetError,
    EngineError,
    Error,
    EvaluationError,
    EventError,
    ExportError,
    FrameError,
    LiveError,
    MonitorError,
    RecordingError,
    SourceError,
    TrainingError,
    ViewError,
)

# From 1.29 on, ONNX Runtime reports every session to its maker, and keeps an id of the device in the user's home,
# unless it is told not to before it starts.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from canthus.backends import load
    from canthus.bundle import Bundle, read_bundle
    from canthus.engine import Answer, Engine, Features
    from canthus.episodes import Episode
    from canthus.events import Events
    from canthus.expression import Expression
    from canthus.live.health import Health
    from canthus.live.stream import LiveStream
    from canthus.sources import Frame, Images, Source
    from canthus.sources.opening import open
    from canthus.sources.watch import watch
    from canthus.stream import Stream
    from canthus.view import View

_HOMES = {
    "Answer": "engine",
    "Bundle": "bundle",
    "Engine": "engine",
    "Episode": "episodes",
    "Events": "events",
    "Expression": "expression",
    "Features": "engine",
    "Frame": "sources",
    "Health": "live.health",
    "Images": "sources",
    "LiveStream": "live.stream",
    "Source": "sources",
    "Stream": "stream",
    "View": "view",
    "load": "backends",
    "open": "sources.opening",
    "read_bundle": "bundle",
    "watch": "sources.watch",
}
"""Where each name lives; a module is imported when one of its names is first used."""

__all__ = [
    "Answer",
    "BenchError",
    "Bundle",
    "BundleError",
    "CalibrationError",
    "CheckpointError",
    "DataSetError",
    "Engine",
    "EngineError",
    "Episode",
    "Error",
    "EvaluationError",
    "EventError",
    "Events",
    "ExportError",
    "Expression",
    "Features",
    "Frame",
    "FrameError",
    "Health",
    "Images",
    "LiveError",
    "LiveStream",
    "MonitorError",
    "RecordingError",
    "Source",
    "SourceError",
    "Stream",
    "TrainingError",
    "View",
    "ViewError",
    "load",
    "open",
    "read_bundle",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'canthus' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"canthus.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
