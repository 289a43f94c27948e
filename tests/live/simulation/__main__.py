"""Runs the simulation of the live side.

python -m tests.live.simulation 1053 --trace              one seed, with what every process said
python -m tests.live.simulation 7 --mutant ttl_ignored    the same with a fault planted in the code
python -m tests.live.simulation --seeds 10000             many, on two processes
python -m tests.live.simulation --digests 5               the digests of the first seeds
"""

import argparse
import sys

from tests.live.simulation.mutants import MUTANTS
from tests.live.simulation.plan import THEMES
from tests.live.simulation.runs import many, run


def main() -> int:
    """Run what was asked for; returns 1 when an invariant does not hold."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.live.simulation", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("seed", nargs="?", type=int)
    parser.add_argument("--trace", action="store_true", help="print the log of every process")
    parser.add_argument("--theme", default="", choices=["", *THEMES], help="instead of the seed's own")
    parser.add_argument("--mutant", default="", choices=["", *MUTANTS])
    parser.add_argument("--seeds", type=int, default=10_000, help="how many (default 10000)")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--digests", type=int, default=0)
    asked = parser.parse_args()
    if asked.digests:
        for seed in range(asked.first, asked.first + asked.digests):
            sys.stdout.write(f"{run(seed, asked.theme).digest}\n")
        return 0
    if asked.seed is None:
        return min(1, many(range(asked.first, asked.first + asked.seeds), asked.theme, asked.jobs))
    lines: list[str] | None = [] if asked.trace else None
    found = run(asked.seed, asked.theme, asked.mutant, lines)
    for line in lines or ():
        sys.stdout.write(line + "\n")
    happened = ", ".join(f"{count} {name}" for name, count in found.counts.items())
    sys.stdout.write(
        f"seed {asked.seed}: {found.wrong or 'every invariant holds'}\n{happened}; digest {found.digest}\n"
    )
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
