"""Every fault, alone and in pairs, with many seeds: no crash, no hang, no wrong time stamp, books that balance, answers
again within half a second of clean data, and whole ones soon after.

    python benchmarks/faults.py --seeds 200

The live stream's own logic runs in virtual time on a stand-in engine, as in tests/test_faults.py. Exits with 1 if
anything of that didn't hold, and says with which seeds.
"""

import argparse
import logging
import sys
import time
from itertools import combinations
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from canthus.sources.faulty import FAULTS
from virtual_live import play


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=200)
    seeds = parser.parse_args().seeds
    logging.disable()
    begin = time.monotonic()
    names = list(FAULTS)
    # Each fault's row: alone, and with each of the others; what is told is the slowest of all seeds.
    slowest_us, failed = {}, {}
    for kinds in [*((name,) for name in names), *combinations(names, 2)]:
        for seed in range(seeds):
            try:
                slowest_us[kinds] = max(slowest_us.get(kinds, 0), play(kinds, seed))
            except Exception as error:
                failed.setdefault(kinds, []).append((seed, f"{type(error).__name__}: {error}".splitlines()[0]))
    print("milliseconds from clean data to the first answer, the slowest of all seeds; alone on the diagonal")
    print(f"{'':>18}" + "".join(f"{number:>5}" for number in range(1, len(names) + 1)))
    for row, name in enumerate(names):
        pairs = [tuple(sorted({name, other}, key=names.index)) for other in names[: row + 1]]
        cells = [" FAIL" if pair in failed else f"{slowest_us[pair] / 1000:>5.0f}" for pair in pairs]
        print(f"{row + 1:>2} {name:<15}" + "".join(cells))
    for kinds, cases in failed.items():
        print(f"{', '.join(kinds)}: {len(cases)} of {seeds} seeds, at first {cases[0]}")
    runs = seeds * (len(names) + len(names) * (len(names) - 1) // 2)
    print(f"{runs} runs in {time.monotonic() - begin:.0f} s, {sum(map(len, failed.values()))} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
