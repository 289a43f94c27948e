import gzip
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bus.messages import BookImage, MarketTrade, MarkPrice
from live.clock import ManualClock
from live.collector import Collector
from live.errors import FeedRefused
from live.feed import Frame
from live.replay import LEAD_NS, ReplayFeed, capture_frames, replay_start_ns, simulated_frames
from market.columns import BOOK_RESET
from market.simulator import simulate_columns
from market.simulator_rule import usual_rule
from market.symbols import SymbolTable
from tests.live.parts import ROOT, START_NS, RecordingOutput, parts, settings

TABLE = SymbolTable.load(ROOT / "data" / "reference" / "symbols.yml")
BTC, ETH = TABLE["BTCUSDT"], TABLE["ETHUSDT"]
SECOND = 1_000_000_000


def frames(*times: int) -> list[Frame]:
    """Frames that arrive at these times."""
    return [Frame(START_NS + ns, b"%d" % ns) for ns in times]


def feed(given: list[Frame], speed: float = 0.0, minutes: float = 0.0, clock: ManualClock | None = None) -> ReplayFeed:
    """A started feed of frames."""
    made = ReplayFeed(iter(given), clock or ManualClock(START_NS), speed, minutes, lambda: None)
    made.start()
    return made


def test_at_speed_0_frames_come_in_slices_of_market_time() -> None:
    """50 ms a slice, so that timers of others run as often as they would live; the clock is the collector's to turn."""
    made = feed(frames(0, 10, 50_000_000, 50_000_001, 3 * SECOND))
    assert made.turns_clock
    assert [len(made.take()) for _ in range(4)] == [3, 1, 1, 0]
    assert made.finished
    assert made.status() == {"frames": 5, "finished": True}
    assert made.retiming is None


def test_a_slice_is_bounded_in_frames_too() -> None:
    """A burst of a thousand frames in a moment comes in three slices."""
    made = feed(frames(*[0] * 1_100))
    assert [len(made.take()) for _ in range(4)] == [512, 512, 76, 0]


def test_paced_frames_begin_now_and_come_when_they_are_due() -> None:
    """Twice as fast: what came after a second comes after half of one; their times are the clock's."""
    clock = ManualClock(START_NS + 100 * SECOND)
    made = feed(frames(0, SECOND, 2 * SECOND), speed=2.0, clock=clock)
    assert not made.turns_clock
    assert [each.local_ns - START_NS for each in made.take()] == [100 * SECOND]
    assert made.take() == []
    clock.advance(seconds=0.5)
    assert [each.local_ns for each in made.take()] == [clock.wall_ns()]
    clock.advance(seconds=5)
    assert [each.local_ns - START_NS for each in made.take()] == [101 * SECOND]
    assert made.retiming is not None
    assert made.retiming(START_NS + 4 * SECOND) == START_NS + 102 * SECOND
    made.stop()


def test_a_length_ends_a_replay() -> None:
    """A minute of market time; the frame at its end is not part of it."""
    made = feed(frames(0, 59 * SECOND, 60 * SECOND, 61 * SECOND), minutes=1.0)
    taken = [frame for _ in range(5) for frame in made.take()]
    assert len(taken) == 2
    assert made.finished


def test_nothing_to_replay_is_refused(tmp_path: Path) -> None:
    """No frame, no file, no time."""
    with pytest.raises(FeedRefused, match="holds no frame"):
        feed([])
    with pytest.raises(FeedRefused, match=r"no recording at .*nowhere"):
        capture_frames(tmp_path / "nowhere", [BTC])
    (tmp_path / "btcusdt_20260107.gz").write_bytes(b"no gzip")
    with pytest.raises(FeedRefused, match="cannot be read to its end"):
        list(capture_frames(tmp_path, [BTC]))
    wanted = settings({"feed": {"start": "2026-13-45T00:00:00"}})
    with pytest.raises(FeedRefused, match="2026-13-45"):
        replay_start_ns(wanted, [BTC], ManualClock(START_NS))


def _capture(folder: Path, name: str, *lines: bytes) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(b"\n".join(lines)))
    return path


def test_captures_of_a_name_follow_one_another_and_names_are_merged(tmp_path: Path) -> None:
    """By arrival; a file's nameless snapshots belong to whom it is named after."""
    _capture(tmp_path, "btcusdt_20260107.gz", b"10 a", b"30 b")
    _capture(tmp_path, "btcusdt_20260108.gz", b"50 c")
    _capture(tmp_path, "ethusdt_20260107.gz", b"20 d", b"40 e", b"60 f")
    assert list(capture_frames(tmp_path, [BTC, ETH])) == [
        Frame(10, b"a", "BTCUSDT"), Frame(20, b"d", "ETHUSDT"), Frame(30, b"b", "BTCUSDT"),
        Frame(40, b"e", "ETHUSDT"), Frame(50, b"c", "BTCUSDT"), Frame(60, b"f", "ETHUSDT"),
    ]  # fmt: skip


def test_a_torn_line_of_a_capture_is_handed_on_to_be_counted(tmp_path: Path) -> None:
    """At the time of the line before."""
    path = _capture(tmp_path, "x.gz", b"10 a", b"torn", b"30 b")
    assert list(capture_frames(path, [BTC])) == [
        Frame(10, b"a", "BTCUSDT"),
        Frame(10, b"torn", "BTCUSDT"),
        Frame(30, b"b", "BTCUSDT"),
    ]
    wanted = settings({"feed": {"kind": "capture", "path": str(path)}})
    assert replay_start_ns(wanted, [BTC], ManualClock()) == 10


def _collected(tmp_path: Path, knobs: dict[str, Any], symbols: tuple[str, ...] = ("BTCUSDT",)) -> RecordingOutput:
    made = parts(tmp_path, {"feed": knobs}, symbols)
    collector = Collector(made)
    collector.start()
    assert isinstance(made.clock, ManualClock)
    for _ in range(100_000):
        if collector.status()["finished"]:
            break
        collector.tick()
        if not knobs.get("speed"):
            continue
        made.clock.advance(seconds=0.5)
    assert collector.status()["finished"]
    assert all(book["ticker_mismatched"] == 0 for book in collector.status()["books"].values())
    collector.stop()
    assert isinstance(made.out, RecordingOutput)
    return made.out


def test_the_simulated_market_is_what_its_lake_would_hold(tmp_path: Path) -> None:
    """Ten minutes at full speed: the rows of simulate_columns, in both symbols; the clock follows."""
    out = _collected(tmp_path, {"speed": 0, "minutes": 10}, ("BTCUSDT", "ETHUSDT"))
    for symbol in (BTC, ETH):
        rule = usual_rule(symbol.name, 500, 0.4)
        book, trades = simulate_columns(symbol, START_NS, START_NS + 601 * SECOND, 7, rule=rule)
        images = [each for each in out.of(BookImage) if each.symbol == symbol.name]
        prints = [each for each in out.of(MarketTrade) if each.symbol == symbol.name]
        assert len(images) > 1_000
        for name in ("exchange_ns", "sequence", "flags"):
            assert np.array_equal([getattr(each, name) for each in images], getattr(book, name)[: len(images)])
        assert np.array_equal(np.array([each.bid_ticks for each in images]).T, book.bid_ticks[:, : len(images)])
        assert np.array_equal([each.trade_id for each in prints], trades.trade_id[: len(prints)])
        assert images[0].flags == BOOK_RESET
    marks = [each for each in out.of(MarkPrice) if each.symbol == "BTCUSDT"]
    assert 590 <= len(marks) <= 601


def test_a_simulator_that_starts_now_is_not_moved_and_another_one_is(tmp_path: Path) -> None:
    """At the speed of the clock, a little ahead of it. A fixed start is moved to now, its venue's times with it."""
    now = _collected(tmp_path, {"speed": 1, "minutes": 0.2})
    begin = START_NS + LEAD_NS
    first, _ = simulate_columns(BTC, begin, begin + 13 * SECOND, 7, rule=usual_rule("BTCUSDT", 500, 0.4))
    assert now.of(BookImage)[0].exchange_ns == first.exchange_ns[0]
    moved = _collected(tmp_path, {"speed": 1, "minutes": 0.2, "start": "2026-01-05T06:00:00"}).of(BookImage)
    assert all(0 <= each.exchange_ns - START_NS < 20 * SECOND for each in moved)
    assert 0 < moved[0].local_ns - moved[0].exchange_ns < SECOND


def test_simulated_frames_name_their_symbol() -> None:
    """For the snapshot does not."""
    made = simulated_frames(settings(), [BTC, ETH], START_NS)
    taken = [next(made) for _ in range(200)]
    assert {each.symbol for each in taken} == {"BTCUSDT", "ETHUSDT"}
    assert [each.local_ns for each in taken] == sorted(each.local_ns for each in taken)
    assert any("lastUpdateId" in msgspec.json.decode(each.payload) for each in taken)
