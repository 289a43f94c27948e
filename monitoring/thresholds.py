"""Every number that an alert shares with a panel's line and a gate: it stands here once.

The defaults of the configuration are set from here, the rules and the panels' lines too. `Thresholds` and `Spans`
carry an operator's own values, into files that `python -m tidegate monitoring write` makes for him.
"""

from dataclasses import dataclass, fields, replace
from typing import Final

# Is the model good?
WIN_RATE_FLOOR: Final = 0.5
"""Precision of a route, share: under it most approvals lose."""
CANARY_DELTA_PP: Final = 5.0
"""Win rate of the canary under the active model's promise, percentage points."""
CANARY_ALERT_SAMPLE: Final = 100
"""Judged signals of a canary before its win rate may page anybody; three bad trades are no news."""
PSI_WARN: Final = 0.20
PSI_BLOCK: Final = 0.30
KS_BLOCK: Final = 0.20
"""Kolmogorov-Smirnov distance."""
ECE_BLOCK: Final = 0.05
"""Debiased calibration error, share."""
BRIER_MARGIN: Final = 0.01
"""Brier score over the one at training: even a model that is as good as then lies over it half of the time."""

# Is execution healthy?
THROUGHPUT_RATIO: Final = 1.5
"""Entries of an hour over the 95th percentile of the release before, times."""
FILL_RATE_FLOOR_ALERT: Final = 0.25
"""Share of entry orders that fill; the floor that withdraws a version is release.fill_rate_floor."""
FILL_RATE_FLOOR: Final = 0.05
MARKOUT_FLOOR_BPS: Final = -2.0
LADDER_RISE_RATIO: Final = 1.2
"""Orders of the high bucket, their rate over the rate of half an hour before, times."""
CANARY_FRACTION_TOLERANCE: Final = 0.03
"""Realized share of the canary off its target, share: 3 percentage points."""
CANARY_FRACTION_SAMPLE: Final = 500
"""Signals since the share was last moved, before the realized one may page: fewer are off by luck alone."""
QUEUE_LENGTH: Final = 200
"""Approvals that wait."""

# Are the guards quiet, and is the platform well?
PRECISION_FLOOR: Final = 0.25
"""Precision that halts, share."""
STALE_BOOK_SECONDS: Final = 3.0
STALE_MARKET_SECONDS: Final = 15.0
VOLATILITY_HALT_BPS: Final = 30.0
SPREAD_BPS: Final = 5.0
NEAR_LIQUIDATION_BPS: Final = 300.0
WARMUP_SECONDS: Final = 120.0
WARMUP_RECOVER_SECONDS: Final = 300.0
GAP_SECONDS: Final = 60.0
"""Silence of the book in the lake."""
REGISTRY_SILENT_SECONDS: Final = 60.0
SERVICE_SILENT_SECONDS: Final = 15.0
"""Age of a service's heartbeat; it leaves one each second."""
SENSOR_SILENT_SECONDS: Final = 60.0
"""Age of a sensor's heartbeat; the release sensors look every few seconds."""

# How far back alerts look, and how long something must be so before they fire.
PARITY_MINUTES: Final = 10.0
DRIFT_MINUTES: Final = 30.0
COOLDOWN_MINUTES: Final = 15.0
FAIL_SAFE_COOLDOWN_SECONDS: Final = 900.0
REFERENCE_CHECK_MINUTES: Final = 60.0


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The values that conditions compare with; the units are those of the constants above."""

    win_rate_floor: float = WIN_RATE_FLOOR
    canary_delta_pp: float = CANARY_DELTA_PP
    canary_alert_sample: int = CANARY_ALERT_SAMPLE
    psi_block: float = PSI_BLOCK
    ks_block: float = KS_BLOCK
    ece_block: float = ECE_BLOCK
    brier_margin: float = BRIER_MARGIN
    throughput_ratio: float = THROUGHPUT_RATIO
    fill_rate_floor_alert: float = FILL_RATE_FLOOR_ALERT
    fill_rate_floor: float = FILL_RATE_FLOOR
    markout_floor_bps: float = MARKOUT_FLOOR_BPS
    ladder_rise_ratio: float = LADDER_RISE_RATIO
    canary_fraction_tolerance: float = CANARY_FRACTION_TOLERANCE
    canary_fraction_sample: int = CANARY_FRACTION_SAMPLE
    queue_length: int = QUEUE_LENGTH
    precision_floor: float = PRECISION_FLOOR
    stale_book_seconds: float = STALE_BOOK_SECONDS
    stale_market_seconds: float = STALE_MARKET_SECONDS
    volatility_halt_bps: float = VOLATILITY_HALT_BPS
    spread_bps: float = SPREAD_BPS
    near_liquidation_bps: float = NEAR_LIQUIDATION_BPS
    gap_seconds: float = GAP_SECONDS
    registry_silent_seconds: float = REGISTRY_SILENT_SECONDS
    service_silent_seconds: float = SERVICE_SILENT_SECONDS
    sensor_silent_seconds: float = SENSOR_SILENT_SECONDS


@dataclass(frozen=True, slots=True)
class Spans:
    """Times in seconds: `..._window` is how far a condition looks back, `..._for` how long it must hold."""

    win_rate_for: float = 600.0
    canary_for: float = 1_800.0
    parity_window: float = PARITY_MINUTES * 60.0
    drift_window: float = DRIFT_MINUTES * 60.0
    calibration_for: float = 600.0
    throughput_for: float = 300.0
    ladder_window: float = 600.0
    ladder_before: float = 1_800.0
    execution_for: float = 300.0
    canary_fraction_for: float = 900.0
    service_for: float = 60.0
    warmup_window: float = 300.0
    warmup_for: float = 2.0 * (WARMUP_SECONDS + WARMUP_RECOVER_SECONDS)
    stale_book_for: float = 30.0
    backpressure_for: float = 60.0
    fail_safe_window: float = FAIL_SAFE_COOLDOWN_SECONDS
    gap_for: float = 60.0
    reference_window: float = 2.0 * REFERENCE_CHECK_MINUTES * 60.0
    model_sync_for: float = 60.0
    divergence_for: float = 120.0
    rollback_window: float = COOLDOWN_MINUTES * 60.0
    sensor_for: float = 60.0

    def shortened(self, times: float, least: float) -> "Spans":
        """The same times, so many times shorter, none under `least` seconds: for a rehearsal on a real Prometheus."""
        return replace(self, **{each.name: max(least, getattr(self, each.name) / times) for each in fields(self)})
