"""Recorded trials under other knobs: a shadow that is worse, told by its log."""

import json
import random
from pathlib import Path

import pytest

from config.errors import SettingsError
from config.settings import Settings
from live.trial_log import TrialLog
from live.trial_rows import Begun, JudgedRow
from tests.live.parts import settings
from tidegate.policy_report import changed_by, run

BEGAN_NS = 1_767_787_200_000_000_000
SECOND_NS = 1_000_000_000


@pytest.fixture
def made(tmp_path: Path) -> Settings:
    """A risk whose log holds a shadow that says the opposite of what happens, for 400 candidates a horizon apart."""
    folder = tmp_path / "live" / "risk" / "trials"
    folder.mkdir(parents=True)
    begun = Begun("shadow", 2, "m2", 1, "", "", 3, BEGAN_NS, 60 * SECOND_NS)
    log = TrialLog.begin(folder, begun)
    rng = random.Random(5)
    for number in range(400):
        has_won = rng.random() < 0.5
        at_ns = BEGAN_NS + number * 60 * SECOND_NS
        probability, other = (0.2, 0.6) if has_won else (0.8, 0.4)
        log.add(JudgedRow(f"a-{at_ns}", at_ns, has_won, probability, True, other, True))
    log.close()
    return settings({"paths": {"var": str(tmp_path)}})


def policy(tmp_path: Path, text: str) -> Path:
    """A file of knobs."""
    path = tmp_path / "policy.yml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_other_knobs_would_have_said_is_shown(
    made: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A trial that was never decided falls as soon as the evidence it takes is there."""
    assert run(made, policy(tmp_path, "release:\n  shadow_evidence: 30.0\n"), as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["changed"] == {"shadow_evidence": 30.0}
    (trial,) = found["trials"]
    assert (trial["version"], trial["recorded"]["decision"], trial["replayed"]["decision"]) == (2, "hold", "roll_back")
    assert found["summary"]["flips"] == 1
    assert run(made, policy(tmp_path, "release:\n  shadow_evidence: 1.0e+12\n"), as_json=False) == 0
    told = capsys.readouterr().out
    assert "release.shadow_evidence = 1000000000000.0" in told
    assert "1 trials" in told


def test_knobs_that_are_not_given_are_those_in_force(made: Settings, tmp_path: Path) -> None:
    """Only what differs is called a change."""
    release = made.release.model_copy(update={"min_sample": 700})
    found, changed = changed_by(release, policy(tmp_path, "release:\n  alpha: 0.01\n  winrate_delta_pp: 5.0\n"))
    assert (found.min_sample, found.alpha, changed) == (700, 0.01, {"alpha": 0.01})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gates:\n  loss_streak: 3\n", "gates.loss_streak: a policy holds knobs of the section release alone"),
        ("release:\n  alpha: 2\n", "release.alpha must be < 1"),
        ("release:\n  alfa: 0.1\n", "release.alfa"),
    ],
)
def test_a_wrong_policy_is_refused(
    made: Settings, tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By file and key, on one line."""
    path = policy(tmp_path, text)
    with pytest.raises(SettingsError, match=r"policy\.yml"):
        changed_by(made.release, path)
    assert run(made, path, as_json=False) == 1
    assert said in capsys.readouterr().err


def test_without_a_trial_there_is_nothing_to_judge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says who records them."""
    empty = settings({"paths": {"var": str(tmp_path)}})
    assert run(empty, policy(tmp_path, "release: {}\n"), as_json=False) == 1
    assert "no trial was recorded yet" in capsys.readouterr().err


def test_a_policy_that_is_not_there_is_refused_by_its_name(
    made: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what one is."""
    assert run(made, tmp_path / "none.yml", as_json=False) == 1
    told = capsys.readouterr().err
    assert "none.yml: is not there; a policy is YAML" in told
    assert told.count("\n") == 1
