"""A collector and a scorer, played: a market that walks, and approvals now and then, on the streams of a real server.

The venue's clock runs forty times as fast as ours, so that a service has the ten seconds of market it wants before it
trades after a quarter of a second. Nothing else of the market depends on time.
"""

import random
import time
from collections.abc import Callable

from bus.client import RedisBus
from bus.errors import BusUnavailable
from bus.messages import Approval, BookImage, ControlEvent, MarketTrade, MarkPrice
from bus.publisher import Publisher
from bus.streams import APPROVED, CONTROL, book, mark, trade
from market.columns import BOOK_RESET
from tests.journeys.live.processes import wait

SYMBOL = "BTCUSDT"
MID_TICKS = 600_000
"""60,000.0: what the fake exchange's orders are about."""
VENUE_SPEED = 40
HORIZON_NS = 400_000_000
LOOK_EACH = 5
LASTING_MS = 60_000
"""A TTL that outlasts every restart: what is redelivered is acted on."""


class Played:
    """What a collector and a scorer say. `each` steps lie between two approvals, 0 is none at all."""

    def __init__(self, url: str, seed: int = 1, *, each: int = 6, ttl_ms: int = LASTING_MS, jump: int = 20,
                 route: str = "paper", speed: int = VENUE_SPEED) -> None:  # fmt: skip
        self.bus = RedisBus(url)
        self._rng = random.Random(seed)
        self._began_ns, self._speed = time.time_ns(), speed
        self.each, self.ttl_ms, self._jump, self._route = each, ttl_ms, jump, route
        self._collector = Publisher(self.bus, "collector", time.time_ns)
        self._scorer: Publisher | None = None
        self.mid, self._steps = MID_TICKS, 0
        self.approved: list[str] = []

    def step(self) -> None:
        """One look at the market and, when it is time, an approval."""
        self._steps += 1
        self.look()
        if self.each and self._steps % self.each == 0:
            self.approve(self._rng.choice([1, -1]))
        self.flush()

    def look(self) -> None:
        """A book, a print and a mark price."""
        now = time.time_ns()
        venue_ns = self._began_ns + (now - self._began_ns) * self._speed
        self.mid += self._rng.choice([-self._jump, 0, self._jump])
        number, mid, levels, writer = self._steps, self.mid, range(10), f"collector:{SYMBOL}"
        image = BookImage(
            SYMBOL, venue_ns, now, number, BOOK_RESET if number == 1 else 0,
            [mid - 1 - level for level in levels], [50] * 10, [mid + 1 + level for level in levels], [50] * 10,
        )  # fmt: skip
        side = self._rng.choice([1, -1])
        print_ = MarketTrade(SYMBOL, number, venue_ns + 1, now + 1, mid + side, self._rng.randint(1, 60), side)
        priced = MarkPrice(SYMBOL, venue_ns, now, mid / 10, 0.0, 0)
        say = self._collector.publish
        say(book(SYMBOL), image, message_id=f"b{number}", writer=writer)
        say(trade(SYMBOL), print_, message_id=f"t{number}", writer=writer)
        say(mark(SYMBOL), priced, message_id=f"m{number}", writer=f"{writer}:mark")

    def approve(self, side: int = 1, ttl_ms: int = 0) -> str:
        """Approve a candidate of now; returns its id."""
        now = time.time_ns()
        key = f"{SYMBOL}-{now}"
        self.approved.append(key)
        approval = Approval(
            key, key, SYMBOL, side, self._route, "m", 1, 0.6, 0.5, now, now,  # type: ignore[arg-type]
            now + (ttl_ms or self.ttl_ms) * 1_000_000, self.mid - 1, self.mid + 1, 0.0001, 0.0001, HORIZON_NS,
        )  # fmt: skip
        self._say(APPROVED, approval, key)
        return key

    def say(self, event: ControlEvent) -> None:
        """Tell everybody something."""
        self._say(CONTROL, event, f"played-{time.time_ns()}")
        self.flush()

    def flush(self) -> bool:
        """Write what waits; False while the server is away."""
        try:
            self._collector.flush()
            if self._scorer is not None:
                self._scorer.flush()
        except BusUnavailable:
            return False
        return True

    def play(self, holds: Callable[[], bool], what: str) -> None:
        """Play on until something holds; it is asked for every few steps, as it may read all there is."""

        def stepped() -> bool:
            self.step()
            return self._steps % LOOK_EACH == 0 and holds()

        wait(stepped, what)

    def more(self, approvals: int) -> None:
        """Play on until so many approvals more were said."""
        wanted = len(self.approved) + approvals
        self.play(lambda: len(self.approved) >= wanted, f"{approvals} approvals")

    def _say(self, stream: str, body: Approval | ControlEvent, message_id: str) -> None:
        """Speak as the scorer, whose name is taken only when there is something to say."""
        self._scorer = self._scorer or Publisher(self.bus, "ai_scorer", time.time_ns)
        self._scorer.publish(stream, body, message_id=message_id)

    def close(self) -> None:
        """Give up the connection."""
        self.bus.close()


def crit(reason: str = "operator") -> ControlEvent:
    """Somebody calls CRIT."""
    return ControlEvent("ALERT", "CRIT", "", "", reason, "risk", time.time_ns(), "", "", "a test")
