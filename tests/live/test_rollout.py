"""The rollout that holds: never more than either side allows, off when in doubt, fenced at once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.live_sections import Rollout as Config
from live.rollout import Rollout, RolloutWatch, effective
from registry.rollout import ROLLOUT_FILE, RolloutState, write

AT = datetime(2026, 1, 7, 12, tzinfo=UTC)
NOW_NS = round(AT.timestamp()) * 1_000_000_000 + 60_000_000_000
RANK = ("disabled", "canary", "full")
modes = st.sampled_from(RANK)


def state(**changes: Any) -> RolloutState:
    """A state that allows everything."""
    facts: dict[str, Any] = {
        "epoch": 1, "mode": "full", "canary_fraction": 1.0, "salt": "", "reason": "promoted", "by": "tests", "at": AT,
    }  # fmt: skip
    return RolloutState(**facts | changes)


def config(mode: str = "canary", fraction: float = 0.2) -> Config:
    """What a person configured."""
    return Config.model_validate({"mode": mode, "canary_fraction": fraction, "seed": "s"})


def test_without_a_state_the_configuration_holds() -> None:
    """Epoch 0, nothing made smaller."""
    assert effective(config(), None, NOW_NS) == Rollout("canary", 0.2, "s", 0)


@given(modes, st.floats(0, 1), modes, st.floats(0, 1))
def test_neither_side_is_exceeded(mode: str, fraction: float, other: str, share: float) -> None:
    """The mode is the lower, the fraction the smaller, and there is one in mode canary alone."""
    found = effective(config(mode, fraction), state(mode=other, canary_fraction=share), NOW_NS)
    assert RANK.index(found.mode) == min(RANK.index(mode), RANK.index(other))
    assert found.canary_fraction == (min(fraction, share) if found.mode == "canary" else 0.0)
    assert found.has_canary == (found.canary_fraction > 0)


def test_a_cooldown_disables_until_it_ends() -> None:
    """To the nanosecond before; from then on what the state says."""
    until = AT + timedelta(minutes=15)
    cooling = state(cooldown_until=until, reason="winrate_delta")
    end_ns = round(until.timestamp()) * 1_000_000_000
    before = effective(config(), cooling, end_ns - 1)
    assert (before.mode, before.reason) == ("disabled", "cooldown: winrate_delta")
    assert effective(config(), cooling, end_ns) == Rollout("canary", 0.2, "s", 1)


def test_a_salt_makes_another_draw() -> None:
    """Two canaries of one seed draw their own share."""
    assert effective(config(), state(salt="v7"), NOW_NS).seed == "s:v7"


def test_the_state_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """Appearing, replaced, and gone: that is no leave, so what was withdrawn stays withdrawn."""
    watch = RolloutWatch(config(), tmp_path, NOW_NS)
    assert watch.look(NOW_NS).epoch == 0
    write(tmp_path, state(canary_fraction=0.05))
    assert watch.look(NOW_NS) == Rollout("canary", 0.05, "s", 1, "promoted")
    write(tmp_path, state(epoch=2, mode="disabled"))
    assert watch.look(NOW_NS) == Rollout("disabled", 0.0, "s", 2, "promoted")
    watch.fence("winrate_seq", NOW_NS)
    (tmp_path / ROLLOUT_FILE).unlink()
    assert (watch.look(NOW_NS).mode, watch.look(NOW_NS).epoch) == ("disabled", 2)
    assert "is gone" in watch.problem
    write(tmp_path, state(epoch=2))
    assert watch.look(NOW_NS).reason == "fenced: winrate_seq"
    write(tmp_path, state(epoch=3))
    assert (watch.look(NOW_NS).mode, watch.problem) == ("canary", "")


def test_a_state_that_cannot_be_read_disables(tmp_path: Path) -> None:
    """Half a file gives nobody a share, says where, and heals when it is written anew."""
    watch = RolloutWatch(config("full"), tmp_path, NOW_NS)
    (tmp_path / ROLLOUT_FILE).write_bytes(b'{"epoch": 1, "mode": "ca')
    assert watch.look(NOW_NS).mode == "disabled"
    assert ROLLOUT_FILE in watch.problem
    write(tmp_path, state())
    assert watch.look(NOW_NS).mode == "full"
    assert watch.problem == ""


def test_a_fence_holds_until_the_epoch_changes(tmp_path: Path) -> None:
    """Also when the file is written again with the same epoch."""
    write(tmp_path, state())
    watch = RolloutWatch(config(), tmp_path, NOW_NS)
    assert watch.look(NOW_NS).has_canary
    assert watch.fence("winrate_delta", NOW_NS)
    assert watch.look(NOW_NS) == Rollout("disabled", 0.0, "s", 1, "fenced: winrate_delta")
    write(tmp_path, state(by="somebody else"))
    assert not watch.look(NOW_NS).has_canary
    write(tmp_path, state(epoch=2))
    assert watch.look(NOW_NS).has_canary
    assert watch.fenced_by == ""


def test_a_fence_of_before_the_state_is_known_to_it(tmp_path: Path) -> None:
    """Whoever wrote the state later has seen it: a restart does not fence the next canary by the last one's end."""
    write(tmp_path, state())
    watch = RolloutWatch(config(), tmp_path, NOW_NS)
    watch.look(NOW_NS)
    assert not watch.fence("old", round(AT.timestamp()) * 1_000_000_000 - 1)
    assert watch.look(NOW_NS).has_canary


def test_without_a_state_a_fence_of_before_the_start_is_past(tmp_path: Path) -> None:
    """Nothing but a restart ends a fence then, so an old one must not come back with it."""
    watch = RolloutWatch(config(), tmp_path, NOW_NS)
    assert not watch.fence("old", NOW_NS - 1)
    assert watch.fence("new", NOW_NS)
    assert not watch.look(NOW_NS).has_canary


@pytest.mark.parametrize("mode", ["disabled", "full"])
def test_a_fence_is_the_canarys_alone(tmp_path: Path, mode: str) -> None:
    """Where there is no canary there is nothing to withdraw."""
    watch = RolloutWatch(config(mode), tmp_path, NOW_NS)
    watch.look(NOW_NS)
    watch.fence("winrate_delta", NOW_NS)
    assert watch.look(NOW_NS).mode == mode
