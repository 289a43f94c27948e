"""The ladder: rungs that sum to the entry, at and behind our touch, each with its bucket."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from config.live_sections import Ladder as Rule
from live.executor.ladder import Side, bucket, chance, rungs
from live.executor.sizing import is_too_small
from market.symbols import SymbolTable
from tests.live.parts import ROOT

BTC = SymbolTable.load(Path(ROOT) / "data" / "reference" / "symbols.yml")["BTCUSDT"]
SECOND = 1_000_000_000


def book(side: int, prints: tuple[tuple[int, int], ...] = (), lots: int = 10) -> Side:
    """Ten levels of our side around 1,000,000 ticks."""
    return Side([1_000_000 - side * level for level in range(10)], [lots] * 10, prints, 4 * SECOND)


@given(st.sampled_from([1, -1]), st.integers(0, 500), st.integers(1, 10), st.integers(1, 20))
def test_rungs_sum_to_the_entry_and_none_is_too_small(side: int, lots: int, count: int, step: int) -> None:
    """At the touch and away from it by the step, sizes within one lot of each other, all of them takeable."""
    made = rungs(side, lots, book(side), BTC, Rule(rungs=count, step_ticks=step))
    assert sum(rung.size_lots for rung in made) == (lots if made else 0)
    assert len(made) <= count
    for number, rung in enumerate(made):
        assert rung.price_ticks == 1_000_000 - side * step * number
        assert not is_too_small(rung.size_lots, rung.price_ticks, BTC)
    if made:
        assert max(rung.size_lots for rung in made) - min(rung.size_lots for rung in made) <= 1


def test_too_little_for_two_rungs_becomes_one_and_too_little_for_one_none() -> None:
    """BTCUSDT wants 100 of notional an order: 100,000.0 * 0.001 is just that."""
    cheap = Side([900_000], [10], (), SECOND)
    assert [rung.size_lots for rung in rungs(1, 3, cheap, BTC, Rule(rungs=2))] == [3]
    assert rungs(1, 1, cheap, BTC, Rule(rungs=2)) == []


def test_the_chance_grows_with_prints_and_falls_with_the_queue() -> None:
    """Nothing traded, no chance; much traded against a short queue, a good one."""
    life = 4 * SECOND
    none = chance(1, 1_000_000, 5, book(1), life)
    some = chance(1, 1_000_000, 5, book(1, ((1_000_000, 15),)), life)
    more = chance(1, 1_000_000, 5, book(1, ((1_000_000, 15), (999_999, 30))), life)
    far = chance(1, 999_999, 5, book(1, ((1_000_000, 15), (999_999, 30))), life)
    assert none == 0.0
    assert none < some < more < 1.0
    assert far < more
    assert some == 0.5


@given(st.floats(0.0, 1.0))
def test_buckets_are_cut_where_the_rule_says(share: float) -> None:
    """Low below the first cut, high above the second, mid between."""
    rule = Rule(low_fill_share=0.3, high_fill_share=0.6)
    assert bucket(share, rule) == ("low" if share < 0.3 else "high" if share > 0.6 else "mid")
