"""Binance USD-M futures: its market streams and its snapshots.

Books, tickers and prints come over `/public`, mark prices and the contracts' own news over `/market`; the two are not
ordered against each other. Snapshots come by REST and are joined to the updates by their numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from live.errors import FeedRefused, FrameRefused, OffGrid, SubscriptionRefused
from live.exchange.venue import Delisted, Event, Line, Mark, NotMarket
from live.feed import Frame
from market.events import BadEvent, BadReference
from market.symbols import Symbol
from market.wire import binance_depth, binance_payload, binance_snapshot, binance_ticker, binance_trade

WS_URL: Final = "wss://fstream.binance.com"
REST_URL: Final = "https://fapi.binance.com"

_SYMBOLS_A_LINE = 50
_NS_PER_MS = 1_000_000
_MOST_SHAPES = 1_000
_KNOWN_KEYS: dict[str, frozenset[str]] = {
    "depthUpdate": frozenset({"e", "E", "T", "s", "ps", "st", "U", "u", "pu", "b", "a"}),
    "bookTicker": frozenset({"e", "E", "T", "s", "ps", "st", "u", "b", "B", "a", "A"}),
    "trade": frozenset({"e", "E", "T", "s", "ps", "st", "t", "p", "q", "X", "m", "M"}),
    "aggTrade": frozenset({"e", "E", "T", "s", "ps", "st", "a", "p", "q", "nq", "f", "l", "m", "M"}),
    "markPriceUpdate": frozenset({"e", "E", "s", "ps", "st", "p", "ap", "i", "P", "r", "T"}),
}

Payload = Mapping[str, Any]


class Binance:
    """The USD-M venue for these symbols. Raises FeedRefused when two of them have the same name at the venue."""

    name = "binance"
    ping = ""
    ping_seconds = 0.0

    def __init__(self, symbols: Sequence[Symbol], ws_url: str = "", rest_url: str = "") -> None:
        self.unknown_keys = 0
        self._ws_url = ws_url or WS_URL
        self._rest_url = rest_url or REST_URL
        self._symbols = {symbol.name: symbol for symbol in symbols}
        self._owners = {symbol.venue_symbol: symbol for symbol in symbols}
        if len(self._owners) < len(symbols):
            raise FeedRefused(f"one name at the venue stands for two of {sorted(self._symbols)}")
        # Two streams tell the same prints: the first kind seen counts, as when recordings are imported.
        self._trade_kind: dict[str, str] = {}
        self._readers: dict[str, Callable[[Payload, Symbol, int], Event | None]] = {
            "depthUpdate": binance_depth,
            "bookTicker": binance_ticker,
            "trade": self._trade,
            "aggTrade": self._trade,
            "markPriceUpdate": _mark,
        }
        self._shapes: dict[tuple[str, ...], bool] = {}

    def lines(self) -> Sequence[Line]:
        """Two sockets for every 50 symbols."""
        names, lines = list(self._symbols), []
        for k in range(0, len(names), _SYMBOLS_A_LINE):
            part = tuple(names[k : k + _SYMBOLS_A_LINE])
            public = [stream for name in part for stream in self._public(name)]
            market = [f"{self._symbols[name].venue_symbol.lower()}@markPrice@1s" for name in part] + ["!contractInfo"]
            number = k // _SYMBOLS_A_LINE
            for kind, streams in (("public", public), ("market", market)):
                url = f"{self._ws_url}/{kind}/stream?streams={'/'.join(streams)}"
                lines.append(Line(f"{kind}-{number}", url, (), part, kind == "public"))
        return lines

    def anew(self, symbol: str) -> Sequence[str]:
        """Leave a symbol's streams and enter them again."""
        return [
            msgspec.json.encode({"method": method, "params": self._public(symbol), "id": k}).decode()
            for k, method in enumerate(("UNSUBSCRIBE", "SUBSCRIBE"), 1)
        ]

    def snapshot_url(self, symbol: str) -> str:
        """The depth of 1,000 levels."""
        return f"{self._rest_url}/fapi/v1/depth?symbol={self._symbols[symbol].venue_symbol}&limit=1000"

    def read(self, frame: Frame) -> Sequence[Event]:
        """Return what a frame says. Raises FrameRefused, or OffGrid for a price or size between the steps."""
        try:
            decoded = msgspec.json.decode(frame.payload)
            if not isinstance(decoded, dict):
                raise BadEvent(f"wanted an object, found {str(decoded)[:80]}")
            payload = binance_payload(decoded)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, BadEvent) as error:
            raise FrameRefused("malformed", f"binance: {error}; found {frame.payload[:120]!r}") from error
        kind = payload.get("e")
        if kind.__class__ is str and (reader := self._readers.get(kind)) is not None:
            self.unknown_keys += not self._is_known(kind, payload)
            symbol = self._owner(payload.get("s"), "")
        elif "lastUpdateId" in payload:
            reader, symbol = binance_snapshot, self._owner(payload.get("symbol"), frame.symbol)
        elif kind == "contractInfo":
            return self._contract(payload)
        elif kind is None:
            return _answer(payload)
        else:
            raise FrameRefused("unknown", f"binance: no event of ours: {str(kind)[:80]}")
        try:
            event = reader(payload, symbol, frame.local_ns)
        except BadReference as error:
            raise OffGrid(symbol.name, str(error)) from error
        except (BadEvent, KeyError, TypeError, ValueError, OverflowError) as error:
            raise FrameRefused("malformed", f"binance: {error}") from error
        return () if event is None else (event,)

    def _is_known(self, kind: str, payload: Payload) -> bool:
        """Whether every key is one of ours; frames of a kind look alike, so most answers are remembered."""
        shape = (kind, *payload)
        known = self._shapes.get(shape)
        if known is None:
            known = payload.keys() <= _KNOWN_KEYS[kind]
            if len(self._shapes) < _MOST_SHAPES:
                self._shapes[shape] = known
        return known

    def _public(self, symbol: str) -> list[str]:
        stream = self._symbols[symbol].venue_symbol.lower()
        return [f"{stream}@depth@100ms", f"{stream}@bookTicker", f"{stream}@trade"]

    def _owner(self, venue_symbol: object, name: str) -> Symbol:
        found = self._owners.get(venue_symbol) if isinstance(venue_symbol, str) else self._symbols.get(name)
        if found is None:
            raise FrameRefused("foreign", f"binance: {str(venue_symbol)[:40]} is none of {sorted(self._owners)}")
        return found

    def _trade(self, payload: Payload, symbol: Symbol, local_ns: int) -> Event | None:
        if self._trade_kind.setdefault(symbol.name, payload["e"]) != payload["e"]:
            return None
        trade = binance_trade(payload, symbol, local_ns)
        return trade if trade is not None else NotMarket(symbol.name, int(payload["t"]))

    def _contract(self, payload: Payload) -> Sequence[Event]:
        """News of a contract; of all there are, so that strangers among them are no defect."""
        symbol = self._owners.get(str(payload.get("s")))
        status = str(payload.get("cs"))
        return () if symbol is None or status == "TRADING" else (Delisted(symbol.name, f"contract is {status}"),)


def _mark(payload: Payload, symbol: Symbol, local_ns: int) -> Mark:
    # A contract without funding says "" for its rate.
    rate = payload.get("r") or "0"
    price = float(payload["p"])
    if not 0.0 < price < float("inf"):
        raise BadEvent(f"{symbol.name}: mark price must be above 0, was {payload['p']!r}")
    exchange_ns, funding_ns = int(payload["E"]) * _NS_PER_MS, int(payload.get("T") or 0) * _NS_PER_MS
    return Mark(symbol.name, exchange_ns, local_ns, price, float(rate), funding_ns)


def _answer(payload: Payload) -> Sequence[Event]:
    """The venue's answer to a subscription."""
    if "error" in payload or payload.get("code"):
        raise SubscriptionRefused("subscription", f"binance: {str(payload)[:200]}")
    if "result" in payload or "id" in payload:
        return ()
    raise FrameRefused("unknown", f"binance: no event in {str(payload)[:120]}")
