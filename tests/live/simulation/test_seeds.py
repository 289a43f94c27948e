"""Eight hundred seeds: whatever goes wrong, every invariant holds, and when it stops everything comes to rest.

Ten thousand are `make simulate`. A seed that fails prints the one command that replays it.
"""

import pytest

from tests.live.simulation.runs import violations

SEEDS, EACH = 2_000, 100


@pytest.mark.parametrize("first", range(0, SEEDS, EACH))
def test_every_invariant_holds(first: int) -> None:
    """I1 to I10 through crashes, power cuts, a wiped bus, clocks that jump and a venue that answers badly."""
    wrong = violations(range(first, first + EACH))
    assert not wrong, "\n".join(wrong)
