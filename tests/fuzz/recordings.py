"""Small valid inputs of every format: the seeds that fuzzing changes."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from market.events import BadReference
from market.exchange_filters import filters_of
from registry import rollout
from registry.bundle import stamp_bundle, verify_bundle
from registry.errors import JournalBroken
from registry.journal import JOURNAL_FILE, Commit, Folded, append
from registry.manifest import MANIFEST_FILE, Cause, Mirror
from tests.archive.sources import made
from tests.archive.sources.made import MS_NS, at, capture, csv, depth, ladder, print_of, snapshot, standx_hour, write

_SPAN_MS: Final = at(1) // MS_NS
_LEVEL: Final = [["100.0", "1.000"]]

BINANCE_FRAMES: Final[tuple[Any, ...]] = (
    depth(1, 2, 0, _SPAN_MS, b=_LEVEL, a=[["100.1", "2.000"]]),
    {"stream": "btcusdt@depth@100ms", "data": depth(3, 4, 2, _SPAN_MS, b=_LEVEL)},
    print_of(5, _SPAN_MS),
    snapshot(6),
    {"e": "bookTicker", "u": 7, "s": "BTCUSDT", "b": "100.0", "B": "1", "a": "100.1", "A": "2", "T": 1, "E": 2},
    {"e": "markPriceUpdate", "E": 1, "s": "BTCUSDT", "p": "100.05", "i": "100", "P": "100", "r": "0.0001", "T": 2},
    {"e": "contractInfo", "E": 1, "s": "BTCUSDT", "cs": "TRADING", "ct": "PERPETUAL"},
    {"id": 1, "result": None},
    {"error": {"code": 2, "msg": "Invalid"}},
)
_BYBIT_BOOK: Final = {"s": "BTCUSDT", "b": [["100.0", "1"]], "a": [["100.5", "2"]], "u": 5, "seq": 9}
_BYBIT_PRINT: Final = {"T": 1, "s": "BTCUSDT", "S": "Sell", "v": "1", "p": "100.5", "i": "77", "BT": False}
_BYBIT_TICKER: Final = {"symbol": "BTCUSDT", "markPrice": "100.5", "fundingRate": "0.0001", "nextFundingTime": "1"}

BYBIT_FRAMES: Final[tuple[Any, ...]] = (
    {"topic": "orderbook.50.BTCUSDT", "type": "snapshot", "ts": 2, "cts": 1, "data": _BYBIT_BOOK},
    {"topic": "orderbook.50.BTCUSDT", "type": "delta", "ts": 2, "cts": 1, "data": _BYBIT_BOOK},
    {"topic": "publicTrade.BTCUSDT", "ts": 2, "type": "snapshot", "data": [_BYBIT_PRINT]},
    {"topic": "tickers.BTCUSDT", "ts": 2, "type": "snapshot", "data": _BYBIT_TICKER},
    {"success": True, "ret_msg": "", "op": "subscribe", "req_id": "x"},
    {"success": False, "ret_msg": "no", "op": "subscribe", "req_id": "subscribe-x"},
)


def filters() -> list[bytes]:
    """An exchangeInfo and an instruments-info answer."""
    binance = {"symbols": [{
        "symbol": "BTCUSDT", "contractType": "PERPETUAL", "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": "0.10"}, {"filterType": "LOT_SIZE", "stepSize": "0.001"},
            {"filterType": "MIN_NOTIONAL", "notional": "100"},
        ],
    }]}  # fmt: skip
    bybit = {"result": {"category": "linear", "list": [{
        "symbol": "BTCUSDT", "priceFilter": {"tickSize": "0.10"},
        "lotSizeFilter": {"qtyStep": "0.001", "minNotionalValue": "5"},
    }]}}  # fmt: skip
    return [json.dumps(each).encode() for each in (binance, bybit)]


def read_filters_of(content: bytes) -> object:
    """An answer as it comes from a venue: JSON that is read first."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadReference(str(error)) from error
    return filters_of(document, "fuzz")


def _standx(folder: Path) -> None:
    folder.mkdir(parents=True)
    standx_hour(folder, [{"exchange": at(k), **ladder(100.0, 100.1)} for k in range(3)], [(at(1), at(1), 100.0, 0.1)])


def _binance_ws(folder: Path) -> None:
    lines = [
        (at(0.5), snapshot(10)),
        *((at(n), made.streamed(depth(n + 10, n + 10, n + 9, at(n) // MS_NS))) for n in (1, 2)),
    ]
    capture(folder / "btcusdt_20260106.gz", [*lines, (at(3), made.streamed(print_of(5, at(3) // MS_NS)))])


def _binance_spot(folder: Path) -> None:
    updates = [depth(n, n, None, at(n - 10) // MS_NS, b=_LEVEL) for n in (11, 12)]
    for kind, content in {"snapshot": snapshot(10), "update": updates, "trades": []}.items():
        write(folder / f"BTCUSDT_2026-01-06T00-00-00_{kind}.json.gz", json.dumps(content))


def _binance_vision(folder: Path) -> None:
    head = [
        "update_id",
        "best_bid_price",
        "best_bid_qty",
        "best_ask_price",
        "best_ask_qty",
        "transaction_time",
        "event_time",
    ]
    rows = [[n, 100.0, 0.5, 100.1, 0.25, at(n) // MS_NS, at(n) // MS_NS + 3] for n in (1, 2)]
    prints = [[n, 100.1, 0.004, n, n, at(n) // MS_NS, "false"] for n in (1, 2)]
    agg = ["agg_trade_id", "price", "quantity", "first_trade_id", "last_trade_id", "transact_time", "is_buyer_maker"]
    write(folder / f"BTCUSDT-bookTicker-{made.DAY}.zip", csv(head, rows))
    write(folder / f"BTCUSDT-aggTrades-{made.DAY}.zip", csv(agg, prints))


def _tardis(folder: Path) -> None:
    head = ["exchange", "symbol", "timestamp", "local_timestamp", "is_snapshot", "side", "price", "amount"]
    rows = [
        ["binance-futures", "BTCUSDT", at(1) // 1_000, at(1.2) // 1_000, "true", side, round(touch + k * step, 1), 0.5]
        for side, touch, step in (("bid", 100.0, -0.1), ("ask", 100.1, 0.1)) for k in range(12)
    ]  # fmt: skip
    rows.append(["binance-futures", "BTCUSDT", at(2) // 1_000, at(2.2) // 1_000, "false", "bid", 100.0, 0])
    write(folder / f"binance-futures_incremental_book_L2_{made.DAY}_BTCUSDT.csv.gz", csv(head, rows))


def _bitstamp(folder: Path) -> None:
    head = ["id", "timestamp", "exchange_timestamp", "price", "volume", "action", "direction"]
    rows = [
        [n, at(4) // MS_NS, at(n) // MS_NS, price, 1.0, "created", side]
        for n, (price, side) in enumerate([(99.0, "bid"), (98.0, "bid"), (101.0, "ask"), (102.0, "ask")], start=1)
    ]
    write(folder / "orders.csv.gz", csv(head, rows))
    write(folder / "trades.csv", csv(["trade_id", "timestamp", "exchange_timestamp", "price", "amount", "side"], []))
    write(folder / "meta.json", json.dumps({"pair": "btcusd", "dropped": 0}))


def _hyperliquid(folder: Path) -> None:
    names = [f"{side}_{what}_{k}" for k in range(10) for side in ("bid", "ask") for what in ("price", "size")]
    levels = [value for k in range(10) for value in (100.0 - k, 0.5, 101.0 + k, 0.25)]
    rows = [[at(n + 0.4) / 1e9, at(n) // MS_NS, at(n) // MS_NS, *levels] for n in (1, 2)]
    write(folder / "orderbooks_BTC.csv.gz", csv(["timestamp", "sequence", "exchange_timestamp", *names], rows))
    prints = [[at(1.4) / 1e9, 101.0, 0.003, "buy", 7, at(1) // MS_NS]]
    head = ["timestamp", "price", "size", "side", "trade_id", "exchange_timestamp"]
    write(folder / "trades_BTC.csv.gz", csv(head, prints))


MADE: Final[Mapping[str, Callable[[Path], None]]] = {
    "standx": _standx, "binance_ws": _binance_ws, "binance_spot_diff": _binance_spot, "tardis": _tardis,
    "binance_vision": _binance_vision, "bitstamp_l3": _bitstamp, "hyperliquid": _hyperliquid,
}  # fmt: skip
"""How a recording of each kind is written."""


def journal(folder: Path) -> bytes:
    """A journal of one broken-off line: what a chain begins with."""
    folder.mkdir(parents=True, exist_ok=True)
    done = Commit(tx="t1", epoch=1, at=datetime(2026, 1, 7, tzinfo=UTC), effects={"mlflow": "pending"})
    folded = Folded()
    with suppress(JournalBroken):  # it ends a move that nobody began, and is written all the same
        append(folder, done, folded)
    return (folder / JOURNAL_FILE).read_bytes()


def manifest(root: Path, bundle: Path) -> bytes:
    """The manifest of a mirror that holds one version."""
    stamp_bundle(bundle, 1, "run1")
    Mirror(root).fill(
        "active", bundle, Cause(at="2026-01-07T00:00:00Z", by="fuzz", reason="a seed"), verify_bundle(bundle).sha256
    )
    return (root / MANIFEST_FILE).read_bytes()


def rollout_state(root: Path) -> bytes:
    """A rollout state as a promotion leaves it."""
    state = rollout.RolloutState(
        epoch=3,
        mode="canary",
        canary_fraction=0.1,
        salt="s",
        reason="why",
        by="fuzz",
        at=datetime(2026, 1, 7, tzinfo=UTC),
    )
    return msgspec.json.encode(state)
