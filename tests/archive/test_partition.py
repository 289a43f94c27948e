"""The facts of a partition: what is counted, what is refused, and that a footer gives them back."""

import json
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from archive.errors import BadColumns, CorruptPartition
from archive.layout import BOOK, NS_PER_DAY, TABLES, book_arrays
from archive.partition import BREAKS_KEPT, GAP_FLOOR_NS, Partition, describe, event_times_ns, silences
from market.columns import BookColumns
from tests.archive.lakes import DAY, SECOND_NS, START_NS, book_at

seconds = st.lists(st.integers(0, 86_399), min_size=1, max_size=40)


def facts_of(book: BookColumns, day: date = DAY) -> Partition:
    """Describe a book."""
    return describe(
        TABLES[BOOK], "BTCUSDT", day, book_arrays(book), source="test", schema_hash="h", notes={"dropped": {"x": 1}}
    )


def at_seconds(*offsets: float) -> NDArray[np.int64]:
    """Return times as seconds after the day's start."""
    return START_NS + np.array([round(offset * SECOND_NS) for offset in offsets], np.int64)


def test_silences_of_ten_seconds_are_recorded_to_the_nanosecond() -> None:
    """Ten seconds exactly are recorded, a nanosecond less is not."""
    times_ns = START_NS + np.cumsum([0, GAP_FLOOR_NS, GAP_FLOOR_NS - 1, 1, 3 * GAP_FLOOR_NS])
    facts = facts_of(book_at(times_ns))
    assert facts.gaps == ((times_ns[0], times_ns[1]), (times_ns[3], times_ns[4]))
    assert (facts.first_ns, facts.last_ns, facts.rows) == (times_ns[0], times_ns[-1], 5)


@given(seconds)
def test_a_clock_that_goes_back_ends_no_silence(offsets: list[int]) -> None:
    """Event time is the latest seen: silences equal those of a plain loop over it."""
    expected, latest = [], None
    for time_ns in (START_NS + offset * SECOND_NS for offset in offsets):
        if latest is not None and time_ns - latest >= GAP_FLOOR_NS:
            expected.append((latest, time_ns))
        latest = time_ns if latest is None else max(latest, time_ns)
    assert list(silences(event_times_ns(at_seconds(*offsets), DAY), GAP_FLOOR_NS)) == expected


def test_a_late_row_counts_as_of_the_days_start() -> None:
    """A first row stamped just before midnight belongs to the day it arrived in."""
    facts = facts_of(book_at(at_seconds(-0.5, 1)))
    assert facts.first_ns == START_NS


@pytest.mark.parametrize("offsets", [(-61, 5), (5, 86_400), (90_000, 90_001)])
def test_rows_of_another_day_are_refused(offsets: tuple[float, ...]) -> None:
    """A row at the next midnight, or a first row more than a minute before this one."""
    with pytest.raises(BadColumns, match="must lie within that UTC day"):
        facts_of(book_at(at_seconds(*offsets)))


def test_rows_out_of_arrival_order_are_refused() -> None:
    """The message names the first row that goes back."""
    book = book_at(at_seconds(1, 2, 3, 4))
    book.local_ns[2] = START_NS
    with pytest.raises(BadColumns, match="local_ns goes back at row 2"):
        facts_of(book)


def test_a_reset_after_the_first_row_is_a_break() -> None:
    """The first row's reset only says that the recording starts there."""
    times_ns = at_seconds(1, 2, 3, 4)
    facts = facts_of(book_at(times_ns, breaks=[2]))
    assert (facts.break_count, facts.breaks) == (1, (times_ns[2],))


def test_breaks_beyond_the_limit_are_counted_but_not_listed() -> None:
    """A footer stays small however often a feed broke."""
    rows = BREAKS_KEPT + 5
    facts = facts_of(book_at(START_NS + np.arange(rows), breaks=range(1, rows)))
    assert (facts.break_count, len(facts.breaks)) == (rows - 1, BREAKS_KEPT)


def test_a_partition_without_rows_is_silent_from_its_start() -> None:
    """Both ends are the day's start, so the whole day counts as silence."""
    facts = facts_of(book_at([]))
    assert (facts.rows, facts.first_ns, facts.last_ns, facts.gaps) == (0, START_NS, START_NS, ())


@given(seconds, st.integers(0, 5))
def test_a_footer_gives_the_facts_back(offsets: list[int], seed: int) -> None:
    """Every fact survives; path and size are the file's."""
    facts = facts_of(book_at(np.sort(at_seconds(*offsets)), seed=seed))
    footer = {key.encode(): value.encode() for key, value in facts.to_footer().items()}
    assert Partition.from_footer("", footer, 0) == facts


@pytest.mark.parametrize(("key", "value"), [("gaps", "[]"), ("rows", "2"), ("notes", None), ("footer_sha256", None)])
def test_an_altered_footer_is_corrupt(key: str, value: str | None) -> None:
    """A fact changed or taken away, even into something plausible: the message names the file and what to do."""
    book = book_at([START_NS, START_NS + GAP_FLOOR_NS, START_NS + GAP_FLOOR_NS + 1])
    footer = {k.encode(): v.encode() for k, v in facts_of(book).to_footer().items()}
    name = f"tidegate.{key}".encode()
    if value is None:
        del footer[name]
    else:
        footer[name] = value.encode()
    with pytest.raises(CorruptPartition, match=r"^/lake/x: is truncated or altered.*import the day again"):
        Partition.from_footer("/lake/x", footer, 1)


def test_other_keys_in_a_footer_do_not_disturb() -> None:
    """A tool may add its own."""
    facts = facts_of(book_at([START_NS]))
    footer = {k.encode(): v.encode() for k, v in facts.to_footer().items()}
    assert Partition.from_footer("", footer | {b"pandas": b"\xff{}"}, 0) == facts


def test_the_content_hash_is_of_the_rows_alone() -> None:
    """The same rows from another source hash alike; one changed lot does not."""
    book = book_at(at_seconds(1, 2))
    other = describe(TABLES[BOOK], "X", DAY, book_arrays(book), source="other", schema_hash="", notes={})
    assert other.content_sha256 == facts_of(book).content_sha256
    book.bid_lots[4, 1] += 1
    assert other.content_sha256 != facts_of(book).content_sha256


def test_a_footer_is_plain_json() -> None:
    """Other tools can read it."""
    footer = facts_of(book_at([START_NS])).to_footer()
    assert json.loads(footer["tidegate.notes"]) == {"dropped": {"x": 1}}
    assert footer["tidegate.schema_version"] == "1"
    assert json.loads(footer["tidegate.day"]) == "2026-01-06"


def test_a_whole_day_fits() -> None:
    """Its first and its last nanosecond."""
    facts = facts_of(book_at([START_NS, START_NS + NS_PER_DAY - 1]))
    assert facts.gaps == ((START_NS, START_NS + NS_PER_DAY - 1),)
