"""Names of streams tell what they carry, and to which share of the symbols it belongs."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus import streams
from bus.streams import candidates, candidates_shard, is_market, shard_of, symbol_of

SYMBOLS = st.from_regex(r"[A-Z0-9_-]{1,20}", fullmatch=True)


@given(SYMBOLS)
def test_a_market_streams_symbol_is_read_from_its_name(symbol: str) -> None:
    """All streams of a symbol name it, so all lie on one server."""
    for stream in (streams.book(symbol), streams.trade(symbol), streams.mark(symbol)):
        assert is_market(stream)
        assert symbol_of(stream) == symbol
        assert candidates_shard(stream) is None


@given(st.integers(0, 1_000))
def test_candidates_of_each_share_have_a_stream_of_their_own(shard: int) -> None:
    """The first share's is the one that a stack without shares has."""
    assert candidates_shard(candidates(shard)) == shard
    assert candidates(0) == streams.CANDIDATES


@pytest.mark.parametrize("stream", ["sig:scores", "sig:candidates:x", "dlq:sig:candidates", "control:events"])
def test_other_streams_carry_no_candidates(stream: str) -> None:
    """Nor does one whose share is no number."""
    assert candidates_shard(stream) is None


@given(SYMBOLS, st.integers(1, 64))
def test_a_symbol_has_one_share(symbol: str, count: int) -> None:
    """Of those there are; with one share everything is in it."""
    assert 0 <= shard_of(symbol, count) < count
    assert shard_of(symbol, 1) == 0


def test_shares_are_the_same_for_ever_and_about_even() -> None:
    """A release that cut them in another way would lose the symbols that move while both run."""
    assert [shard_of(symbol, 4) for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")] == [3, 0, 0, 0]
    sizes = Counter(shard_of(f"COIN{number}USDT", 4) for number in range(500))
    assert min(sizes.values()) > 100
