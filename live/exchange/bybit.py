"""Bybit v5 linear: its public streams.

The book comes whole with the subscription, then in steps whose numbers rise by one; so a broken book is mended by
subscribing again. The client must speak every 20 seconds, or the venue hangs up.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from live.errors import FeedRefused, FrameRefused, OffGrid, SubscriptionRefused
from live.exchange.venue import Event, Line, Mark
from live.feed import Frame
from market.events import BadEvent, BadReference
from market.symbols import Symbol
from market.wire import bybit_book, bybit_trades

WS_URL: Final = "wss://stream.bybit.com"

_PATH = "/v5/public/linear"
_SYMBOLS_A_LINE = 20
_TOPICS_A_REQUEST = 10
_NS_PER_MS = 1_000_000
_KNOWN_KEYS = frozenset({"topic", "type", "ts", "cts", "data", "cs"})
_KNOWN_BOOK_KEYS = frozenset({"s", "b", "a", "u", "seq"})

Payload = Mapping[str, Any]


class Bybit:
    """The linear perpetuals of these symbols. Raises FeedRefused when two of them have the same name at the venue."""

    name = "bybit"
    ping = '{"op":"ping"}'
    ping_seconds = 20.0

    def __init__(self, symbols: Sequence[Symbol], ws_url: str = "") -> None:
        self.unknown_keys = 0
        self._url = (ws_url or WS_URL) + _PATH
        self._symbols = {symbol.name: symbol for symbol in symbols}
        self._owners = {symbol.venue_symbol: symbol for symbol in symbols}
        if len(self._owners) < len(symbols):
            raise FeedRefused(f"one name at the venue stands for two of {sorted(self._symbols)}")
        # Tickers tell only what changed, after the first one.
        self._tickers: dict[str, dict[str, Any]] = {}

    def lines(self) -> Sequence[Line]:
        """A socket for every 20 symbols."""
        names, lines = list(self._symbols), []
        for k in range(0, len(names), _SYMBOLS_A_LINE):
            part = tuple(names[k : k + _SYMBOLS_A_LINE])
            topics = [topic for name in part for topic in self._topics(name)]
            greetings = tuple(
                _request("subscribe", topics[j : j + _TOPICS_A_REQUEST])
                for j in range(0, len(topics), _TOPICS_A_REQUEST)
            )
            lines.append(Line(f"linear-{k // _SYMBOLS_A_LINE}", self._url, greetings, part, has_books=True))
        return lines

    def anew(self, symbol: str) -> Sequence[str]:
        """Leave a symbol's book and enter it again: a whole book follows."""
        topic = [self._topics(symbol)[0]]
        return [_request("unsubscribe", topic), _request("subscribe", topic)]

    def snapshot_url(self, symbol: str) -> str:  # noqa: ARG002 - a Venue is asked by symbol
        """Empty: books come with the subscription."""
        return ""

    def read(self, frame: Frame) -> Sequence[Event]:
        """Return what a frame says. Raises FrameRefused, or OffGrid for a price or size between the steps."""
        try:
            payload = msgspec.json.decode(frame.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise FrameRefused("malformed", f"bybit: {error}; found {frame.payload[:120]!r}") from error
        if not isinstance(payload, dict):
            raise FrameRefused("malformed", f"bybit: wanted an object, found {str(payload)[:80]}")
        topic = payload.get("topic")
        if topic is None:
            return _answer(payload)
        kind, _, owner = str(topic).rpartition(".")
        symbol = self._owners.get(owner)
        if symbol is None:
            raise FrameRefused("foreign", f"bybit: {str(topic)[:60]} is of none of {sorted(self._owners)}")
        if not payload.keys() <= _KNOWN_KEYS:
            self.unknown_keys += 1
        try:
            return self._event(kind, payload, symbol, frame.local_ns)
        except BadReference as error:
            raise OffGrid(symbol.name, str(error)) from error
        except (BadEvent, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise FrameRefused("malformed", f"bybit: {error}") from error

    def _event(self, kind: str, payload: Payload, symbol: Symbol, local_ns: int) -> Sequence[Event]:
        if kind.startswith("orderbook."):
            book = bybit_book(payload, symbol, local_ns)
            self.unknown_keys += not payload["data"].keys() <= _KNOWN_BOOK_KEYS
            return (book,)
        if kind == "publicTrade":
            return bybit_trades(payload, symbol, local_ns)
        if kind == "tickers":
            return self._mark(payload, symbol, local_ns)
        raise FrameRefused("unknown", f"bybit: no topic of ours: {kind[:60]}")

    def _mark(self, payload: Payload, symbol: Symbol, local_ns: int) -> Sequence[Event]:
        known = self._tickers.setdefault(symbol.name, {})
        if payload["type"] == "snapshot":
            known.clear()
        changed = payload["data"]
        known.update({k: changed[k] for k in ("markPrice", "fundingRate", "nextFundingTime") if changed.get(k)})
        if "markPrice" not in changed:
            return ()
        price = float(known["markPrice"])
        if not 0.0 < price < float("inf"):
            raise BadEvent(f"{symbol.name}: mark price must be above 0, was {price}")
        rate, funding_ms = float(known.get("fundingRate", 0.0)), int(known.get("nextFundingTime", 0))
        exchange_ns = int(payload["ts"]) * _NS_PER_MS
        return (Mark(symbol.name, exchange_ns, local_ns, price, rate, funding_ms * _NS_PER_MS),)

    def _topics(self, symbol: str) -> list[str]:
        name = self._symbols[symbol].venue_symbol
        return [f"orderbook.50.{name}", f"publicTrade.{name}", f"tickers.{name}"]


def _request(op: str, topics: Sequence[str]) -> str:
    return msgspec.json.encode({"op": op, "args": list(topics), "req_id": f"{op}-{topics[0]}"}).decode()


def _answer(payload: Payload) -> Sequence[Event]:
    """The venue's answer to a subscription or to a ping."""
    if payload.get("op") not in {"subscribe", "unsubscribe", "ping", "pong"}:
        raise FrameRefused("unknown", f"bybit: no topic in {str(payload)[:120]}")
    if payload.get("success") is False:
        raise SubscriptionRefused("subscription", f"bybit: {str(payload)[:200]}")
    return ()
