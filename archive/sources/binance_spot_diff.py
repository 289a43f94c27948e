"""Binance spot recordings as JSON arrays: `SYMBOL_START_{snapshot,update,trades}.json.gz`, one start a recording.

Updates are depthUpdate events a second apart, trades are aggTrades, the snapshot is a REST answer without a time. There
is no local clock: `local_ns` is the exchange's sending time `E`. A symbol may have trades alone.
"""

import heapq
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from archive.errors import SourceError
from archive.sources.day import DayBounds, DayOfMarket, Defect, neighbour
from archive.sources.instruments import known
from archive.sources.reading import files_in, opened
from archive.sources.replay import Replay, tolerated
from market.sequence import SequenceRule
from market.symbols import Symbol, SymbolTable
from market.wire import Frame, binance_depth, binance_snapshot, binance_trade

_NAME = re.compile(r"(.+)_(\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2})_(snapshot|update|trades)\.json\.gz")
_NS_PER_MS = 1_000_000
_Json = TypeVar("_Json", list[Any], dict[str, Any])

Recording = Mapping[str, Path]
"""The files of one start, by kind."""


class BinanceSpotDiffSource:
    """A folder of such recordings."""

    name = "binance_spot_diff"

    def __init__(self, path: Path, table: SymbolTable) -> None:
        self._path = path
        self._table = table
        self._recordings: dict[str, dict[datetime, dict[str, Path]]] = {}
        for file in files_in(path, "*.json.gz", "Binance spot recordings"):
            if match := _NAME.fullmatch(file.name):
                start = datetime.strptime(match[2] + "+0000", "%Y-%m-%dT%H-%M-%S%z")
                self._recordings.setdefault(match[1], {}).setdefault(start, {})[match[3]] = file

    def symbols(self) -> tuple[Symbol, ...]:
        """Return the instruments of the table that have files here."""
        return known(self._table, "binance", self._recordings, {"spot"})

    def days(self, symbol: Symbol) -> tuple[date, ...]:
        """Return the days on which a recording of the symbol starts."""
        return tuple(sorted({start.date() for start in self._recordings.get(symbol.venue_symbol, {})}))

    def read_day(self, symbol: Symbol, day: date) -> DayOfMarket:
        """Return the symbol's day, out of recordings that start on it or the day before.

        Raises SourceError when there is none or a file cannot be read, BadReference when a price is off the tick.
        """
        starts = self._recordings.get(symbol.venue_symbol, {})
        chosen = [start for start in sorted(starts) if neighbour(day, -1) <= start.date() <= day]
        if not chosen:
            found = ", ".join(map(str, self.days(symbol))) or "none of it"
            raise SourceError(f"{self._path}: no recording of {symbol.name} on {day}; found {found}; ask for those")
        replay = Replay(symbol, SequenceRule.BINANCE_SPOT, DayBounds.of(day))
        for start in chosen:
            _replay_recording(starts[start], symbol, replay)
        return replay.finish(is_last=neighbour(day, 1) not in self.days(symbol))


def _replay_recording(files: Recording, symbol: Symbol, replay: Replay) -> None:
    """Feed one recording, updates and trades by the exchange's sending time."""
    missing = {"snapshot", "update", "trades"} - files.keys()
    if missing:
        replay.day_defects.count(
            Defect.MISSING_FILES, len(missing), f"{' and '.join(sorted(missing))} beside {min(files.values())}"
        )
    streams = [_entries(files[kind], take) for kind, take in _TAKERS.items() if kind in files]
    snapshot = _snapshot(files.get("snapshot"))
    for sent_ns, frame, place, take in heapq.merge(*streams, key=lambda entry: entry[0]):
        with tolerated(place.path, f"entry {place.entry}", replay):
            take(frame, symbol, sent_ns, replay)
            if take is _take_update and snapshot is not None:
                # As it happens live: the snapshot is asked for once updates flow, and tells nothing of its time.
                replay.update(binance_snapshot(snapshot, symbol, sent_ns))
                snapshot = None
        if replay.is_past_day:
            return


class _Place(NamedTuple):
    path: Path
    entry: int


_Taker = Callable[[Frame, Symbol, int, Replay], None]


def _take_update(frame: Frame, symbol: Symbol, sent_ns: int, replay: Replay) -> None:
    replay.update(binance_depth(frame, symbol, sent_ns))
    _count_unknown(frame, {"e", "E", "s", "U", "u", "b", "a"}, replay)


def _take_trade(frame: Frame, symbol: Symbol, sent_ns: int, replay: Replay) -> None:
    if trade := binance_trade(frame, symbol, sent_ns):
        replay.trade(trade)
    _count_unknown(frame, {"e", "E", "s", "a", "p", "q", "f", "l", "T", "m", "M"}, replay)


_TAKERS: Mapping[str, _Taker] = {"update": _take_update, "trades": _take_trade}


def _count_unknown(frame: Frame, known_keys: set[str], replay: Replay) -> None:
    if not frame.keys() <= known_keys:
        replay.defects.count(Defect.UNKNOWN_KEYS)


def _entries(path: Path, take: _Taker) -> Iterator[tuple[int, Frame, _Place, _Taker]]:
    entries = _decoded(path, list)
    sent_ns = 0
    for number, entry in enumerate(entries):
        frame = entry if isinstance(entry, dict) else {"found": entry}
        sent = frame.get("E")
        # Without a time of its own, a broken entry is met (and refused) where it stands.
        sent_ns = sent * _NS_PER_MS if type(sent) is int else sent_ns
        yield sent_ns, frame, _Place(path, number), take


def _snapshot(path: Path | None) -> Frame | None:
    return _decoded(path, dict) if path else None


def _decoded(path: Path, wanted: type[_Json]) -> _Json:
    with opened(path) as stream:
        text = stream.read()
    try:
        decoded: _Json = msgspec.json.decode(text, type=wanted)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SourceError(f"{path}: wanted a JSON {wanted.__name__}, found {error}; fetch the file again") from error
    return decoded
