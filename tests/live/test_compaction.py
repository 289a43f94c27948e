"""Segments become partitions, in a process of their own too; doing it again changes nothing."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from archive.layout import BOOK, day_of
from archive.live_tables import LIVE_SCORES
from archive.store import Lake
from bus import streams
from bus.messages import Body
from live.compaction import Aside, Compacted, InlineJob, ProcessJob, compact, main, read_records
from live.segments import FolderLock, SegmentWriter, segment_path
from market.feature_spec import COLUMN_NAMES
from tests.archive.lakes import same
from tests.live.bodies import S, outcome, score
from tests.live.markets import bodies, market

DAY_NS = 86_400_000_000_000
HOUR_NS = DAY_NS // 24


def segment(folder: Path, number: int, told: list[tuple[str, Body, int]], *junk: bytes) -> Path:
    """A segment of (kind, body, time) records, and some that are none."""
    folder.mkdir(exist_ok=True)
    writer = SegmentWriter(segment_path(folder, number))
    for kind, body, ns in told:
        writer.append(msgspec.msgpack.encode((kind, streams.SCORES, "1-1", 1, 1, ns // DAY_NS, body)))
    for each in junk:
        writer.append(each)
    writer.sync()
    writer.close()
    return writer.path


def test_segments_up_to_a_number_are_merged(tmp_path: Path) -> None:
    """Those behind it belong to the next time; a second time adds nothing."""
    book, trades = market(400, seed=31, shift_ns=HOUR_NS)
    said = [("trade" if hasattr(b, "trade_id") else "book", b, b.exchange_ns) for b in bodies(S, book, trades)]
    segment(tmp_path, 1, said[:100])
    segment(tmp_path, 2, said[100:250])
    segment(tmp_path, 3, said[250:])
    lake_root = str(tmp_path / "lake")
    assert sum(compact(tmp_path, 2, lake_root).rows.values()) == 250
    assert compact(tmp_path, 2, lake_root).rows == {"book": 0, "trades": 0}
    assert sum(compact(tmp_path, 3, lake_root).rows.values()) == len(said) - 250
    assert same(Lake(lake_root).read_book(S, day_of(int(book.exchange_ns[0]))), book)


def test_a_process_of_its_own_does_the_same(tmp_path: Path) -> None:
    """And says what came of it; the score's row arrives to the bit."""
    segment(tmp_path, 1, [("score", score(), score().t_ns), ("outcome", outcome(), outcome().t_ns)])
    job = ProcessJob(tmp_path, 1, str(tmp_path / "lake"))
    assert job.wait() == Compacted(rows={"live_scores": 1, "outcomes": 1})
    found = Lake(tmp_path / "lake").read(LIVE_SCORES, S, day_of(score().t_ns))
    assert np.array([found[name][0] for name in COLUMN_NAMES]).tobytes() == score().row


def test_a_process_that_fails_is_told_in_its_own_words(tmp_path: Path) -> None:
    """A lake that cannot be: what the archive says, not a traceback."""
    segment(tmp_path, 1, [("score", score(), score().t_ns)])
    (tmp_path / "lake").write_text("a file, no folder")
    said = ProcessJob(tmp_path, 1, str(tmp_path / "lake")).wait()
    assert "lake" in said.error
    assert said.rows == {}


def test_a_lake_that_is_busy_is_an_error_and_nothing_else(tmp_path: Path) -> None:
    """The recorder tries again."""
    segment(tmp_path, 1, [("score", score(), score().t_ns)])
    lake = Lake.create(tmp_path / "lake")
    done: list[Compacted] = []

    def meanwhile(_: object) -> None:
        done.append(InlineJob(tmp_path, 1, str(tmp_path / "lake")).wait())

    key = f"{LIVE_SCORES}/symbol={S}/date={day_of(score().t_ns).isoformat()}/part.parquet"
    lake.storage.replace(key, meanwhile)
    assert "is writing it" in done[0].error


def test_two_compactions_do_not_work_at_once(tmp_path: Path) -> None:
    """One that a dead recorder left behind would write back a day it read before."""
    segment(tmp_path, 1, [("score", score(), score().t_ns)])
    with FolderLock(tmp_path, "compaction"):
        assert "another compaction is at work" in ProcessJob(tmp_path, 1, str(tmp_path / "lake")).wait().error
    assert InlineJob(tmp_path, 1, str(tmp_path / "lake")).wait().rows == {"live_scores": 1}


def test_records_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    """Of an unknown kind, or of another form: the others go in."""
    strange = msgspec.msgpack.encode(("weather", streams.SCORES, "1-1", 1, 1, 1, ["sunny"]))
    bent = msgspec.msgpack.encode(("score", streams.SCORES, "1-1", 1, 1, 1, ["no", "score"]))
    short = msgspec.msgpack.encode(("score", streams.SCORES, "1-1", 1, 1, 1, score(row=b"123")))
    path = segment(tmp_path, 1, [("score", score(), score().t_ns)], strange, bent, short, b"no record at all")
    assert compact(tmp_path, 1, str(tmp_path / "lake")) == Compacted(rows={"live_scores": 1}, unreadable=4)
    assert [each.kind for each in read_records(path)[0]] == ["score", "weather", "score", "score"]


def test_rows_the_lake_refuses_are_written_aside_once(tmp_path: Path) -> None:
    """Under a name that a second try uses again."""
    lake = Lake.create(tmp_path / "lake")
    book, _ = market(100, seed=32, shift_ns=HOUR_NS)
    day = day_of(int(book.exchange_ns[0]))
    lake.write_book(S, day, book.slice(0, 5), source="somebody")
    segment(tmp_path, 1, [("book", b, b.exchange_ns) for b in bodies(S, book, market(100, seed=32, shift_ns=HOUR_NS)[1])
                          if not hasattr(b, "trade_id")])  # fmt: skip
    first, second = (compact(tmp_path, 1, str(tmp_path / "lake")) for _ in range(2))
    (aside,) = first.aside
    assert isinstance(aside, Aside)
    assert (aside.rows, second) == (len(book), first)
    assert "somebody" in aside.reason
    assert [each.name for each in (tmp_path / "aside").iterdir()] == [Path(aside.path).name]
    assert lake.info(BOOK, S, day).rows == 5


def test_the_command_line_is_checked(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Usage on standard error and exit code 2."""
    monkeypatch.setattr("sys.argv", ["compaction"])
    assert main() == 2
    assert "FOLDER UPTO LAKE" in capsys.readouterr().err
