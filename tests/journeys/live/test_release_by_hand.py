"""Aliases moved by hand in MLflow, and two people who move at once: the journal decides, and says so."""

import pytest

from registry.audit import moves
from tests.journeys.live.processes import Site
from tests.journeys.live.releases import PATIENCE_SECONDS, ended, following, releasing, script
from tests.journeys.played import seconds_until


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "version"), [("revert", 2), ("adopt", 3)])
def test_an_alias_moved_by_hand_is_shown_and_answered(place: Site, answer: str, version: int) -> None:
    """Nobody trades by it until the registrar took it over; put back, it was never traded by at all."""
    with releasing(place, RELEASE_EXTERNAL_MOVES=answer) as release:
        release.activate(1)
        release.activate(2)
        sync, _ = following(release)
        release.scored_by(2, PATIENCE_SECONDS, "a score by version 2")
        seconds_until(lambda: release.divergence(sync) == 0, PATIENCE_SECONDS, "that all agree")
        release.store.set_alias("active", 3)
        seconds_until(lambda: release.divergence(sync) == 1, PATIENCE_SECONDS, "that the difference is shown")
        release.scored_by(2, PATIENCE_SECONDS, "that the alias is not followed")
        with release.registrar() as registrar:
            found = registrar.reconcile()
        assert any("alias active names version 3" in each for each in found.divergences)
        assert release.head.slots.active == version
        assert release.store.aliases()["active"] == version
        release.scored_by(version, PATIENCE_SECONDS, f"a score by version {version}")
        seconds_until(lambda: release.divergence(sync) == 0, PATIENCE_SECONDS, "that all agree again")
        assert moves(release.models.root)[-1].transition == answer


@pytest.mark.slow
def test_two_promotions_at_once_are_one(place: Site) -> None:
    """The runbook's script, twice at the same time: one moves, the other is refused in one line."""
    with releasing(place) as release:
        release.activate(1)
        release.activate(2)
        before = len(moves(release.models.root))
        asked = [script(place, "--to", "active", "--id", release.models.id(1)) for _ in range(2)]
        told = sorted(ended(each) for each in asked)
        assert [code for code, _ in told] == [0, 1]
        assert told[1][1].count("refused: ") == 1
        made = moves(release.models.root)[before:]
        assert [(each.transition, each.by.partition(":")[0]) for each in made] == [("rollback", "human")]
        assert release.head.slots.active == 1
