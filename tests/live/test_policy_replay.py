"""Recorded trials under other limits: the same say the same, stricter ones sooner, looser ones never."""

from pathlib import Path
from typing import Any

import pytest

from evaluation.verdict import Policy
from live.errors import TrialLogUnreadable
from live.policy_replay import Replayed, compare, replay
from live.trial_log import recorded
from tests.live.parts import settings
from tests.live.release_stage import ReleaseStage

SOON = {"min_sample": 100, "seq_min_sample": 20}


def policy(**knobs: Any) -> Policy:
    """The limits the canaries ran by, with others in their place."""
    return settings({"release": {**SOON, **knobs}}).release.policy()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight canaries of one version, as risk recorded them: four far worse than the active route, four alike."""
    root = tmp_path_factory.mktemp("recorded")
    stage = ReleaseStage(root, {"release": SOON})
    stage.seat(active=1, shadow=2)
    stage.roll(1, "s0")
    stage.start()
    for number in range(8):
        salt = f"s{number}"
        stage.roll(number + 1, salt)
        stage.pass_second()
        stage.routed(600, canary=0.2 if number < 4 else 0.56, active=0.56, salt=f"seed:{salt}", seed=number)
        stage.pass_second(5)
    stage.roll(9, mode="disabled", fraction=0.0)
    stage.pass_second()
    stage.release.stop()
    return root / "trials"


def replayed(folder: Path, limits: Policy) -> list[Replayed]:
    """The canaries among the recorded trials."""
    return [each for each in replay(recorded(folder), limits) if each.begun.trial == "canary"]


def test_the_same_policy_says_every_verdict_again(folder: Path) -> None:
    """Number for number, of every kind of trial."""
    found = list(replay(recorded(folder), policy()))
    assert {each.begun.trial for each in found} == {"active", "shadow", "canary"}
    assert all(each.verdicts >= 1 for each in found)
    assert [each.differs for each in found] == [()] * len(found)
    assert not any(each.is_flipped for each in found)
    canaries = [each for each in found if each.begun.trial == "canary"]
    assert [each.recorded.decision for each in canaries[:4]] == ["roll_back"] * 4
    assert [each.recorded.reasons for each in canaries] == [each.replayed.reasons for each in canaries]


def test_a_looser_policy_misses_what_was_withdrawn(folder: Path) -> None:
    """Neither rule decides before its sample."""
    found = replayed(folder, policy(min_sample=10_000, seq_min_sample=10_000))
    summary = compare(found)
    assert summary.recorded_rollbacks >= 4
    assert summary.replayed_rollbacks == 0
    assert summary.missed_rollbacks == summary.recorded_rollbacks <= summary.flips
    assert summary.sooner_trades is None
    assert all(each.differs for each in found if each.recorded.decision == "roll_back")


def test_a_stricter_policy_withdraws_sooner_and_good_ones_too(folder: Path) -> None:
    """The rate is over the canaries that were never withdrawn."""
    found = replayed(folder, policy(min_sample=5, winrate_delta_pp=0.5, seq_min_sample=1))
    summary = compare(found)
    assert summary.trials == 8
    assert summary.missed_rollbacks == 0
    assert summary.sooner_trades is not None and summary.sooner_trades > 0
    assert summary.sooner_seconds is not None and summary.sooner_seconds >= 0
    false = sum(each.is_false_rollback for each in found)
    assert false > 0
    assert summary.false_rollback_rate == pytest.approx(false / (8 - summary.recorded_rollbacks))


def test_a_gate_that_is_put_to_observe_decides_nothing(folder: Path) -> None:
    """Both win-rate gates watch: nothing is withdrawn."""
    found = replayed(folder, policy(observe=["winrate_delta", "winrate_seq"]))
    assert not any(each.replayed.decision == "roll_back" for each in found)


def test_what_is_no_trials_log_is_refused(tmp_path: Path) -> None:
    """By name."""
    path = tmp_path / "1-canary-v2.log"
    path.write_bytes(b"no log")
    with pytest.raises(TrialLogUnreadable, match="1-canary-v2"):
        list(replay([path], policy()))


def test_nothing_recorded_is_nothing_compared() -> None:
    """No rate of nothing."""
    assert compare([]).false_rollback_rate == 0.0
