"""Who stands where, by the mirror; and the trials that follow from it."""

from pathlib import Path

import pytest

from live.standing import Key, Seat, Standing, Standings
from registry.rollout import ROLLOUT_FILE
from tests.live.parts import settings
from tests.live.release_stage import CANARY, ReleaseStage


def _seat(version: int) -> Seat | None:
    return Seat(version, f"m{version}", 100.0) if version else None


@pytest.mark.parametrize(
    ("active", "shadow", "previous", "trials"),
    [
        (0, 2, 0, {}),
        (1, 0, 0, {"active": 0}),
        (1, 2, 0, {"active": 0, "shadow": 1}),
        (2, 2, 1, {"active": 0}),
        (2, 1, 1, {"active": 0}),
        (2, 3, 1, {"active": 0, "shadow": 2}),
        (1, 1, 1, {"active": 0}),
    ],
)
def test_slots_make_trials(active: int, shadow: int, previous: int, trials: dict[str, int]) -> None:
    """A shadow that is the version before is the control and not on trial; half-turned slots begin nothing."""
    standing = Standing(_seat(active), _seat(shadow), _seat(previous))
    assert {name: key.against for name, key in standing.trials().items()} == trials
    assert standing.control == (1 if (active, shadow, previous) == (2, 1, 1) else 0)


def test_the_mirror_is_followed(tmp_path: Path) -> None:
    """Slots, share, salt and the seed that the routes are drawn by."""
    stage = ReleaseStage(tmp_path)
    standings = Standings(settings({"rollout": CANARY}).rollout, stage.mirror)
    now_ns = stage.clock.wall_ns()
    assert standings.look(now_ns) == Standing(rollout=standings.look(now_ns).rollout)
    stage.seat(active=1, shadow=2)
    assert set(standings.look(now_ns).trials()) == {"active", "shadow", "canary"}
    stage.roll(4, "pepper", fraction=0.25)
    found = standings.look(now_ns)
    assert found.trials()["canary"] == Key("canary", 2, "m2", 1, "pepper", "seed:pepper")
    assert (found.rollout.epoch, found.rollout.canary_fraction) == (4, 0.25)
    assert found.since_ns == pytest.approx(now_ns, abs=1_000)
    stage.seat(active=2, shadow=1, previous=1)
    stage.roll(5, mode="disabled", fraction=0.0)
    assert set(standings.look(now_ns).trials()) == {"active"}
    stage.seat(shadow=0)
    assert standings.look(now_ns).shadow is None


def test_what_cannot_be_read_moves_nothing(tmp_path: Path) -> None:
    """A card that is being written leaves the seat; a rollout that cannot be read is no canary."""
    stage = ReleaseStage(tmp_path)
    stage.seat(active=1, shadow=2)
    stage.roll(1)
    standings = Standings(settings({"rollout": CANARY}).rollout, stage.mirror)
    now_ns = stage.clock.wall_ns()
    assert "canary" in standings.look(now_ns).trials()
    (stage.mirror / "bundles/v2/model.json").write_bytes(b"{")
    (stage.mirror / ROLLOUT_FILE).write_bytes(b"{")
    found = standings.look(now_ns)
    assert found.shadow is not None and found.shadow.version == 2
    assert "canary" not in found.trials()
    (stage.mirror / ROLLOUT_FILE).unlink()
    assert "canary" not in standings.look(now_ns).trials()
    assert standings.look(now_ns).rollout.epoch == 1
    stage.roll(1)
    assert "canary" in standings.look(now_ns).trials()
