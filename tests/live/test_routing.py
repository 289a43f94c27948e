"""Routes: the same for the same id, in the shares asked for, independent of symbol and order."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.rollout import Rollout
from live.routing import RealizedShare, draw, route_of

ids = st.text(max_size=40)


def rollout(fraction: float, mode: str = "canary", seed: str = "s") -> Rollout:
    """A rollout of epoch 1."""
    assert mode in ("disabled", "canary", "full")
    return Rollout(mode, fraction, seed, 1)  # type: ignore[arg-type]  # asserted above


@given(ids, st.text(max_size=10))
def test_a_draw_is_a_share_and_always_the_same(signal_id: str, seed: str) -> None:
    """In [0, 1), whoever asks."""
    assert 0.0 <= draw(seed, signal_id) < 1.0
    assert draw(seed, signal_id) == draw(seed, signal_id)


def test_draws_are_what_they_were() -> None:
    """Another release, another machine and another process must route alike."""
    assert draw("tidegate", "BTCUSDT-1767787200000000000") == 0.5010086428320603
    assert draw("tidegate:v7", "BTCUSDT-1767787200000000000") == 0.37809481261652866


@given(ids)
def test_nobody_and_everybody(signal_id: str) -> None:
    """A fraction of 0 is no canary, of 1 all of them; disabled is all paper, full all full."""
    assert route_of(signal_id, rollout(0.0)) == "paper"
    assert route_of(signal_id, rollout(1.0)) == "canary"
    assert route_of(signal_id, rollout(0.0, "disabled")) == "paper"
    assert route_of(signal_id, rollout(0.0, "full")) == "full"


@given(ids, st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_takes_nobody_out(signal_id: str, one: float, other: float) -> None:
    """Who is the canary's at a fraction is so at every larger one."""
    small, large = sorted((one, other))
    if route_of(signal_id, rollout(small)) == "canary":
        assert route_of(signal_id, rollout(large)) == "canary"


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5])
def test_the_share_is_met_within_each_symbol(fraction: float) -> None:
    """Within four deviations among 20,000 signals that are a second apart."""
    for symbol in ("BTCUSDT", "ETHUSDT"):
        begin, n = 1_767_787_200_000_000_000, 20_000
        found = sum(route_of(f"{symbol}-{begin + k * 1_000_000_000}", rollout(fraction)) == "canary" for k in range(n))
        assert abs(found - n * fraction) < 4 * (n * fraction * (1 - fraction)) ** 0.5


def test_seeds_draw_independently() -> None:
    """A share of a share, not the same signals again."""
    n = 20_000
    both = sum(
        route_of(str(k), rollout(0.5, seed="a")) == route_of(str(k), rollout(0.5, seed="b")) == "canary"
        for k in range(n)
    )
    assert abs(both / n - 0.25) < 0.02


@given(st.lists(st.sampled_from(["canary", "paper"]), min_size=1, max_size=50), st.integers(1, 10))
def test_the_realized_share_looks_at_the_newest(routes: list[str], window: int) -> None:
    """As counted anew each time."""
    share, newest = RealizedShare(window), deque[str](maxlen=window)
    for route in routes:
        newest.append(route)
        assert share.add(route) == newest.count("canary") / len(newest)  # type: ignore[arg-type]  # a Route
