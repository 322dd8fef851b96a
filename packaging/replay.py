"""Run an installed canthus on a recording's arrays, as `record.py` wrote them: python replay.py BUNDLE ARRAYS

It fails if one answer isn't what the source tree answered, and if canthus comes from outside the environment; it says
what else is installed there.
"""

import sys
from importlib.metadata import distributions
from pathlib import Path

import numpy as np

import canthus
from canthus import _native

ALLOWED = 1e-3


def main(bundle: str, arrays: str) -> int:
    environment = Path(np.__file__).parent.parent
    for module in canthus, _native:
        if Path(module.__file__).parent.parent != environment:
            print(f"{module.__file__} isn't the installed wheel's", file=sys.stderr)
            return 1
    recorded = np.load(arrays)
    frames, times = recorded["frames"], recorded["times"]
    t, x, y, p = (recorded[name] for name in "txyp")
    engine = canthus.load(bundle, backend="onnxruntime")
    stream = canthus.Stream(engine, sensor=(frames.shape[2], frames.shape[1]))
    answers, begin = [], 0
    for image, time in zip(frames, times, strict=True):
        end = int(np.searchsorted(t, time, side="right"))
        stream.push_events(t[begin:end], x[begin:end], y[begin:end], p[begin:end])
        begin = end
        answers.append(stream.push_frame(image, int(time)))
        stream.prepare()
    answers = [answer for answer in answers if answer is not None]
    if [answer.time_us for answer in answers] != recorded["answered"].tolist():
        print(f"{len(answers)} answers; the source tree gave {len(recorded['answered'])}", file=sys.stderr)
        return 1
    apart = float(np.abs(np.stack([answer.probabilities for answer in answers]) - recorded["probabilities"]).max())
    installed = sorted(f"{package.metadata['Name']} {package.version}" for package in distributions())
    gpus = " ".join(_native.cuda_architectures()) or "none"
    print(f"{len(answers)} answers, {apart:.1e} from the source tree's; CUDA kernels: {gpus}")
    print(f"installed: {', '.join(installed)}")
    return int(apart > ALLOWED)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
