"""Rules of the simulated market: what is refused, how midnights are priced, how a day is cut."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.events import BadRule
from market.simulator_rule import (
    DAY_NS,
    SPAN_FIELDS,
    Drift,
    RegimeSpan,
    SimulatorRule,
    midnight_price,
    multipliers,
    seed_of,
)
from tests.market.simulated import BTC, DAY, MIDNIGHT, SECOND


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("start_price", 0.0),
        ("depth_interval_ms", 0),
        ("orders_per_second", -1.0),
        ("trades_per_second", math.nan),
        ("volatility_bps", math.inf),
        ("order_flow_effect", 1.0),
        ("levels_each_side", 15),
        ("latency_ms", -0.1),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(name: str, value: float) -> None:
    """The message names the field and the value found."""
    with pytest.raises(BadRule, match=rf"{name} must be .* was {value}"):
        SimulatorRule(**{name: value})  # type: ignore[arg-type]


def test_spans_and_drifts_are_checked() -> None:
    """Unknown regimes and features, spans outside the day, and factors that would stop the market."""
    with pytest.raises(BadRule, match="regime must be one of normal, event"):
        RegimeSpan("holiday")  # type: ignore[arg-type]
    with pytest.raises(BadRule, match=r"found 10\.0 to 5\.0"):
        RegimeSpan("event", 10.0, 5.0)
    with pytest.raises(BadRule, match="must be one of volatility"):
        Drift("weather", 2.0, 0, 1)
    with pytest.raises(BadRule, match="factor must be finite and above 0"):
        Drift("depth", 0.0, 0, 1)
    assert Drift("effect", -1.0, 0, 1).factor == -1.0


def test_midnights_repeat_and_move_by_about_a_day_of_volatility() -> None:
    """The same seed gives the same price; steps between days have the rule's volatility; the level comes back."""
    rule = SimulatorRule()
    days = range(DAY, DAY + 400)
    prices = np.log([midnight_price(BTC, day, 1, rule) for day in days])
    again = midnight_price(BTC, DAY + 17, 1, rule)
    assert again == math.exp(prices[17]) or math.isclose(again, math.exp(prices[17]))
    wanted = rule.volatility_bps * math.sqrt(86_400.0) * 1e-4
    assert 0.7 < np.diff(prices).std() / wanted < 1.4
    assert abs(prices.mean() - math.log(rule.start_price)) < 5 * wanted
    assert midnight_price(BTC, DAY, 2, rule) != midnight_price(BTC, DAY, 1, rule)


def test_a_day_is_cut_where_regimes_and_drifts_change() -> None:
    """Rows end where anything changes, the last at the day's end; drifts multiply what the regime says."""
    rule = SimulatorRule(regimes=(RegimeSpan("event", 3_600.0, 7_200.0),))
    drift = Drift("spread", 2.0, MIDNIGHT + 5_400 * SECOND, MIDNIGHT + 2 * DAY_NS)
    cut = multipliers(rule, (drift,), DAY)
    assert cut[:, 0].tolist() == [3_600.0, 5_400.0, 7_200.0, 86_400.0]
    spread = cut[:, 1 + SPAN_FIELDS.index("spread")]
    assert spread.tolist() == [1.0, 8.0, 16.0, 2.0]
    assert multipliers(rule, (drift,), DAY - 1)[:, 0].tolist() == [3_600.0, 7_200.0, 86_400.0]
    assert multipliers(SimulatorRule(), (), DAY).tolist() == [[86_400.0] + [1.0] * len(SPAN_FIELDS)]


@given(
    st.floats(0.0, 86_000.0),
    st.floats(1.0, 400.0),
    st.lists(st.tuples(st.integers(-2, 2), st.floats(0.1, 9.0)), max_size=4),
)
def test_every_second_of_a_day_has_one_row(start: float, length: float, drifts: list[tuple[int, float]]) -> None:
    """Ends rise strictly to the end of the day, whatever overlaps."""
    rule = SimulatorRule(regimes=(RegimeSpan("high_volatility", start, start + length),))
    made = tuple(
        Drift("depth", factor, MIDNIGHT + days * DAY_NS // 2, MIDNIGHT + days * DAY_NS // 2 + DAY_NS)
        for days, factor in drifts
    )
    cut = multipliers(rule, made, DAY)
    assert (np.diff(cut[:, 0]) > 0).all()
    assert cut[-1, 0] == 86_400.0
    assert (cut[:, 1:] > 0).all()


def test_seeds_depend_on_every_part() -> None:
    """No two parts may be swapped or run together without another seed."""
    seeds = {seed_of(1, "BTC", 2), seed_of(2, "BTC", 1), seed_of(1, "BTC2"), seed_of("1", "BTC", "2", "")}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**64 for seed in seeds)
