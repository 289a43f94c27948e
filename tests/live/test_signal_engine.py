"""Candidates of a live market: the pipelines' moments and bits, and none that should not be said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bus.messages import Candidate, ControlEvent, MarketTrade, Received
from live.clock import ManualClock
from live.service import Parts
from live.signal_engine import STREAK, SignalEngine
from market.candidates import select
from market.columns import BookColumns, TradeColumns
from market.events import BadEvent
from market.feature_spec import COLUMN_NAMES, N_COLUMNS, schema_hash
from market.features import KernelState, interleave, run
from market.stepper import Stepper
from tests.live.markets import Market, bodies, market, numbered, status
from tests.live.parts import RecordingOutput, parts, received

S = "BTCUSDT"
SECOND_NS = 1_000_000_000


@pytest.fixture(scope="module")
def lively() -> Market:
    """Five minutes of a market, three of them behind the warm-up."""
    return market(9_000, seed=11, per_second=30.0)


def fed(engine: SignalEngine, made_of: Parts, messages: list[Received], late_ns: int = 2_000_000) -> None:
    """Hand messages to an engine, each a little after it arrived."""
    clock = made_of.clock
    assert isinstance(clock, ManualClock)
    for message in messages:
        clock.advance_to(message.header.received_ns + late_ns)
        engine.handle(message)


def said(made_of: Parts) -> list[Candidate]:
    """Every candidate published so far."""
    assert isinstance(made_of.out, RecordingOutput)
    return made_of.out.of(Candidate)


def alerts(made_of: Parts) -> list[ControlEvent]:
    """Every control event published so far."""
    assert isinstance(made_of.out, RecordingOutput)
    return made_of.out.of(ControlEvent)


def at_start(tmp_path: Path, begin_ns: int, **sections: dict[str, object]) -> Parts:
    """Parts whose clock stands just before a market begins."""
    return replace(parts(tmp_path, sections), clock=ManualClock(begin_ns))


def started(made_of: Parts) -> SignalEngine:
    """An engine that is ready."""
    engine = SignalEngine(made_of)
    engine.start()
    return engine


def offline(book: BookColumns, trades: TradeColumns, made_of: Parts) -> list[tuple[int, int, bytes]]:
    """Time, side and row of every candidate as the pipelines find them."""
    events = interleave(book, trades)
    out, valid = np.empty((len(events), N_COLUMNS), np.float32), np.empty(len(events), np.uint8)
    run(KernelState.new(), events, out, valid)
    t_ns = np.ascontiguousarray(events[:, 0])
    index, side = select(made_of.settings.candidate.rule(), t_ns, out, valid)
    return [(int(t_ns[k]), int(way), out[k].tobytes()) for k, way in zip(index, side, strict=True)]


def test_live_candidates_are_the_pipelines_candidates_to_the_bit(tmp_path: Path, lively: Market) -> None:
    """Same moments, same sides, same float32 rows; the session begins at the first image."""
    made_of = at_start(tmp_path, int(lively[0].local_ns[0]))
    engine = started(made_of)
    fed(engine, made_of, numbered(bodies(S, *lively)))
    found = [(each.t_ns, each.side, each.row) for each in said(made_of)]
    assert found == offline(*lively, made_of)
    assert len(found) > 100
    assert {each.session_ns for each in said(made_of)} == {int(lively[0].local_ns[0])}
    assert {each.schema_hash for each in said(made_of)} == {schema_hash()}


def test_a_candidate_carries_the_touch_it_was_found_at(tmp_path: Path, lively: Market) -> None:
    """Its id is symbol and time; book sequence, touch and arrival are those of the book it saw."""
    made_of = at_start(tmp_path, int(lively[0].local_ns[0]))
    fed(started(made_of), made_of, numbered(bodies(S, *lively)))
    book, trades = lively
    assert isinstance(made_of.out, RecordingOutput)
    for each in said(made_of):
        k = int(np.searchsorted(book.local_ns, each.local_ns, side="right")) - 1
        assert each.id == f"{S}-{each.t_ns}"
        assert each.book_sequence == book.sequence[k]
        assert (each.bid_ticks, each.bid_lots) == (book.bid_ticks[0, k], book.bid_lots[0, k])
        assert (each.ask_ticks, each.ask_lots) == (book.ask_ticks[0, k], book.ask_lots[0, k])
        assert each.local_ns in (book.local_ns[k], *trades.local_ns.tolist())
    assert [one.message_id for one in made_of.out.said] == [each.id for each in said(made_of)]
    assert made_of.metrics.candidates_total.labels(S)._value.get() == len(said(made_of))


def test_a_reset_begins_a_session_and_a_warm_up(tmp_path: Path) -> None:
    """Two minutes without a candidate behind it; rows after it are those of a market that begins there."""
    whole = market(14_000, seed=12, per_second=30.0, resets=[6_000])
    made_of = at_start(tmp_path, int(whole[0].local_ns[0]))
    engine = started(made_of)
    fed(engine, made_of, numbered(bodies(S, *whole)))
    reset_ns = int(whole[0].local_ns[6_000])
    behind = [each for each in said(made_of) if each.local_ns >= reset_ns]
    assert {each.session_ns for each in behind} == {reset_ns}
    assert behind[0].t_ns >= int(whole[0].exchange_ns[6_000]) + 120 * SECOND_NS
    tail = whole[0].slice(6_000, len(whole[0]))
    prints = whole[1].slice(int(np.searchsorted(whole[1].local_ns, reset_ns)), len(whole[1]))
    assert [(c.t_ns, c.side, c.row) for c in behind] == offline(tail, prints, made_of)


def test_a_loss_voids_the_windows(tmp_path: Path, lively: Market) -> None:
    """One message missing: what comes behind it begins a session, at the next image, and warms up again."""
    made_of = at_start(tmp_path, int(lively[0].local_ns[0]))
    engine = started(made_of)
    messages = numbered(bodies(S, *lively))
    hole = 6_000
    fed(engine, made_of, messages[:hole] + messages[hole + 1 :])
    cut_ns = messages[hole].header.received_ns
    next_image = next(m for m in messages[hole + 1 :] if m.header.kind == "book")
    shown = engine.status()["symbols"][S]
    assert (shown["lost"], shown["session_ns"]) == (1, next_image.header.received_ns)
    assert all(c.local_ns < cut_ns or c.t_ns >= cut_ns + 119 * SECOND_NS for c in said(made_of))


def test_a_hole_that_stays_is_given_up_by_the_tick(tmp_path: Path, lively: Market) -> None:
    """When the other stream is silent, time decides."""
    made_of = at_start(tmp_path, int(lively[0].local_ns[0]))
    engine = started(made_of)
    books = numbered([b for b in bodies(S, *lively)[:40] if not isinstance(b, MarketTrade)])
    fed(engine, made_of, books[:5] + books[6:10])
    assert engine.status()["held"] == 4
    clock = made_of.clock
    assert isinstance(clock, ManualClock)
    for _ in range(7):
        clock.advance(seconds=0.2)
        engine.tick()
    assert engine.status()["held"] == 0
    assert engine.status()["symbols"][S]["lost"] == 1


@pytest.mark.parametrize(
    ("state", "reason"), [("gap", "book_not_live"), ("stale", "book_not_live"), ("halted", "book_not_live")]
)
def test_nothing_is_said_while_the_book_is_not_live(tmp_path: Path, lively: Market, state: str, reason: str) -> None:
    """Candidates withheld are counted; live again, they are said again."""
    said_bodies = bodies(S, *lively)
    cut = 7_000
    at_ns = said_bodies[cut].local_ns
    told = [*said_bodies[:cut], status(S, state, at_ns), *said_bodies[cut : cut + 600],
            status(S, "live", at_ns), *said_bodies[cut + 600 :]]  # fmt: skip
    made_of = at_start(tmp_path, int(lively[0].local_ns[0]))
    engine = started(made_of)
    messages = numbered(told)
    fed(engine, made_of, messages[: cut + 601])
    assert not [c for c in said(made_of) if c.local_ns >= at_ns]
    assert engine.status()["symbols"][S]["withheld"][reason] > 5
    fed(engine, made_of, messages[cut + 601 :])
    ids = {c.id for c in said(made_of)}
    assert [c for c in said(made_of) if c.local_ns >= at_ns]
    assert ids < {f"{S}-{t_ns}" for t_ns, _, _ in offline(*lively, made_of)}


@pytest.mark.parametrize(("late_ns", "reason"), [(1_600_000_000, "old"), (-4_000_000_000, "future")])
def test_an_image_that_is_too_old_gives_no_candidate(tmp_path: Path, lively: Market, late_ns: int, reason: str) -> None:
    """Older than signals.ttl_ms, or from a clock that runs ahead: counted, and the windows go on."""
    made_of = at_start(tmp_path, int(lively[0].local_ns[0]) - 5 * SECOND_NS)
    engine = started(made_of)
    fed(engine, made_of, numbered(bodies(S, *lively)), late_ns)
    assert not said(made_of)
    assert engine.status()["symbols"][S]["withheld"][reason] == len(offline(*lively, made_of))


def test_a_restarted_engine_finds_nothing_twice(tmp_path: Path, lively: Market) -> None:
    """It reads its newest candidates first, and goes on behind them, whatever it may see again."""
    made_of = at_start(tmp_path, int(lively[0].local_ns[0]))
    fed(started(made_of), made_of, numbered(bodies(S, *lively)))
    before = said(made_of)
    other = at_start(tmp_path, int(lively[0].local_ns[0]))
    again = started(other)
    starts = {each.stream: each.start for each in again.subscriptions()}
    assert starts["sig:candidates"] == "recent:256"
    for each in before[:-20]:
        again.handle(received("sig:candidates", each))
    fed(again, other, numbered(bodies(S, *lively)))
    assert [c.id for c in said(other)] == [c.id for c in before[-20:]]


class Broken(Stepper):
    """A kernel one of whose features turns into NaN."""

    def book(self, *event: int, **more: int) -> bool:  # type: ignore[override]
        """Take a book, and break a feature."""
        found = super().book(*event, **more)  # type: ignore[arg-type]
        self.row[3] = np.nan
        return found

    def trade(self, *event: int) -> bool:
        """Take a print, and break a feature."""
        found = super().trade(*event)
        self.row[3] = np.nan
        return found


def test_a_feature_that_is_no_number_is_never_sent(tmp_path: Path, lively: Market) -> None:
    """Counted by name; ten in a row call CRIT, once."""
    made_of = at_start(tmp_path, int(lively[0].local_ns[0]))
    engine = SignalEngine(made_of, stepper=Broken)
    engine.start()
    fed(engine, made_of, numbered(bodies(S, *lively)))
    assert not said(made_of)
    counted = made_of.metrics.feature_not_finite_total.labels(COLUMN_NAMES[3])._value.get()
    assert counted == engine.status()["symbols"][S]["withheld"]["not_finite"] > STREAK
    (alert,) = alerts(made_of)
    assert (alert.event, alert.severity, alert.symbol) == ("ALERT", "CRIT", S)
    assert COLUMN_NAMES[3] in alert.text


class Small(Stepper):
    """A kernel whose ring is soon full."""

    def __init__(self) -> None:
        super().__init__(capacity=64)


def test_a_full_ring_begins_the_windows_anew(tmp_path: Path) -> None:
    """Told by a WARN; the engine goes on."""
    hectic = market(2_000, seed=14, per_second=60.0)
    made_of = at_start(tmp_path, int(hectic[0].local_ns[0]))
    engine = SignalEngine(made_of, stepper=Small)
    engine.start()
    fed(engine, made_of, numbered(bodies(S, *hectic)))
    assert {alert.severity for alert in alerts(made_of)} == {"WARN"}
    assert engine.status()["symbols"][S]["session_ns"] > 0


def test_an_image_of_another_shape_is_refused_and_voids_the_windows(tmp_path: Path, lively: Market) -> None:
    """The host sets the message aside; the next image begins a session."""
    made_of = at_start(tmp_path, int(lively[0].local_ns[0]))
    engine = started(made_of)
    said_bodies = bodies(S, *lively)[:20]
    messages = numbered(said_bodies)
    fed(engine, made_of, messages[:10])
    place = next(k for k in range(10, 20) if messages[k].header.kind == "book")
    fed(engine, made_of, messages[10:place])
    poisoned = type(said_bodies[0])(S, 1, 1, 1, 0, [1], [1], [2], [1])
    with pytest.raises(BadEvent, match="wants 10"):
        fed(engine, made_of, [messages[place]._replace(body=poisoned)])
    assert engine.status()["symbols"][S]["session_ns"] == 0
    fed(engine, made_of, messages[place + 1 :])
    assert engine.status()["symbols"][S]["session_ns"] > 0


def test_an_image_of_another_shape_holds_up_nothing_behind_it(tmp_path: Path, lively: Market) -> None:
    """A status that waited with it is heard: the book is not taken for a live one."""
    made_of = at_start(tmp_path, int(lively[0].local_ns[0]))
    engine = started(made_of)
    images = [body for body in bodies(S, *lively) if not isinstance(body, MarketTrade)][:3]
    poisoned = type(images[0])(S, 1, 1, 1, 0, [1], [1], [2], [1])
    told = numbered([images[0], images[1], poisoned, status(S, "gap", images[2].local_ns)])
    fed(engine, made_of, [told[0], told[2], told[3]])
    with pytest.raises(BadEvent):
        engine.handle(told[1])
    assert engine.status()["symbols"][S]["state"] == "gap"


def test_two_symbols_do_not_touch_each_other(tmp_path: Path, lively: Market) -> None:
    """Messages mixed in time give each symbol what it has alone."""
    other = market(9_000, seed=13, per_second=30.0)
    made_of = replace(
        parts(tmp_path, symbols=(S, "ETHUSDT")), clock=ManualClock(int(lively[0].local_ns[0]) - SECOND_NS)
    )
    mixed = numbered(bodies(S, *lively)) + numbered(bodies("ETHUSDT", *other))
    fed(started(made_of), made_of, sorted(mixed, key=lambda message: message.header.received_ns))
    for symbol, alone in ((S, lively), ("ETHUSDT", other)):
        found = [(c.t_ns, c.side, c.row) for c in said(made_of) if c.symbol == symbol]
        assert found == offline(*alone, made_of)


def test_status_tells_when_it_is_ready(tmp_path: Path) -> None:
    """Ready once the compiled kernel is loaded, and no more after the stop."""
    engine = SignalEngine(parts(tmp_path))
    assert engine.status()["ready"] is False
    engine.start()
    assert engine.status()["ready"] is True
    assert engine.status()["symbols"][S] == {
        "state": "unknown", "warm": False, "session_ns": 0, "image_age_ms": None, "candidates": 0, "lost": 0,
        "withheld": {},
    }  # fmt: skip
    engine.stop()
    assert engine.status()["ready"] is False
