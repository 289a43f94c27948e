"""Facts become durable, then known, then told: the one door through which the executor's state changes."""

from collections import deque
from collections.abc import Sequence
from pathlib import Path

from msgspec import DecodeError

from bus.messages import Report
from bus.streams import REPORTS
from live.errors import JournalDamaged, JournalError
from live.executor.journal import Journal
from live.executor.journal_files import JournalFile
from live.executor.ledger import Ledger
from live.executor.records import Fact, Filled, Snapshot, decode, encode
from live.service import Parts
from market.symbols import Symbol, SymbolTable

LONGEST_BYTES = 8 * 1024 * 1024
KEPT_REPORTS = 256
"""Newest reports that a restart tells again where the stream does not show them."""
MEND_NS = 1_000_000_000


class Keeper:
    """Journal and ledger together. Raises JournalError, JournalDamaged among them, when the journal cannot be read."""

    def __init__(self, parts: Parts, file: JournalFile, longest: int = LONGEST_BYTES) -> None:
        self._parts = parts
        self._journal = Journal(file)
        self.ledger = Ledger(_EverySymbol(parts), parts.settings.gates.loss_streak)
        self._told: deque[Report] = deque(maxlen=KEPT_REPORTS)
        self._mend_ns = 0
        self._longest = self._compact_at = longest
        for payload in self._journal.recovered:
            try:
                self._told.extend(self.ledger.take(decode(payload)))
            except (DecodeError, KeyError) as error:
                raise JournalDamaged(f"a record of the journal is no record of this version: {error!r}") from error
        self.ledger.drop_unbegun()
        self._untold = {report.id: report for report in self._told}
        if self._journal.torn_bytes:
            parts.log.warning("journal_tail_cut", bytes=self._journal.torn_bytes)

    @property
    def problem(self) -> str:
        """Why the journal cannot be written, empty while it can."""
        return self._journal.problem

    @property
    def head(self) -> str:
        """The hash of everything ever written."""
        return self._journal.head

    def intend(self, facts: Sequence[Fact]) -> None:
        """Make facts durable before anything else. Raises JournalError: then they are not true, and nothing is sent."""
        if self._journal.problem:
            raise JournalError(self._journal.problem)
        self._journal.append([encode(fact) for fact in facts])
        self._journal.sync()
        for fact in facts:
            self._tell(self.ledger.take(fact))

    def keep(self, *facts: Fact) -> None:
        """Take facts that are true already, whatever the disk says; durable with the next `settle`."""
        if not self._journal.problem:
            try:
                self._journal.append([encode(fact) for fact in facts])
            except JournalError as refused:
                self._parts.log.error("journal_refuses", error=str(refused))
        for fact in facts:
            self._count(fact)
            self._tell(self.ledger.take(fact))

    def settle(self) -> None:
        """Make durable what was kept; shorten a journal that is long. A disk that refuses becomes `problem`."""
        try:
            if not self._journal.problem:
                self._journal.sync()
                if self._journal.size > self._compact_at:
                    self._compact()
        except JournalError as refused:
            self._parts.log.error("journal_refuses", error=str(refused))

    def mend(self, mono_ns: int) -> bool:
        """Try to write everything known into a new file, once a second; returns whether the journal works again."""
        if not self._journal.problem or mono_ns < self._mend_ns:
            return False
        self._mend_ns = mono_ns + MEND_NS
        try:
            self._compact()
        except JournalError:
            return False
        self._parts.log.warning("journal_mended")
        return True

    def seen(self, report_id: str) -> None:
        """A report of an earlier run is on the stream."""
        self._untold.pop(report_id, None)

    def tell_again(self) -> int:
        """Publish reports of an earlier run that the stream does not show; returns how many."""
        again, self._untold = list(self._untold.values()), {}
        for report in again:
            self._parts.out.publish(REPORTS, report, message_id=report.id, exchange_ns=report.exchange_ns)
        return len(again)

    def close(self) -> None:
        """Give the file up."""
        self._journal.close()

    def _compact(self) -> None:
        self._journal.replace(encode(Snapshot(self.ledger.state, tuple(self._told))))
        # A state that is long itself must not be written again with every record.
        self._compact_at = max(self._longest, 4 * self._journal.size)

    def _tell(self, reports: Sequence[Report]) -> None:
        metrics, log = self._parts.metrics, self._parts.log
        for report in reports:
            self._told.append(report)
            self._parts.out.publish(REPORTS, report, message_id=report.id, exchange_ns=report.exchange_ns)
            if report.kind != "closed":
                metrics.orders_total.labels(report.route, report.kind).inc()
            log.info(
                f"order_{report.kind}" if report.kind != "closed" else "trip_closed", signal=report.approval_id,
                order=report.client_id, symbol=report.symbol, model=report.model_id, leg=report.leg,
                filled=report.filled_lots, left=report.leaves_lots, price=report.price_ticks,
                net=round(report.net_quote, 6), reason=report.reason,
            )  # fmt: skip

    def _count(self, fact: Fact) -> None:
        if isinstance(fact, Filled):
            order = self.ledger.state.orders.get(fact.client_id)
            if order is not None and fact.trade_id not in order.trade_ids:
                route = self.ledger.state.trips[order.approval_id].route
                self._parts.metrics.fills_total.labels(route).inc()


class _EverySymbol(dict[str, Symbol]):
    """Those that are traded, and on demand those that once were: their records are in the journal still."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts.symbols)
        self._path = Path(parts.settings.paths.symbols)

    def __missing__(self, name: str) -> Symbol:
        """Look into symbols.yml. Raises BadReference."""
        symbol = self[name] = SymbolTable.load(self._path)[name]
        return symbol
