from pathlib import Path

import pytest

from live.errors import FeedRefused
from live.exchange.binance import Binance
from live.exchange.bybit import Bybit
from live.replay import ReplayFeed
from live.sources import feed_and_venue, rule_of
from market.sequence import SequenceRule
from market.symbols import SymbolTable
from tests.live.parts import ROOT, parts

TABLE = SymbolTable.load(ROOT / "data" / "reference" / "symbols.yml")


def test_each_symbol_is_checked_by_its_venue_s_rule() -> None:
    """By venue and market."""
    names = ("BTCUSDT", "BTCUSD_PERP", "BTCUSDT-SPOT", "BTCUSDT-BYBIT")
    assert [rule_of(TABLE[name]) for name in names] == [
        SequenceRule.BINANCE_FUTURES,
        SequenceRule.BINANCE_FUTURES,
        SequenceRule.BINANCE_SPOT,
        SequenceRule.BYBIT,
    ]


def test_replays_speak_binance(tmp_path: Path) -> None:
    """The simulator's frames and the recordings' alike."""
    (tmp_path / "btcusdt_20260107.gz").write_bytes(b"")
    for knobs in ({"kind": "simulator"}, {"kind": "capture", "path": str(tmp_path)}):
        feed, venue = feed_and_venue(parts(tmp_path, {"feed": knobs}), [TABLE["BTCUSDT"]])
        assert isinstance(feed, ReplayFeed)
        assert isinstance(venue, Binance)


@pytest.mark.parametrize(
    ("kind", "name", "venue"), [("binance", "BTCUSDT", Binance), ("bybit", "BTCUSDT-BYBIT", Bybit)]
)
def test_sockets_are_the_venue_s(tmp_path: Path, kind: str, name: str, venue: type) -> None:
    """For its own perpetuals only."""
    made = parts(tmp_path, {"feed": {"kind": kind}}, (name,))
    feed, found = feed_and_venue(made, [TABLE[name]])
    assert isinstance(found, venue)
    assert feed.has_marks
    feed.stop()
    for stranger in ("BTCUSDT-SPOT", "BTCUSDT" if kind == "bybit" else "BTCUSDT-BYBIT"):
        with pytest.raises(FeedRefused, match=stranger):
            feed_and_venue(made, [TABLE[stranger]])
