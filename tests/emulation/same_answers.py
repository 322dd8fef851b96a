"""Compare what two processors answered: python same_answers.py FILE FILE ALLOWED

Each file is of `canthus run --json`. The times and what was missing must be the same, and every probability to within
ALLOWED, so that another label is another choice between two that were as near; how long an answer took may differ.
"""

import json
import sys
from pathlib import Path


def read(path: str) -> list[dict]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def label(line: dict) -> str:
    return max(line["probabilities"], key=line["probabilities"].get)


def main(one: str, other: str, allowed: str) -> int:
    pairs = list(zip(read(one), read(other), strict=True))
    unlike = [(a, b) for a, b in pairs if (a["time_us"], a["missing"]) != (b["time_us"], b["missing"])]
    for a, b in unlike[:5]:
        print(f"  at {a['time_us']} {a['missing']} and at {b['time_us']} {b['missing']} were missing")
    apart = max(abs(p - b["probabilities"][name]) for a, b in pairs for name, p in a["probabilities"].items())
    others = sum(label(a) != label(b) for a, b in pairs)
    print(f"{len(pairs)} answers, {others} of another label; largest difference of a probability {apart:.1e}")
    return int(bool(unlike) or apart > float(allowed) or not pairs)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
