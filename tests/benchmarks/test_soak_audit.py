"""The audit of a soak finds every fault that is planted: nothing that it counts is a check that cannot fail."""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from archive.layout import NS_PER_DAY, TABLES, day_of
from archive.merging import merge
from archive.store import Lake
from benchmarks.soak_audit import Finding, Said, chain, files, lake, orders, streams
from bus.messages import VERSION, Approval, BookImage, Header, Message, Outcome, Received, Report, Score
from bus.streams import APPROVED, CANDIDATES, OUTCOMES, REPORTS, SCORES, book
from live.evidence import Evidence
from live.executor.journal import GENESIS, frame
from live.executor.ledger import Ledger
from live.executor.records import Intent
from live.executor.service import JOURNAL_FILE
from live.recorded_rows import Rows, row_of
from live.segments import SegmentWriter, segment_path
from live.trial_log import framed
from live.trial_rows import Begun
from tests.journeys.live.counted import Books
from tests.live.bodies import T_NS, S, outcome, report, score
from tests.live.journals import moved
from tests.live.markets import bodies, market, numbered
from tests.live.mirrors import candidate

Fault = Callable[[dict[str, list[Received]]], object]


def received(stream: str, sayings: Iterable[Message]) -> list[Received]:
    """Messages of one writer, numbered."""
    return [
        Received(stream, f"1-{seq}", Header(VERSION, "", "writer", 1, seq, 0, 0, 0, f"m{seq}"), body, 0)
        for seq, body in enumerate(sayings, 1)
    ]


def sound(count: int = 3) -> dict[str, list[Received]]:
    """So many candidates that went all the way, on every stream."""
    times = [T_NS + each for each in range(count)]
    said: dict[str, list[Message]] = {
        CANDIDATES: [candidate(0, id=f"{S}-{each}", t_ns=each) for each in times],
        SCORES: [score(each) for each in times],
        APPROVED: [approval(f"{S}-{each}") for each in times],
        OUTCOMES: [outcome(each) for each in times],
    }
    return {stream: received(stream, sayings) for stream, sayings in said.items()}


def approval(name: str) -> Approval:
    """Leave to trade a candidate."""
    return Approval(name, name, S, 1, "paper", "m", 1, 0.6, 0.5, T_NS, T_NS, T_NS + 1, 1, 2, 0.1, 0.1, 1)


def missed(findings: Sequence[Finding]) -> set[str]:
    """What does not hold."""
    return {each.name for each in findings if not each.holds}


FAULTS: dict[str, Fault] = {
    "candidates said twice": lambda said: said[CANDIDATES].append(said[CANDIDATES][0]),
    "candidates without a score": lambda said: said[SCORES].pop(0),
    "scores of nothing that was said": lambda said: said[CANDIDATES].pop(0),
    "candidates scored twice": lambda said: said[SCORES].append(said[SCORES][0]),
    "approving scores without an approval": lambda said: said[APPROVED].pop(),
    "approvals by no score, or given twice": lambda said: said[APPROVED].append(said[APPROVED][0]),
    "candidates without an outcome": lambda said: said[OUTCOMES].pop(),
    "outcomes said twice, or of nothing": lambda said: said[OUTCOMES].append(said[OUTCOMES][0]),
}


def test_a_sound_chain_holds() -> None:
    """Nothing is found where there is nothing, and what informs is counted."""
    found = chain(Said(sound()))
    assert missed(found) == set()
    assert {each.name for each in found if each.wanted is not None} == set(FAULTS)
    assert {each.name: each.found for each in found}["candidates said"] == 3


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_link_is_found_by_name(name: str) -> None:
    """One message too many or too few."""
    said = sound()
    FAULTS[name](said)
    assert name in missed(chain(Said(said)))


def test_a_hole_in_a_writers_numbers_and_a_dead_letter_are_found() -> None:
    """In the midst and at the begin; the end is the chain's to find."""
    assert missed(streams(Said(sound()))) == set()
    for lost in (0, 1):
        said = sound()
        del said[SCORES][lost]
        assert missed(streams(Said(said))) == {"holes in the numbers of a durable stream"}
    assert missed(streams(Said(sound(), dead=1))) == {"messages set aside"}


def told(*reports: Report, records: Sequence[Intent] = ()) -> set[str]:
    """What is found of an executor that told this, one approval given."""
    said = Said({APPROVED: received(APPROVED, [approval(f"{S}-{T_NS}")]), REPORTS: received(REPORTS, reports)})
    books = Books([*records], Ledger({}, 100), {each.id: each for each in reports}, len(reports), [])
    return missed(orders(books, said))


def test_an_approval_without_a_fate_and_an_order_sent_twice_are_found() -> None:
    """A drop is a fate; an end of an order nobody knows is none."""
    intent = Intent("c1", f"{S}-{T_NS}", "entry", 0, 0, 1, 1, 1, "GTX", False, "mid", "", T_NS)
    dropped = report(1, "dropped", "ttl")
    assert told(dropped) == set()
    assert told() == {"approvals without a fate"}
    assert told(dropped, records=[intent, intent]) == {"orders sent twice"}
    assert told(dropped, report(2, "filled")) == {"ends told of no order"}
    assert told(dropped, dropped) == {"reports told twice"}


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Said, Path]:
    """A minute of market, scores and outcomes, and a lake that has all of them."""
    books, prints = market(300, seed=21, per_second=5.0)
    said = bodies(S, books, prints)
    entries = {**sound(), book(S): numbered(said)}
    store = Lake.create(tmp_path / "lake")
    for kind, table in ((Score, "live_scores"), (Outcome, "outcomes")):
        _write(
            store,
            table,
            [each.body for name in (SCORES, OUTCOMES) for each in entries[name] if type(each.body) is kind],
        )
    for table in ("book", "trades"):
        _write(store, table, [each for each in said if (row := row_of(each)) is not None and row.table == table])
    return Said(entries), tmp_path / "lake"


def _write(store: Lake, table: str, said: Sequence[Message], days: int = 0) -> None:
    rows = Rows(TABLES[table].columns)
    for each in said:
        row = row_of(each)
        assert row is not None
        rows.add(row)
    time_ns = said[0].t_ns if isinstance(said[0], Score | Outcome) else said[0].exchange_ns  # type: ignore[union-attr]
    hashed = said[0].schema_hash if isinstance(said[0], Score) else ""
    merge(store, table, S, day_of(time_ns) + timedelta(days=days), rows.columns(), schema_hash=hashed)


def test_a_row_that_the_lake_has_not_is_found(recorded: tuple[Said, Path]) -> None:
    """Of the market by its very key, of what services said by their number."""
    said, root = recorded
    assert missed(lake(said, root, [S])) == set()
    extra = next(each for each in said.entries[book(S)] if isinstance(each.body, BookImage))
    later = extra._replace(body=msgspec.structs.replace(extra.body, local_ns=T_NS * 2))
    more = Said({**said.entries, book(S): [*said.entries[book(S)], later]})
    assert missed(lake(more, root, [S])) == {"published rows that the lake has not"}
    fewer = Said({**said.entries, SCORES: said.entries[SCORES][:-1]})
    assert missed(lake(fewer, root, [S])) == {"live_scores in the lake less those said"}


def test_a_row_that_lies_on_two_days_is_found(recorded: tuple[Said, Path]) -> None:
    """Within a day the lake itself keeps a row once; one of the last second before midnight can be late."""
    said, root = recorded
    image = next(each.body for each in said.entries[book(S)] if isinstance(each.body, BookImage))
    late_ns = (image.exchange_ns // NS_PER_DAY + 1) * NS_PER_DAY - 1_000_000_000
    late = msgspec.structs.replace(image, exchange_ns=late_ns, local_ns=late_ns)
    for days in (0, 1):
        _write(Lake(root), "book", [late], days)
    assert missed(lake(said, root, [S])) == {"rows that the lake has twice"}


def test_a_torn_end_of_any_journal_is_found(tmp_path: Path) -> None:
    """Half a record behind whole ones, file by file."""
    live, mirror = tmp_path / "live", tmp_path / "mirror"
    mirror.mkdir()
    moved(mirror, active=1)
    executor, trial = live / "executor" / JOURNAL_FILE, live / "risk" / "trials" / "1-active.log"
    segment, risk = segment_path(live / "recorder" / "segments", 1), live / "risk" / "risk.journal"
    for path in (executor, trial, segment):
        path.parent.mkdir(parents=True)
    executor.write_bytes(frame(b"payload", GENESIS, 0))
    trial.write_bytes(framed(Begun("active", 1, "m", 0, "", "", 1, T_NS, 1)))
    Evidence(risk).close()
    writer = SegmentWriter(segment)
    writer.append(b"\x90")
    writer.sync()
    writer.close()
    assert missed(files(tmp_path, mirror)) == set()
    names = {
        executor: "torn bytes of the executor's journal", trial: "trial logs that are cut",
        segment: "segments with bytes that are no records", risk: "damage of risk's journal",
    }  # fmt: skip
    for path, name in names.items():
        whole = path.read_bytes()
        path.write_bytes(whole + b"\x05\x00\x00")
        assert missed(files(tmp_path, mirror)) == {name}
        path.write_bytes(whole)
