"""A running risk service looks at the drift of what was scored: shows it, says what is armed, and tells once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bus.messages import ControlEvent
from evaluation.clean_windows import WindowShape
from market.feature_spec import FEATURE_NAMES, N_COLUMNS
from registry.card import encode
from tests.live.cards import card
from tests.live.parts import START_NS
from tests.live.risk_market import SECOND, Stage, image, score

SHAPE = WindowShape(1_000, 36.0)
MOVED, STILL = FEATURE_NAMES[2], FEATURE_NAMES[0]


def stage(folder: Path, *, clean: WindowShape | None = SHAPE, hold_minutes: float = 0.2) -> Stage:
    """Risk with a window of 36 s that looks each second, beside a model whose card has the history `clean`."""
    active = folder / "mirror" / "active"
    active.mkdir(parents=True, exist_ok=True)
    (active / "model.json").write_bytes(encode(card(clean=clean)))
    sections: dict[str, dict[str, Any]] = {
        "risk": {"drift_rows": SHAPE.rows, "drift_hours": 0.01, "drift_look_seconds": 1.0},
        "release": {"drift_minutes": hold_minutes},
    }
    return Stage(folder, sections)


def trade(on: Stage, seconds: int, *, shift: float = 0.0, seed: int = 4) -> None:
    """So many seconds of forty scores each, one feature moved; candidates go on from the clock."""
    rng = np.random.default_rng(seed)
    for _ in range(seconds):
        rows = rng.random((40, N_COLUMNS), np.float32)
        rows[:, 2] += np.float32(shift)
        start_ns = on.clock.wall_ns()
        for k, row in enumerate(rows):
            on.say(score(image(start_ns + k * SECOND // 40, 10, 11), row=row.tobytes()))
        on.pass_seconds(1.0)


def alerts(on: Stage) -> list[str]:
    """What was told of drift."""
    return [each.text for each in on.out.of(ControlEvent) if each.reason in ("psi_feature", "ks_feature")]


def test_what_the_active_model_sees_is_shown_with_what_it_is_worth(tmp_path: Path) -> None:
    """PSI and KS of each feature by both of the runbook's spellings, effective rows, and armed or not."""
    on = stage(tmp_path)
    trade(on, 38, shift=0.5)
    assert on.value("psi_feature", feature=MOVED) > 1.0  # type: ignore[operator]
    assert on.value("ks_feature", feature=MOVED) == pytest.approx(0.5, abs=0.1)
    assert on.value("psi_feature", feature=STILL) < 0.1  # type: ignore[operator]
    assert on.value(f"psi_feature_{MOVED}") == on.value("psi_feature", feature=MOVED)
    assert on.value(f"ks_feature_{STILL}") == on.value("ks_feature", feature=STILL)
    assert 600 < on.value("drift_effective_rows", feature=STILL) <= 1_000  # type: ignore[operator]
    assert on.value("drift_armed", feature=MOVED) == 1.0


def test_nothing_is_armed_before_the_window_spans_its_time(tmp_path: Path) -> None:
    """An hour of a day looks drifted for its hour alone; the time over the line begins when the window is whole."""
    on = stage(tmp_path)
    trade(on, 20, shift=0.5)
    assert on.value("psi_feature", feature=MOVED) > 1.0  # type: ignore[operator]
    assert on.value("drift_armed", feature=MOVED) == 0.0
    assert alerts(on) == []
    assert on.risk.drift is not None
    assert on.risk.drift.unarmed == FEATURE_NAMES
    trade(on, 12, shift=0.5)
    assert on.value("drift_armed", feature=MOVED) == 1.0
    assert len(alerts(on)) == 1


@pytest.mark.parametrize("clean", [None, WindowShape(1_000, 86_400.0)])
def test_a_card_without_history_of_such_windows_arms_nothing(tmp_path: Path, clean: WindowShape | None) -> None:
    """The numbers are shown all the same."""
    on = stage(tmp_path, clean=clean)
    trade(on, 60, shift=0.5)
    assert on.value("ks_feature", feature=MOVED) == pytest.approx(0.5, abs=0.1)
    assert on.value("drift_effective_rows", feature=MOVED) == 0.0
    assert on.value("drift_armed", feature=MOVED) == 0.0
    assert alerts(on) == []


def test_it_warns_at_once_blocks_when_it_stays_and_tells_each_once(tmp_path: Path) -> None:
    """And is well again when the rows are."""
    on = stage(tmp_path)
    trade(on, 38)
    assert alerts(on) == []
    trade(on, 40, shift=0.5)
    over, block = alerts(on)
    assert over.startswith(f"{MOVED}: PSI ") and over.endswith("over its line; it blocks when it stays there")
    assert block.endswith("it stayed over its line, and blocks")
    view = on.risk.drift
    assert view is not None
    assert [(each.name, each.by) for each in view.blocking] == [(MOVED, "psi_feature")]
    trade(on, 40)
    assert on.risk.drift is not None
    assert on.risk.drift.blocking == ()
    assert len(alerts(on)) == 2


def test_a_restart_keeps_rows_and_the_time_over_the_line(tmp_path: Path) -> None:
    """A window of a day that began anew would be blind for a day."""
    on = stage(tmp_path, hold_minutes=10.0)
    trade(on, 38)
    trade(on, 30, shift=0.5)
    assert on.risk.drift is not None
    since_ns = {each.name: each.over_since_ns for each in on.risk.drift.features}[MOVED]
    assert since_ns > START_NS
    on.risk.stop()
    again = stage(tmp_path, hold_minutes=10.0)
    again.clock.advance_to(on.clock.wall_ns())
    trade(again, 2, shift=0.5)
    assert again.risk.drift is not None
    kept = {each.name: each for each in again.risk.drift.features}[MOVED]
    assert (kept.armed, kept.over_since_ns) == (True, since_ns)


def test_files_that_are_damaged_are_as_none(tmp_path: Path) -> None:
    """Risk starts, and fills its window anew."""
    on = stage(tmp_path)
    trade(on, 38)
    on.risk.stop()
    for name in ("drift.npz", "drift.json"):
        path = on.parts.var / name
        path.write_bytes(path.read_bytes()[:20])
    again = stage(tmp_path)
    assert again.risk.drift is None
    again.clock.advance_to(on.clock.wall_ns())
    trade(again, 38)
    assert again.risk.drift is not None
    assert again.risk.drift.unarmed == ()


def test_a_disk_that_refuses_does_not_keep_risk_from_ending(tmp_path: Path) -> None:
    """The window is lost then, and nothing else is."""
    on = stage(tmp_path)
    trade(on, 38)
    (on.parts.var / "drift.npz").mkdir()
    on.risk.stop()
    assert (tmp_path / "mirror").exists()


def test_another_model_begins_anew(tmp_path: Path) -> None:
    """What was over against one reference says nothing of another one."""
    on = stage(tmp_path, hold_minutes=10.0)
    trade(on, 38, shift=0.5)
    assert on.risk.drift is not None
    first_ns = max(each.over_since_ns for each in on.risk.drift.features)
    assert first_ns
    (tmp_path / "mirror" / "active" / "model.json").write_bytes(encode(card(winrate=0.6, clean=SHAPE)))
    trade(on, 5, shift=0.5)
    assert max(each.over_since_ns for each in on.risk.drift.features) > first_ns
