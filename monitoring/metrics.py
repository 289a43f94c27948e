"""Every metric of the platform, declared once; only this package imports prometheus_client.

Whoever counts something is handed a `Metrics`, so that tests never share state. Entry points without one of their
own use `process_metrics()`, which registers on the process-wide registry the first time it is asked.

The runbook's names are kept as they are, deviations from Prometheus practice included (milliseconds, gauges without a
unit); markouts are in basis points, their horizon is part of the name. Counters are born at 0 with every label value
that is known at the start (`touch`): an alert on an increase never sees the first event of a series born at 1.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    start_http_server,
)

from monitoring.feature_drift import SpelledOut

ROUTES = ("canary", "paper", "full")
MODES = ("paper", "real")
SLOTS = ("active", "shadow", "canary")
BUCKETS = ("low", "mid", "high")
"""Of an order's chance to fill when it was sent; the ladder's rungs fall into them."""
DROP_MODES = ("halt", "degrade")
GATES = (
    "mode", "warmup", "stale_book", "zero_liquidity", "liquidity_by_side", "near_liq_guard", "spread", "volatility",
    "exposure", "open_notional", "fat_finger", "flip_cooldown", "ttl", "halted", "daily_loss_cap", "loss_streak",
    "too_small", "backpressure", "unknown_order", "venue_pause", "duplicate",
)  # fmt: skip
"""Every reason for which the executor drops an approval."""
FAIL_SAFE_REASONS = (
    "precision_halt", "volatility_halt", "trade_rate", "pnl_guard", "near_liquidation", "stale_market", "venue_error",
    "journal_error", "redis_error", "order_mismatch", "model_error", "restart_loop",
    "poison_message", "grid_changed", "delisted", "beyond_int32", "operator",
    "winrate_delta", "winrate_seq", "onnx_parity_fail", "psi_feature", "ks_feature", "calibration", "throughput",
    "markout", "fill_rate", "post_promotion", "canary_unjudged", "other",
)  # fmt: skip
"""Why the executor falls to paper, and what control events name; `other` stands for what this list does not know."""
ROLLBACK_REASONS = (
    "winrate_delta", "winrate_seq", "onnx_parity_fail", "psi_feature", "ks_feature", "calibration", "throughput",
    "markout", "fill_rate", "post_promotion", "precision_halt", "external_move", "operator", "other",
)  # fmt: skip
"""Why a version is withdrawn. psi_feature_NAME and ks_feature_NAME name the feature behind psi_feature, ks_feature."""
RELEASE_GATES = (
    "winrate_delta", "winrate_seq", "onnx_parity_fail", "psi_feature", "ks_feature", "calibration", "throughput",
    "markout", "fill_rate", "post_promotion", "precision_halt", "shadow_quality", "shadow_money",
)  # fmt: skip
"""What a trial's evidence is held against; release.observe names such gates."""
TRIALS = ("shadow", "canary", "active")
DECISIONS = ("promote", "hold", "roll_back")
ORDER_STATES = ("accepted", "refused", "unknown", "resolved", "partial", "filled", "canceled", "expired")
OUTCOMES = ("target", "stop", "timeout", "unresolved")
CONTROL_EVENTS = ("MODE_SWITCH", "ROLLBACK", "PROMOTION", "HALT", "RESUME", "ALERT")
SEVERITIES = ("INFO", "WARN", "CRIT")
SWAP_REFUSALS = ("corrupt", "schema", "parity", "signature", "unreadable")

_LATENCY_SECONDS = (
    5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0
)  # fmt: skip
_SCORES = tuple(step / 20 for step in range(1, 20))


class Declared(NamedTuple):
    """One metric as `monitoring.reference` shows it; `type` is counter, gauge or histogram."""

    group: str
    name: str
    type: str
    labels: tuple[str, ...]
    text: str


class Metrics:
    """The metrics of one process, registered on one registry. `declared` lists them in order."""

    def __init__(self, registry: CollectorRegistry) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # or a gauge beside every counter
        self.registry = registry
        self.declared: list[Declared] = []
        for group, declare in (
            ("The lake", self._declare_archive),
            ("Market data", self._declare_market),
            ("Streams and services", self._declare_bus),
            ("Models and signals", self._declare_models),
            ("Quality", self._declare_quality),
            ("Release", self._declare_release),
            ("Execution", self._declare_execution),
            ("Gates, halts and modes", self._declare_guards),
        ):
            self._group = group
            declare()

    def _declare_archive(self) -> None:
        self.archive_schema_refused_total = self._counter(
            "archive_schema_refused_total",
            "Partitions refused because their schema version is not the reader's.",
            "table",
            "found",
        )
        self.parquet_gap_detected_ms = self._gauge(
            "parquet_gap_detected_ms", "Longest gap in the newest day of the lake, milliseconds; 0 is none.", "symbol"
        )
        self.parquet_gap_detected_seconds = self._gauge(
            "parquet_gap_detected_seconds", "Longest gap in the newest day of the lake; 0 is none.", "symbol"
        )
        self.exchange_reference_mismatch_total = self._counter(
            "exchange_reference_mismatch_total", "Fields of the symbol table that differ from the venue's.", "symbol"
        )
        self.recorded_rows_total = self._counter("recorded_rows_total", "Rows written to the lake by live.", "table")
        self.recorder_lag_seconds = self._gauge(
            "recorder_lag_seconds", "Age of the oldest row that is not yet in a durable segment."
        )

    def _declare_market(self) -> None:
        self.market_events_total = self._counter("market_events_total", "Events taken from venues.", "symbol", "kind")
        self.market_frames_refused_total = self._counter(
            "market_frames_refused_total", "Frames that could not be read, by reason.", "venue", "reason"
        )
        self.market_unknown_keys_total = self._counter(
            "market_unknown_keys_total", "Frames with keys we do not know.", "venue"
        )
        self.book_gaps_total = self._counter("book_gaps_total", "Breaks of a book's sequence.", "symbol")
        self.book_resyncs_total = self._counter("book_resyncs_total", "Snapshots asked for.", "symbol", "reason")
        self.book_state = self._gauge("book_state", "1 for the state a book is in.", "symbol", "state")
        self.book_age_seconds = self._gauge("book_age_seconds", "Time since the last book update.", "symbol")
        self.trade_age_seconds = self._gauge("trade_age_seconds", "Time since the last print.", "symbol")
        self.book_crossed_total = self._counter("book_crossed_total", "Crossed books, not passed on.", "symbol")
        self.trade_id_gaps_total = self._counter("trade_id_gaps_total", "Prints missing by their ids.", "symbol")
        self.book_ticker_checked_total = self._counter(
            "book_ticker_checked_total", "Book tickers compared with our book at the same update.", "symbol"
        )
        self.book_ticker_mismatch_total = self._counter(
            "book_ticker_mismatch_total", "Book tickers that differ from our book at the same update.", "symbol"
        )
        self.feed_lag_seconds = self._gauge("feed_lag_seconds", "Our receive time less the venue's time.", "symbol")
        self.feed_reconnects_total = self._counter("feed_reconnects_total", "Sockets opened anew.", "venue", "reason")
        self.liquidity_by_side = self._gauge("liquidity_by_side", "Depth of one side, quote units.", "symbol", "side")
        self.spread_bps = self._gauge("spread_bps", "Best ask less best bid, basis points of the mid.", "symbol")
        self.volatility_bps = self._gauge("volatility_bps", "Deviation of the mid's moves over a second.", "symbol")

    def _declare_bus(self) -> None:
        self.stream_depth = self._gauge("stream_depth", "Entries a group has not acknowledged.", "stream", "group")
        self.stream_lost_total = self._counter("stream_lost_total", "Entries gone before they were read.", "stream")
        self.messages_total = self._counter("messages_total", "Messages taken.", "service", "kind")
        self.messages_refused_total = self._counter(
            "messages_refused_total", "Messages set aside: version, kind, poison.", "stream", "reason"
        )
        self.bus_incidents_total = self._counter("bus_incidents_total", "Troubles of the bus, mended.", "kind")
        self.handle_seconds = self._histogram("handle_seconds", "Time a service takes for one message.", "service")
        self.tick_to_approval_seconds = self._histogram(
            "tick_to_approval_seconds", "From a frame's arrival to the approval published, real time."
        )
        self.heartbeat_age_seconds = self._gauge("heartbeat_age_seconds", "Age of a service's heartbeat.", "service")
        self.service_ready = self._gauge("service_ready", "1 when the service does its work.", "service")
        self.heartbeat_timestamp_seconds = self._gauge(
            "heartbeat_timestamp_seconds", "When a service of this process last gave a heartbeat, Unix time.", "service"
        )
        self.clock_step_seconds = self._gauge("clock_step_seconds", "Steps of the machine's clock since the start.")

    def _declare_models(self) -> None:
        self.model_info = self._gauge("model_info", "1 for the model a slot holds.", "slot", "model_id", "version")
        self.model_swaps_total = self._counter("model_swaps_total", "Models swapped in.", "slot")
        self.model_swap_refused_total = self._counter(
            "model_swap_refused_total", "Bundles refused; the one before stays.", "slot", "reason"
        )
        self.model_swap_seconds = self._histogram("model_swap_seconds", "Pause of the scorer by a swap.")
        self.model_sync_age_seconds = self._gauge("model_sync_age_seconds", "Since the registry last answered.")
        self.onnx_parity_fail_total = self._counter("onnx_parity_fail_total", "Bundles that failed their golden rows.")
        self.score_seconds = self._histogram("score_seconds", "Time to score one candidate by every model.")
        self.scores_total = self._counter("scores_total", "Candidates scored.", "slot")
        self.model_score = self._histogram("model_score", "Scores given, by steps of 0.05.", "slot", buckets=_SCORES)
        self.score_refused_total = self._counter("score_refused_total", "Candidates not scored.", "reason")
        self.feature_not_finite_total = self._counter("feature_not_finite_total", "NaN or infinity.", "feature")
        self.candidates_total = self._counter("candidates_total", "Candidates found.", "symbol")
        self.approvals_total = self._counter("approvals_total", "Approvals given.", "symbol", "route")
        self.canary_fraction_target = self._gauge("canary_fraction_target", "Share of signals meant for the canary.")
        self.canary_fraction_realized = self._gauge("canary_fraction_realized", "Share that went there, rolling.")
        self.canary_fraction_sample = self._gauge("canary_fraction_sample", "Signals of it, since the target moved.")
        self.canary_unjudged = self._gauge("canary_unjudged", "1 while the canary has no share: nobody judges it.")
        self.unjudged_canaries_total = self._counter("unjudged_canaries_total", "Canaries that nobody judged, fenced.")

    def _declare_quality(self) -> None:
        self.precision = self._gauge("precision", "Share of approved candidates that reached the target, rolling.")
        self.rolling_precision = self._gauge("rolling_precision", "The same by route.", "route")
        self.rolling_sample = self._gauge("rolling_sample", "Judged approvals behind rolling_precision.", "route")
        self.winrate_rolling = self._gauge("winrate_rolling", "Share of round trips with profit after fees.", "route")
        self.winrate_baseline_active = self._gauge("winrate_baseline_active", "Win rate the active model promised.")
        self.winrate_canary = self._gauge("winrate_canary", "Win rate of the canary since it started.")
        self.sample_canary = self._gauge("sample_canary", "Judged signals of the canary since it started.")
        self.ece_online = self._gauge("ece_online", "Debiased calibration error of the active model, rolling.")
        self.ece_online_raw = self._gauge("ece_online_raw", "The same with its luck left in: too high for few rows.")
        self.brier_online = self._gauge("brier_online", "Brier score of the active model, rolling.")
        self.brier_baseline_active = self._gauge("brier_baseline_active", "Brier score at training.")
        self.psi_feature = self._gauge(
            "psi_feature", "PSI against training, deciles of training; also as psi_feature_NAME.", "feature"
        )
        self.ks_feature = self._gauge(
            "ks_feature", "Kolmogorov-Smirnov distance against training; also as ks_feature_NAME.", "feature"
        )
        SpelledOut(self.registry, self.psi_feature, self.ks_feature)
        self.drift_psi_line = self._gauge(
            "drift_psi_line", "PSI at which a feature blocks: the limit, or what clean times showed.", "feature"
        )
        self.drift_ks_line = self._gauge("drift_ks_line", "The same for its Kolmogorov-Smirnov distance.", "feature")
        self.trades_per_hour = self._gauge("trades_per_hour", "Entries in the last hour.")
        self.trades_per_hour_prev_release_p95 = self._gauge(
            "trades_per_hour_prev_release_p95", "95th percentile of the release before; 0 when there is none."
        )
        self.outcomes_total = self._counter("outcomes_total", "Candidates resolved.", "route", "outcome")
        self.outcomes_unresolved = self._gauge("outcomes_unresolved", "Candidates whose barrier is still open.")

    def _declare_release(self) -> None:
        self.registry_divergence = self._gauge(
            "registry_divergence", "1 while journal, mirror, registry and scorers do not name the same versions."
        )
        self.registry_epoch = self._gauge("registry_epoch", "Epoch of the newest committed move of the registry.")
        self.release_decision = self._gauge(
            "release_decision", "1 for what the evidence of a trial says now.", "trial", "decision"
        )
        self.release_evidence = self._gauge(
            "release_evidence", "Evidence against, or for, a version on trial; acted on at its limit.", "trial", "test"
        )
        self.release_evidence_limit = self._gauge(
            "release_evidence_limit", "The evidence at which is acted.", "trial", "test"
        )
        self.release_sample = self._gauge("release_sample", "Matured signals that a trial has counted.", "trial")
        self.release_gap = self._gauge(
            "release_gap", "Win rate of the canary less the active's, with its always-valid bounds.", "bound"
        )
        self.release_budget_used = self._gauge(
            "release_budget_used", "Share of the false-rollback budget that a trial has spent.", "trial"
        )
        self.gate_breached = self._gauge(
            "gate_breached", "1 while a release gate is beyond its limit.", "trial", "gate"
        )
        self.drift_effective_rows = self._gauge(
            "drift_effective_rows", "Independent rows that the drift window is worth; under 200 it is not armed.",
            "feature",
        )  # fmt: skip
        self.drift_armed = self._gauge("drift_armed", "1 while a feature's drift gate is armed.", "feature")
        self.rollback_signal_to_effect_seconds = self._histogram(
            "rollback_signal_to_effect_seconds", "From the message that gave it away to the canary fenced."
        )

    def _declare_execution(self) -> None:
        for horizon_ms in (100, 500, 1000):
            name = f"avg_markout_{horizon_ms}ms"
            setattr(self, name, self._gauge(name, f"Mean markout of fills after {horizon_ms} ms, bps.", "route"))
        self.avg_markout_100ms: Gauge
        self.avg_markout_500ms: Gauge
        self.avg_markout_1000ms: Gauge
        self.fill_rate_rolling = self._gauge("fill_rate_rolling", "Share of entry orders that filled.", "route")
        self.cancel_to_fill_ratio = self._gauge("cancel_to_fill_ratio", "Canceled entries to filled ones.", "route")
        self.exec_ladder_aggressiveness_total = self._counter(
            "exec_ladder_aggressiveness_total", "Orders by their chance to fill.", "bucket"
        )
        self.orders_total = self._counter("orders_total", "Orders by what became of them.", "route", "state")
        self.fills_total = self._counter("fills_total", "Fills.", "route")
        self.order_seconds = self._histogram("order_seconds", "From sending an order to the venue's answer.")
        self.position_notional = self._gauge("position_notional", "Signed, quote units.", "symbol", "mode")
        self.pnl_quote = self._gauge("pnl_quote", "Profit after fees of today's round trips, quote units.", "route")
        self.paper_fill_rate = self._gauge(
            "paper_fill_rate", "Fill rate of the paper exchange under each queue model.", "queue_model"
        )

    def _declare_guards(self) -> None:
        self.warmup_drop_total = self._counter("warmup_drop_total", "Approvals dropped: warming up.", "symbol")
        self.gate_drop_total = self._counter("gate_drop_total", "Approvals dropped, by gate.", "symbol", "gate")
        self.near_liq_guard = self._gauge("near_liq_guard", "Distance of the mark to liquidation, bps.", "symbol")
        self.backpressure_total = self._counter("backpressure_total", "Approvals shed.", "mode")
        self.backpressure_active = self._gauge("backpressure_active", "1 while approvals are shed.")
        self.fail_safe_trigger_total = self._counter("fail_safe_trigger_total", "Falls back to paper.", "reason")
        self.fail_safe_cooldown_seconds = self._gauge("fail_safe_cooldown_seconds", "Left until real may return.")
        self.mode_switch_total = self._counter("mode_switch_total", "Switches of mode.", "from", "to")
        self.rollback_total = self._counter("rollback_total", "Models withdrawn.", "reason")
        self.exchange_mode_info = self._gauge("exchange_mode_info", "1 for the mode orders go by.", "mode")
        self.halted = self._gauge("halted", "1 while a halt holds.", "reason")
        self.control_events_total = self._counter("control_events_total", "Control events.", "event", "severity")

    def touch(self, symbols: Iterable[str], features: Iterable[str] = ()) -> None:
        """Give every counter its series at 0, for each label value that is known.

        `features` are the models': drift of each is a reason of its own to withdraw a version.
        """
        for reason in FAIL_SAFE_REASONS:
            self.fail_safe_trigger_total.labels(reason)
        self._touch_releases(features)
        for source, target in (("paper", "real"), ("real", "paper")):
            self.mode_switch_total.labels(source, target)
        for mode in DROP_MODES:
            self.backpressure_total.labels(mode)
        for bucket in BUCKETS:
            self.exec_ladder_aggressiveness_total.labels(bucket)
        for slot in SLOTS:
            self.scores_total.labels(slot)
            self.model_score.labels(slot)
            for reason in SWAP_REFUSALS:
                self.model_swap_refused_total.labels(slot, reason)
        for event in CONTROL_EVENTS:
            for severity in SEVERITIES:
                self.control_events_total.labels(event, severity)
        for route in ROUTES:
            self._touch_route(route)
        for symbol in symbols:
            self._touch_symbol(symbol)

    def _touch_releases(self, features: Iterable[str]) -> None:
        """Gauges too: a trial that has not begun has decided nothing, and breaches nothing."""
        by_feature = [f"{gate}_{feature}" for feature in features for gate in ("psi_feature", "ks_feature")]
        for reason in (*ROLLBACK_REASONS, *by_feature):
            self.rollback_total.labels(reason)
        for trial in TRIALS:
            for decision in DECISIONS:
                self.release_decision.labels(trial, decision)
            for gate in RELEASE_GATES:
                self.gate_breached.labels(trial, gate)
            self.release_sample.labels(trial)
            self.release_budget_used.labels(trial)

    def expect(self, symbols: Iterable[str], features: Iterable[str]) -> None:
        """Give the figures that risk works out their series, NaN until there is one: rules find them, panels draw none.

        Counts begin at 0.
        """
        nothing = float("nan")
        for route in ROUTES:
            self.rolling_sample.labels(route)
            for gauge in (self.rolling_precision, self.winrate_rolling, self.fill_rate_rolling):
                gauge.labels(route).set(nothing)
        for feature in features:
            self.drift_armed.labels(feature)
            for gauge in (self.psi_feature, self.ks_feature, self.drift_psi_line, self.drift_ks_line):
                gauge.labels(feature).set(nothing)
        for symbol in symbols:
            self.parquet_gap_detected_ms.labels(symbol).set(nothing)
            self.parquet_gap_detected_seconds.labels(symbol).set(nothing)

    def _touch_route(self, route: str) -> None:
        self.fills_total.labels(route)
        for state in ORDER_STATES:
            self.orders_total.labels(route, state)
        for outcome in OUTCOMES:
            self.outcomes_total.labels(route, outcome)

    def _touch_symbol(self, symbol: str) -> None:
        for counter in (
            self.warmup_drop_total, self.book_gaps_total, self.book_crossed_total, self.trade_id_gaps_total,
            self.book_ticker_checked_total, self.book_ticker_mismatch_total, self.candidates_total,
            self.exchange_reference_mismatch_total,
        ):  # fmt: skip
            counter.labels(symbol)
        for gate in GATES:
            self.gate_drop_total.labels(symbol, gate)
        for route in ROUTES:
            self.approvals_total.labels(symbol, route)

    def serve(self, port: int, host: str = "127.0.0.1") -> int:
        """Serve /metrics from a thread and return the port, a free one when asked for 0."""
        server, _ = start_http_server(port, host, self.registry)
        return int(server.server_port)

    def render(self) -> str:
        """Return what /metrics shows."""
        return generate_latest(self.registry).decode()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        self.declared.append(Declared(self._group, name, "counter", labels, text))
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        self.declared.append(Declared(self._group, name, "gauge", labels, text))
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str, buckets: Sequence[float] = _LATENCY_SECONDS) -> Histogram:
        self.declared.append(Declared(self._group, name, "histogram", labels, text))
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)


def halt_label(reason: str) -> str:
    """Return which of FAIL_SAFE_REASONS a control event names: psi_feature_NAME is psi_feature, a strange one other."""
    reason = next((gate for gate in ("psi_feature", "ks_feature") if reason.startswith(f"{gate}_")), reason)
    return reason if reason in FAIL_SAFE_REASONS else "other"


@cache
def process_metrics() -> Metrics:
    """Return the metrics on the process-wide registry, registering them at the first call."""
    return Metrics(REGISTRY)
