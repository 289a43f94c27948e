"""Rolling figures: what counts, for which route, over which window, and each thing once."""

import math

import pytest

from bus.messages import Judgement, Outcome, Route
from live.rolling import CanaryCount, DayPnl, JudgedFigures, Seen, TradedFigures, mean
from market.barriers import STOP, TARGET, TIMEOUT, UNRESOLVED
from tests.live.risk_market import report

HOUR = 3_600_000_000_000


def outcome(
    result: int,
    *,
    route: Route = "paper",
    approved: bool = True,
    probability: float = 0.6,
    canary: str = "",
    name: str = "a",
) -> Outcome:
    """How a candidate ended."""
    judgements = [Judgement("active", "m1", 1, 0.0, probability, 0.5)]
    if canary:
        judgements.append(Judgement("canary", canary, 2, 0.0, 0.9, 0.5))
    return Outcome(name, "X", 1, route, approved, 0, result, 0, 0.0, 0.0, [0.0, 0.0, 0.0], judgements)


def test_precision_is_of_approved_and_resolved_candidates() -> None:
    """A timeout is no hit; what was rejected or unresolved does not count."""
    figures = JudgedFigures(100)
    assert figures.precision() is None
    assert figures.take(outcome(TARGET)) is True
    assert figures.take(outcome(STOP)) is figures.take(outcome(TIMEOUT)) is False
    assert figures.take(outcome(TARGET, approved=False)) is figures.take(outcome(UNRESOLVED)) is None
    figures.take(outcome(TARGET, route="canary"))
    assert figures.precision() == 0.5
    assert figures.precision("paper") == pytest.approx(1 / 3)
    assert figures.precision("canary") == 1.0
    assert figures.precision("full") is None


def test_a_window_forgets() -> None:
    """Only the newest rows count."""
    figures = JudgedFigures(10)
    for _ in range(10):
        figures.take(outcome(STOP))
    for _ in range(10):
        figures.take(outcome(TARGET))
    assert figures.precision() == 1.0


def test_calibration_is_of_every_resolved_candidate_the_active_model_scored() -> None:
    """Rejected ones included: no selection. Too few rows give nothing."""
    figures = JudgedFigures(1_000)
    for k in range(200):
        figures.take(outcome(TARGET if k % 5 < 3 else STOP, approved=False, probability=0.6))
    assert figures.calibration(201) is None
    found = figures.calibration(200)
    assert found is not None
    assert found == pytest.approx((0.0, 0.0, 0.6 * 0.16 + 0.4 * 0.36))
    for _ in range(200):
        figures.take(outcome(STOP, probability=0.9))
    wrong = figures.calibration(100)
    assert wrong is not None and wrong.ece > 0.3
    assert 0.0 < wrong.ece_raw - wrong.ece < 0.05  # what luck explains
    figures.take(outcome(TARGET, probability=math.nan))
    assert figures.calibration(100) == wrong


def test_the_canary_is_counted_from_its_model_on() -> None:
    """Another model begins at zero; other routes and rejected candidates do not count."""
    count = CanaryCount()
    for result in (TARGET, STOP, UNRESOLVED):
        count.take(outcome(result, route="canary", canary="m2"))
    count.take(outcome(TARGET, canary="m2"))
    count.take(outcome(TARGET, route="canary", canary="m2", approved=False))
    assert (count.model_id, count.judged, count.won) == ("m2", 2, 1)
    count.take(outcome(STOP, route="canary", canary="m3"))
    assert (count.model_id, count.judged, count.won) == ("m3", 1, 0)


def test_an_order_that_traded_at_all_filled() -> None:
    """Canceled after a part is a fill; exits do not count."""
    figures = TradedFigures(100)
    assert figures.fill_rate("paper") is figures.cancel_to_fill("paper") is None
    figures.take_order(report("filled", 1, filled=5), 0)
    figures.take_order(report("canceled", 2, filled=1, leaves=4), 0)
    figures.take_order(report("canceled", 3), 0)
    figures.take_order(report("expired", 4), 0)
    figures.take_order(report("canceled", 5, leg="exit"), 0)
    figures.take_order(report("accepted", 6), 0)
    assert figures.fill_rate("paper") == 0.5
    assert figures.cancel_to_fill("paper") == 0.5


def test_entries_are_approvals_whose_first_fill_was_within_the_hour() -> None:
    """Two rungs of one approval are one entry."""
    figures = TradedFigures(100)
    figures.take_order(report("partial", 1, filled=1, leaves=4), 0)
    figures.take_order(report("filled", 1, filled=5), 10)
    figures.take_order(report("filled", 2, filled=5, route="canary"), HOUR // 2)
    assert figures.entries_per_hour(HOUR - 1) == 2
    assert figures.entries_per_hour(HOUR - 1, HOUR) == 0
    assert figures.entries_per_hour(HOUR) == 1
    assert figures.entries_per_hour(2 * HOUR) == 0


def test_win_rate_and_markouts_are_by_route() -> None:
    """Zero profit is no win; a markout that is no number is left out."""
    figures = TradedFigures(100)
    for net in (1.0, 0.0, -1.0, 2.0):
        figures.take_closed("full", net)
    figures.take_markouts("full", [1.0, math.nan, -1.0])
    figures.take_markouts("full", [3.0, 5.0, -1.0])
    assert figures.winrate("full") == 0.5
    assert figures.winrate("paper") is None
    assert figures.markouts("full") == (2.0, 5.0, -1.0)
    assert figures.markouts("paper") == (None, None, None)


def test_a_days_profit_is_by_route_and_real_apart() -> None:
    """The real part is what the guard of a real executor looks at."""
    day = DayPnl(1)
    day.take("paper", 3.0, is_real=False)
    day.take("canary", -1.0, is_real=True)
    day.take("canary", -1.0, is_real=True)
    assert (day.total, day.real, day.by_route) == (1.0, -2.0, {"paper": 3.0, "canary": -2.0})


def test_ids_are_remembered_up_to_a_bound() -> None:
    """The oldest is forgotten first."""
    seen = Seen(most=2)
    assert seen.add("a") and seen.add("b") and not seen.add("a")
    assert seen.add("c")
    assert "a" not in seen and "b" in seen


def test_nothing_has_no_mean() -> None:
    """Rather than 0."""
    assert mean([]) is None
    assert mean([True, False]) == 0.5
