"""Panels that answer: is execution healthy?

How the figures of several processes are put together: monitoring.model_panels.
"""

from monitoring.panel import Limit, Panel, Query
from monitoring.thresholds import Thresholds

_HORIZONS_MS = (100, 500, 1000)


def panels(limits: Thresholds) -> tuple[Panel, ...]:
    """The panels, with these numbers as their lines."""
    return (*_fills(limits), *_orders(limits), *_money())


def _fills(limits: Thresholds) -> tuple[Panel, ...]:
    return (
        Panel(
            "markout", "Markout", "execution",
            "Mean move of the mid after our fills, in our favour when above 0, rolling.", "bps",
            tuple(
                Query(f'max by (route) (avg_markout_{horizon}ms{{route=~"$route"}})', f"{{{{route}}}} {horizon} ms")
                for horizon in _HORIZONS_MS
            ),
            "volatility-halt", (Limit(limits.markout_floor_bps, "below", "rollback", of="1000 ms"),),
        ),
        Panel(
            "fill-rate", "Fill rate", "execution",
            "Share of entry orders that filled, rolling. The alert also wants the high bucket of the ladder to rise: "
            "orders reach farther and still do not fill.", "share",
            (Query('max by (route) (fill_rate_rolling{route=~"$route"})', "{{route}}"),),
            "backpressure--queue-build-up",
            (
                Limit(limits.fill_rate_floor_alert, "below", "alert"),
                Limit(limits.fill_rate_floor, "below", "rollback"),
            ),
        ),
        Panel(
            "cancel-to-fill", "Cancels to fills", "execution",
            "Canceled entries to filled ones, rolling.", "count",
            (Query('max by (route) (cancel_to_fill_ratio{route=~"$route"})', "{{route}}"),),
            "volatility-halt",
        ),
    )  # fmt: skip


def _orders(limits: Thresholds) -> tuple[Panel, ...]:
    return (
        Panel(
            "ladder", "Ladder aggressiveness", "execution",
            "Entry orders by their chance to fill when they were sent.", "per_second",
            (Query("sum by (bucket) (rate(exec_ladder_aggressiveness_total[$__rate_interval]))", "{{bucket}}"),),
            "throughput-spike",
        ),
        Panel(
            "throughput", "Entries in the last hour", "execution",
            f"Entries, and the line of {limits.throughput_ratio:g} times the 95th percentile of the release before; "
            "there is none behind a first release.", "per_hour",
            (
                Query("max(trades_per_hour)", "entries"),
                Query(
                    f"{limits.throughput_ratio:g} * max(trades_per_hour_prev_release_p95)", "alert, rollback",
                    is_limit=True,
                ),
            ),
            "throughput-spike",
        ),
        Panel(
            "orders", "Orders by what became of them", "execution",
            "Answers of the venue, or of the paper exchange.", "per_second",
            (Query('sum by (state) (rate(orders_total{route=~"$route"}[$__rate_interval]))', "{{state}}"),),
            "fail-safe-alert",
        ),
    )  # fmt: skip


def _money() -> tuple[Panel, ...]:
    slow = "sum by (le) (rate(order_seconds_bucket[$__rate_interval]))"
    return (
        Panel(
            "order-latency", "Time to the venue's answer", "execution",
            "From sending an order to the venue's answer.", "seconds",
            (
                Query(f"histogram_quantile(0.5, {slow})", "half of them"),
                Query(f"histogram_quantile(0.99, {slow})", "99 %"),
            ),
            "fail-safe-alert",
        ),
        Panel(
            "profit", "Profit of today by route", "execution",
            "Profit after fees of round trips that ended today. Route paper is paper money; so are canary and full "
            "while the mode is paper.", "quote",
            (Query('max by (route) (pnl_quote{route=~"$route"})', "{{route}}"),),
            "fail-safe-alert",
        ),
        Panel(
            "positions", "Positions", "execution",
            "Signed size by account; paper and real are never added up.", "quote",
            (Query('max by (mode, symbol) (position_notional{symbol=~"$symbol"})', "{{mode}} {{symbol}}"),),
            "fail-safe-alert",
        ),
    )  # fmt: skip
