"""What goes into a bundle, on its way there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

from canthus.engine import Engine
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
    """

    manifest: Manifest
    graphs: Mapping[str, onnx.ModelProto]
    golden: Golden

    def members(self) -> dict[str, bytes]:
        """Of the bundle, by name."""
        graphs = {member(part): graph.SerializeToString() for part, graph in self.graphs.items()}
        return {**graphs, "golden.npz": self.golden.to_bytes()}

    def engine(self, operators: Path | None, *, as_written: bool = False) -> Engine:
        """As ONNX Runtime runs it, see `OnnxRuntime`."""
        graphs = {part: graph.SerializeToString() for part, graph in self.graphs.items()}
        return Engine(self.manifest, open_network(OnnxRuntime(operators, as_written=as_written), graphs, threads=2))

    def ways(self) -> dict[str, Callable[[], Engine]]:
        """With canthus's kernels, and with the portable function bodies."""
        return {"operators": lambda: self.engine(library_path()), "portable": lambda: self.engine(None)}
