"""Real orders start only with the mode, keys of one's own and symbols as the venue has them; keys are never shown."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from live.errors import RealModeRefused
from live.exchange.real_mode import Keys, require
from market.exchange_filters import Filters
from market.symbols import Symbol, SymbolTable
from tests.live.parts import ROOT, settings

TABLE = SymbolTable.load(ROOT / "data" / "reference" / "symbols.yml")
SYMBOLS = {"BTCUSDT": TABLE["BTCUSDT"]}
FILTERS = [Filters("binance", "perp", "BTCUSDT", Decimal("0.1"), Decimal("0.001"), Decimal(100), None)]
ENVIRON = {"EXCHANGE_API_KEY": "the-key", "EXCHANGE_API_SECRET": "the-secret"}
REAL = settings({"exchange": {"mode": "real"}})


def _refusal(
    environ: dict[str, str] = ENVIRON, symbols: dict[str, Symbol] = SYMBOLS, filters: list[Filters] = FILTERS
) -> str:
    with pytest.raises(RealModeRefused) as refused:
        require(REAL, environ, symbols, filters)
    return str(refused.value)


def test_with_everything_given_the_keys_come_back() -> None:
    """From the environment."""
    assert require(REAL, ENVIRON, SYMBOLS, FILTERS) == Keys("the-key", "the-secret")


def test_keys_are_not_shown() -> None:
    """Neither by repr nor by format."""
    keys = require(REAL, ENVIRON, SYMBOLS, FILTERS)
    assert "the-" not in f"{keys} {keys!r}"


def test_keys_may_lie_in_files(tmp_path: Path) -> None:
    """As secrets are mounted; a line end is not part of them."""
    (tmp_path / "key").write_text("the-key\n")
    (tmp_path / "secret").write_text("the-secret\n")
    environ = {"EXCHANGE_API_KEY_FILE": str(tmp_path / "key"), "EXCHANGE_API_SECRET_FILE": str(tmp_path / "secret")}
    assert require(REAL, environ, SYMBOLS, FILTERS) == Keys("the-key", "the-secret")


def test_every_reason_is_told_at_once_and_no_secret_among_them() -> None:
    """Mode, secret, symbols: one start tells all that is to be done."""
    with pytest.raises(RealModeRefused) as refused:
        require(settings(), {"EXCHANGE_API_KEY": "the-key"}, SYMBOLS, [replace(FILTERS[0], price_tick=Decimal("0.5"))])
    text = str(refused.value)
    assert "exchange.mode must be real, was paper" in text
    assert "EXCHANGE_API_SECRET is not in the environment" in text
    assert "price_tick is 0.1, binance says 0.5" in text
    assert "the-key" not in text


@pytest.mark.parametrize("content", [None, "", "\xff\xfe"])
def test_a_file_that_gives_nothing_is_refused(tmp_path: Path, content: str | None) -> None:
    """Missing, empty, unreadable."""
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    text = _refusal({"EXCHANGE_API_KEY": "the-key", "EXCHANGE_API_SECRET_FILE": str(path)})
    assert "EXCHANGE_API_SECRET_FILE" in text and str(path) in text


def test_blank_keys_are_no_keys() -> None:
    """An empty variable in a compose file is not a key."""
    assert "EXCHANGE_API_KEY is not" in _refusal({**ENVIRON, "EXCHANGE_API_KEY": "  "})


def test_a_symbol_the_venue_does_not_list_is_refused() -> None:
    """Delisted, or of another venue, or known for its recordings alone."""
    assert "lists no perp BTCUSDT" in _refusal(filters=[replace(FILTERS[0], venue_symbol="ETHUSDT")])
    assert "has told nothing" in _refusal(filters=[])
    assert "bybit perp, exchange.venue is binance" in _refusal(symbols={"B": replace(TABLE["BTCUSDT"], venue="bybit")})
    assert "listed: false" in _refusal(symbols={"B": replace(TABLE["BTCUSDT"], listed=False)})
