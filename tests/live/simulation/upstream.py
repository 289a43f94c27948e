"""What comes before the executor, played by a script: a market of two symbols, approvals, and somebody who halts."""

from collections.abc import Mapping
from random import Random

from bus import streams
from bus.messages import Approval, BookImage, BookStatus, ControlEvent, MarketTrade, MarkPrice
from bus.streams import APPROVED, CONTROL
from live.clock import Clock
from live.service import Output
from market.columns import BOOK_RESET
from market.events import LEVELS
from market.symbols import Symbol
from tests.live.simulation.invariants import Observer
from tests.live.simulation.nature import MS, SECOND, Nature

MIDS = {"BTCUSDT": 600_000, "ETHUSDT": 300_000}
LAG_NS = 5 * MS
_DEEP = range(LEVELS)
_LOTS = [4_000] * LEVELS


class Script:
    """Says what a collector, a scorer and a guard would. One a life of their process; the prices outlive it."""

    def __init__(
        self,
        outputs: Mapping[str, Output],
        clock: Clock,
        nature: Nature,
        rng: Random,
        observer: Observer,
        symbols: Mapping[str, Symbol],
        ttl_ms: int,
        mids: dict[str, int],
    ) -> None:
        self._outputs, self._clock, self._nature, self._rng = outputs, clock, nature, rng
        self._observer, self._symbols, self._ttl_ns, self._mids = observer, symbols, ttl_ms * MS, mids
        self._began: set[str] = set()
        self._down: set[str] = set()
        self._last_ns = dict.fromkeys(symbols, 0)
        self._number = 0

    def look(self, name: str) -> None:
        """The book of a symbol moved."""
        if name in self._down:
            return
        mid = self._mids[name] = self._mids[name] + self._rng.choice((-30, -10, 0, 0, 10, 30))
        at_ns = self._tick(name)
        flags = 0 if name in self._began else BOOK_RESET
        self._began.add(name)
        image = BookImage(
            name, at_ns - LAG_NS, at_ns, self._number, flags, [mid - k for k in _DEEP], _LOTS,
            [mid + 1 + k for k in _DEEP], _LOTS,
        )  # fmt: skip
        self._observer.true_of[name, at_ns] = self._nature.true_ns
        self._say(streams.book(name), image, name)

    def print_(self, name: str) -> None:
        """Somebody trades."""
        at_ns = self._tick(name)
        side = self._rng.choice((-1, 1))
        price = self._mids[name] + (1 if side > 0 else 0)
        trade = MarketTrade(name, self._number, at_ns - LAG_NS, at_ns, price, self._rng.randint(1, 8_000), side)
        self._say(streams.trade(name), trade, name)

    def mark(self, name: str) -> None:
        """The venue's mark price."""
        at_ns = self._clock.wall_ns()
        price = (self._mids[name] + 0.5) * float(self._symbols[name].price_tick)
        mark = MarkPrice(name, at_ns, at_ns, price, 0.0, 0)
        self._outputs["collector"].publish(
            streams.mark(name), mark, message_id=f"{name}-mark-{at_ns}", writer=f"collector:{name}:mark"
        )

    def status(self, name: str) -> None:
        """The book of a symbol breaks, or is whole again."""
        at_ns = self._tick(name)
        is_whole = name in self._down
        self._down ^= {name}
        self._began.discard(name)
        state = "live" if is_whole else self._rng.choice(("gap", "syncing"))
        self._say(streams.book(name), BookStatus(name, state, "simulated", 0, 0, at_ns), name)  # type: ignore[arg-type]

    def mend(self) -> None:
        """Every book is whole again."""
        for name in sorted(self._down):
            self.status(name)

    def approve(self, route: str, *, late_ns: int = 0) -> Approval:
        """A model likes what it sees, or liked it a while ago."""
        name = self._rng.choice(list(self._symbols))
        at_ns = self._clock.wall_ns() - late_ns
        side, mid = self._rng.choice((-1, 1)), self._mids[name]
        self._number += 1
        key = f"{name}-{at_ns - LAG_NS}"
        approval = Approval(
            key, key, name, side, route, "model", 1, 0.6, 0.5, at_ns - LAG_NS, at_ns, at_ns + self._ttl_ns, mid,  # type: ignore[arg-type]
            mid + 1, 0.0008, 0.0008, self._rng.randint(2, 8) * SECOND,
        )  # fmt: skip
        self._observer.approvals.setdefault(key, (self._nature.true_ns - late_ns, approval))
        self.approve_again(approval)
        return approval

    def approve_again(self, approval: Approval) -> None:
        """Say an approval (once more)."""
        self._outputs["ai_scorer"].publish(APPROVED, approval, message_id=approval.id)

    def control(self, kind: str, severity: str, reason: str, by: str) -> None:
        """Somebody calls."""
        at_ns = self._clock.wall_ns()
        event = ControlEvent(kind, severity, "", "", reason, by, at_ns, "", "", "")  # type: ignore[arg-type]
        self._number += 1
        self._outputs["risk"].publish(CONTROL, event, message_id=f"{by}-{kind}-{reason}-{at_ns}-{self._number}")

    def _tick(self, name: str) -> int:
        self._number += 1
        self._last_ns[name] = max(self._clock.wall_ns(), self._last_ns[name] + 1)
        return self._last_ns[name]

    def _say(self, stream: str, body: BookImage | BookStatus | MarketTrade, name: str) -> None:
        self._outputs["collector"].publish(
            stream, body, message_id=f"{name}-{self._number}", received_ns=body.local_ns, writer=f"collector:{name}"
        )
