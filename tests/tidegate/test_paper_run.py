import io
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from archive.store import Lake
from registry.manifest import Mirror
from registry.store import ModelStore
from registry.versions import Version
from tests.bus.servers import needs_redis
from tests.journeys.played import overrides
from tests.live.mirrors import Models
from tests.live.parts import settings
from tests.live.registries import FakeRegistry
from tidegate.live_stack import StackError
from tidegate.paper_run import costs_of, replay_of, run, seat, skew_of

Knobs = dict[str, dict[str, Any]]


@dataclass
class Registry(FakeRegistry):
    """One whose aliases can be moved."""

    def set_alias(self, alias: str, number: int) -> None:
        """As the store."""
        self.aliases[alias] = number


def trained(folder: Path, **changes: Any) -> tuple[ModelStore, Version, Models]:
    """A registry with one version, as a training leaves it, and the mirror nobody has filled yet."""
    models = Models(folder / "bundles", folder / "mirror")
    registry = Registry(models)
    registry.add(1, **changes)
    return cast("ModelStore", registry), registry.versions()[0], models


def test_the_version_just_trained_is_seated_in_a_mirror_of_its_own(tmp_path: Path) -> None:
    """And no alias is moved for it."""
    store, version, models = trained(tmp_path)
    knobs: Knobs = {"registry": {"mirror": str(models.root)}, "paths": {"var": tmp_path / "var"}}
    seat(settings(knobs), store, version, tmp_path / "rehearsal")
    assert cast("FakeRegistry", store).aliases == {}
    folder = Mirror(tmp_path / "rehearsal").slot("active")
    assert folder is not None
    assert folder.name == f"v1-{version.sha256[:12]}"
    assert models.mirror.slot("active") is None


def test_a_version_that_may_not_trade_ends_the_run(tmp_path: Path) -> None:
    """With what does not fit."""
    store, version, models = trained(tmp_path, schema_hash="00" * 32)
    knobs: Knobs = {"registry": {"mirror": str(models.root)}, "paths": {"var": tmp_path / "var"}}
    with pytest.raises(StackError, match=r"cannot trade here: .*schema"):
        seat(settings(knobs), store, version, tmp_path / "rehearsal")


def test_a_simulated_market_goes_on_with_a_day_nobody_has_seen() -> None:
    """An hour of the day behind the last one, or as long as feed.minutes says; never for real."""
    market: Knobs = {"market": {"last_day": date(2026, 1, 7)}}
    environ, words = replay_of(settings(market), date(2026, 1, 7))
    assert environ["FEED_START"] == "2026-01-08T13:00:00"
    assert (environ["FEED_KIND"], environ["FEED_SPEED"], environ["FEED_MINUTES"]) == ("simulator", "0", "60")
    assert environ["EXCHANGE_MODE"] == "paper"
    assert words == "60 simulated minutes of 2026-01-08, a day not seen"
    shorter, words = replay_of(settings({**market, "feed": {"minutes": 2.5}}), None)
    assert shorter["FEED_MINUTES"] == "2.5"
    assert words.startswith("2.5 simulated minutes")


def test_recorded_days_are_replayed_from_the_lake_on_the_test_day(tmp_path: Path) -> None:
    """Or, where there is none, on the first."""
    recorded: Knobs = {
        "source": {"kind": "standx", "path": tmp_path}, "market": {"first_day": date(2026, 1, 6)},
    }  # fmt: skip
    environ, words = replay_of(settings(recorded), date(2026, 1, 7))
    assert (environ["FEED_KIND"], environ["FEED_START"]) == ("lake", "2026-01-07T12:00:00")
    assert words == "60 recorded minutes of 2026-01-07, the test day"
    assert replay_of(settings(recorded), None)[0]["FEED_START"] == "2026-01-06T12:00:00"


@needs_redis
def test_the_run_trades_on_paper_and_leaves_what_it_showed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The services are a process of their own, with streams and state below var/demo alone."""
    store, version, models = trained(tmp_path)
    knobs: Knobs = {
        "registry": {"mirror": str(models.root)}, "feed": {"minutes": 3.0},
        "paths": {"var": tmp_path / "var", "lake": str(tmp_path / "lake")}, "market": {"last_day": date(2026, 1, 7)},
    }  # fmt: skip
    for name, value in overrides(tmp_path).items():
        monkeypatch.setenv(name, value)
    stale = tmp_path / "var" / "demo" / "live" / "executor" / "executor.journal"
    stale.parent.mkdir(parents=True)
    stale.write_text("a run of another day")
    screen = io.StringIO()
    found = run(Console(file=screen, width=160, color_system=None), settings(knobs), store, version, None)
    assert "live on paper over 3 simulated minutes of 2026-01-08" in screen.getvalue()
    assert found.market_seconds == 180.0
    assert found.wall_seconds > 0
    assert re.fullmatch(r"0 of \d\d+", found.skew), "what live scored is what the recorder's lake gives"
    assert found.folder == tmp_path / "var" / "demo"
    assert not stale.read_bytes().startswith(b"a run")
    shown = found.scrape
    assert shown.total("candidates_total") > 50
    assert shown.total("scores_total") == shown.total("candidates_total")
    assert shown.total("approvals_total") > 0
    assert not (tmp_path / "var" / "live").joinpath("executor").exists(), "the demo's state is its own"


def test_what_a_trade_can_bring_stands_beside_what_it_pays() -> None:
    """In by the maker's fee, out by the taker's, of the dearest symbol."""
    assert costs_of(settings({"label": {"tp_pct": 0.001}})) == "target 10.0 bps, fees 7.0 bps a round trip"


def test_a_day_on_which_nothing_was_scored_has_no_skew(tmp_path: Path) -> None:
    """Nothing of nothing, and no error."""
    Lake.create(tmp_path / "lake")
    nothing = settings({"paths": {"lake": str(tmp_path / "lake")}})
    assert skew_of(nothing, date(2026, 1, 8)) == "0 of 0"
