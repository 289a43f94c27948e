"""Bytes a row and read speed of the lake's book table against the pandas default (float64, snappy, dictionary).

Two styles of rows from the simulator: `events`, where a row follows every order, so about one level changes; and
`snapshots`, a row a second of a busy book, so nearly every size changes. And real snapshots, where the StandX
recording is at hand. Both files hold the same columns; pandas gets prices and sizes in their own units, as a recorder
without ticks and lots would write them. Ours is read into the arrays the kernel eats, checksums verified; pandas into
a frame. Run with `python -m benchmarks.parquet`.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from archive.errors import ArchiveError
from archive.layout import NS_PER_DAY, book_arrays, day_of
from archive.sources.protocol import open_source
from archive.store import Lake
from benchmarks.rows import row, show
from benchmarks.timing import measure
from market.columns import BookColumns
from market.simulator import simulate_columns
from market.simulator_rule import SimulatorRule
from market.symbols import Symbol, SymbolTable

START_NS = 20_459 * NS_PER_DAY
ROOT = Path(__file__).resolve().parents[1]
EVENTS = (SimulatorRule(orders_per_second=100.0, trades_per_second=12.0, depth_interval_ms=1), 1_400)
SNAPSHOTS = (SimulatorRule(orders_per_second=220.0, trades_per_second=12.0, depth_interval_ms=1_000), 40_000)
RECORDED_ROWS = 131_072


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}."""
    return [result for style, symbol, book in _books() for result in _compare(style, symbol, book)]


def _books() -> Iterator[tuple[str, Symbol, BookColumns]]:
    symbols = SymbolTable.load(ROOT / "data/reference/symbols.yml")
    for style, (rule, seconds) in (("events", EVENTS), ("snapshots", SNAPSHOTS)):
        end_ns = START_NS + seconds * 1_000_000_000
        yield style, symbols["BTCUSDT"], simulate_columns(symbols["BTCUSDT"], START_NS, end_ns, 1, rule=rule)[0]
    recordings = Path(os.environ.get("TIDEGATE_RECORDED", ROOT.parent / "shared/data"))
    try:
        source = open_source("standx", recordings / "standx", symbols)
        symbol = source.symbols()[0]
        book = source.read_day(symbol, source.days(symbol)[-1]).book
    except ArchiveError as absent:
        print(f"recorded snapshots left out: {absent}")
        return
    yield "recorded snapshots", symbol, book.slice(0, RECORDED_ROWS)


def _compare(style: str, symbol: Symbol, book: BookColumns) -> list[dict[str, Any]]:
    day = day_of(int(book.exchange_ns[-1]))
    with TemporaryDirectory() as folder:
        lake = Lake(folder)
        written = lake.write_book(symbol.name, day, book, source="benchmark")
        peer = Path(folder) / "pandas.parquet"
        _frame(symbol, book).to_parquet(peer)
        bytes_a_row, peer_bytes_a_row = written.size_bytes / len(book), peer.stat().st_size / len(book)
        seconds = measure(
            {
                "ours": lambda: lake.read_book(symbol.name, day),
                "pandas": lambda: pd.read_parquet(peer),  # noqa: TID251 - it is what we measure against
            },
            rounds=15,
        )
    speed, peer_speed = (len(book) / seconds[name] / 1e6 for name in ("ours", "pandas"))
    return [
        row(f"parquet, {style}: pandas default", peer_bytes_a_row, "B/row"),
        row(f"parquet, {style}: ours", bytes_a_row, "B/row", ratio=bytes_a_row / peer_bytes_a_row, most=0.65),
        row(f"parquet, {style}: read by pandas", peer_speed, "M rows/s"),
        row(f"parquet, {style}: read by the lake", speed, "M rows/s", ratio=speed / peer_speed, least=1.2),
    ]


def _frame(symbol: Symbol, book: BookColumns) -> pd.DataFrame:
    scale = {"ticks": float(symbol.price_tick), "lots": float(symbol.size_lot)}
    columns = {}
    for name, array in book_arrays(book).items():
        kind = next((kind for kind in scale if f"_{kind}_" in name), None)
        columns[name] = array if kind is None else (array * scale[kind]).round(6)
    return pd.DataFrame(columns)


if __name__ == "__main__":
    show(run())
