"""Panels that answer: are the guards quiet? How figures of several processes are put together: monitoring.model_panels.

Counters by reason have a series for each reason, nearly all of them 0: the sum is always drawn, a reason when it moves.
"""

from monitoring.panel import Limit, Panel, Query
from monitoring.thresholds import Thresholds

_MOST_GATES = 6


def panels(limits: Thresholds) -> tuple[Panel, ...]:
    """The panels, with these numbers as their lines."""
    return (*_releases(limits), *_halts(), *_gates(limits))


def _moved(counter: str, label: str, sum_name: str, name: str) -> tuple[Query, Query]:
    """How far a counter moved in all, and by each value of a label that moved."""
    moves = f"increase({counter}[$__rate_interval])"
    return Query(f"sum({moves})", sum_name), Query(f"sum by ({label}) ({moves}) > 0", f"{name} {{{{{label}}}}}")


def _releases(limits: Thresholds) -> tuple[Panel, ...]:
    tolerance = f"{limits.canary_fraction_tolerance:g}"
    return (
        Panel(
            "parity-and-schema", "Parity and schema", "guards",
            "Exports whose golden rows were answered otherwise, bundles refused, and partitions of a schema that is "
            "not the reader's. One is too many.", "count",
            (
                Query("sum(increase(onnx_parity_fail_total[$__rate_interval]))", "parity failures"),
                *_moved("model_swap_refused_total", "reason", "bundles refused", "refused:"),
                Query(
                    "sum(increase(archive_schema_refused_total[$__rate_interval])) or vector(0)", "partitions refused"
                ),
            ),
            "parity-fail", (Limit(0.0, "above", "alert, rollback", of="parity failures"),), kind="steps",
        ),
        Panel(
            "rollouts-and-modes", "Rollbacks and mode switches", "guards",
            "Versions withdrawn, by reason, and switches between paper and real.", "count",
            (
                *_moved("rollback_total", "reason", "rollbacks", "rollback:"),
                Query("sum by (from, to) (increase(mode_switch_total[$__rate_interval]))", "{{from}} to {{to}}"),
            ),
            "rollback-guard-trigger", (Limit(0.0, "above", "alert", of="rollbacks"),), kind="steps",
        ),
        Panel(
            "canary-fraction", "Canary share", "guards",
            "Share of signals that the canary decides: meant, and realized since it was moved. The alert waits for"
            f" {limits.canary_fraction_sample} signals.", "share",
            (
                Query("max(canary_fraction_target)", "meant"),
                Query("max(canary_fraction_realized)", "realized"),
                Query(f"max(canary_fraction_target) + {tolerance}", "alert above", is_limit=True),
                Query(f"clamp_min(max(canary_fraction_target) - {tolerance}, 0)", "alert below", is_limit=True),
            ),
            "rollback-guard-trigger",
        ),
        Panel(
            "release-gates", "Release gates breached", "guards",
            "Gates of a trial beyond their limit, those that only watch included.", "count",
            (
                Query("sum by (trial) (max by (trial, gate) (gate_breached))", "{{trial}}"),
                Query("max by (trial, gate) (gate_breached) > 0", "{{trial}}: {{gate}}"),
            ),
            "rollback-guard-trigger", kind="steps",
        ),
    )  # fmt: skip


def _halts() -> tuple[Panel, ...]:
    return (
        Panel(
            "mode", "Mode", "guards",
            "1 for the mode that orders go by. Real orders are sent while real is 1.", "state",
            (Query("max by (mode) (exchange_mode_info)", "{{mode}}"),),
            "operational-commands", kind="steps",
        ),
        Panel(
            "fail-safe", "Falls back to paper", "guards",
            "What called the executor back to paper.", "count",
            _moved("fail_safe_trigger_total", "reason", "falls", "because of"),
            "fail-safe-alert", (Limit(0.0, "above", "alert"),), kind="steps",
        ),
        Panel(
            "cooldown", "Cooldown left", "guards",
            "Until real orders may be sent again; then it still takes a person.", "seconds",
            (Query("max(fail_safe_cooldown_seconds)", "left"),),
            "fail-safe-alert",
        ),
        Panel(
            "halts", "Halts that hold", "guards",
            "While one holds nothing new is opened.", "count",
            (
                Query("count(max by (reason) (halted) > 0) or vector(0)", "halts"),
                Query("max by (reason) (halted) > 0", "{{reason}}"),
            ),
            "fail-safe-alert", kind="steps",
        ),
    )  # fmt: skip


def _gates(limits: Thresholds) -> tuple[Panel, ...]:
    return (
        Panel(
            "gate-drops", "Approvals dropped by gate", "guards",
            f"The {_MOST_GATES} gates that dropped most. Why one candidate was dropped: tidegate why.", "per_second",
            (
                Query(
                    f"topk({_MOST_GATES}, sum by (gate) ("
                    'rate(gate_drop_total{symbol=~"$symbol"}[$__rate_interval])))',
                    "{{gate}}",
                ),
            ),
            "zero-liquidity--stale-book",
        ),
        Panel(
            "warmup-drops", "Approvals dropped: warming up", "guards",
            "Moves when a service starts or a book comes back, and ends by itself.", "per_second",
            (Query('sum by (symbol) (rate(warmup_drop_total{symbol=~"$symbol"}[$__rate_interval]))', "{{symbol}}"),),
            "warm-up-gate-active",
        ),
        Panel(
            "backpressure", "Approvals that wait", "guards",
            "Approvals the executor has not taken, and those that were shed.", "count",
            (
                Query('max(stream_depth{stream="sig:approved",group="executor"})', "waiting"),
                Query("sum by (mode) (increase(backpressure_total[$__rate_interval]))", "shed: {{mode}}"),
            ),
            "backpressure--queue-build-up", (Limit(limits.queue_length, "above", "alert, sheds", of="waiting"),),
        ),
        Panel(
            "liquidation", "Distance to liquidation", "guards",
            "Of the mark, where there is a position.", "bps",
            (Query('min by (symbol) (near_liq_guard{symbol=~"$symbol"})', "{{symbol}}"),),
            "zero-liquidity--stale-book", (Limit(limits.near_liquidation_bps, "below", "gate"),),
        ),
    )  # fmt: skip
