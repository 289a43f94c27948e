"""I9: a seed is a history. The same one gives the same journal, byte for byte, in every process."""

import os
import subprocess
import sys

from tests.live.parts import ROOT
from tests.live.simulation.runs import run

SEEDS = 12


def _digests(hash_seed: str) -> list[str]:
    made = subprocess.run(
        [sys.executable, "-m", "tests.live.simulation", "--digests", str(SEEDS)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return made.stdout.split()


def test_the_same_seed_is_the_same_history_in_every_process() -> None:
    """Whatever order sets and hashes have there: journal, orders and what stood at the venue are the same."""
    first = _digests("1")
    assert first == _digests("4242")
    assert first == [run(seed).digest for seed in range(SEEDS)]


def test_another_seed_is_another_history() -> None:
    """Nearly always: a run in which nothing was traded is like another one."""
    assert len({run(seed).digest for seed in range(SEEDS)}) > SEEDS / 2


def test_a_traced_run_is_the_same_run() -> None:
    """Looking changes nothing."""
    lines: list[str] = []
    assert run(3, lines=lines).digest == run(3).digest
    assert any("executor_started" in line for line in lines)
