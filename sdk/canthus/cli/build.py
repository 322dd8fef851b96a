"""`canthus build`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from canthus.bundle import Bundle, read_bundle
from canthus.errors import EngineError
from canthus.runtimes.onnxruntime import PRIME, REACT
from canthus.tensorrt.build import Report, build_plan
from canthus.tensorrt.cache import find_plan, keep_plan, plan_path, remove_others
from canthus.tensorrt.destination import TARGETS, THIS, Destination, check_buildable, destination

_REWRITE = "\r\x1b[K"  # go back to the line's begin and clear it
_SIGNATURES = {"prime.onnx": PRIME, "react.onnx": REACT}

DESCRIPTION = """\
Build TensorRT plans of a bundle's graphs, for --backend tensorrt. A plan serves one version of TensorRT and the GPUs of
its target; what was built before and still fits is left as it is. Each layer is computed in the precision that the
bundle has it in; float32 is float32, without TF32. An INT8 bundle must have been exported with --target tensorrt."""

EXAMPLES = """\
targets:
  this          the GPU of this machine, with TensorRT where it is installed, else with TensorRT-RTX
  jetson-orin   on a Jetson Orin, with JetPack's TensorRT, which builds for the GPU at hand alone
  thor          on a Jetson Thor, likewise
  rtx           on any machine, with or without a GPU: one plan for GeForce and RTX GPUs of compute capability 8.0 and
                later, with TensorRT-RTX (pip install 'canthus[tensorrt-rtx]')

examples:
  canthus build eye.canthus
  canthus build eye.canthus --target rtx

Plans lie beside the bundle, in eye.canthus.engines. To load a plan is to run code that is in it, so each is sealed with
a key of your own, and none is loaded that this key didn't seal. The key is made at the first build, in
~/.local/share/canthus/plan.key ($XDG_DATA_HOME/canthus/plan.key if that is set). For a machine that is to run plans
built on another, copy the key there too, to the same place, readable to its user alone (chmod 600; the folder 700).
Who has the key can make plans that your machines run: keep it as you keep an SSH key."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.add_argument("bundle", help="a .canthus file")
    parser.add_argument("--target", choices=TARGETS, default=THIS, help="what to build for (default: this)")


def run(arguments: argparse.Namespace) -> int:
    bundle = read_bundle(arguments.bundle)
    check_buildable(bundle)
    place = destination(arguments.target)
    print(f"{place.library}, for {place.gpus}")
    for member in _SIGNATURES:
        _build(bundle, member, place)
    for path in remove_others(bundle):
        print(f"removed   {path}: it was of an older {bundle.path.name}")
    return 0


def _build(bundle: Bundle, member: str, place: Destination) -> None:
    path = plan_path(bundle, member, place)
    graph = bundle.read(member)
    if _is_built(bundle, member, place):
        print(f"{member}  already built, {path.stat().st_size / 1e6:.1f} MB: {path}")
        return
    start = time.perf_counter()
    with _progress(member) as report:
        plan = build_plan(place.library, member, graph, _SIGNATURES[member], report)
    keep_plan(bundle, member, place, plan)
    seconds = time.perf_counter() - start
    print(f"{member}  built in {seconds:.1f} s, {path.stat().st_size / 1e6:.1f} MB: {path}")


def _is_built(bundle: Bundle, member: str, place: Destination) -> bool:
    try:
        return find_plan(bundle, member, place) is not None
    except EngineError as error:
        print(f"canthus: built anew: {error}", file=sys.stderr)
        return False


@contextmanager
def _progress(member: str) -> Iterator[Report]:
    """A line that is rewritten on a terminal; nothing elsewhere."""
    on_terminal = sys.stderr.isatty()

    def tell(phase: str, done: int, total: int) -> None:
        if on_terminal:
            print(f"{_REWRITE}{member}: {phase}, {done} of {total}", end="", file=sys.stderr, flush=True)

    try:
        yield tell
    finally:
        if on_terminal:
            print(_REWRITE, end="", file=sys.stderr, flush=True)
