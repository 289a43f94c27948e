"""The venue's own filters, asked over ccxt, compared with symbols.yml."""

from dataclasses import replace
from decimal import Decimal

import pytest

from live.errors import RealModeRefused
from live.exchange.outcomes import Venue
from live.exchange.real_mode import require
from live.exchange.venue_filters import fetch
from market.symbols import SymbolTable
from tests.fake_exchange import orders
from tests.fake_exchange.server import running
from tests.live.exchange.venues import VENUES
from tests.live.parts import ROOT, settings

BTC = SymbolTable.load(ROOT / "data" / "reference" / "symbols.yml")["BTCUSDT"]
ENVIRON = {"EXCHANGE_API_KEY": "k", "EXCHANGE_API_SECRET": "s"}


@pytest.mark.parametrize("venue", VENUES)
def test_the_filters_of_our_symbols_come_back_and_let_real_mode_start(venue: Venue) -> None:
    """Only ours: the venue lists more."""
    notional = Decimal(100) if venue == "binance" else Decimal(5)
    symbols = {"BTCUSDT": replace(BTC, venue=venue, min_notional=notional)}
    with running() as exchange:
        knobs = settings({"exchange": {"mode": "real", "venue": venue, "rest_url": exchange.rest_url}})
        filters = fetch(knobs.exchange, symbols)
        assert [(each.venue_symbol, each.price_tick, each.min_notional) for each in filters] == [
            ("BTCUSDT", Decimal("0.1"), notional)
        ]
        assert require(knobs, ENVIRON, symbols, filters).api_key == "k"


@pytest.mark.parametrize("venue", VENUES)
def test_a_changed_tick_keeps_real_mode_from_starting(venue: Venue) -> None:
    """The venue is right and the table is old."""
    symbols = {"BTCUSDT": replace(BTC, venue=venue, min_notional=Decimal(100 if venue == "binance" else 5))}
    with running() as exchange:
        orders.desk(exchange.state).tick = "0.50"
        knobs = settings({"exchange": {"mode": "real", "venue": venue, "rest_url": exchange.rest_url}})
        with pytest.raises(RealModeRefused, match=r"price_tick is 0\.1, .* says 0\.5"):
            require(knobs, ENVIRON, symbols, fetch(knobs.exchange, symbols))


@pytest.mark.parametrize("kind", ["drop", "html_503"])
def test_a_venue_that_does_not_answer_keeps_real_mode_from_starting(kind: str) -> None:
    """Nobody has validated the symbols."""
    with running() as exchange:
        exchange.state.fault("info", kind)
        knobs = settings({"exchange": {"rest_url": exchange.rest_url}})
        with pytest.raises(RealModeRefused, match="does not tell its instruments"):
            fetch(knobs.exchange, {"BTCUSDT": BTC})
