"""What a service is to the host that runs it: subscriptions, a handler, a tick.

`handle` returns when the effect of a message is durable (a journal written, a message published); only then does the
host acknowledge it. So a crash at any point repeats messages and never loses one, and handlers are idempotent by id.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from bus.messages import Message, Received
from config.settings import Settings
from live.clock import Clock
from live.logs import Log
from market.symbols import Symbol
from monitoring.metrics import Metrics


class Subscription(NamedTuple):
    """A stream a service reads.

    With a `group` every message is delivered at least once, across restarts. Without, the stream is followed from
    `start`: `$` what comes from now on, `0` everything still there, `recent:N` the newest N and what follows, or the
    id of an entry, to go on behind it.
    """

    stream: str
    group: str = ""
    start: str = "$"


class Output(Protocol):
    """Where a service says things."""

    def publish(
        self,
        stream: str,
        body: Message,
        *,
        message_id: str,
        exchange_ns: int = 0,
        received_ns: int = 0,
        writer: str = "",
    ) -> None:
        """Append a message. On the stream when the handler that said it has returned.

        `writer` numbers the message under another name than the service's (market data: `collector:SYMBOL`).
        """
        ...


class Service(Protocol):
    """One of the live services. Built with its settings, a Clock, an Output, Metrics and a log."""

    name: str

    def subscriptions(self) -> Sequence[Subscription]:
        """What it reads; asked once, before `start`."""
        ...

    def start(self) -> None:
        """Recover what an earlier run left (journals, mirror), before the first message."""
        ...

    def handle(self, received: Received) -> None:
        """Take one message. An exception counts as a delivery: after three the message is set aside."""
        ...

    def tick(self) -> None:
        """Look at the time and at what other threads have left; called between batches and at least every 50 ms."""
        ...

    def status(self) -> Mapping[str, Any]:
        """What `tidegate status` shows of it: plain values, `ready` among them."""
        ...

    def stop(self) -> None:
        """End: leave nothing open, lose nothing."""
        ...


Wake = Callable[[], None]
"""Handed to services with threads (sockets, venue calls): ends the host's wait, so that `tick` comes at once."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What every service is built of; `var` is a folder of its own for what must survive a restart."""

    settings: Settings
    symbols: Mapping[str, Symbol]
    clock: Clock
    out: Output
    metrics: Metrics
    log: Log
    wake: Wake
    var: Path
