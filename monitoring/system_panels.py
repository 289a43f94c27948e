"""Panels that answer: is the platform well?

How the figures of several processes are put together: monitoring.model_panels.
"""

from monitoring.panel import Limit, Panel, Query
from monitoring.thresholds import Thresholds


def panels(limits: Thresholds) -> tuple[Panel, ...]:
    """The panels, with these numbers as their lines."""
    return (*_market(limits), *_latency(), *_services(limits), *_stores(limits))


def _market(limits: Thresholds) -> tuple[Panel, ...]:
    return (
        Panel(
            "book-age", "Age of the books", "system",
            "Since the last update of a symbol's book.", "seconds",
            (Query('max by (symbol) (book_age_seconds{symbol=~"$symbol"})', "{{symbol}}"),),
            "zero-liquidity--stale-book",
            (
                Limit(limits.stale_book_seconds, "above", "gate, alert"),
                Limit(limits.stale_market_seconds, "above", "CRIT"),
            ),
        ),
        Panel(
            "spread", "Spread", "system",
            "Best ask less best bid.", "bps",
            (Query('max by (symbol) (spread_bps{symbol=~"$symbol"})', "{{symbol}}"),),
            "volatility-halt", (Limit(limits.spread_bps, "above", "gate"),),
        ),
        Panel(
            "volatility", "Volatility", "system",
            "Deviation of the mid's moves over a second.", "bps",
            (Query('max by (symbol) (volatility_bps{symbol=~"$symbol"})', "{{symbol}}"),),
            "volatility-halt", (Limit(limits.volatility_halt_bps, "above", "halt"),),
        ),
        Panel(
            "depth", "Depth by side", "system",
            "Quote units within the levels that the liquidity gate counts.", "quote",
            (Query('max by (symbol, side) (liquidity_by_side{symbol=~"$symbol"})', "{{symbol}} {{side}}"),),
            "zero-liquidity--stale-book",
        ),
        Panel(
            "feed", "Reconnects and breaks of the feed", "system",
            "Sockets opened anew, breaks of a book's sequence, prints missing by their ids.", "count",
            (
                Query("sum(increase(feed_reconnects_total[$__rate_interval])) or vector(0)", "reconnects"),
                Query('sum by (symbol) (increase(book_gaps_total{symbol=~"$symbol"}[$__rate_interval]))',
                      "{{symbol}} breaks"),
                Query('sum by (symbol) (increase(trade_id_gaps_total{symbol=~"$symbol"}[$__rate_interval]))',
                      "{{symbol}} prints missing"),
            ),
            "zero-liquidity--stale-book", kind="steps",
        ),
    )  # fmt: skip


def _latency() -> tuple[Panel, ...]:
    tick = "sum by (le) (rate(tick_to_approval_seconds_bucket[$__rate_interval]))"
    score = "sum by (le) (rate(score_seconds_bucket[$__rate_interval]))"
    handle = "sum by (le, service) (rate(handle_seconds_bucket[$__rate_interval]))"
    return (
        Panel(
            "tick-to-approval", "Tick to approval", "system",
            "From a frame's arrival to the approval published, and the scorer's part of it.", "seconds",
            (
                Query(f"histogram_quantile(0.5, {tick})", "half of them"),
                Query(f"histogram_quantile(0.99, {tick})", "99 %"),
                Query(f"histogram_quantile(0.99, {score})", "scoring, 99 %"),
            ),
            "throughput-spike",
        ),
        Panel(
            "handling", "Time for one message", "system",
            "99 % of a service's messages are handled within it.", "seconds",
            (Query(f"histogram_quantile(0.99, {handle})", "{{service}}"),),
            "throughput-spike",
        ),
        Panel(
            "messages", "Messages taken", "system",
            "By service.", "per_second",
            (Query("sum by (service) (rate(messages_total[$__rate_interval]))", "{{service}}"),),
            "throughput-spike",
        ),
    )  # fmt: skip


def _services(limits: Thresholds) -> tuple[Panel, ...]:
    return (
        Panel(
            "services", "Services that are ready", "system",
            "1 while a service does its work; its line ends when its process does.", "state",
            (
                Query("max by (service) (service_ready)", "{{service}}"),
            ),
            "fail-safe-alert", kind="steps",
        ),
        Panel(
            "heartbeats", "Age of the services' heartbeats", "system",
            "A service leaves one each second.", "seconds",
            (Query('max by (service) (heartbeat_age_seconds{service!~"sensor:.*"})', "{{service}}"),),
            "fail-safe-alert", (Limit(limits.service_silent_seconds, "above", "silent"),),
        ),
        Panel(
            "queues", "Queues", "system",
            "Entries of a stream that a group has not acknowledged, and entries that were gone before they were read.",
            "count",
            (
                Query("max by (stream, group) (stream_depth)", "{{stream}} {{group}}"),
                Query("sum(increase(stream_lost_total[$__rate_interval])) or vector(0)", "lost"),
            ),
            "backpressure--queue-build-up", (Limit(limits.queue_length, "above", "sheds", of="sig:approved executor"),),
        ),
    )  # fmt: skip


def _stores(limits: Thresholds) -> tuple[Panel, ...]:
    return (
        Panel(
            "pipelines", "Dagster's sensors", "system",
            "Age of the word that a sensor left when it last looked. A sensor that is silent withdraws nothing.",
            "seconds",
            (Query('max by (service) (heartbeat_age_seconds{service=~"sensor:.*"})', "{{service}}"),),
            "operational-commands", (Limit(limits.sensor_silent_seconds, "above", "alert"),),
        ),
        Panel(
            "registry", "Registry", "system",
            "Since the registry last answered model_sync; 1 while journal, mirror, registry and scorers differ.",
            "seconds",
            (
                Query("max(model_sync_age_seconds)", "last answer"),
                Query("max(registry_divergence)", "differ"),
            ),
            "operational-commands", (Limit(limits.registry_silent_seconds, "above", "alert", of="last answer"),),
        ),
        Panel(
            "data-gaps", "Longest gap of the newest day", "system",
            "Of each symbol's book in the lake.", "seconds",
            (Query('max by (symbol) (parquet_gap_detected_seconds{symbol=~"$symbol"})', "{{symbol}}"),),
            "data-gaps--quality-issues", (Limit(limits.gap_seconds, "above", "alert"),),
        ),
        Panel(
            "reference", "Fields that differ from the venue's", "system",
            "Of the symbol table: tick, lot, limits.", "count",
            (
                Query(
                    "sum by (symbol) (increase("
                    'exchange_reference_mismatch_total{symbol=~"$symbol"}[$__rate_interval]))',
                    "{{symbol}}",
                ),
            ),
            "data-gaps--quality-issues", (Limit(0.0, "above", "alert"),), kind="steps",
        ),
        Panel(
            "recorder", "Recorder's lag", "system",
            "Age of the oldest row that is not yet durable.", "seconds",
            (Query("max(recorder_lag_seconds)", "lag"),),
            "data-gaps--quality-issues",
        ),
    )  # fmt: skip
