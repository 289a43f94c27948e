"""MLflow really stopped: a rollback is in the scorer at once, MLflow hears of it when it is back, nothing undoes it."""

import pytest

from live.clock import SystemClock
from registry.audit import moves, verify
from tests.journeys.live.processes import Site
from tests.journeys.live.releases import ANNA, PATIENCE_SECONDS, following, releasing
from tests.journeys.live.scoring import check
from tests.journeys.played import seconds_until

MOST_SECONDS = 30.0
"""Far more than it should take: what is measured is told, and a busy machine fails no test."""


@pytest.mark.slow
def test_a_rollback_while_mlflow_is_stopped(place: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """One journal entry; the alias catches up; the scorer loses no candidate and never goes back to the bad version."""
    with releasing(place) as release:
        release.activate(1)
        release.activate(2)
        sync, _ = following(release)
        release.scored_by(2, PATIENCE_SECONDS, "a score by version 2")
        seconds_until(lambda: release.divergence(sync) == 0, PATIENCE_SECONDS, "that all agree")
        release.hang_up()
        before = len(moves(release.models.root))
        with release.registrar() as registrar:
            said = seconds_until(lambda: registrar.rollback(ANNA, "operator", "it loses"), MOST_SECONDS, "the move")
            took = release.scored_by(1, MOST_SECONDS, "a score by version 1")
            assert [each.effect for each in registrar.head().pending] == ["mlflow"]
            assert release.store.aliases()["active"] == 2
            seconds_until(lambda: release.divergence(sync) == 1, PATIENCE_SECONDS, "that the difference is shown")
            release.serve()
            back_ns = SystemClock().mono_ns()
            seconds_until(lambda: place.is_ready(sync), PATIENCE_SECONDS, "model_sync's answer")
            release.scored_by(1, MOST_SECONDS, "that the lagging alias is not followed")
            seconds_until(lambda: registrar.reconcile().settled, MOST_SECONDS, "the alias")
            caught = (SystemClock().mono_ns() - back_ns) / 1e9
        with capsys.disabled():
            print(f" [MLflow stopped: move {said:.2f} s, then {took:.2f} s to a score; alias {caught:.2f} s]", end="")  # noqa: T201
        assert release.store.aliases()["active"] == 1
        seconds_until(lambda: release.divergence(sync) == 0, PATIENCE_SECONDS, "that all agree again")
        made = moves(release.models.root)[before:]
        assert [(each.transition, each.target) for each in made] == [("rollback", "rolled_back")]
        assert verify(release.models.root, release.store.model_tags()).holds
        by_version = check(place, release.engine).by_version
    versions = [by_version[key] for key in release.engine.said]
    assert versions == sorted(versions, reverse=True), "version 2, then 1, and never 2 again"
