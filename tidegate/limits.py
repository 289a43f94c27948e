"""The numbers of monitoring.thresholds as this configuration has them: an operator's alerts and panels follow him."""

from config.settings import Settings
from monitoring.thresholds import Thresholds


def limits_of(settings: Settings) -> Thresholds:
    """Thresholds with every value that is also a knob taken from the knob."""
    release, risk, gates = settings.release, settings.risk, settings.gates
    return Thresholds(
        canary_delta_pp=release.winrate_delta_pp,
        psi_block=settings.evaluation.psi_block,
        ks_block=settings.evaluation.ks_block,
        ece_block=release.ece_block,
        throughput_ratio=release.throughput_ratio,
        fill_rate_floor=release.fill_rate_floor,
        markout_floor_bps=release.markout_floor_bps,
        queue_length=settings.backpressure.max_queue_len,
        precision_floor=risk.precision_floor,
        stale_book_seconds=gates.stale_book_ms / 1_000.0,
        stale_market_seconds=risk.stale_market_seconds,
        volatility_halt_bps=risk.volatility_halt_bps,
        spread_bps=gates.max_spread_bps,
        near_liquidation_bps=gates.near_liq_bps,
        gap_seconds=settings.ingest.gap_threshold_seconds,
        registry_silent_seconds=settings.model_sync.stale_seconds,
    )
