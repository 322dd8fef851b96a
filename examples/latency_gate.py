"""A gate for a device lab: fails if one frame of a hundred waits longer for its answer than it may.

    python examples/latency_gate.py eye.canthus 50

The limit is in milliseconds, and depends on the device. `canthus bench --baseline` compares with an earlier run
instead.
"""

import sys

from canthus.bench import Settings, measure


def main(bundle: str, limit_ms: str, settings: Settings | None = None) -> int:
    result = measure(bundle, settings or Settings(frames_per_second=30, seconds=60))
    p99_ms = result.p99_us / 1000  # infinite where there were too few frames to tell
    print(f"99 of 100 frames are answered within {p99_ms:.1f} ms; the limit is {limit_ms} ms")
    for check in result.checks:
        print(f"{'ok' if check.passed else 'FAILED'}  {check.name}: {check.found}")
    return 0 if p99_ms <= float(limit_ms) and result.passed else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
