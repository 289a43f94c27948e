"""How far the record goes: from the segments alone, or from the cursor file and what came behind it."""

from pathlib import Path

import msgspec
import pytest

from bus import streams
from bus.codec import kind_of
from bus.messages import BookStatus, Message
from live.errors import SegmentError
from live.record_state import CURSOR, State
from live.segments import SegmentWriter, segment_path
from tests.live.bodies import T_NS, S, outcome, report, score
from tests.live.markets import bodies, market, numbered, status

DAY_NS = 86_400_000_000_000


def kept(folder: Path, number: int, told: list[tuple[str, str, int, Message]], day: int = 20_000) -> None:
    """A segment with messages, each with its stream, entry id and number."""
    writer = SegmentWriter(segment_path(folder, number))
    for stream, entry_id, seq, body in told:
        writer.append(msgspec.msgpack.encode((kind_of(body), stream, entry_id, 3, seq, day, body)))
    writer.sync()
    writer.close()


def image() -> Message:
    """Any image."""
    return bodies(S, *market(10, seed=1))[0]


def test_nothing_left_is_the_beginning(tmp_path: Path) -> None:
    """No cursor, no place, no segment."""
    assert State.load(tmp_path) == State()


def test_segments_tell_where_to_go_on(tmp_path: Path) -> None:
    """The last entry of each stream; the place behind the last message; a status counts, a score has no cursor."""
    book, trade = streams.book(S), streams.trade(S)
    gap: BookStatus = status(S, "gap", 5)
    kept(tmp_path, 4, [(book, "10-0", 7, image()), (trade, "11-0", 8, image())])
    kept(tmp_path, 5, [(book, "12-3", 9, gap), (streams.SCORES, "99-0", 77, score())])
    state = State.load(tmp_path)
    assert state.cursors == {book: "12-3", trade: "11-0"}
    assert state.places == {S: (3, 10)}
    assert state.upto == 5


def test_a_cursor_file_is_the_beginning_of_what_is_left(tmp_path: Path) -> None:
    """Saved, loaded, and brought up to date by a segment behind it; the copy that was saved did not move."""
    state = State()
    for message in numbered(bodies(S, *market(100, seed=1))):
        state.follow(message.stream, message.entry_id, S, (message.header.epoch, message.header.seq))
    saved = state.copy()
    saved.save(tmp_path)
    state.follow(streams.book(S), "9-9", S, (9, 9))
    assert State.load(tmp_path) == saved != state
    kept(tmp_path, 1, [(streams.book(S), "13-0", 21, image())])
    assert State.load(tmp_path).places == {S: (3, 22)}
    assert State.load(tmp_path).cursors[streams.trade(S)] == saved.cursors[streams.trade(S)]


def test_event_days_of_a_market_never_go_back(tmp_path: Path) -> None:
    """Late rows belong to the new day, also after a restart; books and prints have days of their own."""
    state = State()
    said = bodies(S, *market(40, seed=2))
    first = next(body for body in said if hasattr(body, "sequence"))
    trade = next(body for body in said if hasattr(body, "trade_id"))
    day = first.exchange_ns // DAY_NS
    late = msgspec.structs.replace(first, exchange_ns=first.exchange_ns - 5 * DAY_NS)
    assert [state.day_of(each) for each in (first, late, trade)] == [day, day, trade.exchange_ns // DAY_NS]
    kept(tmp_path, 1, [(streams.book(S), "1-0", 1, first)], day=day)
    assert State.load(tmp_path).day_of(late) == day


def test_rows_of_services_have_the_day_of_their_candidate_or_report() -> None:
    """Whatever came before."""
    state = State()
    assert {state.day_of(each) for each in (score(), outcome(), report())} == {T_NS // DAY_NS}
    assert state.day_of(score(T_NS - 3 * DAY_NS)) == T_NS // DAY_NS - 3
    assert state.day_of(status(S, "live", T_NS)) == 0


def test_a_cursor_file_that_is_none_says_what_to_do(tmp_path: Path) -> None:
    """Its path, what is wrong, and that removing it is safe."""
    (tmp_path / CURSOR).write_text("[]")
    with pytest.raises(SegmentError, match=r"cursor\.json.*remove it.*not doubled"):
        State.load(tmp_path)
