"""A venue's REST answers about orders, given to the desk that reads them, and what may be told of them.

The desk never raises: what it must not do is tell the executor of something that no order, fill or account can be.
"""

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

from live.clock import ManualClock
from live.exchange.ccxt_venue import dialect_of
from live.exchange.outcomes import Reply, Venue
from live.exchange.protocol import (
    Accepted,
    Cancel,
    CancelAll,
    Fill,
    KeepAlive,
    Place,
    Query,
    QueryAnswer,
    Refused,
    Request,
    Survey,
    Surveyed,
    Trouble,
    Unknown,
    VenueEvent,
)
from live.exchange.venue_desk import VenueDesk
from live.exchange.venue_facts import Call
from tests.archive.sources.made import TABLE

VENUES: Final[tuple[Venue, ...]] = ("binance", "bybit")
NAMES: Final = ("BTCUSDT", "BTCUSDT-BYBIT")
BETWEEN: Final = b"\n"
"""Stands between answers, which are given one after the other, and from the first again."""

_STATUS: Final = (200, 400, 0, 503)
_LONGEST_REASON: Final = 400

_BINANCE_ORDER: Final[dict[str, Any]] = {
    "clientOrderId": "a", "orderId": 7, "side": "BUY", "price": "100.0", "origQty": "0.010", "executedQty": "0.004",
    "status": "PARTIALLY_FILLED", "timeInForce": "GTX", "updateTime": 1_767_000_000_000,
}  # fmt: skip
_BINANCE_TRADE: Final[dict[str, Any]] = {
    "id": 3, "orderId": 7, "side": "BUY", "price": "100.0", "qty": "0.004", "maker": True, "commission": "0.01",
    "commissionAsset": "USDT", "time": 1_767_000_000_001,
}  # fmt: skip
_BYBIT_ORDER: Final[dict[str, Any]] = {
    "orderLinkId": "a", "orderId": "o-7", "side": "Buy", "price": "100.0", "qty": "0.010", "cumExecQty": "0.004",
    "orderStatus": "PartiallyFilled", "rejectReason": "EC_NoError", "updatedTime": "1767000000000",
}  # fmt: skip
_BYBIT_TRADE: Final[dict[str, Any]] = {
    "execId": "x-3", "orderId": "o-7", "orderLinkId": "a", "side": "Buy", "execPrice": "100.0", "execQty": "0.004",
    "execFee": "0.01", "isMaker": True, "execType": "Trade", "execTime": "1767000000001",
}  # fmt: skip
_POSITION: Final[dict[str, Any]] = {
    "symbol": "BTCUSDT", "positionAmt": "-0.010", "entryPrice": "100.0", "liquidationPrice": "90",
}  # fmt: skip


def _listed(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"retCode": 0, "retMsg": "OK", "result": {"list": list(entries)}, "time": 1}


SEEDS: Final[dict[Venue, tuple[tuple[Any, ...], ...]]] = {
    "binance": (
        (_BINANCE_ORDER, [_BINANCE_TRADE]),
        ([_BINANCE_ORDER], [_BINANCE_ORDER | {"status": "FILLED", "executedQty": "0.010"}], [_BINANCE_TRADE],
         [_POSITION], [{"asset": "USDT", "availableBalance": "12.5"}]),
        ({"code": -2011, "msg": "Unknown order sent."},),
    ),
    "bybit": (
        ({"retCode": 0, "result": {"orderId": "o-7", "orderLinkId": "a"}}, _listed(_BYBIT_ORDER),
         _listed(_BYBIT_TRADE)),
        (_listed(_BYBIT_ORDER), _listed(_BYBIT_ORDER | {"orderStatus": "Filled", "cumExecQty": "0.010"}),
         _listed(_BYBIT_TRADE),
         _listed({"symbol": "BTCUSDT", "side": "Sell", "size": "0.010", "avgPrice": "100.0", "liqPrice": ""}),
         _listed({"totalAvailableBalance": "12.5"})),
        ({"retCode": 110001, "retMsg": "order not exists"},),
    ),
}  # fmt: skip
"""Answers that belong together, in the order in which placing, looking and a survey ask for them."""


def requests(name: str) -> tuple[Request, ...]:
    """One of every kind, about the order that the answers are of."""
    return (
        Place("a", name, 1, 1000, 10, "GTX"),
        Place("a", name, 1, 1000, 10, "IOC"),
        Cancel("a", name),
        Query("a", name),
        Survey(name),
        CancelAll(name),
        KeepAlive(name, 1000),
    )


class _Player:
    """Gives bodies in turn."""

    def __init__(self, status: int, bodies: Sequence[str]) -> None:
        self._status, self._bodies, self._next = status, bodies, 0

    def call(self, call: Call) -> Reply:
        self._next += 1
        return Reply(self._status, self._bodies[(self._next - 1) % len(self._bodies)])

    def sync_clock(self) -> bool:
        return True


def played(venue: Venue, number: int, status: int, bodies: Sequence[str]) -> list[VenueEvent]:
    """What a desk tells that asks by request `number` and then looks twice, when these answers come.

    Raises AssertionError when that cannot be, or when nobody is told of an order that was sent.
    """
    name = NAMES[VENUES.index(venue)]
    told: list[VenueEvent] = []
    desk = VenueDesk(TABLE[name], dialect_of(venue), _Player(status, bodies), ManualClock(), told.append)
    asked = requests(name)[number % len(requests(name))]
    desk.handle(asked)
    _check_answer(asked, told)
    desk.look()
    desk.look()
    for event in told:
        _check(event)
    return told


def seeds() -> list[bytes]:
    """The answers as the fuzzer changes them: a byte for venue, request and status, then the bodies."""
    return [
        bytes([VENUES.index(venue) + 2 * number]) + BETWEEN.join(json.dumps(each).encode() for each in answers)
        for venue in VENUES
        for answers in SEEDS[venue]
        for number in range(len(requests("")))
    ]


def read(content: bytes) -> list[VenueEvent]:
    """Play the bytes of a seed, whatever became of them."""
    if not content:
        return []
    choice, rest = divmod(content[0], 2)
    status, number = divmod(choice, len(requests("")))
    bodies = [each.decode("utf-8", "replace") for each in content[1:].split(BETWEEN)]
    return played(VENUES[rest], number, _STATUS[status % len(_STATUS)], bodies)


def _check_answer(asked: Request, told: Sequence[VenueEvent]) -> None:
    if isinstance(asked, Place):
        mine = [e for e in told if isinstance(e, Accepted | Refused | Unknown) and e.client_id == asked.client_id]
        assert mine, f"nobody is told what became of {asked}: {told}"
    if isinstance(asked, Query | Survey):
        assert any(isinstance(e, QueryAnswer | Surveyed | Trouble | Unknown) for e in told), told


def _check(event: VenueEvent) -> None:
    for path, value in _values(event, type(event).__name__):
        if isinstance(value, float):
            assert math.isfinite(value), f"{path} is {value} in {event}"
        elif isinstance(value, int):
            assert abs(value) < 2**63, f"{path} is beyond int64 in {event}"
        else:
            assert value is None or isinstance(value, str), f"{path} is {value!r} in {event}"
    if isinstance(event, Trouble):
        assert len(event.reason) <= _LONGEST_REASON, f"a page of {len(event.reason)} signs is no reason"
    if isinstance(event, Fill):
        assert event.price_ticks > 0 and event.size_lots > 0 and event.client_id, event


def _values(found: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(found, tuple):
        for each in found:
            yield from _values(each, f"{path}[]")
    elif dataclasses.is_dataclass(found):
        for field in dataclasses.fields(found):
            yield from _values(getattr(found, field.name), f"{path}.{field.name}")
    else:
        yield path, found
