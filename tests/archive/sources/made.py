"""Small recordings in each venue's own format, made by hand, so that every defect is seen without the real files."""

import gzip
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from archive.sources.day import DayBounds, DayOfMarket
from market.columns import BookBuilder, BookColumns, TradeColumns
from market.symbols import SymbolTable

TABLE = SymbolTable.load(Path(__file__).resolve().parents[3] / "data" / "reference" / "symbols.yml")
DAY = date(2026, 1, 6)
START_NS = DayBounds.of(DAY).start_ns
MS_NS = 1_000_000


def at(seconds: float) -> int:
    """Nanoseconds of a moment of DAY."""
    return START_NS + round(seconds * 1_000) * MS_NS


def write(path: Path, text: str) -> Path:
    """Write text, gzipped when the name says so, or as the only CSV of a zip."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(path.with_suffix(".csv").name, text)
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


def truncate(path: Path) -> Path:
    """Cut a file in its middle."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A CSV with a header."""
    return "\n".join([",".join(header), *(",".join(map(str, row)) for row in rows)]) + "\n"


def ladder(bid: float, ask: float, levels: int = 20, step: float = 0.1, size: float = 0.5) -> dict[str, list[float]]:
    """A book of one step between levels, from the touch outwards."""
    return {
        "bid_prices": [round(bid - k * step, 2) for k in range(levels)],
        "bid_quantities": [size] * levels,
        "ask_prices": [round(ask + k * step, 2) for k in range(levels)],
        "ask_quantities": [size] * levels,
    }


def standx_hour(
    folder: Path,
    books: Sequence[Mapping[str, Any]],
    trades: Sequence[tuple[int, int, float, float]] = (),
    hour: int = 0,
    day: date = DAY,
) -> tuple[Path, Path]:
    """Write one StandX hour. A book has exchange, local and `ladder` keys; a trade is exchange, local, price, size."""
    stamp = pa.timestamp("ns", "UTC")
    table = pa.table(
        {
            "timestamp": pa.array([b["exchange"] for b in books], stamp),
            "received_at": pa.array([b.get("local", b["exchange"]) for b in books], stamp),
            "symbol": ["BTC-USD"] * len(books),
            **{name: pa.array([b[name] for b in books], pa.list_(pa.float64())) for name in ladder(1, 2)},
            "is_valid": pa.array([b.get("is_valid", True) for b in books], pa.bool_()),
        }
    )
    prints = pa.table(
        {
            "timestamp": pa.array([t[0] for t in trades], stamp),
            "received_at": pa.array([t[1] for t in trades], stamp),
            "price": pa.array([t[2] for t in trades], pa.float64()),
            "quantity": pa.array([t[3] for t in trades], pa.float64()),
            "side": ["SELL"] * len(trades),
            "is_buyer_taker": [False] * len(trades),
        }
    )
    paths = tuple(folder / f"{kind}_BTC-USD_{day}_{hour:02}.parquet" for kind in ("orderbook", "trades"))
    pq.write_table(table, paths[0])
    pq.write_table(prints, paths[1])
    return paths[0], paths[1]


def depth(first: int, last: int, previous: int | None, exchange_ms: int, **sides: Any) -> dict[str, Any]:
    """A Binance depthUpdate of BTCUSDT; futures when `previous` is given, spot when it is None."""
    frame = {"e": "depthUpdate", "E": exchange_ms, "s": "BTCUSDT", "U": first, "u": last, "b": [], "a": []}
    return frame | ({} if previous is None else {"T": exchange_ms, "pu": previous}) | sides


def snapshot(last: int, bid: float = 100.0, ask: float = 100.1, levels: int = 12) -> dict[str, Any]:
    """A Binance REST depth answer, one tick of 0.1 between levels."""
    sides = {"bids": (bid, -0.1), "asks": (ask, 0.1)}
    return {"lastUpdateId": last} | {
        name: [[f"{touch + k * step:.1f}", "1.000"] for k in range(levels)] for name, (touch, step) in sides.items()
    }


def print_of(trade_id: int, exchange_ms: int, **fields: Any) -> dict[str, Any]:
    """A Binance trade of BTCUSDT."""
    frame = {"e": "trade", "E": exchange_ms, "T": exchange_ms, "s": "BTCUSDT", "t": trade_id, "p": "100.1"}
    return frame | {"q": "0.010", "X": "MARKET", "m": False} | fields


def capture(path: Path, lines: Iterable[tuple[int, Mapping[str, Any]] | str]) -> Path:
    """Write a Binance websocket capture: (local ns, frame) pairs, or a line as it is."""
    texts = [line if isinstance(line, str) else f"{line[0]} {json.dumps(line[1])}" for line in lines]
    return write(path, "\n".join(texts) + "\n")


def streamed(frame: Mapping[str, Any], stream: str = "btcusdt@depth@0ms") -> dict[str, Any]:
    """Wrap a frame as combined streams do."""
    return {"stream": stream, "data": frame}


def book_of(rows: Iterable[tuple[int, int, int, int]]) -> BookColumns:
    """Book rows of one level: exchange ns, local ns, bid ticks, ask ticks, one lot each."""
    builder = BookBuilder()
    for exchange_ns, local_ns, bid, ask in rows:
        builder.append_levels(exchange_ns, local_ns, 0, [(bid, 1)], [(ask, 1)])
    return builder.finish()


def crossed_book(exchange_ns: int, bid: int, ask: int) -> BookColumns:
    """One crossed row, which the builder itself would refuse."""
    row = book_of([(exchange_ns, exchange_ns, min(bid, ask), max(bid, ask))])
    row.bid_ticks[0], row.ask_ticks[0] = bid, ask
    return row


def trades_of(rows: Iterable[tuple[int, int, int]]) -> TradeColumns:
    """Trades of one lot without an aggressor: exchange ns, local ns, price ticks."""
    exchange_ns, local_ns, ticks = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    n = len(ticks)
    return TradeColumns(
        exchange_ns,
        local_ns,
        np.arange(n),
        ticks.astype(np.int32),
        np.ones(n, np.int32),
        np.zeros(n, np.int8),
        np.zeros(n, np.uint8),
    )


def touch(day: DayOfMarket) -> list[tuple[int, int]]:
    """Best bid and ask of each row, in ticks."""
    return list(zip(day.book.bid_ticks[0].tolist(), day.book.ask_ticks[0].tolist(), strict=True))
