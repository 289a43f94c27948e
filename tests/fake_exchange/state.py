"""What the fake exchange knows: books, sockets, faults to come, requests that were made. No clock of its own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Fault:
    """Something that will go wrong with the next `times` calls of an operation."""

    op: str
    kind: str
    times: int = 1
    details: dict[str, Any] = field(default_factory=dict)


@dataclass
class FakeBook:
    """One symbol's book: sizes by price, as the text of the wire, and both venues' numbers."""

    symbol: str
    bids: dict[str, str]
    asks: dict[str, str]
    u: int = 1_000
    bybit_u: int = 500
    trade_id: int = 1
    first_bids: dict[str, str] = field(default_factory=dict)
    first_asks: dict[str, str] = field(default_factory=dict)
    first_u: int = 0

    def __post_init__(self) -> None:
        self.first_bids, self.first_asks, self.first_u = dict(self.bids), dict(self.asks), self.u

    def levels(self, side: str) -> list[list[str]]:
        """One side, touch first."""
        ladder = self.bids if side == "bid" else self.asks
        return [[p, ladder[p]] for p in sorted(ladder, key=float, reverse=side == "bid")]

    def change(self, side: str, price: str, size: str) -> None:
        """Set a level; a size of 0 removes it."""
        ladder = self.bids if side == "bid" else self.asks
        if float(size):
            ladder[price] = size
        else:
            ladder.pop(price, None)


@dataclass(eq=False)
class FakeSocket:
    """A client's connection. `mute` data: pongs only. `mute` all: half open, nothing comes any more."""

    venue: str
    ws: web.WebSocketResponse
    request: web.Request
    topics: set[str] = field(default_factory=set)
    mute: str = ""
    heard: list[str] = field(default_factory=list)
    held: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class State:
    """Everything at once; touched in the server's own thread only, but for the faults and the log."""

    now_ms: Callable[[], int]
    books: dict[str, FakeBook] = field(default_factory=dict)
    sockets: list[FakeSocket] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    log: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    opened: int = 0
    orders: dict[str, Any] = field(default_factory=dict)

    def fault(self, op: str, kind: str, times: int = 1, **details: Any) -> None:
        """Queue a fault."""
        self.faults.append(Fault(op, kind, times, details))

    def take_fault(self, op: str) -> Fault | None:
        """Return the next fault of an operation, if there is one, and use it up."""
        for fault in self.faults:
            if fault.op == op:
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
                return fault
        return None

    def asked(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(each[1] == path for each in self.log)

    def live_sockets(self, venue: str = "") -> list[FakeSocket]:
        """The connections that stand."""
        return [each for each in self.sockets if not each.ws.closed and venue in {"", each.venue}]
