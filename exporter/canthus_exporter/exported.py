"""What goes into a bundle, on its way there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

from canthus.engine import Engine
from canthus.eye import MEMBER as EYE_MEMBER
from canthus.eye import EyeCheck
from canthus.manifest import Manifest
from canthus.network import open_network
from canthus.operators import library_path
from canthus.parts import member
from canthus.runtimes.onnxruntime import OnnxRuntime
from canthus.verify import Golden

Ways = Mapping[str, Callable[[], Engine]]
"""By name, an engine of each way to run a network; made when it is asked for."""


@dataclass(frozen=True)
class Exported:
    """A traced network.

    Attributes:
        manifest: all of it but the members' hashes, and the parity until that is measured.
        graphs: by part.
        golden: what it should answer.
        eye_check: tells whether there is an eye in view, if that was learned.
    """

    manifest: Manifest
    graphs: Mapping[str, onnx.ModelProto]
    golden: Golden
    eye_check: EyeCheck | None = None

    def members(self) -> dict[str, bytes]:
        """Of the bundle, by name."""
        graphs = {member(part): graph.SerializeToString() for part, graph in self.graphs.items()}
        eye = {EYE_MEMBER: self.eye_check.to_bytes()} if self.eye_check else {}
        return {**graphs, "golden.npz": self.golden.to_bytes(), **eye}

    def engine(self, operators: Path | None, *, as_written: bool = False) -> Engine:
        """As ONNX Runtime runs it, see `OnnxRuntime`."""
        graphs = {part: graph.SerializeToString() for part, graph in self.graphs.items()}
        return Engine(self.manifest, open_network(OnnxRuntime(operators, as_written=as_written), graphs, threads=2))

    def ways(self) -> dict[str, Callable[[], Engine]]:
        """With canthus's kernels, and with the portable function bodies."""
        return {"operators": lambda: self.engine(library_path()), "portable": lambda: self.engine(None)}
