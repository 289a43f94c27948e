"""Processes of a simulation: a host that is stepped, dies, and is built anew on what is left."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from bus.errors import BusError
from bus.messages import BookImage, BookStatus, MarketTrade, Message, Received
from live.errors import LiveError
from live.exchange.paper import PaperExchange
from live.exchange.protocol import Request
from live.host import Host
from live.service import Output, Service, Subscription
from tests.live.simulation.invariants import Observer
from tests.live.simulation.nature import Killed
from tests.live.simulation.venue import Client

_MARKET = (BookImage, BookStatus, MarketTrade)


class Mute:
    """A service that reads nothing and does nothing: a name to speak under."""

    def __init__(self, name: str) -> None:
        self.name = name

    def subscriptions(self) -> Sequence[Subscription]:
        """None."""
        return ()

    def start(self) -> None:
        """Nothing to recover."""

    def handle(self, received: Received) -> None:
        """Nothing comes."""

    def tick(self) -> None:
        """Nothing is due."""

    def status(self) -> Mapping[str, Any]:
        """Ready."""
        return {"ready": True}

    def stop(self) -> None:
        """Nothing is open."""


class Blind:
    """An observer of what nobody asks about."""

    def on_message(self, received: Received) -> None:
        """Nothing."""

    def on_handled(self, received: Received) -> None:
        """Nothing."""

    def on_said(self, body: object) -> None:
        """Nothing."""

    def on_paper(self, request: Request) -> None:
        """Nothing."""


class Tap:
    """An Output that an observer listens to."""

    def __init__(self, output: Output, observer: Observer) -> None:
        self._output = output
        self.observer: Observer | Blind = observer

    def publish(self, stream: str, body: Message, **about: Any) -> None:
        """As Output."""
        self.observer.on_said(body)
        self._output.publish(stream, body, **about)


class WatchedPaper(PaperExchange):
    """The paper exchange; an observer sees what is sent to it."""

    observer: Observer | Blind

    def send(self, request: Request) -> None:
        """As Exchange."""
        self.observer.on_paper(request)
        super().send(request)


@dataclass
class Mischief:
    """Chances that a market message is lost, comes after the next, or that any message comes twice."""

    drop: float = 0.0
    hold: float = 0.0
    repeat: float = 0.0


class Watched:
    """A service behind an observer and a bad line."""

    def __init__(
        self,
        service: Service,
        observer: Observer,
        mischief: Mischief,
        rng: Random,
        ways: tuple[WatchedPaper, Client, Output],
    ) -> None:
        self.name = service.name
        self._service, self._mischief, self._rng = service, mischief, rng
        self._observer: Observer | Blind = observer
        self._held: Received | None = None
        self._ways = ways
        self.subscriptions, self.start, self.tick = service.subscriptions, service.start, service.tick
        self.status, self.stop = service.status, service.stop

    def handle(self, received: Received) -> None:
        """As Service."""
        bad, rng = self._mischief, self._rng
        if isinstance(received.body, _MARKET):
            if bad.drop and rng.random() < bad.drop:
                return
            if bad.hold and self._held is None and rng.random() < bad.hold:
                self._held = received
                return
        self._pass_on(received)
        if bad.repeat and rng.random() < bad.repeat:
            self._pass_on(received)
        if self._held is not None:
            held, self._held = self._held, None
            self._pass_on(held)

    def replaced(self) -> Client:
        """Another process has taken over: what this one still does is not the observer's, but at the venue."""
        paper, client, out = self._ways
        self._observer = paper.observer = Blind()
        if isinstance(out, Tap):
            out.observer = self._observer
        return client

    def _pass_on(self, received: Received) -> None:
        self._observer.on_message(received)
        self._service.handle(received)
        self._observer.on_handled(received)


class Process:
    """One process. `build` makes its started host; `on_death` cleans up what the machine would."""

    def __init__(self, name: str, build: Callable[[], Host], on_death: Callable[[bool], None]) -> None:
        self.name, self._build, self.on_death = name, build, on_death
        self.host: Host | None = None
        self.deaths = 0
        self.last_words = ""

    def step(self) -> None:
        """Live for a step; one that is dead is started."""
        try:
            if self.host is None:
                self.host = self._build()
            else:
                self.host.step()
        except Killed as killed:
            self.die(f"killed at {killed}")
        except (BusError, LiveError) as error:  # what ends a process with 1
            self.die(repr(error))

    def stop(self) -> None:
        """End in order."""
        if self.host is None:
            return
        host, self.host = self.host, None
        try:
            host.stop()
        except Killed as killed:
            self.die(f"killed at {killed}")
            return
        self.on_death(True)

    def die(self, how: str) -> None:
        """End at once."""
        self.host = None
        self.deaths += 1
        self.last_words = how
        self.on_death(False)
