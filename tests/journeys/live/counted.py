"""Counting what an executor made of approvals: from its journal, and from what it told on the streams."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bus.codec import decode
from bus.messages import Report
from bus.protocol import Bus
from bus.streams import APPROVED, REPORTS
from live.executor.journal import recover
from live.executor.ledger import Ledger
from live.executor.records import AnyRecord, Filled, Intent, Snapshot
from live.executor.records import decode as decode_record
from market.symbols import SymbolTable
from tests.journeys.live.played import SYMBOL
from tests.live.parts import ROOT

ENDS = {"refused", "filled", "canceled", "expired"}


@dataclass
class Books:
    """What the journal holds and what the streams were told."""

    records: list[AnyRecord]
    ledger: Ledger
    reports: dict[str, Report]
    told: int
    told_in_two_ways: list[str]

    def of(self, kind: str) -> list[Report]:
        """Reports of a kind."""
        return [report for report in self.reports.values() if report.kind == kind]

    @property
    def began_with(self) -> int:
        """The position that a journal begins with that was written anew; 0 for one that holds everything."""
        first = self.records[0] if self.records else None
        if not isinstance(first, Snapshot):
            return 0
        return sum(order.side * order.filled_lots for order in first.state.orders.values())

    @property
    def fates(self) -> dict[str, str]:
        """What became of each approval: `acted`, or the gate that dropped it."""
        dropped = {report.approval_id: report.reason for report in self.of("dropped")}
        return dropped | dict.fromkeys(self.ledger.state.approvals, "acted")

    @property
    def ended(self) -> set[str]:
        """The client id of every order whose end was told."""
        return {report.client_id for report in self.reports.values() if report.kind in ENDS}

    @property
    def intended(self) -> list[str]:
        """The client id of every intent, as often as it was written."""
        return [record.client_id for record in self.records if isinstance(record, Intent)]


def books(folder: Path, bus: Bus) -> Books:
    """Read an executor's journal below a folder of run-time state, and the streams."""
    payloads = recover((folder / "live" / "executor" / "executor.journal").read_bytes()).payloads
    records = [decode_record(payload) for payload in payloads]
    ledger = Ledger({SYMBOL: SymbolTable.load(ROOT / "data" / "reference" / "symbols.yml")[SYMBOL]}, 10_000)
    for payload in payloads:
        ledger.take(decode_record(payload))  # a snapshot becomes the ledger's own, and changes with it
    ledger.drop_unbegun()
    found = [decode(entry).body for entry in bus.recent(REPORTS, 100_000)]
    reports = [body for body in found if isinstance(body, Report)]
    by_id: dict[str, Report] = {}
    odd = [report.id for report in reports if by_id.setdefault(report.id, report) != report]
    return Books(records, ledger, by_id, len(reports), odd)


def is_drained(bus: Bus) -> bool:
    """Whether every approval was taken and acknowledged."""
    depth = bus.depth(APPROVED, "executor")
    return depth.lag == 0 and depth.pending == 0


def check(found: Books, approved: list[str]) -> None:
    """Every approval has one fate and every order one end, nothing was sent twice, and all sums agree."""
    dropped, acted = {report.approval_id for report in found.of("dropped")}, set(found.ledger.state.approvals)
    assert dropped | acted == set(approved), f"without a fate: {sorted(set(approved) - dropped - acted)}"
    assert not dropped & acted, f"dropped and acted on: {sorted(dropped & acted)}"
    assert max(Counter(found.intended).values(), default=0) <= 1, "an order was intended twice"
    assert not found.told_in_two_ways
    assert found.told == len(found.reports), "a report was told twice"
    orders = found.ledger.state.orders
    ends = Counter(report.client_id for report in found.reports.values() if report.kind in ENDS)
    wanted = {key: 1 for key in orders if key not in found.ledger.live}
    strange = sorted(set(wanted.items()) ^ set(ends.items()))
    assert not strange, f"orders and the ends that were told of them: {strange}, {_told_of(found, strange)}"
    fills = [record for record in found.records if isinstance(record, Filled)]
    assert len({(each.client_id, each.trade_id) for each in fills}) == len(fills), "a fill was counted twice"
    held = found.began_with + sum(orders[each.client_id].side * each.lots for each in fills)
    known = found.ledger.held(SYMBOL, is_real=False) + found.ledger.held(SYMBOL, is_real=True)
    told = told_position(found)
    assert known == held == told, f"position: {known} by the ledger, {held} by fills, {told} by reports"
    assert set(acted) == {order.approval_id for order in orders.values()}, "an approval was taken and nothing sent"


def told_position(found: Books) -> int:
    """The position that the reports of fills amount to: the steps of what each order says has filled."""
    filled: Counter[str] = Counter()
    for report in found.reports.values():
        if report.client_id:
            filled[report.client_id] = max(filled[report.client_id], report.filled_lots)
    orders = found.ledger.state.orders
    return sum(orders[key].side * lots for key, lots in filled.items())


def _told_of(found: Books, strange: list[tuple[str, int]]) -> list[tuple[str, str, str]]:
    ids = {key for key, _ in strange}
    return [(each.client_id, each.kind, each.reason) for each in found.reports.values() if each.client_id in ids]
