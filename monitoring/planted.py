"""Conditions planted in metrics of our own, one for each alert: what a stack in that trouble would show.

A stage holds a service's metrics for each service, served as the services serve theirs; nothing on it is in trouble
until a condition is planted.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import CollectorRegistry

from monitoring.metrics import Metrics
from monitoring.processes import EXPECTED, RELEASE_SENSORS, SERVICES
from monitoring.thresholds import Thresholds

SYMBOL: Final = "BTCUSDT"
FEATURE: Final = "spread_bps"
_QUIET_SECONDS: Final = 0.5
_BEYOND: Final = 1.5
"""A planted value lies so many times beyond its limit."""


def _metrics() -> Metrics:
    return Metrics(CollectorRegistry())


@dataclass(frozen=True, slots=True)
class Stage:
    """Metrics by service, quiet at first."""

    collector: Metrics = field(default_factory=_metrics)
    signal_engine: Metrics = field(default_factory=_metrics)
    ai_scorer: Metrics = field(default_factory=_metrics)
    executor: Metrics = field(default_factory=_metrics)
    risk: Metrics = field(default_factory=_metrics)
    model_sync: Metrics = field(default_factory=_metrics)

    def __post_init__(self) -> None:
        for name in SERVICES:
            metrics: Metrics = getattr(self, name)
            metrics.touch([SYMBOL], [FEATURE])
            metrics.service_ready.labels(name).set(1)
            for each in EXPECTED:
                metrics.heartbeat_age_seconds.labels(each).set(_QUIET_SECONDS)
        self.risk.expect([SYMBOL], [FEATURE])
        self.risk.parquet_gap_detected_seconds.labels(SYMBOL).set(0)
        self.collector.book_age_seconds.labels(SYMBOL).set(_QUIET_SECONDS)
        self.executor.stream_depth.labels("sig:approved", "executor").set(0)

    def serve(self) -> Mapping[str, str]:
        """Serve every page on a free port of loopback; HOST:PORT by service."""
        return {name: f"127.0.0.1:{getattr(self, name).serve(0)}" for name in SERVICES}


@dataclass(frozen=True, slots=True)
class Condition:
    """A trouble: `text` in words; `plant` makes it, again and again while it lasts; `clear` ends it.

    What counts events needs no clearing: it is over when its window has passed. `times` counts how often it was
    planted, from 0 on.
    """

    text: str
    plant: Callable[[Stage, Thresholds, int], object]
    clear: Callable[[Stage], object] = lambda _stage: None
    is_event: bool = False
    """Whether it is planted once, not for as long as it lasts."""


def _low_precision(stage: Stage, limits: Thresholds, _times: int) -> None:
    stage.risk.winrate_baseline_active.set(limits.win_rate_floor)
    stage.risk.rolling_sample.labels("paper").set(limits.canary_alert_sample)
    stage.risk.rolling_precision.labels("paper").set(0.5 * limits.win_rate_floor)


def _weak_canary(stage: Stage, limits: Thresholds, _times: int) -> None:
    stage.ai_scorer.canary_fraction_target.set(0.1)
    stage.ai_scorer.canary_fraction_realized.set(0.1)
    stage.risk.winrate_baseline_active.set(limits.win_rate_floor)
    stage.risk.winrate_canary.set(limits.win_rate_floor - _BEYOND * limits.canary_delta_pp / 100.0)
    stage.risk.sample_canary.set(limits.canary_alert_sample)


def _off_target(stage: Stage, limits: Thresholds, _times: int) -> None:
    stage.ai_scorer.canary_fraction_target.set(0.1)
    stage.ai_scorer.canary_fraction_realized.set(0.1 + _BEYOND * limits.canary_fraction_tolerance)
    stage.ai_scorer.canary_fraction_sample.set(limits.canary_fraction_sample)


def _drifted(stage: Stage, limits: Thresholds, _times: int) -> None:
    stage.risk.drift_armed.labels(FEATURE).set(1)
    stage.risk.drift_psi_line.labels(FEATURE).set(limits.psi_block)
    stage.risk.psi_feature.labels(FEATURE).set(_BEYOND * limits.psi_block)


def _busy(stage: Stage, limits: Thresholds, _times: int) -> None:
    stage.risk.trades_per_hour_prev_release_p95.set(100)
    stage.risk.trades_per_hour.set(100 * _BEYOND * limits.throughput_ratio)


def _bolder(stage: Stage, limits: Thresholds, times: int) -> None:
    stage.risk.fill_rate_rolling.labels("paper").set(0.5 * limits.fill_rate_floor_alert)
    # More of them each time, or the rate does not rise.
    stage.executor.exec_ladder_aggressiveness_total.labels("high").inc(2.0 ** min(times, 60))


CONDITIONS: Final[Mapping[str, Condition]] = {
    "WinRateDrop": Condition(
        "a route's precision at half its floor, 100 judged", _low_precision,
        lambda stage: stage.risk.rolling_precision.labels("paper").set(1.0),
    ),
    "CalibrationOutOfSpec": Condition(
        "calibration error 1.5 times its limit",
        lambda stage, limits, _times: stage.risk.ece_online.set(_BEYOND * limits.ece_block),
        lambda stage: stage.risk.ece_online.set(0.0),
    ),
    "DriftDetected": Condition(
        "PSI of an armed feature 1.5 times its limit", _drifted,
        lambda stage: stage.risk.psi_feature.labels(FEATURE).set(0.0),
    ),
    "OnnxParityFailure": Condition(
        "one bundle failed", lambda stage, _limits, _times: stage.model_sync.onnx_parity_fail_total.inc(), is_event=True
    ),
    "ThroughputSpike": Condition(
        "entries 2.25 times the release before", _busy, lambda stage: stage.risk.trades_per_hour.set(0)
    ),
    "ExecutionDegradation": Condition(
        "fill rate at half its floor, bold orders ever more", _bolder,
        lambda stage: stage.risk.fill_rate_rolling.labels("paper").set(1.0),
    ),
    "BackpressureHigh": Condition(
        "approvals waiting 1.5 times the limit",
        lambda stage, limits, _times: stage.executor.stream_depth.labels("sig:approved", "executor").set(
            _BEYOND * limits.queue_length
        ),
        lambda stage: stage.executor.stream_depth.labels("sig:approved", "executor").set(0),
    ),
    "FailSafeTriggered": Condition(
        "one fall back to paper",
        lambda stage, _limits, _times: stage.executor.fail_safe_trigger_total.labels("venue_error").inc(),
        is_event=True,
    ),
    "CanaryWinrateDrop": Condition(
        "canary 7.5 points under the promise, 100 judged", _weak_canary,
        lambda stage: stage.risk.sample_canary.set(0),
    ),
    "CanaryFractionDeviation": Condition(
        "share 4.5 points over its target, 500 signals", _off_target,
        lambda stage: stage.ai_scorer.canary_fraction_realized.set(0.1),
    ),
    "RollbackHappened": Condition(
        "one rollback", lambda stage, _limits, _times: stage.risk.rollback_total.labels("winrate_delta").inc(),
        is_event=True,
    ),
    "RegistryDivergence": Condition(
        "divergence shown", lambda stage, _limits, _times: stage.model_sync.registry_divergence.set(1),
        lambda stage: stage.model_sync.registry_divergence.set(0),
    ),
    "ModelSyncStale": Condition(
        "registry silent 1.5 times the limit",
        lambda stage, limits, _times: stage.model_sync.model_sync_age_seconds.set(
            _BEYOND * limits.registry_silent_seconds
        ),
        lambda stage: stage.model_sync.model_sync_age_seconds.set(0),
    ),
    "StaleBook": Condition(
        "book 1.5 times the limit old",
        lambda stage, limits, _times: stage.collector.book_age_seconds.labels(SYMBOL).set(
            _BEYOND * limits.stale_book_seconds
        ),
        lambda stage: stage.collector.book_age_seconds.labels(SYMBOL).set(_QUIET_SECONDS),
    ),
    "WarmupStuck": Condition(
        "warm-up drops without end",
        lambda stage, _limits, _times: stage.executor.warmup_drop_total.labels(SYMBOL).inc(),
    ),
    "DataGap": Condition(
        "a gap 1.5 times the limit long",
        lambda stage, limits, _times: stage.risk.parquet_gap_detected_seconds.labels(SYMBOL).set(
            _BEYOND * limits.gap_seconds
        ),
        lambda stage: stage.risk.parquet_gap_detected_seconds.labels(SYMBOL).set(0),
    ),
    "ExchangeReferenceMismatch": Condition(
        "one differing field",
        lambda stage, _limits, _times: stage.risk.exchange_reference_mismatch_total.labels(SYMBOL).inc(),
        is_event=True,
    ),
    "ServiceDown": Condition(
        "signal_engine shows nothing",
        lambda stage, _limits, _times: stage.signal_engine.service_ready.clear(),
        lambda stage: stage.signal_engine.service_ready.labels("signal_engine").set(1),
    ),
    "SensorSilent": Condition(
        "a heartbeat 1.5 times the limit old",
        lambda stage, limits, _times: stage.risk.heartbeat_age_seconds.labels(RELEASE_SENSORS[0]).set(
            _BEYOND * limits.sensor_silent_seconds
        ),
        lambda stage: stage.risk.heartbeat_age_seconds.labels(RELEASE_SENSORS[0]).set(_QUIET_SECONDS),
    ),
}  # fmt: skip
"""By the alert that it fires."""
