"""What must hold whatever happens, watched from outside the executor: at the venue, on its disk, on the streams.

I1  at most one live order per (signal, leg, rung), and no client id twice      I2  every order has a durable intent
I3  position by the journal = fills of the venue = its position, at the end     I4  no entry unless the book is live,
I5  no entry from a message older than its TTL                                      warm, not halted
I6  exposure caps hold in the worst case                                        I7  after CRIT nothing real until the
I8  no message is gone without an effect                                            cooldown is over and a person came
I9  same seed, same history (its digest)                                        I10 on paper no client is touched
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import msgspec

from bus.messages import Approval, BookImage, BookStatus, ControlEvent, MarketTrade, Received
from config.settings import Settings
from live.exchange.protocol import Place, Request
from market.columns import BOOK_RESET
from market.symbols import Symbol
from tests.live.simulation.nature import Disk, Nature
from tests.live.simulation.venue import Client, Stand, Venue

_HEAD = 32
_OURS = re.compile(r"^(tg[a-z2-7]{16})-([ex])(\d{1,2})-(\d+)$")
_FILLS = ("partial", "filled")


class Violation(BaseException):
    """An invariant does not hold. No handler of ours catches it, or the run would go on."""

    def __init__(self, invariant: str, text: str) -> None:
        super().__init__(f"{invariant}: {text}")
        self.invariant = invariant


@dataclass
class Line:
    """What one executor process was shown of one symbol's market, as far as that binds it.

    `ready_ns` is when a warm-up can be over at the earliest; `down` while the collector's last word is not live. While
    there is a hole (`hole_ns` since it was seen) nobody outside can tell when it was given up: entries are judged by
    the last image before it.
    """

    ready_ns: int
    epoch: int = 0
    place: int = 0
    is_new: bool = True
    down: bool = False
    held: dict[int, Received] = field(default_factory=dict)
    hole_ns: int = -1
    image_ns: int = -(2**62)
    newest_ns: int = -(2**62)


@dataclass
class Sight:
    """What one executor process knows, and since when it lives."""

    born_ns: int
    lines: dict[str, Line]
    is_dead: bool = False


class Observer:
    """Follows everything and raises Violation at once; `at_rest` looks at the end of a run."""

    def __init__(self, nature: Nature, settings: Settings, symbols: Mapping[str, Symbol], disk: Disk) -> None:
        self._nature, self._settings, self._symbols, self._disk = nature, settings, symbols, disk
        self.venue: Venue | None = None
        self.true_of: dict[tuple[str, int], int] = {}
        self.approvals: dict[str, tuple[int, Approval]] = {}
        self.sight: Sight | None = None
        self.retired: list[Client] = []
        """Accesses of executors that another one has replaced a while ago, and that do not know it yet."""
        self.counts = dict.fromkeys(("entries", "exits", "paper", "crits", "fills"), 0)
        self._warmup_ns = round(settings.warmup.seconds * 1e9)
        self._stale_ns = settings.gates.stale_book_ms * 1_000_000
        self._ids: dict[str, bool] = {}
        self._intents: dict[str, list[Any]] = {}
        self._prefixes: dict[str, str] = {}
        self._read = self._written_anew = 0
        self._cool_ns = 0
        self._cool_from_ns = 0
        self._blocked = ""
        self._ended_in_order = False
        self._heard: set[str] = set()
        self._halts: set[str] = set()
        self._digest = blake2b(digest_size=16)

    @property
    def digest(self) -> str:
        """The history of the venue and of the journal."""
        whole = self._digest.copy()
        whole.update(bytes(self._disk.safe + self._disk.loose))
        return whole.hexdigest()

    # The process

    def born(self) -> None:
        """An executor process begins."""
        now = self._nature.true_ns
        self.sight = Sight(now, {name: Line(now + self._warmup_ns) for name in self._symbols})
        self._cool_from_ns = now
        if self._ended_in_order and self._cool_ns >= self._settings.fail_safe.cooldown_seconds * 1e9:
            self._blocked = ""
        self._ended_in_order = False

    def died(self, *, in_order: bool = False) -> None:
        """It is gone."""
        if self.sight is not None and not self.sight.is_dead:
            self.sight.is_dead = True
            self._cool_ns += self._nature.true_ns - self._cool_from_ns
            self._ended_in_order = in_order

    # What it is handed, and what it says

    def on_message(self, received: Received) -> None:
        """A message is handed to the executor."""
        body = received.body
        match body:
            case BookImage() | BookStatus() | MarketTrade():
                self._on_market(received, body)
            case ControlEvent() if received.entry_id:
                self._on_control(received, body)
            case _:
                pass

    def on_handled(self, received: Received) -> None:
        """The executor is done with a message. One that is on no stream yet is heard only now."""
        if isinstance(received.body, ControlEvent) and not received.entry_id:
            self._on_control(received, received.body)

    def on_said(self, body: object) -> None:
        """The executor says something."""
        if isinstance(body, ControlEvent):
            if body.severity == "CRIT":
                self._crit(body.reason)
            if body.reason == "order_mismatch":
                raise Violation("I3", f"a mismatch is told of where only our own orders are: {body.text}")

    def _on_control(self, received: Received, event: ControlEvent) -> None:
        if event.by == "executor":
            return
        key = received.header.id
        is_new, _ = key not in self._heard, self._heard.add(key)
        if event.severity == "CRIT" and is_new:
            self._crit(event.reason)
        if event.event == "HALT" and is_new:
            self._halts.add(event.reason)
        if event.event == "RESUME":
            is_person = event.by.startswith("operator")
            self._halts = set() if is_person else self._halts - {event.reason}
            served_ns = self._cool_ns + self._nature.true_ns - self._cool_from_ns
            if is_person and served_ns >= self._settings.fail_safe.cooldown_seconds * 1e9:
                self._blocked = ""

    def _crit(self, reason: str) -> None:
        self.counts["crits"] += 1
        self._blocked = reason
        self._cool_ns, self._cool_from_ns = 0, self._nature.true_ns

    def _on_market(self, received: Received, body: BookImage | BookStatus | MarketTrade) -> None:
        assert self.sight is not None
        line, header, now = self.sight.lines[body.symbol], received.header, self._nature.true_ns
        if isinstance(body, BookImage):
            seen_ns = self.true_of.get((body.symbol, body.local_ns), -(2**62))
            line.newest_ns = max(line.newest_ns, seen_ns)
        if header.epoch < line.epoch:
            return
        if header.epoch > line.epoch:
            line.epoch, line.place, line.is_new, line.hole_ns = header.epoch, header.seq, True, -1
            line.held.clear()
        if header.seq < line.place:
            return
        line.held[header.seq] = received
        if line.hole_ns >= 0 and now >= line.hole_ns + self._warmup_ns:
            for _, held in sorted(line.held.items()):
                self._see(line, held.body, now)  # type: ignore[arg-type]
            line.place, line.hole_ns = max(line.held) + 1, -1
            line.held.clear()
            line.ready_ns = now  # when exactly it was leapt over is not known here
        while (next_one := line.held.pop(line.place, None)) is not None:
            line.place += 1
            line.hole_ns = -1
            self._see(line, next_one.body, now)  # type: ignore[arg-type]
        if line.held and line.hole_ns < 0:
            line.hole_ns = now

    def _see(self, line: Line, body: BookImage | BookStatus | MarketTrade, now: int) -> None:
        if isinstance(body, BookStatus):
            line.down = line.down or body.state != "live"
        elif isinstance(body, BookImage):
            if line.is_new or line.down or body.flags & BOOK_RESET:
                line.ready_ns = now + self._warmup_ns
            line.is_new = line.down = False
            line.image_ns = self.true_of.get((body.symbol, body.local_ns), line.image_ns)

    # What it sends

    def on_send(self, client: Client, request: Request) -> None:
        """As venue.Watcher."""
        if self._settings.exchange.mode == "paper":
            raise Violation("I10", f"{request} went to the venue in paper mode")
        if client in self.retired:
            if isinstance(request, Place):
                raise Violation("I1", f"{request.client_id} is sent by an executor that was replaced")
            return
        if isinstance(request, Place):
            self._on_place(request, is_real=True)

    def on_paper(self, request: Request) -> None:
        """The executor sends to the paper exchange."""
        if isinstance(request, Place):
            self.counts["paper"] += 1
            self._on_place(request, is_real=False)

    def _on_place(self, place: Place, *, is_real: bool) -> None:
        now = self._nature.true_ns
        self._digest.update(f"{now} {place}".encode())
        found = _OURS.match(place.client_id)
        if found is None:
            raise Violation("I1", f"{place.client_id} is no id that the same intent would get again")
        if place.client_id in self._ids:
            raise Violation("I1", f"{place.client_id} is sent a second time")
        self._ids[place.client_id] = is_real
        intent = self._intent(place)
        if self._prefixes.setdefault(intent[2], found[1]) != found[1]:
            raise Violation("I1", f"{place.client_id}: an order of {intent[2]} had {self._prefixes[intent[2]]}")
        if (found[2] == "x") is not place.reduce_only:
            raise Violation("I6", f"{place.client_id}: reduce_only is {place.reduce_only}")
        if found[2] == "x":
            self.counts["exits"] += 1
            return
        self.counts["entries"] += is_real
        self._judge(place, intent, now, is_real=is_real)

    def _intent(self, place: Place) -> list[Any]:
        """The intent of an order as it stands on the part of the disk that no crash takes."""
        safe = self._disk.safe
        if self._written_anew != self._disk.written_anew:
            self._written_anew, self._read = self._disk.written_anew, 0
        for record, end in _records(safe, self._read):
            self._read = end
            self._remember(record)
        found = self._intents.get(place.client_id)
        if found is None:
            raise Violation("I2", f"{place.client_id} is sent and its intent is not durable")
        if (found[6], found[7], found[8]) != (place.side, place.price_ticks, place.size_lots):
            raise Violation("I2", f"{place} is sent, the intent says {found}")
        return found

    def _remember(self, record: list[Any]) -> None:
        if record[0] == "Intent":
            self._intents[record[1]] = record
        elif record[0] == "Snapshot":
            for key, order in record[1][0].items():
                self._intents[key] = ["Intent", key, order[1], *order[4:10]]

    def _judge(self, place: Place, intent: list[Any], now: int, *, is_real: bool) -> None:
        """An entry: may it be sent now?"""
        known = self.approvals.get(intent[2])
        if known is None or known[1].side != place.side or known[1].symbol != place.symbol:
            raise Violation("I1", f"{place.client_id} is for {intent[2]}, which nobody approved like that")
        age_ns = now - known[0]
        if age_ns > self._settings.signals.ttl_ms * 1_000_000:
            raise Violation("I5", f"{place.client_id}: its approval is {age_ns / 1e6:.0f} ms old")
        self._judge_book(place, now)
        if self._halts:
            raise Violation("I4", f"{place.client_id} is sent while halted by {sorted(self._halts)}")
        if is_real:
            if self._blocked:
                raise Violation("I7", f"{place.client_id} is real and {self._blocked} has not been cooled down")
            self._judge_exposure(place)

    def _judge_book(self, place: Place, now: int) -> None:
        assert self.sight is not None
        line = self.sight.lines[place.symbol]
        if self.sight.is_dead:
            raise Violation("I4", f"{place.client_id} is sent by a process that was told to end")
        if now - line.newest_ns > self._stale_ns:
            raise Violation("I4", f"{place.client_id}: the newest book is {(now - line.newest_ns) / 1e6:.0f} ms old")
        if line.hole_ns >= 0:
            if line.image_ns + self._stale_ns < now < line.hole_ns + self._warmup_ns:
                raise Violation("I4", f"{place.client_id} is sent right behind a hole in the market data")
            return
        if line.down:
            raise Violation("I4", f"{place.client_id} is sent while the book of {place.symbol} is not live")
        if now < line.ready_ns:
            raise Violation("I4", f"{place.client_id} is sent {(line.ready_ns - now) / 1e9:.2f} s before warm-up ends")

    def _judge_exposure(self, place: Place) -> None:
        """Everything that stands, is on its way or is held, and this order too, all of it filled."""
        assert self.venue is not None
        worst: dict[str, float] = {}
        entries = [(each.place, each.left) for each in self.venue.open.values() if not each.place.reduce_only]
        entries += [(each, each.size_lots) for each in self.venue.in_flight() if not each.reduce_only]
        for each, lots in [*entries, (place, place.size_lots)]:
            worst[each.symbol] = worst.get(each.symbol, 0.0) + lots * each.price_ticks * self._unit(each.symbol)
        for name, lots in self.venue.position.items():
            price = place.price_ticks if name == place.symbol else self._last_ticks(name)
            worst[name] = worst.get(name, 0.0) + abs(lots) * price * self._unit(name)
        gates = self._settings.gates
        if worst[place.symbol] > gates.max_symbol_notional * 1.01:
            raise Violation("I6", f"{place.client_id}: {place.symbol} may come to {worst[place.symbol]:.0f}")
        if sum(worst.values()) > gates.max_total_notional * 1.01:
            raise Violation("I6", f"{place.client_id}: everything may come to {sum(worst.values()):.0f}")

    def _last_ticks(self, name: str) -> float:
        assert self.venue is not None
        return next((each.place.price_ticks for each in reversed(self.venue.orders) if each.place.symbol == name), 0.0)

    def _unit(self, name: str) -> float:
        symbol = self._symbols[name]
        return float(symbol.price_tick * symbol.size_lot * symbol.contract_value)

    # What stands at the venue

    def on_stands(self, order: Stand) -> None:
        """As venue.Watcher."""
        assert self.venue is not None
        self._digest.update(f"{self._nature.true_ns} stands {order.place.client_id}".encode())
        name = order.place.client_id.rpartition("-")[0]
        for other in self.venue.open.values():
            if other.place.client_id.rpartition("-")[0] == name:
                raise Violation("I1", f"{order.place.client_id} stands beside {other.place.client_id}")

    # The end

    def at_rest(
        self, positions: Mapping[str, int], reports: list[Any], said: set[str], undone: int, *, nothing_lost: bool
    ) -> None:
        """Everything has come to rest: the books must agree.

        `positions` are the executor's own ("SYMBOL:real"), `reports` and `said` (ids of approvals) what stands on the
        streams, `undone` how many approvals are not acknowledged; `nothing_lost`: the bus never lost anything.
        """
        assert self.venue is not None
        journal = dict.fromkeys(self._symbols, 0)
        counted: set[tuple[str, str]] = set()
        acted: set[str] = set()
        for record, _ in _records(self._disk.safe + self._disk.loose, 0):
            self._remember(record)
            if record[0] == "Intent":
                acted.add(record[2])
            elif record[0] in ("Lost", "Foreign"):
                raise Violation("I3", f"the journal gives a position up: {record}")
            elif record[0] == "Snapshot":
                acted |= set(record[1][2])
                for key, order in record[1][0].items():
                    self._count(journal, counted, key, order[15], order[16])
            elif record[0] == "Filled":
                self._count(journal, counted, record[1], record[4], [record[2]])
        self._agree(journal, positions)
        if undone:
            raise Violation("I8", f"{undone} approvals are never acknowledged")
        told = {report.approval_id for report in reports}
        for key in said:
            if key not in acted and key not in told:
                raise Violation("I8", f"{key} is acknowledged and nothing came of it")
        if nothing_lost:
            self._all_told(reports)

    def _count(
        self, journal: dict[str, int], counted: set[tuple[str, str]], key: str, lots: int, trades: list[str]
    ) -> None:
        """Count lots of an order as the journal has them, each of its trades once."""
        new = {(key, trade) for trade in trades} - counted
        counted |= new
        if new and self._ids.get(key):
            intent = self._intents[key]
            journal[self.approvals[intent[2]][1].symbol] += intent[6] * lots

    def _agree(self, journal: Mapping[str, int], positions: Mapping[str, int]) -> None:
        assert self.venue is not None
        traded = dict.fromkeys(self._symbols, 0)
        bought: dict[str, float] = {}
        for order in self.venue.orders:
            place = order.place
            self.counts["fills"] += len(order.fills)
            traded[place.symbol] += place.side * order.filled
            if not place.reduce_only:
                key = self._intents[place.client_id][2]
                bought[key] = bought.get(key, 0.0) + order.filled * place.price_ticks * self._unit(place.symbol)
        for name in self._symbols:
            found = (journal[name], traded[name], self.venue.position[name], positions.get(f"{name}:real", 0))
            if len(set(found)) != 1:
                raise Violation("I3", f"{name}: journal, fills, venue and executor say {found}")
            if found[0] or positions.get(f"{name}:paper", 0):
                raise Violation("I3", f"{name} is not flat at the end: {found[0]}, {positions}")
        for key, notional in bought.items():
            if notional > self._settings.sizing.cap_notional * 1.01:
                raise Violation("I6", f"{key} bought {notional:.0f}")

    def _all_told(self, reports: list[Any]) -> None:
        assert self.venue is not None
        told: dict[str, int] = {}
        for report in reports:
            if report.kind in _FILLS:
                told[report.client_id] = max(told.get(report.client_id, 0), report.filled_lots)
        for order in self.venue.orders:
            if told.get(order.place.client_id, 0) != order.filled:
                text = f"{order.place.client_id}: filled {order.filled}, reported {told.get(order.place.client_id, 0)}"
                raise Violation("I3", text)


def _records(data: bytes | bytearray, at: int) -> Iterator[tuple[list[Any], int]]:
    """The records of a journal from an offset on, each with where it ends; read without the executor's own code."""
    while at + _HEAD <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        end = at + _HEAD + length
        if end > len(data):
            return
        try:
            record = msgspec.msgpack.decode(bytes(data[at + _HEAD : end]))
        except msgspec.DecodeError:
            return
        yield record, end
        at = end
