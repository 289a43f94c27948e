import io
import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from archive.layout import day_bounds_ns
from archive.store import Lake
from evaluation.clustered import Estimate
from pipelines.canary_days import Shown, Stretch, judge
from pipelines.live_measures import TradedFigures
from pipelines.workspace import Workspace
from registry.card import Training
from registry.store import ModelStore
from tests.bus.servers import needs_redis
from tests.live.mirrors import Models, model_card
from tests.live.parts import settings
from tests.live.registries import FakeRegistry
from tests.pipelines.days import market
from tidegate import rehearsal

DAY = date(2026, 1, 7)
NOW = datetime(2026, 1, 8, tzinfo=UTC)
MINUTE_NS = 60_000_000_000
STRETCH = Stretch(day_bounds_ns(DAY)[0] + 60 * MINUTE_NS, day_bounds_ns(DAY)[0] + 70 * MINUTE_NS, 0.5, 3.0)
GOOD = Estimate(0.5, 0.4, 0.6, 100, 60.0)


class Registry(FakeRegistry):
    """One that keeps what is added to its runs."""

    added: dict[str, Any]

    def add_to_run(self, run_id: str, **told: Any) -> None:
        """As the store."""
        self.added = {"run_id": run_id, **told}


def rehearsed(folder: Path) -> tuple[Workspace, Registry]:
    """A workspace of a slow market's day behind the training, and a registry whose version 1 learned from before."""
    models = Models(folder / "bundles", folder / "mirror")
    registry = Registry(models)
    training = model_card().training
    learned = Training(
        **{name: getattr(training, name) for name in training.__struct_fields__} | {"last_day": "2026-01-06"}
    )
    registry.add(1, training=learned)
    knobs: dict[str, dict[str, Any]] = {
        "paths": {"var": folder / "var", "lake": str(folder / "lake")}, "market": {"symbols": ("BTCUSDT", "ETHUSDT")},
    }  # fmt: skip
    workspace = Workspace(settings(knobs), NOW.date())
    workspace.__dict__["store"] = cast("ModelStore", registry)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        day = market(symbol, DAY)
        workspace.lake.write_book(symbol, DAY, day.book, source="test")
        workspace.lake.write_trades(symbol, DAY, day.trades, source="test")
    return workspace, registry


def shown(**changes: Any) -> Shown:
    """What a good candidate shows."""
    one = Estimate(0.1, -0.1, 0.3, 40, 20.0)
    figures = TradedFigures(GOOD, GOOD, GOOD, one, {100: one, 500: one, 1_000: one}, -1.5)
    return replace(Shown("event", STRETCH, figures, 5_000, 0, ""), **changes)


def test_a_stretch_is_cut_out_into_a_lake_of_its_own(tmp_path: Path) -> None:
    """Every row of it, bit for bit, and no other."""
    workspace, _ = rehearsed(tmp_path)
    own = Lake.create(tmp_path / "own")
    rehearsal.cut_out(workspace.lake, own, ["BTCUSDT"], STRETCH)
    book, whole = own.read_book("BTCUSDT", DAY), workspace.lake.read_book("BTCUSDT", DAY)
    inside = (whole.exchange_ns >= STRETCH.start_ns) & (whole.exchange_ns < STRETCH.end_ns)
    assert len(book) == inside.sum() > 0
    assert book.local_ns.tolist() == whole.local_ns[inside].tolist()


def test_a_replay_is_on_paper_below_its_folder_alone(tmp_path: Path) -> None:
    """Neither the lake nor the mirror that trade are named, and no canary is asked for."""
    found = rehearsal.overrides(tmp_path, STRETCH)
    assert (found["FEED_START"], found["FEED_MINUTES"]) == ("2026-01-07T01:00:00", "10")
    assert (found["EXCHANGE_MODE"], found["ROLLOUT_MODE"], found["FEED_KIND"]) == ("paper", "disabled", "lake")
    assert all(found[name].startswith(str(tmp_path)) for name in ("PATHS_VAR", "PATHS_LAKE", "REGISTRY_MIRROR"))


def test_the_gates_are_the_configurations(tmp_path: Path) -> None:
    """The target that tau_entry was chosen for, the floor that also rolls back."""
    found = rehearsal.rules_of(settings({"release": {"fill_rate_floor": 0.1}, "evaluation": {"precision_target": 0.6}}))
    assert (found.winrate, found.fill_rate, found.markout_bps, found.min_trades) == (0.6, 0.1, 0.0, 30)


def test_what_was_found_is_added_to_the_versions_run(tmp_path: Path) -> None:
    """Numbers under names that tell the stretch, the gate that refused as a tag."""
    workspace, registry = rehearsed(tmp_path)
    told = [shown(differing=2, first_difference="BTCUSDT-7")]
    gates = judge(told, rehearsal.rules_of(workspace.settings))
    version = registry.versions()[0]
    rehearsal.record(workspace, version, told, gates)
    assert registry.added["run_id"] == "run1"
    assert registry.added["metrics"]["rehearsal_event_parity_mismatches"] == 2.0
    assert registry.added["tags"]["rehearsal"].startswith("parity (event): 2 of 5,000 differ")
    assert json.loads(registry.added["artifacts"]["rehearsal/gates.json"])["passed"] is False


def test_every_gate_has_its_line(tmp_path: Path) -> None:
    """Passed or failed, and the profit, which is no gate."""
    screen = io.StringIO()
    gates = judge([shown(differing=1)], rehearsal.rules_of(settings({})))
    rehearsal.show(Console(file=screen, width=160, color_system=None), [shown()], gates)
    said = screen.getvalue()
    assert re.search(r"parity +│ event .*failed", said)
    assert re.search(r"winrate +│ event .*passed", said)
    assert "profit after fees, quote units (no gate): event -1.50" in said


@needs_redis
@pytest.mark.slow
def test_a_candidate_is_replayed_over_three_stretches_and_compared_with_the_lake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the real services: every scored row is the lake's, every margin the bundle's, and the lake is as it was."""
    workspace, registry = rehearsed(tmp_path)
    for name, value in {
        "MARKET_SYMBOLS": "BTCUSDT,ETHUSDT",
        "WARMUP_SECONDS": "20",
        "RISK_PRECISION_FLOOR": "0",
    }.items():
        monkeypatch.setenv(name, value)
    before = {table: workspace.lake.partitions(table) for table in ("book", "live_scores", "outcomes", "reports")}
    screen = io.StringIO()
    found = rehearsal.rehearse(Console(file=screen, width=160), workspace, registry.versions()[0], 30, NOW)
    assert [each.kind for each in found] == ["normal", "event", "high_volatility"]
    assert all(each.compared > 0 and each.differing == 0 for each in found), [each.first_difference for each in found]
    assert {table: workspace.lake.partitions(table) for table in before} == before
    assert "high volatility 2026-01-07 " in screen.getvalue()
