"""`canthus build`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from canthus.bundle import Bundle, read_bundle
from canthus.errors import EngineError
from canthus.parts import PARTS, member, signature
from canthus.tensorrt.build import Report, build_plan
from canthus.tensorrt.cache import find_plan, keep_plan, plan_path, remove_others
from canthus.tensorrt.destination import TARGETS, THIS, Destination, check_buildable, destination

_REWRITE = "\r\x1b[K"  # go back to the line's begin and clear it
_WIDTH = max(len(member(part)) for part in PARTS)

DESCRIPTION = """\
Build TensorRT plans, one of each graph in a bundle, for --backend tensorrt. A plan serves one version of TensorRT and
the GPUs of its target; what was built before and still fits is left as it is. Each layer is computed in the precision
that the bundle has it in; float32 is float32, without TF32. An INT8 bundle must have been exported with --target
tensorrt."""

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
    for part in PARTS:
        _build(bundle, part, place)
    for path in remove_others(bundle):
        print(f"{'removed':{_WIDTH}}  {path}: it was of an older {bundle.path.name}")
    return 0


def _build(bundle: Bundle, part: str, place: Destination) -> None:
    name = member(part)
    path = plan_path(bundle, name, place)
    graph = bundle.read(name)
    if _is_built(bundle, name, place):
        print(f"{name:{_WIDTH}}  already built, {path.stat().st_size / 1e6:.1f} MB: {path}")
        return
    start = time.perf_counter()
    with _progress(name) as report:
        plan = build_plan(place.library, name, graph, signature(part), report)
    keep_plan(bundle, name, place, plan)
    seconds = time.perf_counter() - start
    print(f"{name:{_WIDTH}}  built in {seconds:.1f} s, {path.stat().st_size / 1e6:.1f} MB: {path}")


def _is_built(bundle: Bundle, name: str, place: Destination) -> bool:
    try:
        return find_plan(bundle, name, place) is not None
    except EngineError as error:
        print(f"canthus: built anew: {error}", file=sys.stderr)
        return False


@contextmanager
def _progress(name: str) -> Iterator[Report]:
    """A line that is rewritten on a terminal; nothing elsewhere."""
    on_terminal = sys.stderr.isatty()

    def tell(phase: str, done: int, total: int) -> None:
        if on_terminal:
            print(f"{_REWRITE}{name}: {phase}, {done} of {total}", end="", file=sys.stderr, flush=True)

    try:
        yield tell
    finally:
        if on_terminal:
            print(_REWRITE, end="", file=sys.stderr, flush=True)
