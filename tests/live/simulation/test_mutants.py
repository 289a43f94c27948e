"""The simulation finds what it is for: every fault planted in the code is caught, and the code itself passes there."""

from itertools import count

import pytest

from tests.live.simulation.mutants import MUTANTS
from tests.live.simulation.plan import THEMES
from tests.live.simulation.runs import command, run, violations

WITHIN = 150
"""Seeds by which a planted fault must be found."""


def test_there_are_enough_of_them() -> None:
    """At least twenty, on themes that there are."""
    assert len(MUTANTS) >= 20
    assert {planted.theme for planted in MUTANTS.values()} <= set(THEMES)


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_a_planted_fault_is_caught(name: str) -> None:
    """An invariant fails within so many seeds; without the fault every one of these seeds is good."""
    theme = MUTANTS[name].theme
    caught = next((seed for seed in range(WITHIN) if run(seed, theme, name).wrong), None)
    assert caught is not None, f"{name} survives {WITHIN} seeds of {theme}; see {command(0, theme, name)}"
    assert violations([caught], theme) == []


@pytest.mark.parametrize("theme", sorted(THEMES))
def test_the_code_passes_where_faults_are_caught(theme: str) -> None:
    """The first seeds of every theme hold for the code as it is."""
    assert violations(range(12), theme) == []


def test_a_fault_of_the_code_is_told_of_with_its_command() -> None:
    """What a failing seed prints replays it."""
    first = next(seed for seed in count() if run(seed, "mixed", "no_intent_journal").wrong)
    (said,) = violations([first], "mixed", "no_intent_journal")
    assert said.endswith(f"python -m tests.live.simulation {first} --theme mixed --mutant no_intent_journal --trace")
    assert said.startswith("I2: ")
