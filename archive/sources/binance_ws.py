"""Binance websocket captures: gzip lines `<local receive ns> <json>`, a file a day, `NAME_YYYYMMDD.gz`.

Depth diffs are replayed onto the snapshot that the recorder put among them; trades are read along. bookTicker frames
are left out: they repeat what the diffs say. Known defects of these recordings, and what is done: the recorder's clock
is 1.27 s behind the exchange (kept in `local_ns`, the skew reported; event time is the exchange's), so the files, cut
at local midnight, hold rows of the next day (read from there); files after the first have no snapshot (the book is
carried over midnight, from the last file that has one).
"""

import re
from datetime import date, datetime
from itertools import islice
from pathlib import Path

import msgspec

from archive.errors import SourceError
from archive.sources.day import DayBounds, DayOfMarket, Defect, neighbour
from archive.sources.instruments import known
from archive.sources.reading import files_in, opened
from archive.sources.replay import Replay, tolerated
from market.events import BadEvent
from market.sequence import SequenceRule
from market.symbols import Symbol, SymbolTable
from market.wire import Frame, binance_depth, binance_payload, binance_snapshot, binance_trade

_NAME = re.compile(r"(.+)_(\d{8})\.gz")
_OWNER = re.compile(rb'"s"\s*:\s*"([A-Z0-9_]+)"')
_PEEKED_LINES = 2_000
_KNOWN_KEYS = {
    "depthUpdate": frozenset({"e", "E", "T", "s", "ps", "U", "u", "pu", "b", "a"}),
    "trade": frozenset({"e", "E", "T", "s", "ps", "t", "p", "q", "X", "m", "M"}),
    "aggTrade": frozenset({"e", "E", "T", "s", "ps", "a", "p", "q", "f", "l", "m", "M"}),
}


class BinanceWsSource:
    """A folder of captures of one Binance market: spot, USD-M or COIN-M."""

    name = "binance_ws"

    def __init__(self, path: Path, table: SymbolTable) -> None:
        self._path = path
        self._table = table
        self._files: dict[str, dict[date, Path]] = {}
        named = {symbol.venue_symbol for symbol in table.values() if symbol.venue == "binance"}
        for file in files_in(path, "*_????????.gz", "Binance websocket captures"):
            if match := _NAME.fullmatch(file.name):
                day = datetime.fromisoformat(match[2]).date()
                # A file named after a symbol is its own, even when the beginning tells nothing.
                for venue_symbol in _symbols_in(file) | (named & {match[1].upper()}):
                    self._files.setdefault(venue_symbol, {})[day] = file

    def symbols(self) -> tuple[Symbol, ...]:
        """Return the instruments of the table that the captures hold."""
        return tuple(
            symbol
            for market in ("perp", "inverse", "spot")
            for symbol in known(self._table, "binance", self._files, {market})
            if (market == "spot") is _is_spot(next(iter(self._files[symbol.venue_symbol].values())))
        )

    def days(self, symbol: Symbol) -> tuple[date, ...]:
        """Return the days that have a file."""
        return tuple(sorted(self._files.get(symbol.venue_symbol, {})))

    def read_day(self, symbol: Symbol, day: date) -> DayOfMarket:
        """Return the symbol's day, replayed from the last snapshot before it.

        Raises SourceError when no file can hold the day or one cannot be read, BadReference when a price is off the
        tick.
        """
        files = self._files.get(symbol.venue_symbol, {})
        replayed = _days_to_replay(files, day)
        if not replayed:
            found = ", ".join(map(str, self.days(symbol))) or "no file of it"
            raise SourceError(f"{self._path}: no capture of {symbol.name} on {day}; found {found}; ask for another day")
        rule = SequenceRule.BINANCE_SPOT if symbol.market == "spot" else SequenceRule.BINANCE_FUTURES
        replay = Replay(symbol, rule, DayBounds.of(day))
        for each in replayed:
            _replay_file(files[each], symbol, replay)
        return replay.finish(is_last=neighbour(day, 1) not in files)


def _days_to_replay(files: dict[date, Path], day: date) -> list[date]:
    """The day, its neighbours (cut by another clock), and those before back to one whose file has a snapshot."""
    days = [each for each in (neighbour(day, d) for d in (-1, 0, 1)) if each in files]
    while days and not _has_snapshot(files[days[0]]) and neighbour(days[0], -1) in files:
        days.insert(0, neighbour(days[0], -1))
    return days


def _has_snapshot(path: Path) -> bool:
    with opened(path) as stream:
        return any(b'"lastUpdateId"' in line for line in stream)


def _symbols_in(path: Path) -> set[str]:
    with opened(path) as stream:
        return {name.decode() for name in _OWNER.findall(b"".join(islice(stream, _PEEKED_LINES)))}


def _is_spot(path: Path) -> bool:
    """Only futures name the update before."""
    with opened(path) as stream:
        return next((b'"pu"' not in line for line in stream if b'"depthUpdate"' in line), True)


def _replay_file(path: Path, symbol: Symbol, replay: Replay) -> None:
    feed = _Feed(symbol, replay, owns_file=_symbols_in(path) <= {symbol.venue_symbol})
    with opened(path) as stream:
        for number, line in enumerate(stream, 1):
            if b"@bookTicker" in line[:100]:
                continue
            with tolerated(path, f"line {number}", replay):
                feed.take(line)
            if replay.is_past_day:
                return


class _Feed:
    """Lines of one file on their way into the replay of one symbol."""

    def __init__(self, symbol: Symbol, replay: Replay, *, owns_file: bool) -> None:
        self._symbol = symbol
        self._replay = replay
        # A bare snapshot does not say whose it is; in a file of one symbol that is clear.
        self._nameless = symbol.venue_symbol if owns_file else ""
        self._trade_kind = ""

    def take(self, line: bytes) -> None:
        """Use one line; raises BadEvent when it is not what it should be. Other symbols' lines are passed over."""
        local_ns, frame = _parsed(line)
        payload = binance_payload(frame)
        owner = payload.get("s") or frame.get("symbol") or self._nameless
        if owner != self._symbol.venue_symbol:
            if not owner:
                self._replay.defects.count(Defect.UNKNOWN_FRAMES)
            return
        kind = payload.get("e")
        if "lastUpdateId" in payload:
            self._replay.update(binance_snapshot(payload, self._symbol, local_ns))
        elif not isinstance(kind, str) or kind not in _KNOWN_KEYS:
            self._replay.defects.count(Defect.UNKNOWN_FRAMES)
        else:
            self._take_event(kind, payload, local_ns)
            if not payload.keys() <= _KNOWN_KEYS[kind]:
                self._replay.defects.count(Defect.UNKNOWN_KEYS)

    def _take_event(self, kind: str, payload: Frame, local_ns: int) -> None:
        if kind == "depthUpdate":
            self._replay.update(binance_depth(payload, self._symbol, local_ns))
            return
        # A recorder may have asked for both kinds of trades: they tell the same, so the first kind seen counts.
        self._trade_kind = self._trade_kind or kind
        if kind != self._trade_kind:
            self._replay.defects.count(Defect.UNKNOWN_FRAMES)
        elif trade := binance_trade(payload, self._symbol, local_ns):
            self._replay.trade(trade)
        else:
            self._replay.skip_trade(_print_id(payload))


def _print_id(payload: Frame) -> int:
    """The id of a print that makes no trade, which therefore nobody else has looked at."""
    found = payload.get("a" if payload["e"] == "aggTrade" else "t")
    if type(found) is not int or not 0 <= found < 2**63:
        raise BadEvent(f"trade: wanted a whole number as its id, found {found!r}")
    return found


def _parsed(line: bytes) -> tuple[int, Frame]:
    local_ns, _, text = line.partition(b" ")
    try:
        frame = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadEvent(f"wanted `<ns> <json>`, found {line[:80]!r} ({error})") from error
    if not local_ns.isdigit() or not isinstance(frame, dict):
        raise BadEvent(f"wanted `<ns> <json object>`, found {line[:80]!r}")
    return int(local_ns), frame
