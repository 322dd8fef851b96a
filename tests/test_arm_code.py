"""What compilers make of the hot loops for 64-bit Arm, counted in instructions: no Arm machine need be there."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent.parent / "csrc"
COMPILERS = {
    "clang": [sys.executable, "-m", "ziglang", "c++", "-target", "aarch64-linux-gnu.2.27"],  # that of the wheels
    "gcc": ["aarch64-linux-gnu-g++"],
}
# As CMakeLists.txt has them for kernels.
FLAGS = ["-std=c++20", "-O3", "-DNDEBUG", "-fPIC", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
BRANCH = re.compile(r"b|b\.?(eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|any|none)|cbn?z|tbn?z")
TO_EXPONENT = re.compile(r"shl v\d+\.4s, ?v\d+\.4s, ?#?23")  # one of each vector of exponentials


@pytest.fixture(scope="module", params=COMPILERS)
def assembly(request, tmp_path_factory):
    """Of a kernel of `csrc`, as (function, instructions) of every innermost loop."""
    command = COMPILERS[request.param]
    if not (shutil.which(command[0]) if request.param == "gcc" else importlib.util.find_spec("ziglang")):
        package = "g++-aarch64-linux-gnu from Debian" if request.param == "gcc" else "ziglang from the package index"
        pytest.skip(f"no cross compiler: {package} isn't installed")
    folder = tmp_path_factory.mktemp("assembly")
    environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": str(folder), "ZIG_LOCAL_CACHE_DIR": str(folder)}
    compiled = {}

    def of(kernel):
        if kernel not in compiled:
            to = folder / f"{kernel}.s"
            source = SOURCES / kernel / "kernel.cpp"
            flags = [
                *FLAGS,
                "-g0",
                "-w",
                "-DCANTHUS_INSTRUCTION_SET=neon",
                f"-I{SOURCES}",
                "-S",
                str(source),
                "-o",
                str(to),
            ]
            subprocess.run([*command, *flags], check=True, env=environment)
            compiled[kernel] = innermost_loops(to.read_text())
        return compiled[kernel]

    return of


def innermost_loops(text):
    instructions, labels, loops, function = [], {}, [], ""
    for line in text.splitlines():
        line = line.split("//")[0].rstrip()
        if label := re.match(r"([\w.$]+):", line):
            labels[label[1]] = len(instructions)
            function = function if label[1].startswith(".") else label[1]
        elif instruction := re.match(r"\s+([a-z][\w.]*)\s*(.*)", line):
            instructions.append((" ".join(instruction.groups()), function))
    for end, (instruction, function) in enumerate(instructions):
        begin = labels.get(instruction.split()[-1], end + 1)
        if BRANCH.fullmatch(instruction.split()[0]) and begin <= end:
            loops.append((begin, end, function))
    inner = [a for a in loops if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in loops)]
    return [(function, [text for text, _ in instructions[begin : end + 1]]) for begin, end, function in inner]


def count(loop, name):
    return sum(instruction.split()[0] == name for instruction in loop)


def test_int8_weights_times_a_vector(assembly):
    """Four rows of eight weights."""
    loops = [loop for _, loop in assembly("head") if count(loop, "scvtf") == count(loop, "fmla") == 8]
    assert len(loops) == 1
    assert len(loops[0]) <= 40, "\n".join(loops[0])


@pytest.mark.parametrize("bounded", [False, True])
def test_a_step_of_the_wide_scan(assembly, bounded):
    """Four states of four channels at one token; B and C may vary or not. `bounded`: exponents held within bounds."""
    loops = []
    for function, loop in assembly("selective_scan"):
        if "scan_channels" in function and sum(bool(TO_EXPONENT.match(i)) for i in loop) == 4:
            loops += [loop] if bool(count(loop, "fmin")) == bounded else []
    assert len(loops) == 4
    for loop in loops:  # where B or C doesn't vary, GCC takes two more to hold them
        assert len(loop) <= (107 if bounded else 105), "\n".join(loop)


def test_float16_is_converted_by_single_instructions(assembly):
    loops = [loop for _, loop in assembly("selective_scan")]
    assert any(count(loop, "fcvtl") for loop in loops)
    assert any(count(loop, "fcvtn") for loop in loops)
