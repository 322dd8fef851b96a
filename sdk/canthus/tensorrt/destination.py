"""What a plan is for: a library, and the GPUs that it serves."""

from __future__ import annotations

from dataclasses import dataclass

from canthus.bundle import Bundle
from canthus.device.gpu import Gpu, find_gpu, why_no_gpu
from canthus.errors import EngineError
from canthus.tensorrt.library import Library, is_usable, open_library

THIS, RTX = "this", "rtx"
_JETSONS = {"jetson-orin": {(8, 7)}, "thor": {(11, 0), (10, 1)}}  # CUDA 12 numbers Thor 10.1
TARGETS = (THIS, *_JETSONS, RTX)


@dataclass(frozen=True)
class Destination:
    """A library, and in words the GPUs that its plan is for."""

    library: Library
    gpus: str


def destination(target: str) -> Destination:
    """Of one of TARGETS.

    Raises:
        EngineError: it can't be built for here.
    """
    if target == RTX:
        return _ahead_of_time(open_library("tensorrt_rtx"))
    gpu = find_gpu()
    if target in _JETSONS:
        if gpu is None or gpu.compute_capability not in _JETSONS[target]:
            here = f"a {_described(gpu)}" if gpu else "none that works"
            raise EngineError(
                f"--target {target}: TensorRT builds for the GPU at hand alone, and here is {here}; copy the bundle to "
                "the device and run `canthus build` there"
            )
        return _on(open_library("tensorrt"), gpu)
    return destinations_here()[0]


def destinations_here() -> list[Destination]:
    """What can run on the GPU here, the best first: full TensorRT, which tunes its plan to the one GPU.

    Raises:
        EngineError: nothing can.
    """
    gpu = find_gpu()
    if gpu is None:
        raise EngineError(
            f"TensorRT needs a GPU here: {why_no_gpu()}; to build for GPUs elsewhere, use `canthus build --target rtx`"
        )
    found = []
    if is_usable("tensorrt"):
        found.append(_on(open_library("tensorrt"), gpu))
    if is_usable("tensorrt_rtx") and gpu.compute_capability in open_library("tensorrt_rtx").ahead_of_time:
        found.append(_ahead_of_time(open_library("tensorrt_rtx")))
    if not found:
        open_library("tensorrt")  # says what is the matter, and the remedy
    return found


def check_buildable(bundle: Bundle) -> None:
    """
    Raises:
        EngineError: its graphs were quantised for something else than TensorRT.
    """
    target = bundle.manifest.target
    if target not in ("any", "tensorrt"):
        raise EngineError(
            f"{bundle.path}: was quantised for {target}, whose activations TensorRT doesn't take; export it again with "
            "--precision int8 --target tensorrt"
        )


def _on(library: Library, gpu: Gpu) -> Destination:
    return Destination(library, _described(gpu))


def _ahead_of_time(library: Library) -> Destination:
    capabilities = ", ".join(f"{major}.{minor}" for major, minor in library.ahead_of_time)
    return Destination(library, f"GPUs of compute capability {capabilities}")


def _described(gpu: Gpu) -> str:
    """What a plan depends on. Two modules of one name, such as Orin NX and AGX, differ in their multiprocessors."""
    major, minor = gpu.compute_capability
    return f"{gpu.name}, {gpu.multiprocessors} multiprocessors, compute capability {major}.{minor}"
