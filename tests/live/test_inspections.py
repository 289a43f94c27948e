"""Scheduled looks of a running risk service reach the metrics, and differences are told once."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from archive.layout import day_bounds_ns
from archive.store import Lake
from bus.messages import ControlEvent
from registry.card import encode
from tests.archive.lakes import SECOND_NS, put_book
from tests.live.cards import card
from tests.live.risk_market import Stage
from tests.live.test_schedules import exchange_info, serving


def _sections(tmp_path: Path, **risk: Any) -> dict[str, dict[str, Any]]:
    return {"paths": {"lake": str(tmp_path / "lake")}, "risk": risk}


def test_the_lakes_newest_day_is_scanned(tmp_path: Path) -> None:
    """In milliseconds and in seconds; 0 is said too; a symbol without a day is not."""
    lake = Lake.create(tmp_path / "lake")
    first_ns = day_bounds_ns(date(2026, 1, 7))[0]
    times = first_ns + np.array([0, 10, 310, 320], np.int64) * SECOND_NS
    put_book(lake, "BTCUSDT", date(2026, 1, 7), times)
    stage = Stage(tmp_path, _sections(tmp_path))
    stage.pass_seconds(21)
    assert stage.value("parquet_gap_detected_seconds", symbol="BTCUSDT") == 300.0
    assert stage.value("parquet_gap_detected_ms", symbol="BTCUSDT") == 300_000.0


def test_differences_with_the_venue_are_counted_and_told_once(tmp_path: Path) -> None:
    """Until they are mended and come back."""
    saved = tmp_path / "info.json"
    saved.write_text(json.dumps(exchange_info(tick="0.50")))
    stage = Stage(tmp_path, _sections(tmp_path, exchange_info=str(saved), reference_check_minutes=1.0))
    stage.pass_seconds(70)
    assert stage.value("exchange_reference_mismatch_total", symbol="BTCUSDT") == 1
    (event,) = [each for each in stage.out.of(ControlEvent) if each.reason != "stale_market"]
    assert (event.event, event.severity, event.reason, event.symbol) == ("ALERT", "WARN", "venue_error", "BTCUSDT")
    assert event.text == "BTCUSDT: price_tick is 0.1, binance says 0.5"
    saved.write_text(json.dumps(exchange_info()))
    stage.pass_seconds(60)
    saved.write_text(json.dumps(exchange_info(tick="0.50")))
    stage.pass_seconds(60)
    assert stage.value("exchange_reference_mismatch_total", symbol="BTCUSDT") == 2


def test_a_live_feed_is_asked_for_its_filters(tmp_path: Path) -> None:
    """At the feed's own address; a simulator has no venue to ask."""
    with serving(json.dumps(exchange_info(tick="0.50")).encode()) as (url, asked):
        stage = Stage(tmp_path, {**_sections(tmp_path), "feed": {"kind": "binance", "rest_url": url}})
        stage.pass_seconds(7)
    assert asked == ["/fapi/v1/exchangeInfo"]
    assert stage.value("exchange_reference_mismatch_total", symbol="BTCUSDT") == 1
    quiet = Stage(tmp_path / "quiet", _sections(tmp_path))
    quiet.pass_seconds(7)
    assert quiet.value("exchange_reference_mismatch_total", symbol="BTCUSDT") is None


def test_a_look_that_fails_is_only_logged(tmp_path: Path) -> None:
    """The venue may be away; the next look finds it."""
    saved = tmp_path / "info.json"
    stage = Stage(tmp_path, _sections(tmp_path, exchange_info=str(saved), reference_check_minutes=1.0))
    stage.pass_seconds(7)
    assert stage.out.said == []
    saved.write_text(json.dumps(exchange_info(tick="0.50")))
    stage.pass_seconds(61)
    assert stage.value("exchange_reference_mismatch_total", symbol="BTCUSDT") == 1


def test_what_the_active_model_promised(tmp_path: Path) -> None:
    """The card's baseline, from the mirror alone."""
    folder = tmp_path / "mirror" / "active"
    folder.mkdir(parents=True)
    (folder / "model.json").write_bytes(encode(card(winrate=0.55, per_hour_p95=90.0, brier=0.21)))
    stage = Stage(tmp_path, _sections(tmp_path))
    stage.pass_seconds(2)
    assert stage.value("winrate_baseline_active") == 0.55
    assert stage.value("brier_baseline_active") == 0.21
    assert stage.value("trades_per_hour_prev_release_p95") == 90.0
