"""The risk service: judges every candidate by the market, watches what was traded, and calls halts.

It reads scores, reports and the market, and says `eval:outcomes` and `control:events`. It decides on nothing that is
traded: the executor hears its halts and acts. What it must not forget is in `live.evidence`.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from bus import streams
from bus.messages import (
    BookImage,
    BookStatus,
    ControlEvent,
    MarketTrade,
    MarkPrice,
    Outcome,
    Received,
    Report,
    Score,
)
from bus.streams import CONTROL, OUTCOMES, REPORTS, SCORES
from evaluation.drift_gate import DriftView
from live.baseline import ActiveBaseline
from live.candidates import Candidates, FillKey
from live.drift_watch import DriftWatch
from live.evidence import Evidence, Held, Record, Trip, synced
from live.figures import OUTCOME_NAMES, Figures
from live.inspections import Inspections
from live.market_feed import Event, MarketFeed
from live.positions import Positions
from live.release_watch import ReleaseWatch
from live.rolling import DayPnl, JudgedFigures, TradedFigures
from live.rolling import Seen as SeenIds
from live.schedules import Job, ThreadWorker, Worker
from live.service import Parts, Subscription
from live.watch import BY, Watch
from market.barriers import BarrierRule
from market.feature_spec import FEATURE_NAMES
from registry.errors import FileError

NAME: Final = "risk"
_SECOND_NS = 1_000_000_000
_NS_PER_DAY = 86_400 * _SECOND_NS
_MARKET_READ = 5_000
"""Newest messages of each market stream read again at a start: what candidates from before it are judged by."""
_OUTCOMES_READ = 1_000
_TOLD_AGAIN = 256
"""Newest endings of an earlier run that are published again, should the stream not show them."""
_GRACE_NS = 2 * _SECOND_NS
_SERVICES = ("collector", "signal_engine", "ai_scorer", "risk", "executor", "model_sync")
_FILLS = ("partial", "filled", "canceled", "expired", "resolved")


class Risk:
    """The service. `worker` runs scheduled looks; only tests hand in another one."""

    name = NAME

    def __init__(self, parts: Parts, worker: Worker | None = None) -> None:
        """Read the journal below `parts.var`. Raises FileError and OSError when that cannot be."""
        settings = parts.settings
        self._parts = parts
        self._evidence = Evidence(parts.var / "risk.journal", counts_real=settings.exchange.mode == "real")
        folded = self._evidence.folded
        self._feed = MarketFeed(parts.symbols)
        self._candidates = Candidates(parts.symbols, settings.ingest.gap_threshold_seconds, folded, self._keep)
        self._baseline = ActiveBaseline(settings.registry.mirror)
        self._judged, self._traded = JudgedFigures(settings.risk.window), TradedFigures(settings.risk.window)
        self._figures = Figures(parts.metrics, settings.risk.min_samples)
        self._watch = Watch(parts, self._keep)
        self._release = ReleaseWatch(parts, self._watch)
        self._positions = Positions()
        self._drift = DriftWatch(parts, self._baseline)
        self._inspections = Inspections(parts, worker or ThreadWorker(parts.wake), self._drift, self._alert)
        self._reports = SeenIds()
        self._untold: dict[str, Outcome] = {}
        self._started_ns = self._due_ns = 0
        self._is_ready = self._journal_failed = False

    @property
    def drift(self) -> DriftView | None:
        """The newest look at the drift of what the active model sees; None while there was none."""
        return self._drift.view

    def subscriptions(self) -> Sequence[Subscription]:
        """Scores and reports for certain; the market from a while back; its own outcomes, to see which were told."""
        market = [
            Subscription(stream(name), start=f"recent:{_MARKET_READ}")
            for name in self._parts.symbols
            for stream in (streams.book, streams.trade)
        ]
        return [
            Subscription(CONTROL),
            Subscription(OUTCOMES, start=f"recent:{_OUTCOMES_READ}"),
            *market,
            *(Subscription(streams.mark(name)) for name in self._parts.symbols),
            Subscription(SCORES, NAME),
            Subscription(REPORTS, NAME),
        ]

    def start(self) -> None:
        """Take up what an earlier run left: open candidates, rolling figures, the day's profit, halts."""
        folded, log = self._evidence.folded, self._parts.log
        self._parts.metrics.expect(self._parts.symbols, FEATURE_NAMES)
        if self._evidence.damage:
            log.error("risk_journal_damaged", text=self._evidence.damage)
        for outcome in folded.ended.values():
            hit = self._judged.take(outcome)
            if hit is not None:
                self._watch.remember_judged(folded, outcome.route, outcome.exit_ns, hit)
        for trip in folded.trips:
            self._traded.take_closed(trip.route, trip.net_quote)
            self._reports.add(trip.report_id)
        self._untold = dict(list(folded.ended.items())[-_TOLD_AGAIN:])
        self._started_ns = self._parts.clock.mono_ns()
        self._baseline.look()
        self._watch.restore(folded)
        self._positions.restore(folded.held, {key: each.filled_lots for key, each in folded.fills.items()})
        self._roll_day()
        self._release.start(folded)
        self._told(self._candidates.restore())
        self._drift.start()
        self._inspections.start(self._sync_job)
        self._is_ready = True
        log.info("risk_started", open_candidates=len(self._candidates), halts=len(self._watch.halts))

    def handle(self, received: Received) -> None:
        """Take one message."""
        body = received.body
        if isinstance(body, BookImage | MarketTrade | BookStatus):
            for event in self._feed.take(received):
                self._see(event)
            return
        match body:
            case Score():
                self._drift.take(body)
                self._release.on_score(body)
                self._told(self._candidates.take(body, self._rule()))
            case Report():
                self._take_report(body)
            case ControlEvent():
                self._take_control(body, received.header.writer)
            case Outcome():
                self._untold.pop(body.candidate_id, None)
            case MarkPrice():
                if body.symbol in self._parts.symbols:
                    self._watch.on_mark(body, self._positions)

    def tick(self) -> None:
        """Look at the time, at overdue holes in the market's order, and at what the worker has found."""
        now_ns = self._parts.clock.mono_ns()
        for event in self._feed.tick(now_ns):
            self._see(event)
        entries = self._traded.entries_per_hour(self._parts.clock.wall_ns())
        promise = self._baseline.promise
        self._watch.tick(entries, promise.card.baseline.trades_per_hour_p95 if promise else 0.0)
        self._inspections.tick(now_ns)
        self._release.tick(round(self._rule().horizon_seconds * 1e9))
        if now_ns - self._started_ns >= _GRACE_NS and self._untold:
            self._tell_again()
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + _SECOND_NS
            self._each_second(entries)

    def status(self) -> Mapping[str, Any]:
        """What `tidegate status` shows."""
        return {
            "ready": self._is_ready,
            "open_candidates": len(self._candidates),
            "precision": self._judged.precision(),
            "entries_per_hour": self._traded.entries_per_hour(self._parts.clock.wall_ns()),
            "pnl_quote": self._evidence.folded.pnl.total,
            "trials": self._release.status(),
            "halts": [
                {"reason": halt.reason, "symbol": halt.symbol, "route": halt.route, "severity": halt.severity}
                for halt in self._watch.halts.values()
            ],
            "silent_seconds": dict(self._watch.silent_seconds()),
            "market_lost": self._feed.lost,
        }

    def stop(self) -> None:
        """End: the journal is safe, the worker is gone."""
        self._inspections.stop()
        self._release.stop()
        self._evidence.close()

    def _see(self, event: Event) -> None:
        seen = self._candidates.see(event)
        self._take_markouts(seen.fills)
        if seen.outcomes:
            self._told(seen.outcomes)
        if seen.row is not None:
            self._watch.on_image(event, seen.row)  # type: ignore[arg-type]  # only images make rows

    def _told(self, outcomes: Sequence[Outcome]) -> None:
        """Publish outcomes, each of which is on the journal, and let them count."""
        for outcome in outcomes:
            self._parts.out.publish(OUTCOMES, outcome, message_id=outcome.candidate_id, exchange_ns=outcome.t_ns)
            self._parts.metrics.outcomes_total.labels(outcome.route, OUTCOME_NAMES[outcome.outcome]).inc()
            hit = self._judged.take(outcome)
            self._release.on_outcome(outcome)
            if hit is not None:
                self._watch.on_judged(outcome.route, hit)
            self._parts.log.debug(
                "outcome", signal=outcome.candidate_id, symbol=outcome.symbol, outcome=OUTCOME_NAMES[outcome.outcome]
            )

    def _tell_again(self) -> None:
        """Publish endings that were decided before a restart and that the stream does not show."""
        for outcome in self._untold.values():
            self._parts.out.publish(OUTCOMES, outcome, message_id=outcome.candidate_id, exchange_ns=outcome.t_ns)
        self._parts.log.info("outcomes_told_again", count=len(self._untold))
        self._untold.clear()

    def _take_report(self, report: Report) -> None:
        if not self._reports.add(report.id):
            return
        self._release.on_report(report)
        if report.kind == "closed":
            day = (report.local_ns or self._parts.clock.wall_ns()) // _NS_PER_DAY
            self._keep(Trip(report.id, report.route, day, report.net_quote, report.is_real))
            self._traded.take_closed(report.route, report.net_quote)
            self._watch.on_trip(self._evidence.folded.guarded)
            return
        if report.kind in _FILLS and self._positions.take(report) > 0:
            held = self._positions.held[report.symbol, report.is_real]
            self._keep(
                Held(
                    report.symbol, report.is_real, held.lots, held.entry_ticks, report.client_id, report.filled_lots
                )
            )  # fmt: skip
            at_ns = report.exchange_ns or report.local_ns
            self._release.on_fill(report)
            self._take_markouts(self._candidates.ask_fill(report.symbol, (report.id, report.route), at_ns, report.side))
        self._traded.take_order(report, self._parts.clock.wall_ns())

    def _take_control(self, event: ControlEvent, writer: str) -> None:
        if event.by == BY:
            return
        metrics = self._parts.metrics
        # What a live service says is counted where it is said; sensors and commands have no /metrics of ours.
        if event.event in ("ROLLBACK", "PROMOTION") and writer not in _SERVICES:
            metrics.control_events_total.labels(event.event, event.severity).inc()
            if event.event == "ROLLBACK":
                metrics.rollback_total.labels(event.reason).inc()
        if event.event == "RESUME" and event.by.partition(":")[0] == "operator":
            self._watch.resumed(event)
            folded = self._evidence.folded
            folded.best, folded.base = self._watch.pnl.marks
            self._keep(folded.marks())
        self._release.on_control(event)

    def _take_markouts(self, found: Iterable[tuple[FillKey, list[float]]]) -> None:
        for key, values in found:
            self._traded.take_markouts(key[1], values)
            self._release.on_markout(key, values[-1])

    def _rule(self) -> BarrierRule:
        """The label of the model that is being judged; the configuration's while there is none."""
        promise = self._baseline.promise
        return promise.rule if promise else self._parts.settings.label.rule()

    def _each_second(self, entries: int) -> None:
        self._roll_day()
        if self._baseline.look() and self._baseline.promise:
            self._parts.log.info("baseline", model=self._baseline.promise.card.id)
        folded, now_ns = self._evidence.folded, self._parts.clock.wall_ns()
        self._release.on_drift(self._drift.view, self._drift.model_id)
        self._release.each_second(partial(self._traded.entries_per_hour, now_ns), self._judged.precision)
        self._figures.promised(self._baseline)
        self._figures.judged(self._judged, folded, len(self._candidates))
        self._figures.traded(self._traded, folded, entries)
        for name, bps in self._watch.volatility_bps().items():
            self._parts.metrics.volatility_bps.labels(name).set(bps)

    def _roll_day(self) -> None:
        folded, day = self._evidence.folded, self._parts.clock.wall_ns() // _NS_PER_DAY
        if folded.pnl.day < day:
            folded.pnl, folded.best, folded.base = DayPnl(day), 0.0, 0.0
            self._keep(folded.marks())
            self._watch.on_new_day()

    def _keep(self, record: Record) -> None:
        """Write to the journal. A disk that refuses does not stop the guards: it is told of, and memory goes on."""
        try:
            self._evidence.append(record)
        except OSError as refused:
            self._journal_trouble(refused)

    def _alert(self, reason: str, symbol: str, text: str) -> None:
        self._watch.alert(reason, text, symbol)

    def _sync_job(self) -> Job | None:
        """The fsync of what was written since the last one."""
        try:
            descriptors = self._release.to_sync()
            if (own := self._evidence.to_sync()) is not None:
                descriptors.append(own)
        except (OSError, FileError) as refused:
            self._journal_trouble(refused)
            return None
        return (lambda: synced(descriptors)) if descriptors else None

    def _journal_trouble(self, refused: Exception) -> None:
        if self._journal_failed:
            return
        self._journal_failed = True
        text = f"risk.journal: {refused}; candidates open now would be lost by a restart"
        self._watch.alert("journal_error", text)
