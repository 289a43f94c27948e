"""Each guard speaks once an episode, needs its time, and lets go by an easier line than it takes hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.guards import (
    Call,
    Latch,
    LiquidationGuard,
    PnlGuard,
    PrecisionGuard,
    StaleMarketGuard,
    TradeRateGuard,
    UsualDepth,
    VolatilityGuard,
    liquidation_price,
)

S = 1_000_000_000


def kinds(calls: list[Call]) -> list[tuple[str, str]]:
    """Event and severity."""
    return [(call.event, call.severity) for call in calls]


def looks(guard: PrecisionGuard, hit: bool, times: int) -> list[Call]:
    """What it says to so many hits or misses."""
    return [call for _ in range(times) for call in guard.look(hit)]


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["bad", "clear", "between"])), max_size=60))
def test_a_latch_alternates_and_takes_its_time(looks: list[tuple[int, str]]) -> None:
    """Enter and leave take turns, and each comes behind an unbroken stretch of its condition."""
    latch, now_s, told, since = Latch(2 * S, 3 * S), 0, [], None
    for passed, what in looks:
        now_s += passed
        wanted = "clear" if latch.is_in else "bad"
        since = (now_s if since is None else since) if what == wanted else None
        step = latch.look(now_s * S, bad=what == "bad", clear=what == "clear")
        if step:
            assert since is not None and now_s - since >= (2 if step == "enter" else 3)
            told.append(step)
            since = None
    assert told == ["enter", "leave"] * (len(told) // 2) + ["enter"] * (len(told) % 2)


def test_precision_needs_samples_and_speaks_once() -> None:
    """Nine misses are not enough of ten; the tenth is; two points above the floor it lets go."""
    guard = PrecisionGuard(20, 10, 0.3, severity="CRIT")
    assert looks(guard, False, 9) == []
    assert kinds(guard.look(False)) == [("HALT", "CRIT")]
    assert looks(guard, False, 5) == []
    # 15 misses and 7 hits: of the newest 20 the hits are 0.35, of 15 and 6 they were 0.30.
    assert looks(guard, True, 6) == []
    assert kinds(looks(guard, True, 1)) == [("RESUME", "INFO")]


def test_precision_forgets_after_a_persons_resume() -> None:
    """The very misses that halted may not halt again."""
    guard = PrecisionGuard(20, 10, 0.3, severity="WARN", route="canary")
    (halt,) = [call for _ in range(10) for call in guard.look(False)]
    assert (halt.route, halt.reason) == ("canary", "precision_halt")
    guard.reset()
    assert looks(guard, False, 9) == []
    assert kinds(guard.look(False)) == [("HALT", "WARN")]


def test_volatility_is_debounced_and_rests_before_it_resumes() -> None:
    """Three seconds over; then under three quarters of the line for two minutes without a break."""
    guard = VolatilityGuard("X", 30.0, 3.0, 120.0)
    assert guard.look(0, 31.0) == guard.look(2 * S, 31.0) == guard.look(int(2.5 * S), 29.0) == []
    assert guard.look(3 * S, 31.0) == guard.look(5 * S, 40.0) == []
    (halt,) = guard.look(6 * S, 40.0)
    assert (halt.event, halt.severity, halt.symbol, halt.reason) == ("HALT", "WARN", "X", "volatility_halt")
    assert guard.look(10 * S, 20.0) == guard.look(100 * S, 25.0) == guard.look(101 * S, 20.0) == []
    assert guard.look(220 * S, 20.0) == []
    assert kinds(guard.look(221 * S, 20.0)) == [("RESUME", "INFO")]


def test_too_many_entries_halt_and_a_spike_alerts() -> None:
    """The configured most halts; 1.5 times what the release promised is told of."""
    guard = TradeRateGuard(100.0)
    assert guard.look(0, 50.0, 0.0) == []
    assert kinds(guard.look(1, 50.0, 30.0)) == [("ALERT", "WARN")]
    assert guard.look(2, 60.0, 30.0) == []
    assert kinds(guard.look(3, 101.0, 30.0)) == [("HALT", "WARN")]
    assert guard.look(4, 90.0, 30.0) == []
    assert kinds(guard.look(5, 80.0, 30.0)) == [("RESUME", "INFO")]
    assert guard.look(6, 10.0, 30.0) == []
    assert kinds(guard.look(7, 50.0, 30.0)) == [("ALERT", "WARN")]
    guard.look(8, 101.0, 0.0)
    guard.reset()
    assert kinds(guard.look(9, 101.0, 0.0)) == [("HALT", "WARN")]


def test_a_loss_or_a_fall_from_the_best_is_crit_for_the_day() -> None:
    """Profit in between does not resume; midnight does."""
    loss = PnlGuard(100.0, 1_000.0)
    assert loss.look(-100.0) == []
    assert kinds(loss.look(-100.5)) == [("HALT", "CRIT")]
    assert loss.look(-200.0) == loss.look(500.0) == []
    assert kinds(loss.new_day()) == [("RESUME", "INFO")]
    assert loss.new_day() == loss.look(-50.0) == []
    fall = PnlGuard(1_000.0, 100.0)
    assert fall.look(300.0) == fall.look(200.0) == []
    assert kinds(fall.look(199.0)) == [("HALT", "CRIT")]


def test_a_person_lets_a_day_go_on_from_where_it_stands() -> None:
    """The next hundred lost halt again; a restart remembers from where."""
    guard = PnlGuard(100.0, 100.0)
    guard.look(-150.0)
    guard.reset()
    assert guard.look(-200.0) == []
    again = PnlGuard(100.0, 100.0)
    again.restore(*guard.marks, -200.0)
    assert again.look(-249.0) == []
    assert kinds(again.look(-251.0)) == [("HALT", "CRIT")]


def test_near_liquidation_is_crit_until_it_is_far() -> None:
    """Half as far again, for ten seconds; no position is far."""
    guard = LiquidationGuard("X", 300.0)
    assert guard.look(0, 300.0) == guard.look(0, None) == []
    assert kinds(guard.look(S, 299.0)) == [("HALT", "CRIT")]
    assert guard.look(2 * S, 400.0) == guard.look(3 * S, 450.0) == []
    assert kinds(guard.look(13 * S, None)) == [("RESUME", "INFO")]
    guard.look(14 * S, 1.0)
    guard.reset()
    assert guard.latch.is_in is False


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("leverage", [3.0, 50.0])
def test_the_liquidation_price_is_where_equity_meets_maintenance(side: int, leverage: float) -> None:
    """Margin and the loss at that price leave exactly the maintenance margin."""
    entry, size, rate = 60_000.0, 0.5, 0.004
    margin = entry * size / leverage
    price = liquidation_price(side, entry, size, margin, rate)
    assert side * (entry - price) > 0
    assert margin + side * size * (price - entry) == pytest.approx(size * price * rate)


def test_a_long_that_owns_its_notional_cannot_be_liquidated() -> None:
    """Its price would lie below zero."""
    assert liquidation_price(1, 100.0, 1.0, 150.0, 0.004) == 0.0


def test_usual_depth_is_a_median_of_samples() -> None:
    """One each ten seconds; before a minute is seen anything but nothing is normal."""
    usual = UsualDepth()
    for number in range(5):
        assert usual.due_ns == 10 * number * S
        usual.take(usual.due_ns, 100, 200)
    assert usual.is_normal(1, 1, 0.5) and not usual.is_normal(0, 1, 0.5) and not usual.is_normal(1, 0, 0.5)
    usual.take(60 * S, 1_000, 1)
    assert usual.is_normal(50, 100, 0.5)
    assert not usual.is_normal(49, 100, 0.5) and not usual.is_normal(50, 99, 0.5)


def _live(guard: StaleMarketGuard, first: int, last: int, lots: int = 100) -> list[Call]:
    return [call for second in range(first, last) for call in guard.on_book(second * S, [lots, lots, 0], [lots, 0])]


def test_silence_is_crit_and_only_minutes_of_normal_depth_bring_it_back() -> None:
    """Thin books in between start the wait anew; so does another silence."""
    guard = StaleMarketGuard("X", 15.0, 0.5, 300.0, 2)
    assert _live(guard, 0, 100) == guard.on_silence(114 * S, 14.9, was_seen=True) == []
    (halt,) = guard.on_silence(116 * S, 15.1, was_seen=True)
    assert (halt.event, halt.severity, halt.reason, halt.symbol) == ("HALT", "CRIT", "stale_market", "X")
    assert guard.on_silence(120 * S, 19.0, was_seen=True) == []
    assert _live(guard, 130, 400) == []
    assert guard.on_book(400 * S, [40, 40, 100], [100]) == []
    assert _live(guard, 401, 701) == []
    assert kinds(_live(guard, 701, 702)) == [("RESUME", "INFO")]


def test_a_market_that_never_spoke_is_told_of_once() -> None:
    """Nothing can be traded on it, so there is no halt that would outlast its first book by minutes."""
    guard = StaleMarketGuard("X", 15.0, 0.5, 300.0, 2)
    assert kinds(guard.on_silence(16 * S, 16.0, was_seen=False)) == [("ALERT", "WARN")]
    assert guard.on_silence(17 * S, 17.0, was_seen=False) == []
    assert not guard.is_halted
    guard.restore()
    guard.reset()
    assert not guard.is_halted


def test_a_side_without_depth_for_a_second_halts_and_silence_then_makes_it_crit() -> None:
    """A blink does not; and the halt is said again when it becomes worse."""
    guard = StaleMarketGuard("X", 15.0, 0.5, 300.0, 2)
    _live(guard, 0, 100)
    assert guard.on_book(100 * S, [0, 0], [100]) == guard.on_book(100 * S + S // 2, [100, 100], [100]) == []
    assert guard.on_book(101 * S, [0, 0], [100]) == []
    assert kinds(guard.on_book(102 * S, [0, 0], [100])) == [("HALT", "WARN")]
    assert guard.on_book(110 * S, [0, 0], [100]) == []
    assert kinds(guard.on_silence(130 * S, 20.0, was_seen=True)) == [("HALT", "CRIT")]


def test_a_restored_halt_waits_its_whole_time() -> None:
    """A restart does not begin half-way."""
    guard = StaleMarketGuard("X", 15.0, 0.5, 300.0, 2)
    guard.restore()
    assert _live(guard, 0, 300) == []
    assert kinds(_live(guard, 300, 301)) == [("RESUME", "INFO")]
