"""The whole live side: collector, engine, scorer, risk and executor, in one process or in four, each of them mortal.

As `World`, with a market that comes from a venue's frames and approvals that come from candidates.
"""

from contextlib import suppress
from functools import partial
from random import Random

from bus.codec import decode
from bus.messages import Approval, BookImage, Candidate, ControlEvent, MarketTrade, Outcome, Score
from bus.streams import APPROVED, CANDIDATES, CONTROL, OUTCOMES, REPORTS, SCORES
from live.host import Host
from live.risk import Risk
from live.service import Output
from live.worker import at_once
from market.feature_spec import N_COLUMNS
from registry.files import point
from tests.live.simulation.feed import SimulatedFeed, Tape
from tests.live.simulation.inner import IdleWorker, LightStepper, Market, is_broken, judged_by, load_light
from tests.live.simulation.invariants import Observer, Violation
from tests.live.simulation.nature import Nature, ProcessClock
from tests.live.simulation.plan import Plan
from tests.live.simulation.process import Mute, Process, Tap
from tests.live.simulation.upstream import MIDS
from tests.live.simulation.world import Build, World, symbols

GROUPS = ((CANDIDATES, "ai_scorer"), (SCORES, "risk"), (REPORTS, "risk"), (APPROVED, "executor"))


class Reading:
    """Checks what the services before the executor say, and tells the observer what it needs to know."""

    def __init__(self, observer: Observer, tape: Tape, nature: Nature) -> None:
        self._observer, self._tape, self._nature = observer, tape, nature
        self.books = self.candidates = 0

    def on_said(self, body: object) -> None:
        """Look at a message."""
        match body:
            case BookImage():
                self.books += 1
                self._observer.true_of[body.symbol, body.local_ns] = self._nature.true_ns
                told = (body.bid_ticks, body.bid_lots, body.ask_ticks, body.ask_lots)
                if told != self._tape.tops.get((body.symbol, body.sequence)):
                    raise Violation("W1", f"{body.symbol} {body.sequence}: a book is told that the venue never had")
            case MarketTrade():
                self._observer.true_of[body.symbol, body.local_ns] = self._nature.true_ns
            case Candidate():
                self.candidates += 1
                if len(body.row) != 4 * N_COLUMNS or is_broken(body.t_ns):
                    raise Violation("W2", f"{body.id} is a candidate and its row is not finite")
            case Approval():
                at_ns = self._observer.true_of[body.symbol, body.local_ns]
                self._observer.approvals.setdefault(body.id, (at_ns, body))
            case _:
                pass


class Field:
    """What World's script would do, done at the venue: frames, lost frames, and somebody who calls."""

    def __init__(self, feed: SimulatedFeed, out: Output, clock: ProcessClock, rng: Random) -> None:
        self._feed, self._out, self._clock, self._rng = feed, out, clock, rng
        self._losing: set[str] = set()
        self._calls = 0

    def look(self, name: str) -> None:
        """The book moves."""
        self._feed.look(name, lost=name in self._losing)
        self._losing.discard(name)
        if self._rng.random() < self._feed.trouble / 10:
            self._feed.swap()

    def print_(self, name: str) -> None:
        """Somebody trades."""
        self._feed.print_(name)

    def mark(self, name: str) -> None:
        """The mark price moves."""
        self._feed.mark(name)

    def status(self, name: str) -> None:
        """The next frame of a symbol is lost."""
        self._losing.add(name)

    def mend(self) -> None:
        """No more frames are lost."""
        self._losing.clear()
        self._feed.trouble = 0.0

    def approve(self, route: str, *, late_ns: int = 0) -> None:
        """The scorer does."""

    def approve_again(self, approval: object) -> None:
        """The scorer does not."""

    def control(self, kind: str, severity: str, reason: str, by: str) -> None:
        """Somebody calls."""
        at_ns = self._clock.wall_ns()
        self._calls += 1
        event = ControlEvent(kind, severity, "", "", reason, by, at_ns, "", "", "")  # type: ignore[arg-type]
        self._out.publish(CONTROL, event, message_id=f"{by}-{kind}-{reason}-{at_ns}-{self._calls}")


class WholeWorld(World):
    """One run of every service."""

    def __init__(self, plan: Plan, build: Build | None = None, lines: list[str] | None = None) -> None:
        super().__init__(plan, build, lines)
        mirror = self._folder / "mirror"
        knobs = self._settings
        self._settings = knobs.model_copy(
            update={
                "registry": knobs.registry.model_copy(update={"mirror": mirror}),
                "label": knobs.label.model_copy(update={"horizon_seconds": 4.0}),
                "candidate": knobs.candidate.model_copy(update={"interval_ms": 700}),
                "rollout": knobs.rollout.model_copy(update={"mode": "full"}),
            }
        )
        self._link = mirror / "active"
        self._versions = 0
        self._turn_model()
        self._tape = Tape(self.rng, MIDS)
        self.reading = Reading(self.observer, self._tape, self.nature)
        self._risk: Risk | None = None
        self._market = Market()
        if not self._is_one:
            self._others = [
                Process("scorer", self._born_scorer, lambda _in_order: None),
                Process("risk", self._born_risk, self._risk_gone),
            ]

    # Steps

    def _go_wrong(self) -> None:
        super()._go_wrong()
        for process in self._others:
            if process.host is not None and self.rng.random() < self.plan.upstream_crash / 2:
                process.die("killed between steps")
        if self.rng.random() < 0.05:
            self._turn_model()

    def _be_calm(self) -> None:
        super()._be_calm()
        self._market.is_quiet = True

    def _turn_model(self) -> None:
        """Another model becomes the active one."""
        self._versions += 1
        folder = self._link.parent / f"v{self._versions}-0123456789ab"
        folder.mkdir(parents=True, exist_ok=True)
        point(self._link, folder)

    # Births and deaths

    def _add_script(self, host: Host, clock: ProcessClock) -> None:
        ticks = {name: float(symbol.price_tick) for name, symbol in symbols().items()}
        feed = SimulatedFeed(self._tape, self.nature, clock, self.rng, ticks)
        feed.trouble = 0.0 if self._calm else self.plan.weather.query_fails
        host.add(self._build.collector(self._spoken(host, clock, "collector"), feed, feed))
        host.add(self._build.engine(self._spoken(host, clock, "signal_engine"), partial(LightStepper, self._market)))  # type: ignore[arg-type]
        out = host.output("operator")
        host.add(Mute("operator"))
        self._script = Field(feed, out, clock, self.rng)
        if self._is_one:
            self._add_scorer(host, clock)
            self._add_risk(host, clock)

    def _spoken(self, host: Host, clock: ProcessClock, name: str):  # type: ignore[no-untyped-def]
        parts = self._parts(host, clock, name, tapped=True)
        assert isinstance(parts.out, Tap)
        parts.out.observer = self.reading  # type: ignore[assignment]
        return parts

    def _add_scorer(self, host: Host, clock: ProcessClock) -> None:
        host.add(self._build.scorer(self._spoken(host, clock, "ai_scorer"), at_once, clock.mono_ns, load_light))

    def _add_risk(self, host: Host, clock: ProcessClock) -> None:
        self._risk = self._build.risk(self._spoken(host, clock, "risk"), IdleWorker())
        host.add(self._risk)

    def _born_scorer(self) -> Host:
        clock = ProcessClock(self.nature)
        host = self._host("scorer", clock)
        self._add_scorer(host, clock)
        host.start()
        return host

    def _born_risk(self) -> Host:
        clock = ProcessClock(self.nature)
        host = self._host("risk", clock)
        self._add_risk(host, clock)
        host.start()
        return host

    def _risk_gone(self, in_order: bool) -> None:
        risk, self._risk = self._risk, None
        if risk is not None and not in_order:
            with suppress(OSError):
                risk._evidence.close()

    def _all_gone(self, in_order: bool) -> None:
        super()._all_gone(in_order)
        self._risk_gone(in_order)

    def _close(self) -> None:
        self._risk_gone(in_order=False)
        super()._close()

    # The end

    def _undone(self) -> int:
        depths = [self.bus.depth(stream, group) for stream, group in GROUPS]
        still = self._risk.status()["open_candidates"] if self._risk is not None else 1
        return sum(depth.lag + depth.pending for depth in depths) + int(still)

    def _judge(self) -> None:
        super()._judge()
        if self._nothing_lost:
            self._judge_scores()

    def _judge_scores(self) -> None:
        """Every candidate is judged once, by one active model; every score has one end."""
        found: dict[type, dict[str, object]] = {Score: {}, Outcome: {}}
        for stream in (SCORES, OUTCOMES):
            for entry in self.bus.recent(stream, 100_000):
                body = decode(entry).body
                assert isinstance(body, Score | Outcome)
                before = found[type(body)].setdefault(body.candidate_id, body)
                if before is not body and (isinstance(body, Score) or repr(before) != repr(body)):
                    raise Violation("W3", f"{body.candidate_id} has two: {before} and {body}")
                if isinstance(body, Score) and len(judged_by(body)) != 1:
                    raise Violation("W3", f"{body.candidate_id} is judged by {judged_by(body)}")
        # The other way round there may be some: what was judged while the bus was away dies with its process.
        if strange := found[Score].keys() - found[Outcome].keys() - self._aside(SCORES):
            raise Violation("W4", f"scored and never ended: {sorted(strange)}")
