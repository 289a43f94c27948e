"""Which section of docs/runbook.md tells what to do: by the reason of a halt, a rollback or an alert, or by a metric.

A section is named by the anchor of its heading, as GitHub and MLflow's pages make it.
"""

from collections.abc import Mapping
from typing import Final

PAGE: Final = "docs/runbook.md"
BOARD: Final = "tidegate-runbook"
"""Grafana's uid of the page as a dashboard, which has a panel for each section."""

SECTIONS: Final[Mapping[str, str]] = {
    "precision-halt": "Precision Halt",
    "volatility-halt": "Volatility Halt",
    "parity-fail": "Parity Fail",
    "drift-breach": "Drift Breach",
    "throughput-spike": "Throughput Spike",
    "warm-up-gate-active": "Warm-up Gate Active",
    "zero-liquidity--stale-book": "Zero Liquidity / Stale Book",
    "rollback-guard-trigger": "Rollback Guard Trigger",
    "fail-safe-alert": "Fail-safe Alert",
    "backpressure--queue-build-up": "Backpressure / Queue Build-up",
    "data-gaps--quality-issues": "Data Gaps / Quality Issues",
    "operational-commands": "Operational Commands",
}
"""The title of each section by its anchor, in the order of the page."""

OF_REASON: Final[Mapping[str, str]] = {
    "precision_halt": "precision-halt",
    "calibration": "precision-halt",
    "volatility_halt": "volatility-halt",
    "onnx_parity_fail": "parity-fail",
    "model_error": "parity-fail",
    "psi_feature": "drift-breach",
    "ks_feature": "drift-breach",
    "throughput": "throughput-spike",
    "trade_rate": "throughput-spike",
    "stale_market": "zero-liquidity--stale-book",
    "winrate_delta": "rollback-guard-trigger",
    "winrate_seq": "rollback-guard-trigger",
    "markout": "rollback-guard-trigger",
    "fill_rate": "rollback-guard-trigger",
    "post_promotion": "rollback-guard-trigger",
    "canary_unjudged": "rollback-guard-trigger",
    "pnl_guard": "fail-safe-alert",
    "near_liquidation": "fail-safe-alert",
    "venue_error": "fail-safe-alert",
    "journal_error": "fail-safe-alert",
    "redis_error": "fail-safe-alert",
    "order_mismatch": "fail-safe-alert",
    "restart_loop": "fail-safe-alert",
    "other": "fail-safe-alert",
    "poison_message": "backpressure--queue-build-up",
    "grid_changed": "data-gaps--quality-issues",
    "delisted": "data-gaps--quality-issues",
    "beyond_int32": "data-gaps--quality-issues",
    "external_move": "operational-commands",
    "operator": "operational-commands",
}
"""The section of each reason that monitoring.metrics declares, for halts and for rollbacks."""

OF_METRIC: Final[Mapping[str, str]] = {
    "precision": "precision-halt",
    "ece_online": "precision-halt",
    "volatility_bps": "volatility-halt",
    "onnx_parity_fail_total": "parity-fail",
    "model_swap_refused_total": "parity-fail",
    "psi_feature": "drift-breach",
    "ks_feature": "drift-breach",
    "trades_per_hour": "throughput-spike",
    "warmup_drop_total": "warm-up-gate-active",
    "book_age_seconds": "zero-liquidity--stale-book",
    "liquidity_by_side": "zero-liquidity--stale-book",
    "near_liq_guard": "zero-liquidity--stale-book",
    "rollback_total": "rollback-guard-trigger",
    "registry_divergence": "rollback-guard-trigger",
    "fail_safe_trigger_total": "fail-safe-alert",
    "heartbeat_age_seconds": "fail-safe-alert",
    "backpressure_active": "backpressure--queue-build-up",
    "backpressure_total": "backpressure--queue-build-up",
    "stream_depth": "backpressure--queue-build-up",
    "parquet_gap_detected_ms": "data-gaps--quality-issues",
    "exchange_reference_mismatch_total": "data-gaps--quality-issues",
}
"""The section of each metric that an alert may watch."""

_FEATURE_REASONS = ("psi_feature", "ks_feature")


def section_of(reason: str) -> str:
    """Return the anchor for a reason, a feature's own (psi_feature_NAME) too; that of `other` for a strange one."""
    for prefix in _FEATURE_REASONS:
        if reason.startswith(f"{prefix}_"):
            return OF_REASON[prefix]
    return OF_REASON.get(reason, OF_REASON["other"])


def section_number(anchor: str) -> int:
    """The panel of a section on the runbook's dashboard, from 1. Raises KeyError."""
    return {each: number for number, each in enumerate(SECTIONS, 1)}[anchor]


def section_address(runbook: str, anchor: str, grafana: str = "") -> str:
    """Where a browser reads a section: behind the runbook's own address, or in Grafana where `runbook` is no address.

    `grafana` is what Grafana's addresses begin with, empty for a link within it. A link from elsewhere ends in the
    section's name, for people without Grafana: `python -m tidegate runbook` takes it. Raises KeyError.
    """
    if "://" in runbook:
        return f"{runbook}#{anchor}"
    return f"{grafana}/d/{BOARD}/{BOARD}?viewPanel={section_number(anchor)}{f'#{anchor}' if grafana else ''}"


def link_of(reason: str) -> str:
    """Return where to read on: page and anchor."""
    return f"{PAGE}#{section_of(reason)}"
