"""What a soak left, held against itself: every link of the chain from the market to an outcome, every file.

Nothing here trusts a counter of a service: streams, journals and lake are read and compared entry by entry.
"""

import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from archive.store import Lake
from bus.codec import decode
from bus.messages import Approval, BookImage, Candidate, MarketTrade, Outcome, Received, Report, Score
from bus.protocol import Bus
from bus.streams import (
    APPROVED,
    CANDIDATES,
    DURABLE,
    OUTCOMES,
    REPORTS,
    SCORES,
    book,
    dead_letters,
    trade,
)
from live.compaction import read_records
from live.evidence import Evidence
from live.executor.journal import recover
from live.executor.service import JOURNAL_FILE
from live.segments import segment_numbers, segment_path
from live.trial_log import recorded, torn_bytes
from market.barriers import UNRESOLVED
from registry.journal import read_head
from tests.journeys.live.counted import ENDS, Books

Kind = TypeVar("Kind")
_ALL = 10_000_000


class Finding(NamedTuple):
    """One thing that was counted; `wanted` None only informs. `text` names the first few offenders."""

    name: str
    found: float
    wanted: float | None = None
    text: str = ""

    @property
    def holds(self) -> bool:
        """Whether it is as it should be."""
        return self.wanted is None or self.found == self.wanted


@dataclass
class Said:
    """Every message that stands on the streams, by stream, oldest first."""

    entries: dict[str, list[Received]] = field(default_factory=dict)
    dead: int = 0

    def of(self, stream: str, kind: type[Kind]) -> list[Kind]:
        """The bodies of one kind."""
        return [each.body for each in self.entries.get(stream, ()) if isinstance(each.body, kind)]


def read_streams(bus: Bus, symbols: Iterable[str]) -> Said:
    """Read everything there is. Raises BadMessage for an entry that is none."""
    market = [stream(name) for name in symbols for stream in (book, trade)]
    entries = {name: [decode(each) for each in bus.recent(name, _ALL)] for name in (*DURABLE, *market)}
    return Said(entries, sum(len(bus.recent(dead_letters(name), _ALL)) for name in entries))


def chain(said: Said) -> list[Finding]:
    """Candidates to scores to approvals, and candidates to outcomes: each follows from the one before, once."""
    candidates = Counter(each.id for each in said.of(CANDIDATES, Candidate))
    scores = said.of(SCORES, Score)
    scored = Counter(each.candidate_id for each in scores)
    approving = Counter(each.candidate_id for each in scores if each.approved)
    approved = Counter(each.id for each in said.of(APPROVED, Approval))
    outcomes = said.of(OUTCOMES, Outcome)
    ended = Counter(each.candidate_id for each in outcomes)
    return [
        Finding("candidates said", len(candidates)),
        _none("candidates said twice", _twice(candidates)),
        _none("candidates without a score", candidates.keys() - scored.keys()),
        _none("scores of nothing that was said", scored.keys() - candidates.keys()),
        _none("candidates scored twice", _twice(scored)),
        Finding("approvals", len(approved)),
        _none("approving scores without an approval", approving.keys() - approved.keys()),
        _none("approvals by no score, or given twice", (approved.keys() - approving.keys()) | set(_twice(approved))),
        _none("candidates without an outcome", candidates.keys() - ended.keys()),
        _none("outcomes said twice, or of nothing", (ended.keys() - candidates.keys()) | set(_twice(ended))),
        Finding("outcomes that nobody saw the market of", sum(each.outcome == UNRESOLVED for each in outcomes)),
    ]


def orders(books: Books, said: Said) -> list[Finding]:
    """What the executor made of approvals, by its journal and by what it told."""
    approved = {each.id for each in said.of(APPROVED, Approval)}
    dropped, acted = {each.approval_id for each in books.of("dropped")}, set(books.ledger.state.approvals)
    known, live = books.ledger.state.orders, books.ledger.live
    told = Counter(report.client_id for report in books.reports.values() if report.kind in ENDS)
    intended = Counter(books.intended)
    return [
        Finding("orders sent", len(known)),
        _none("approvals without a fate", approved - dropped - acted),
        _none("approvals with two fates", dropped & acted),
        _none("orders sent twice", _twice(intended)),
        _none("orders that still stand", live),
        _none("orders whose end was not told once", [each for each in known if told[each] != 1]),
        _none("ends told of no order", told.keys() - known.keys()),
        Finding("reports told twice", books.told - len(books.reports), 0),
        _none("reports told in two ways", books.told_in_two_ways),
        _none("trips that are still open", books.ledger.open_trips),
    ]


def streams(said: Said) -> list[Finding]:
    """Whether every writer's numbers run without a hole on what may not be lost, and nothing was set aside."""
    holes: list[str] = []
    for name in DURABLE:
        numbers: dict[tuple[str, int], list[int]] = defaultdict(list)
        for each in said.entries.get(name, ()):
            numbers[each.header.writer, each.header.epoch].append(each.header.seq)
        for (writer, epoch), found in numbers.items():
            if sorted(found) != list(range(1, len(found) + 1)):
                missing = set(range(1, max(found) + 1)) - set(found)
                holes.append(f"{name} {writer} epoch {epoch}: {len(missing)} of {max(found)} missing")
    durable = sum(len(said.entries.get(name, ())) for name in DURABLE)
    return [
        Finding("entries on durable streams", durable),
        _none("holes in the numbers of a durable stream", holes),
        Finding("messages set aside", said.dead, 0),
    ]


def lake(said: Said, root: Path, symbols: Iterable[str]) -> list[Finding]:
    """What is on the streams is in the lake, each row once; the recorder may hold more than a killed Redis kept."""
    store = Lake(root)
    published, rows = Counter[tuple[int, ...]](), Counter[tuple[int, ...]]()
    for name in symbols:
        published += Counter((0, each.local_ns, each.sequence) for each in said.of(book(name), BookImage))
        published += Counter((1, each.local_ns, each.trade_id) for each in said.of(trade(name), MarketTrade))
        rows += _rows(store, "book", name, ("local_ns", "sequence"), 0)
        rows += _rows(store, "trades", name, ("local_ns", "trade_id"), 1)
    found = [
        Finding("market rows published", published.total()),
        Finding("market rows in the lake", rows.total()),
        _none("published rows that the lake has not", published - rows),
        _none("rows that the lake has twice", _twice(rows)),
    ]
    for table, spoken in (("live_scores", said.of(SCORES, Score)), ("outcomes", said.of(OUTCOMES, Outcome)),
                          ("reports", said.of(REPORTS, Report))):  # fmt: skip
        in_lake = sum(_rows(store, table, name, ("t_ns",), 2).total() for name in symbols)
        found.append(Finding(f"{table} in the lake less those said", in_lake - len(spoken), 0))
    return found


def files(var: Path, mirror: Path) -> list[Finding]:
    """Whether every journal is whole to its last byte. Raises JournalDamaged, JournalBroken for one that is worse."""
    live = var / "live"
    segments, trials = live / "recorder" / "segments", live / "risk" / "trials"
    torn = [str(number) for number in segment_numbers(segments) if read_records(segment_path(segments, number))[2]]
    cut = [log.name for log in recorded(trials) if torn_bytes(log)]
    with tempfile.TemporaryDirectory() as folder:  # reading it writes it anew
        copy = shutil.copy(live / "risk" / "risk.journal", folder)
        evidence = Evidence(Path(copy))
        evidence.close()
    return [
        Finding(
            "torn bytes of the executor's journal",
            recover((live / "executor" / JOURNAL_FILE).read_bytes()).torn_bytes,
            0,
        ),
        _none("damage of risk's journal", filter(None, [evidence.damage])),
        _none("trial logs that are cut", cut),
        _none("segments with bytes that are no records", torn),
        Finding("epoch of the registry's journal", read_head(mirror).epoch),
    ]


def _rows(store: Lake, table: str, symbol: str, names: Sequence[str], kind: int) -> Counter[tuple[int, ...]]:
    counted = Counter[tuple[int, ...]]()
    for name, day in store.partitions(table):
        if name == symbol:
            columns: Mapping[str, Any] = store.read(table, symbol, day, names)
            values = zip(*(columns[each].tolist() for each in names), strict=True)
            counted.update((kind, *each) for each in values)
    return counted


def _none(name: str, offenders: Iterable[object]) -> Finding:
    found = list(offenders)
    return Finding(name, len(found), 0, ", ".join(str(each) for each in found[:3]))


def _twice(counted: Counter[Any]) -> list[Any]:
    return [each for each, times in counted.items() if times > 1]
