"""From an ONNX graph to a plan."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

from canthus.errors import EngineError
from canthus.parts import Signature
from canthus.tensorrt.library import Library, one_line

Report = Callable[[str, int, int], None]
"""Is told the phase of a build, how many steps of it are done, and how many there are."""

RECIPE = 1
"""To be counted up when a graph gets another plan because this file has changed."""

_LOOK_EVERY = 0.1  # seconds
_NO_FOLDER = "/nonexistent/"  # a graph is data from outside: it may name no other file to read weights from


def build_plan(library: Library, name: str, graph: bytes, signature: Signature, report: Report) -> bytes:
    """The plan of a graph for one moment: for the GPU at hand, or of TensorRT-RTX, for all that it serves.

    float32 is computed as float32, without TF32. The build runs on a thread of its own, so that Ctrl-C is heard; it
    then stops at TensorRT's next step.

    Args:
        name: what errors call the graph.

    Raises:
        EngineError: TensorRT can't read the graph, or can't build it.
    """
    monitor = _monitor(library.module)
    with ThreadPoolExecutor(1, "canthus-build") as beside:
        building = beside.submit(_build, library, name, graph, signature, monitor)
        try:
            while wait([building], _LOOK_EVERY).not_done:
                report(*monitor.at)
        except BaseException:
            monitor.cancelled = True
            raise
        return building.result()


def _build(library: Library, name: str, graph: bytes, signature: Signature, monitor: Any) -> bytes:
    trt = library.module
    library.log.clear()
    try:
        builder = trt.Builder(library.log)
    except TypeError as error:  # so its bindings say that there is none
        raise EngineError(f"{library} can't build here: {library.log.last()}; see `canthus doctor`") from error
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, library.log)  # owns the weights until the plan is built
    if not parser.parse(graph, f"{_NO_FOLDER}{name}"):
        raise EngineError(f"{name}: {library} can't read it ({_first_error(parser)}); {_remedy(library)}")
    _check_signature(name, network, signature)
    for i in range(network.num_inputs):
        tensor = network.get_input(i)
        tensor.shape = [1 if size < 0 else size for size in tensor.shape]
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)
    config.progress_monitor = monitor
    if hasattr(trt.BuilderFlag, "REQUIRE_USER_ALLOCATION"):  # TensorRT-RTX's: the plan can be captured, or isn't built
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
    if library.ahead_of_time:
        config.num_compute_capabilities = len(library.ahead_of_time)
        for i, (major, minor) in enumerate(library.ahead_of_time):
            if not config.set_compute_capability(trt.ComputeCapability(10 * major + minor), i):
                raise EngineError(f"{library} doesn't build for compute capability {major}.{minor}; {_remedy(library)}")
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineError(f"{name}: {library} can't build it ({library.log.last()}); {_remedy(library)}")
    return bytes(plan)


def _check_signature(name: str, network: Any, signature: Signature) -> None:
    takes = [network.get_input(i).name for i in range(network.num_inputs)]
    gives = [network.get_output(i).name for i in range(network.num_outputs)]
    if (sorted(takes), sorted(gives)) != (sorted(signature[0]), sorted(signature[1])):
        raise EngineError(f"{name}: takes {takes} and gives {gives}, not {signature}; export the bundle again")


def _first_error(parser: Any) -> str:
    if not parser.num_errors:
        return "it doesn't say why"
    error = parser.get_error(0)
    node = f"node {error.node_name()!r}, {error.node_operator()}: " if error.node_operator() else ""
    return node + one_line(error.desc())


def _remedy(library: Library) -> str:
    return f"export the bundle again with this canthus, or use a newer {str(library).split()[0]}"


def _monitor(trt: Any) -> Any:
    """Tells where a build is (`at`: phase, steps done, steps in all), and ends it early if `cancelled`.

    TensorRT calls it from its own threads and can't take an exception: it only notes.
    """

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.cancelled = False
            self.at = ("reading the graph", 0, 1)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._steps[phase_name] = num_steps
            self.at = (phase_name, 0, num_steps)

        def phase_finish(self, phase_name: str) -> None:
            pass

        def step_complete(self, phase_name: str, step: int) -> bool:
            self.at = (phase_name, step + 1, self._steps.get(phase_name, step + 1))
            return not self.cancelled

    return Monitor()
