"""Each defect does what it says to the frames, is seen by an importer, and is written down."""

import itertools
import json
from collections import Counter
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from market.book import OrderBook
from market.columns import BOOK_LOCKED, BOOK_RESET
from market.events import BadEvent, BadRule
from market.sequence import SequenceRule
from market.simulator import simulate, simulate_columns
from market.simulator_defects import Defect, Injection
from market.wire import binance_depth, binance_payload, binance_snapshot, binance_trade
from tests.market.simulated import BTC, MIDNIGHT, SECOND, Imported, imported

AT = MIDNIGHT + 60 * SECOND
END = MIDNIGHT + 180 * SECOND


def test_a_gap_loses_every_frame_of_its_span_and_is_resynced() -> None:
    """Nothing arrives inside, the chain breaks once, the book comes back behind a snapshot with a reset."""
    frames, injections = spoiled(Defect("gap", AT, 20 * SECOND))
    clean, _ = spoiled()
    assert not [ns for ns, _ in frames if AT <= ns < AT + 20 * SECOND]
    inside = [ns for ns, _ in clean if AT <= ns < AT + 20 * SECOND]
    assert injections[0].frames == len(inside)
    assert (injections[0].first_ns, injections[0].last_ns) == (inside[0], inside[-1])
    found = imported(frames)
    assert found.ladder.counts.gaps == 1
    assert np.count_nonzero(found.book.flags & BOOK_RESET) == 2
    restart = found.book.local_ns[np.flatnonzero(found.book.flags)[1]]
    assert AT + 20 * SECOND < restart < AT + 23 * SECOND


def test_a_dropped_update_breaks_the_book_and_a_dropped_trade_the_numbering() -> None:
    """One update lost is one break; three trades lost are three missing ids."""
    frames, injections = spoiled(Defect("drop", AT))
    assert imported(frames).ladder.counts.gaps == 1
    assert injections[0].frames == 1
    frames, injections = spoiled(Defect("drop", AT, count=3, stream="trade"))
    ids = [frame["t"] for frame in payloads(frames) if frame.get("e") == "trade"]
    assert injections[0].frames == 3
    assert ids[-1] - ids[0] + 1 - len(ids) == 3
    assert imported(frames).ladder.counts.gaps == 0


def test_duplicates_change_nothing_in_the_book() -> None:
    """An update that comes twice is stale the second time; a trade that comes twice is there twice."""
    frames, _ = spoiled(Defect("duplicate", AT, count=5), Defect("duplicate", AT, count=2, stream="trade"))
    found, wanted = imported(frames), imported(spoiled()[0])
    assert same_books(found, wanted)
    assert found.ladder.counts.stale == wanted.ladder.counts.stale + 5
    repeated = [n for n in Counter(found.trades.trade_id.tolist()).values() if n > 1]
    assert repeated == [2, 2]


def test_reordered_updates_swap_places() -> None:
    """The held update comes directly behind the next one; arrival times still rise; the book breaks once."""
    frames, injections = spoiled(Defect("reorder", AT))
    sequence = [frame["u"] for frame in payloads(frames) if frame.get("e") == "depthUpdate"]
    backwards = [b - a for a, b in itertools.pairwise(sequence) if b < a]
    assert len(backwards) == 1
    assert injections[0].frames == 1
    assert [ns for ns, _ in frames] == sorted(ns for ns, _ in frames)
    found = imported(frames)
    assert found.ladder.counts.gaps == 1
    assert found.book.local_ns[-1] > AT + 60 * SECOND


@pytest.mark.parametrize("duration_s", [0, 10])
def test_a_crossed_book_is_crossed_for_its_span_and_then_as_if_it_had_never_been(duration_s: int) -> None:
    """Every row of the span is crossed and dropped; the first row behind it equals the clean one but for the reset."""
    frames, injections = spoiled(Defect("crossed", AT, duration_s * SECOND))
    found, wanted = imported(frames), imported(spoiled()[0])
    assert found.crossed == injections[0].frames >= max(1, duration_s)
    assert found.ladder.counts.gaps == 0
    kept = np.isin(wanted.book.sequence, found.book.sequence)
    assert np.count_nonzero(~kept) == found.crossed
    assert np.array_equal(found.book.bid_ticks, wanted.book.bid_ticks[:, kept])
    assert np.array_equal(found.book.bid_lots, wanted.book.bid_lots[:, kept])
    assert np.count_nonzero(found.book.flags & BOOK_RESET) == 2


def test_a_locked_book_is_locked_for_its_span() -> None:
    """Every row of the span is kept and flagged, none is crossed, and all others are as they were."""
    frames, injections = spoiled(Defect("locked", AT, 10 * SECOND))
    found, wanted = imported(frames), imported(spoiled()[0])
    locked = (found.book.flags & BOOK_LOCKED) != 0
    assert np.count_nonzero(locked) == injections[0].frames >= 10
    assert found.crossed == 0
    assert (found.book.bid_ticks[0, locked] == found.book.ask_ticks[0, locked]).all()
    assert np.array_equal(found.book.bid_lots[:, ~locked], wanted.book.bid_lots[:, ~locked])


def test_a_stall_delivers_everything_late_and_in_order() -> None:
    """Nothing is lost: the frames of the span share the arrival time of its end, exchange times are untouched."""
    frames, injections = spoiled(Defect("stall", AT, 7 * SECOND))
    clean, _ = spoiled()
    assert [text for _, text in frames] == [text for _, text in clean]
    assert sum(ns == AT + 7 * SECOND for ns, _ in frames) == injections[0].frames > 50
    assert [ns for ns, _ in frames] == sorted(ns for ns, _ in frames)


def test_a_skewed_clock_moves_local_times_alone() -> None:
    """The recorder of the real captures was 1.27 s behind: local times go back, and forward again at the end."""
    frames, _ = spoiled(Defect("clock_skew", AT, 30 * SECOND, offset_ms=-1_270.0))
    moved = [ns - before for (ns, _), (before, _) in zip(frames, spoiled()[0], strict=True)]
    assert set(moved) == {0, -1_270_000_000}


@pytest.mark.parametrize(
    ("stream", "change", "readable"),
    [
        ("depth", "extra_keys", True),
        ("depth", "bare", True),
        ("trade", "extra_keys", True),
        ("depth", "missing_key", False),
        ("trade", "missing_key", False),
        ("depth", "numbers", False),
        ("trade", "numbers", False),
    ],
)
def test_a_changed_schema_is_read_or_refused_never_misread(stream: str, change: str, readable: bool) -> None:
    """Unknown keys and missing wrapping are harmless; a missing key or another type is a BadEvent."""
    defect = Defect("schema_change", AT, 20 * SECOND, stream=stream, change=change)  # type: ignore[arg-type]
    frames, injections = spoiled(defect)
    assert injections[0].frames > 5
    if readable:
        found, wanted = imported(frames), imported(spoiled()[0])
        assert same_books(found, wanted)
        assert np.array_equal(found.trades.size_lots, wanted.trades.size_lots)
    else:
        assert refused(frames) == injections[0].frames


def test_columns_show_what_importing_spoiled_frames_shows() -> None:
    """Gap, stall, skew and drift together: the fast path equals the wire path."""
    defects = [
        Defect("gap", AT, 20 * SECOND),
        Defect("stall", AT + 40 * SECOND, 7 * SECOND),
        Defect("clock_skew", AT + 60 * SECOND, 10 * SECOND, offset_ms=-500.0),
        Defect("drifted_feature", AT, 100 * SECOND, feature="rate", factor=3.0),
    ]
    frames, injections = spoiled(*defects)
    found = imported(frames)
    book, trades = simulate_columns(BTC, MIDNIGHT, END, 6, defects=defects)
    for have, want in ((found.book, book), (found.trades, trades)):
        assert all(np.array_equal(getattr(have, f.name), getattr(want, f.name)) for f in fields(want))
    assert sorted(injection.defect.kind for injection in injections) == ["clock_skew", "gap", "stall"]


def test_a_record_is_kept_when_the_reader_stops_early() -> None:
    """Closing the stream writes down what was injected up to there."""
    injections: list[Injection] = []
    frames = simulate(BTC, MIDNIGHT, END, 6, defects=[Defect("stall", AT, SECOND)], injected=injections)
    for local_ns, _ in frames:
        if local_ns >= AT + 2 * SECOND:
            break
    del frames
    assert injections[0].frames > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "earthquake"}, "kind of a defect must be one of"),
        ({"kind": "drop", "stream": "candles"}, "stream of a defect must be one of"),
        ({"kind": "schema_change", "change": "xml"}, "change of a defect must be one of"),
        ({"kind": "gap", "duration_ns": -1}, "duration of 0 ns or more"),
        ({"kind": "drop", "count": 0}, "count of 1 or more"),
        ({"kind": "drifted_feature", "feature": "mood"}, "drifted feature must be one of"),
    ],
)
def test_a_defect_that_cannot_be_is_refused(options: dict[str, object], message: str) -> None:
    """The message names the field, what is allowed and what was found."""
    with pytest.raises(BadRule, match=message):
        Defect(start_ns=AT, **options)  # type: ignore[arg-type]


def spoiled(*defects: Defect) -> tuple[list[tuple[int, bytes]], list[Injection]]:
    """Three minutes of frames with the defects in them, and the record."""
    injections: list[Injection] = []
    return list(simulate(BTC, MIDNIGHT, END, 6, defects=defects, injected=injections)), injections


def payloads(frames: list[tuple[int, bytes]]) -> list[dict[str, Any]]:
    """What the frames carry."""
    return [dict(binance_payload(json.loads(text))) for _, text in frames]


def same_books(found: Imported, wanted: Imported) -> bool:
    """Every book column equal."""
    return all(np.array_equal(getattr(found.book, f.name), getattr(wanted.book, f.name)) for f in fields(wanted.book))


def refused(frames: list[tuple[int, bytes]]) -> int:
    """Count the frames the wire readers refuse; the book itself may break behind them."""
    book, count = OrderBook(BTC, SequenceRule.BINANCE_FUTURES), 0
    for local_ns, text in frames:
        frame = binance_payload(json.loads(text))
        try:
            if frame.get("e") == "trade":
                binance_trade(frame, BTC, local_ns)
            elif frame.get("e") == "depthUpdate":
                book.apply(binance_depth(frame, BTC, local_ns))
            elif "lastUpdateId" in frame:
                book.apply(binance_snapshot(frame, BTC, local_ns))
        except BadEvent:
            count += 1
    return count
