import io
import logging
import time
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from config.settings import Settings
from pipelines.partitions import Cell
from registry.journal import read_head
from tests.pipelines.days import settings
from tidegate.demo import run, tell

GAPPED = Cell(date(2026, 1, 5), "BTCUSDT")


def environ_of(settings: Settings) -> dict[str, str]:
    """Every knob that is not its default, as the environment has it."""
    found: dict[str, str] = {}
    for section, knobs in settings.model_dump(mode="json", exclude_defaults=True).items():
        for name, value in knobs.items():
            text = ",".join(value) if isinstance(value, list) else str(value)
            found[f"{section}_{name}".upper()] = text
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_the_demo_tells_what_it_finds_repairs_it_and_ends_with_a_version_that_trades(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The damaged partition is named, repaired and used; the outcome carries the version and where the time went."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    tiny = settings(
        tmp_path,
        market={"symbols": (GAPPED.symbol,), "last_day": date(2026, 1, 6)},
        simulator={"depth_interval_ms": 5_000, "order_flow_effect": 0.8, "gap_day": GAPPED.day},
        candidate={"interval_ms": 10_000},
        label={"tp_pct": 0.0006, "sl_pct": 0.0006, "horizon_seconds": 60},
        # The story is told here; what a model of one day is worth is judged elsewhere.
        evaluation={"auc_min": 0.5, "ece_max": 0.5},
        gates={"stale_book_ms": 20_000},
        feed={"minutes": 4.0},
        registry={"mirror": str(tmp_path / "mirror")},
    )
    for name, value in environ_of(tiny).items():  # the live services are another process, which reads it there
        monkeypatch.setenv(name, value)
    screen = io.StringIO()
    outcome = tell(Console(file=screen, width=200, color_system=None), tiny, time.perf_counter(), with_releases=False)
    told = screen.getvalue()
    assert outcome.version == "signal_scorer version 1"
    assert (outcome.repaired, outcome.left_out) == ([str(GAPPED.key)], [])
    assert outcome.metrics["parity_margin_mismatches"] == 0.0
    assert 0.0 < outcome.body_seconds < outcome.run_seconds < outcome.wall_seconds
    assert f"damaged {GAPPED.key}: silent for 15" in told
    assert f"{GAPPED.key} repaired" in told
    steps = ("1  market data", "2  backfill", "3  features", "4  model", "5  live on paper")
    assert sorted(steps, key=told.index) == list(steps)
    shown = outcome.paper.scrape
    assert shown.total("candidates_total") == shown.total("scores_total", slot="active") > 0
    (model,) = shown.matching("model_info", slot="active")
    assert model.labels["version"] == "1"
    assert read_head(tmp_path / "mirror").slots.active == 1, "nothing traded yet, so it was activated"
    assert (outcome.state, outcome.story) == ("active", None)
    assert list((tmp_path / "mirror" / "active").iterdir())


def test_a_wrong_setting_ends_the_demo_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1, the variable named, and the log handlers as they were."""
    for name in ("DO_NOT_TRACK", "OMP_NUM_THREADS", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "DAGSTER_HOME"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PATHS_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("LABEL_HORIZON_SECONDS", "0")
    handlers = list(logging.getLogger().handlers)
    assert run(None) == 1
    told = capsys.readouterr().err
    assert told.startswith("demo stopped:")
    assert "LABEL_HORIZON_SECONDS" in told
    assert logging.getLogger().handlers == handlers
    assert not (tmp_path / "var").exists()
