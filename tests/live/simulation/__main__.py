"""Runs seeds:  python -m tests.live.simulation SEED [--mutant NAME] [--trace] | --seeds N [--first M] [--jobs J]."""

import argparse
import sys
import time
from collections import Counter
from multiprocessing import Pool

from tests.live.simulation.invariants import Violation
from tests.live.simulation.mutants import MUTANTS
from tests.live.simulation.plan import THEMES, plan_of
from tests.live.simulation.world import World


def main() -> int:
    """Run one seed, or many."""
    parser = argparse.ArgumentParser(prog="python -m tests.live.simulation", description=__doc__)
    parser.add_argument("seed", nargs="?", type=int)
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--theme", default="", choices=["", *THEMES])
    parser.add_argument("--mutant", default="", choices=["", *MUTANTS])
    known = parser.parse_args()
    if known.seed is not None:
        return one(known.seed, known.theme, known.mutant, trace=known.trace)
    return many(range(known.first, known.first + known.seeds), known.jobs)


def one(seed: int, theme: str, mutant: str, *, trace: bool) -> int:
    """Replay a seed."""
    lines: list[str] | None = [] if trace else None
    world = World(plan_of(seed, theme), MUTANTS.get(mutant), lines)
    try:
        world.run()
        said = f"seed {seed}: every invariant holds; digest {world.observer.digest}, {world.observer.counts}"
        code = 0
    except Violation as violation:
        said, code = f"seed {seed}: {violation}", 1
    for line in lines or ():
        sys.stdout.write(line + "\n")
    sys.stdout.write(said + "\n")
    return code


def look(seed: int) -> tuple[int, str, dict[str, int], int]:
    """Run a seed; return what is wrong (empty: nothing), and what happened."""
    world = World(plan_of(seed))
    wrong = ""
    try:
        world.run()
    except Violation as violation:
        wrong = str(violation)
    except Exception as error:  # a fault of ours is a finding too
        wrong = f"{type(error).__name__}: {error}"
    return seed, wrong, world.observer.counts, world.deaths


def many(seeds: range, jobs: int) -> int:
    """Run seeds on several processes."""
    begin, total, wrong = time.perf_counter(), Counter[str](), 0
    with Pool(jobs) as pool:
        for seed, text, counts, deaths in pool.imap_unordered(look, seeds, chunksize=20):
            total.update(counts)
            total["deaths"] += deaths
            if text:
                wrong += 1
                sys.stdout.write(f"{text}\n  python -m tests.live.simulation {seed} --trace\n")
    seconds = time.perf_counter() - begin
    sys.stdout.write(f"{len(seeds)} seeds in {seconds:.1f} s ({len(seeds) / seconds:.0f} a second), {wrong} wrong; {dict(total)}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
