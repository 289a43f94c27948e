"""Faults planted in the code, each a small variation of the real part; an invariant must catch every one of them.

A mutant is a Build: the run makes its parts of it. Where a part is made inside the executor, it becomes another class
right behind the construction (`become`): everything it has stays, only what is overridden here is wrong.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from bus.memory import MemoryBus
from bus.memory_reader import MemoryReader
from bus.messages import Approval, BookImage, BookStatus, Candidate, ControlEvent, Received
from bus.protocol import Entry, Group, Waker
from bus.streams import APPROVED
from live.ai_scorer import AiScorer
from live.book_keeper import BookKeeper
from live.collector import Collector
from live.errors import JournalError
from live.exchange import protocol as venue
from live.executor import records
from live.executor.controls import Controls
from live.executor.desk import NOT_FOUND_NS, NOT_FOUND_TIMES, Desk, Happened, Question
from live.executor.entries import Entries
from live.executor.ids import client_id
from live.executor.keeper import Keeper
from live.executor.ladder import Rung
from live.executor.ledger import Ledger
from live.executor.mode import STATE_FILE, FailSafe, Mode, Refused, Switch
from live.executor.positions import Exposure
from live.executor.records import Fact, Intent, Order, Taken
from live.executor.service import Executor
from live.executor.surveys import Surveys
from live.executor.view import MarketView
from live.risk import Risk
from live.service import Parts
from live.signal_engine import SignalEngine
from market.columns import BOOK_RESET
from market.events import BookDelta, BookSnapshot
from market.symbols import Symbol
from tests.live.simulation.nature import DiskFile
from tests.live.simulation.world import Build


def become(part: object, kind: type) -> None:
    """Let a part be of another class, with everything it has."""
    part.__class__ = kind


class _Mutant(Executor):
    """An executor that changes itself once it is built."""

    def __init__(self, parts: Parts, *about: Any, **more: Any) -> None:
        super().__init__(parts, *about, **more)
        self.mutate()

    def mutate(self) -> None:
        """Become wrong."""


def _with(part: Callable[[Executor], object], kind: type) -> Build:
    """An executor one part of which is of another class (several, when the path gives a list)."""

    class Mutated(_Mutant):
        def mutate(self) -> None:
            found = part(self)
            for each in found if isinstance(found, list) else [found]:
                become(each, kind)

    return Build(executor=Mutated)


def _keeper(executor: Executor) -> object:
    return executor._keeper


def _desks(executor: Executor) -> object:
    return list(executor._desks.values())


def _entries(executor: Executor) -> object:
    return executor._entries


def _controls(executor: Executor) -> object:
    return executor._controls


def _fail_safe(executor: Executor) -> object:
    return executor._controls.fail_safe


def _views(executor: Executor) -> object:
    return list(executor._views.values())


# Messages


class AcksFirst(Executor):
    """Takes approvals in hand after they were acknowledged."""

    def handle(self, received: Received) -> None:
        if isinstance(received.body, Approval):
            self.__dict__.setdefault("later", []).append(received)
        else:
            super().handle(received)

    def tick(self) -> None:
        for received in self.__dict__.pop("later", []):
            super().handle(received)
        super().tick()


class ForgetsHalts(_Mutant):
    """Begins every run without halts."""

    def mutate(self) -> None:
        self._keeper.ledger.state.halts.clear()


class SendsAgain(Executor):
    """Sends at the start what an earlier run wrote down and may not have sent, and asks nobody."""

    def start(self) -> None:
        for order in list(self._keeper.ledger.live.values()):
            if order.state == "new" and order.is_real and True in self._desks:
                self._desks[True].exchange.send(
                    venue.Place(
                        order.client_id, order.symbol, order.side, order.price_ticks, order.size_lots,
                        order.time_in_force, order.reduce_only,
                    )
                )  # fmt: skip
        super().start()


class TouchesClient(_Mutant):
    """Looks at the real account in paper mode too."""

    def __init__(self, parts: Parts, paper: Any, real: Any, **more: Any) -> None:
        self._client = real
        super().__init__(parts, paper, real, **more)

    def mutate(self) -> None:
        self._desks.setdefault(True, Desk(self._client, self._keeper, self._parts, self._crash))


class TakesTwice(Entries):
    """Acts on every approval it gets, known or not."""

    def take(self, approval: Approval, desk: Desk) -> None:
        self._keeper.ledger.state.approvals.pop(approval.id, None)
        self._dropped.pop(approval.id, None)
        super().take(approval, desk)


class NeverExpires(Entries):
    """Acts on an approval however old it is."""

    def take(self, approval: Approval, desk: Desk) -> None:
        super().take(replace(approval, expires_ns=2**62), desk)


class NewIds(Entries):
    """Makes ids that the same intent would not get again."""

    def _intent(self, approval_id: str, side: int, rung: Rung, replacement: int) -> Intent:
        intent = super()._intent(approval_id, side, rung, replacement)
        salt = f"{approval_id}{self._parts.clock.wall_ns()}{rung.number}"
        return replace(intent, client_id=client_id(salt, "entry", rung.number, replacement))


class SameId(Entries):
    """Gives a replacement the id of what it replaces."""

    def _intent(self, approval_id: str, side: int, rung: Rung, replacement: int) -> Intent:
        intent = super()._intent(approval_id, side, rung, replacement)
        return replace(intent, client_id=client_id(approval_id, "entry", rung.number, 0))


# Journal


class NoJournal(Keeper):
    """Writes no intents."""

    def intend(self, facts: Sequence[Fact]) -> None:
        for fact in facts:
            self._tell(self.ledger.take(fact))


class NoRefusal(Keeper):
    """Goes on when the disk refuses an intent."""

    def intend(self, facts: Sequence[Fact]) -> None:
        try:
            super().intend(facts)
        except JournalError:
            for fact in facts:
                self._tell(self.ledger.take(fact))


class CountsTwice(Keeper):
    """Takes every fill for a new one."""

    def keep(self, *facts: Fact) -> None:
        number = self.__dict__["fills"] = self.__dict__.get("fills", 0) + 1
        super().keep(
            *(
                replace(fact, trade_id=f"{fact.trade_id}-{number}") if isinstance(fact, records.Filled) else fact
                for fact in facts
            )
        )


class EndsWithoutFills(Keeper):
    """Believes that an order which ended had no more fills than it knows."""

    def keep(self, *facts: Fact) -> None:
        orders = self.ledger.state.orders
        super().keep(
            *(
                replace(fact, filled_lots=orders[fact.client_id].filled_lots)
                if isinstance(fact, records.Ended) and fact.client_id in orders
                else fact
                for fact in facts
            )
        )


class NoSync(DiskFile):
    """Calls durable what is not."""

    def sync(self) -> None:
        """Nothing."""


class KeepsTornTail(DiskFile):
    """Leaves what a crash has torn, and writes behind it."""

    def truncate(self, size: int) -> None:
        """Nothing."""


# The venue


class SendsFirst(Desk):
    """Sends, then writes down."""

    def place(self, taken: Sequence[Taken], intents: Sequence[Intent]) -> None:
        symbols = {each.approval_id: each.symbol for each in taken}
        symbols |= {key: trip.symbol for key, trip in self._keeper.ledger.state.trips.items()}
        for each in intents:
            self.exchange.send(
                venue.Place(
                    each.client_id, symbols[each.approval_id], each.side, each.price_ticks, each.size_lots,
                    each.time_in_force, each.reduce_only,
                )
            )  # fmt: skip
        self._keeper.intend([*taken, *intents])


class UnknownIsFailed(Desk):
    """Takes an order without an answer for refused."""

    def _keeper_doubt(self, event: venue.Unknown, at_ns: int) -> None:
        if not event.is_cancel:
            self._keeper.keep(records.Refused(event.client_id, "failed", 0, at_ns))


class ResendsBlindly(Desk):
    """Sends an order without an answer once more."""

    def _keeper_doubt(self, event: venue.Unknown, at_ns: int) -> None:
        order = self._keeper.ledger.live.get(event.client_id)
        if order is not None and not event.is_cancel:
            self.exchange.send(
                venue.Place(
                    order.client_id, order.symbol, order.side, order.price_ticks, order.size_lots, order.time_in_force,
                    order.reduce_only,
                )
            )  # fmt: skip


class BelievesNotFound(Desk):
    """Takes the first answer that the venue knows no such order for proof."""

    def _missed(self, order: Order, question: Question, at_ns: int, happened: Happened) -> None:
        question.misses, question.first_miss_ns = NOT_FOUND_TIMES, self._parts.clock.mono_ns() - NOT_FOUND_NS
        super()._missed(order, question, at_ns, happened)


class CancelRefusedIsCanceled(Desk):
    """Takes an order that cannot be canceled for one that was."""

    def _refused(self, event: venue.Refused, at_ns: int, happened: Happened) -> None:
        order = self._keeper.ledger.live.get(event.client_id)
        if event.is_cancel and order is not None:
            self._keeper.keep(records.Ended(event.client_id, "canceled", order.filled_lots, "gone", 0, at_ns))
            return
        super()._refused(event, at_ns, happened)


class DropsEarlyFills(Desk):
    """Throws away fills that come before the order was acknowledged, and counts the order done by its end alone."""

    def _fill(self, event: venue.Fill, at_ns: int, happened: Happened) -> None:
        order = self._keeper.ledger.state.orders.get(event.client_id)
        if order is not None and order.state in ("new", "sent", "unknown"):
            self._keeper.keep(records.Ended(event.client_id, "filled", 0, "", 0, at_ns))
            return
        super()._fill(event, at_ns, happened)


class NoReduceOnly(Desk):
    """Sends exits that may open."""

    def place(self, taken: Sequence[Taken], intents: Sequence[Intent]) -> None:
        super().place(taken, [replace(each, reduce_only=False) for each in intents])


class HastySurveys(Surveys):
    """Compares positions while orders are on the move."""

    def take(self, survey: venue.Surveyed, troubles: list[tuple[str, str, str]]) -> None:
        self._looks[survey.symbol].changes = self._keeper.ledger.changes
        self._looks[survey.symbol].difference = survey.position_lots - self._keeper.ledger.held(
            survey.symbol, self._desk.is_real
        )
        super().take(survey, troubles)


class SmallExposure(Ledger):
    """Leaves orders without an answer out of the worst case."""

    def exposure(self, symbol: Symbol, is_real: bool, price_ticks: float) -> Exposure:
        whole = self.live
        self.live = {key: order for key, order in whole.items() if order.state not in ("sent", "unknown")}
        try:
            return super().exposure(symbol, is_real, price_ticks)
        finally:
            self.live = whole


# Mode and halts


class ForgetsCooldown(FailSafe):
    """Writes nothing down."""

    def _save(self, **changes: object) -> None:
        self._state = replace(self._state, remaining_ns=self._remaining_ns(), **changes)
        self._is_saved = True


class CountsDowntime(FailSafe):
    """Keeps the end of the cooldown by the wall clock."""

    def _read(self) -> Any:
        found = super()._read()
        left = found.remaining_ns - self._clock.wall_ns() if found.remaining_ns else 0
        return replace(found, remaining_ns=max(0, left))

    def _save(self, **changes: object) -> None:
        super()._save(**changes)
        if self._state.remaining_ns:
            until = self._clock.wall_ns() + self._state.remaining_ns
            self._path.write_bytes(msgspec.json.encode(replace(self._state, remaining_ns=until)))


class OnTheWall(_Mutant):
    """An executor whose fail-safe counts by the wall clock, from its first look at what an earlier run left."""

    def __init__(self, parts: Parts, *about: Any, **more: Any) -> None:
        path = parts.var / STATE_FILE
        before = path.read_bytes() if path.exists() else None
        super().__init__(parts, *about, **more)
        if before is None:
            path.unlink()
        else:
            path.write_bytes(before)
        wanted = Mode.REAL if parts.settings.exchange.mode == "real" else Mode.PAPER
        self._controls.fail_safe = CountsDowntime(parts.settings.fail_safe, parts.clock, path, wanted)


class ResumesAtOnce(FailSafe):
    """Goes back to real when asked, cooldown or not."""

    def resume(self, by: str) -> Switch | Refused:
        self._until_ns = self._clock.mono_ns()
        return super().resume(by)


class RestartIsPerson(FailSafe):
    """Takes every restart for one by a person."""

    def _save(self, **changes: object) -> None:
        super()._save(**{**changes, "ended_in_order": True})


class DeafInFlight(Controls):
    """Hears no CRIT while orders are alive."""

    def hear(self, received: Received, event: ControlEvent) -> bool:
        if event.severity == "CRIT" and self._keeper.ledger.live:
            return False
        return super().hear(received, event)


class AlwaysReal(Controls):
    """Sends real orders whatever the mode says."""

    @property
    def is_real(self) -> bool:
        return self._parts.settings.exchange.mode == "real"

    @property
    def is_switching(self) -> bool:
        return False


class DeafToHalts(Controls):
    """Hears no HALT."""

    def halts(self, symbol: str, route: str) -> list[str]:
        return []


# The market


class NeverStale(MarketView):
    """Calls every book fresh."""

    __slots__ = ()

    def book_age_ms(self, mono_ns: int, wall_ns: int) -> float:
        return 0.0 if self.image is not None else float("inf")


class WarmForever(MarketView):
    """Begins no warm-up anew behind a gap."""

    __slots__ = ()

    def void(self, state: str) -> None:
        self.state = state

    def on_book(self, image: BookImage, mono_ns: int) -> None:
        if self._live_since_ns is not None:
            self.state, image = "live", replace(image, flags=image.flags & ~BOOK_RESET)
        super().on_book(image, mono_ns)


class IgnoresStatus(MarketView):
    """Trades on while the collector says that the book is not certain."""

    __slots__ = ()

    def on_status(self, status: BookStatus, mono_ns: int) -> None:
        """Nothing."""


# The services before the executor


class _Trusting(BookKeeper):
    """Takes every update for the next one."""

    def on_book(self, event: BookDelta | BookSnapshot, mono_ns: int, *, is_repeat: bool = False) -> None:
        if isinstance(event, BookDelta) and self._book.sequence:
            event = dataclasses.replace(event, previous_sequence=self._book.sequence)
        super().on_book(event, mono_ns, is_repeat=is_repeat)


class NoticesNoGap(Collector):
    """Keeps its books without looking at the numbers."""

    def start(self) -> None:
        super().start()
        for keeper in self._keepers.values():
            become(keeper, _Trusting)


class SaysAnyRow(SignalEngine):
    """Says candidates whose features are no numbers."""

    def _is_finite(self, market: Any) -> bool:
        return True


class ScoresAnew(AiScorer):
    """Scores a candidate whenever it comes."""

    def handle(self, received: Received) -> None:
        if isinstance(received.body, Candidate):
            self._scores.pop(received.body.id, None)
        super().handle(received)


class ForgetsCandidates(Risk):
    """Writes nothing down."""

    def _keep(self, record: Any) -> None:
        """Nothing."""


class TellsOnce(Risk):
    """Never tells again what a crash may have swallowed."""

    def _tell_again(self) -> None:
        self._untold.clear()


# The bus


class TrimsUnread(MemoryBus):
    """Keeps one approval, as XADD MAXLEN would."""

    def add(self, entries: Sequence[tuple[str, bytes, str]]) -> list[str]:
        ids = super().add(entries)
        newest = self.stream(APPROVED).newest(1)
        if newest:
            self.trim(APPROVED, newest[0].id)
        return ids


class _NeverAgain(MemoryReader):
    def reclaim(self, min_idle_ms: int) -> list[Entry]:
        return []

    def _left(self) -> list[Entry]:
        return []


class NeverClaims(MemoryBus):
    """Leaves what a dead process was given with the dead."""

    def reader(
        self, consumer: str, tails: Mapping[str, str], groups: Sequence[Group], waker: Waker | None = None
    ) -> MemoryReader:
        return _NeverAgain(self, consumer, tails, groups, waker)


class Planted(NamedTuple):
    """A fault in the code, and what the runs are about that bring it to light."""

    build: Build
    theme: str = "mixed"


_BUILDS: Mapping[str, Build] = {
    "ack_before_effect": Build(executor=AcksFirst),
    "halts_forgotten_at_restart": Build(executor=ForgetsHalts),
    "intents_sent_again_at_restart": Build(executor=SendsAgain),
    "paper_touches_real_client": Build(executor=TouchesClient),
    "second_approval_executed": _with(_entries, TakesTwice),
    "ttl_ignored": _with(_entries, NeverExpires),
    "random_client_ids": _with(_entries, NewIds),
    "replacement_keeps_id": _with(_entries, SameId),
    "no_intent_journal": _with(_keeper, NoJournal),
    "full_disk_ignored": _with(_keeper, NoRefusal),
    "fills_not_deduped": _with(_keeper, CountsTwice),
    "end_without_its_fills": _with(_keeper, EndsWithoutFills),
    "fsync_skipped": Build(file=NoSync),
    "torn_tail_accepted": Build(file=KeepsTornTail),
    "sent_before_intent": _with(_desks, SendsFirst),
    "unknown_treated_as_failed": _with(_desks, UnknownIsFailed),
    "resent_without_query": _with(_desks, ResendsBlindly),
    "not_found_believed_at_once": _with(_desks, BelievesNotFound),
    "cancel_refused_is_canceled": _with(_desks, CancelRefusedIsCanceled),
    "fill_before_ack_dropped": _with(_desks, DropsEarlyFills),
    "reduce_only_ignored": _with(_desks, NoReduceOnly),
    "survey_compared_in_haste": _with(
        lambda executor: [desk.surveys for desk in executor._desks.values()], HastySurveys
    ),
    "exposure_ignores_unknown": _with(lambda executor: executor._keeper.ledger, SmallExposure),
    "cooldown_not_persisted": _with(_fail_safe, ForgetsCooldown),
    "cooldown_on_wall_clock": Build(executor=OnTheWall),
    "resume_without_cooldown": _with(_fail_safe, ResumesAtOnce),
    "restart_counts_as_person": _with(_fail_safe, RestartIsPerson),
    "crit_ignored_in_flight": _with(_controls, DeafInFlight),
    "mode_ignored": _with(_controls, AlwaysReal),
    "halts_ignored": _with(_controls, DeafToHalts),
    "stale_book_ignored": _with(_views, NeverStale),
    "warmup_skipped_after_gap": _with(_views, WarmForever),
    "book_status_ignored": _with(_views, IgnoresStatus),
    "gap_not_noticed": Build(collector=NoticesNoGap),
    "rows_without_numbers_said": Build(engine=SaysAnyRow),
    "scored_anew": Build(scorer=ScoresAnew),
    "open_candidates_forgotten": Build(risk=ForgetsCandidates),
    "outcome_not_told_again": Build(risk=TellsOnce),
    "maxlen_trims_unread": Build(bus=TrimsUnread),
    "pending_never_claimed": Build(bus=NeverClaims),
}  # fmt: skip
_THEMES = {
    "ack_before_effect": "restarts",
    "halts_forgotten_at_restart": "halts",
    "halts_ignored": "halts",
    "intents_sent_again_at_restart": "restarts",
    "torn_tail_accepted": "restarts",
    "pending_never_claimed": "restarts",
    "paper_touches_real_client": "paper",
    "second_approval_executed": "repeats",
    "full_disk_ignored": "full_disk",
    "unknown_treated_as_failed": "silent_venue",
    "resent_without_query": "silent_venue",
    "not_found_believed_at_once": "silent_venue",
    "cancel_refused_is_canceled": "silent_venue",
    "fill_before_ack_dropped": "silent_venue",
    "end_without_its_fills": "silent_venue",
    "survey_compared_in_haste": "silent_venue",
    "replacement_keeps_id": "silent_venue",
    "exposure_ignores_unknown": "silent_venue",
    "cooldown_not_persisted": "crits",
    "cooldown_on_wall_clock": "clocks",
    "resume_without_cooldown": "crits",
    "restart_counts_as_person": "nobody",
    "crit_ignored_in_flight": "crits",
    "mode_ignored": "crits",
    "stale_book_ignored": "silence",
    "gap_not_noticed": "whole",
    "rows_without_numbers_said": "whole",
    "scored_anew": "deaths",
    "open_candidates_forgotten": "deaths",
    "outcome_not_told_again": "deaths",
    "maxlen_trims_unread": "backlog",
}

MUTANTS: Mapping[str, Planted] = {name: Planted(build, _THEMES.get(name, "mixed")) for name, build in _BUILDS.items()}
"""Every planted fault by its name."""
