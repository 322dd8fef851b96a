"""Compare what two processors answered: python same_answers.py FILE FILE ALLOWED

Each file is of `canthus run --json`. The times, the labels and what was missing must be the same, and every probability
to within ALLOWED; how long an answer took may differ.
"""

import json
import sys
from pathlib import Path


def read(path: str) -> list[dict]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def answer(line: dict) -> tuple:
    probabilities = line["probabilities"]
    return line["time_us"], max(probabilities, key=probabilities.get), line["missing"]


def main(one: str, other: str, allowed: str) -> int:
    pairs = list(zip(read(one), read(other), strict=True))
    unlike = [(a, b) for a, b in pairs if answer(a) != answer(b)]
    for a, b in unlike[:5]:
        print(f"  {answer(a)} and {answer(b)}")
    apart = max(abs(p - b["probabilities"][label]) for a, b in pairs for label, p in a["probabilities"].items())
    print(f"{len(pairs)} answers, {len(unlike)} of another label; largest difference of a probability {apart:.1e}")
    return int(bool(unlike) or apart > float(allowed) or not pairs)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
