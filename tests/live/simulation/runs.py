"""Seeds run one by one or many at a time, and what came of them."""

import gc
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from multiprocessing import get_context

from tests.live.simulation.invariants import Violation
from tests.live.simulation.mutants import MUTANTS
from tests.live.simulation.plan import plan_of
from tests.live.simulation.whole import WholeWorld
from tests.live.simulation.world import World


@dataclass(frozen=True)
class Found:
    """One run: what is wrong (empty: nothing), the digest of its history, and what happened in it."""

    seed: int
    wrong: str
    digest: str
    counts: Mapping[str, int] = field(default_factory=dict)


def command(seed: int, theme: str = "", mutant: str = "") -> str:
    """The one command that replays a seed."""
    said = f"python -m tests.live.simulation {seed}"
    said += f" --theme {theme}" if theme else ""
    return said + (f" --mutant {mutant}" if mutant else "") + " --trace"


def run(seed: int, theme: str = "", mutant: str = "", lines: list[str] | None = None) -> Found:
    """Run a seed to its end or to the first violation. A fault of our own code is a finding too."""
    planted = MUTANTS.get(mutant)
    plan = plan_of(seed, theme)
    world = (WholeWorld if plan.whole else World)(plan, planted.build if planted else None, lines)
    wrong = ""
    try:
        world.run()
    except Violation as violation:
        wrong = str(violation)
    except Exception as error:  # what nobody expected is what a simulation is for
        wrong = f"{type(error).__name__}: {error}"
    return Found(seed, wrong, world.observer.digest, {**world.observer.counts, "deaths": world.deaths})


def violations(seeds: Iterable[int], theme: str = "", mutant: str = "") -> list[str]:
    """What is wrong in these seeds, each with the command that replays it."""
    said = []
    was_on = gc.isenabled()
    gc.disable()  # cycles are collected between the runs: a tenth of the time
    try:
        for number, seed in enumerate(seeds):
            if wrong := run(seed, theme, mutant).wrong:
                said.append(f"{wrong}\n    {command(seed, theme, mutant)}")
            if number % 25 == 24:
                gc.collect()
    finally:
        if was_on:
            gc.enable()
    return said


def _run_some(job: tuple[range, str]) -> list[Found]:
    gc.disable()
    found = [run(seed, job[1]) for seed in job[0]]
    gc.collect()
    return found


def many(seeds: range, theme: str, jobs: int) -> int:
    """Run seeds on several processes and tell of them; returns how many were wrong."""
    begin, total, wrong = time.perf_counter(), Counter[str](), 0
    parts = [(seeds[at : at + 25], theme) for at in range(0, len(seeds), 25)]
    with get_context("fork").Pool(jobs) as pool:
        for some in pool.imap_unordered(_run_some, parts):
            for found in some:
                total.update(found.counts)
                if found.wrong:
                    wrong += 1
                    sys.stdout.write(f"{found.wrong}\n    {command(found.seed, theme)}\n")
    seconds = time.perf_counter() - begin
    happened = ", ".join(f"{count:,} {name}" for name, count in sorted(total.items()))
    sys.stdout.write(
        f"{len(seeds):,} seeds in {seconds:.1f} s ({len(seeds) / seconds:.0f} a second on {jobs} processes): "
        f"{wrong} wrong; {happened}\n"
    )
    return wrong
