"""Faults of a market feed, put into simulated frames on purpose, with a record of what was injected.

A frame here is (kind, local ns, bytes); each fault is a generator that passes frames on and spoils some. Faults of
arrival (gap, stall, clock_skew) can be put into columns as well. Positions are arrival times, except for
drifted_feature, which lives in the order flow itself.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

from market.events import BadRule
from market.simulator_feed import DEPTH, TICKER, TRADE
from market.simulator_rule import Drift
from market.symbols import Symbol

Kind = Literal[
    "gap", "drop", "duplicate", "reorder", "crossed", "locked", "stall", "clock_skew", "schema_change",
    "drifted_feature",
]  # fmt: skip
Stream = Literal["depth", "trade", "bookTicker"]
Change = Literal["extra_keys", "missing_key", "numbers", "bare"]

Frame = tuple[int, int, bytes]
_STREAMS = {"depth": DEPTH, "trade": TRADE, "bookTicker": TICKER}
_RESYNC_NS = 2_000_000_000
_CROSSING_TICKS = 5


@dataclass(frozen=True, slots=True)
class Defect:
    """One fault from `start_ns` on, for `duration_ns` where it lasts.

    gap              every frame of the span is lost; a snapshot follows, as a recorder would ask for
    drop             the first `count` frames of `stream` are lost; a snapshot follows where the book broke
    duplicate        the first `count` frames of `stream` come twice
    reorder          the first frame of `stream` comes behind the next one of that stream
    crossed, locked  in every depth update of the span the best bid is above, or at, the best ask
    stall            the frames of the span arrive together at its end
    clock_skew       the local clock is off by `offset_ms` during the span
    schema_change    frames of `stream` during the span have another form: keys nobody knows, a key missing, numbers
                     instead of text, or no wrapping in {"stream", "data"}
    drifted_feature  `feature` of the flow is `factor` times its usual (market.simulator_rule.SPAN_FIELDS)
    """

    kind: Kind
    start_ns: int
    duration_ns: int = 0
    count: int = 1
    stream: Stream = "depth"
    offset_ms: float = 0.0
    change: Change = "extra_keys"
    feature: str = "depth"
    factor: float = 1.0

    def __post_init__(self) -> None:
        for name, allowed in (("kind", Kind), ("stream", Stream), ("change", Change)):
            if getattr(self, name) not in get_args(allowed):
                raise BadRule(f"{name} of a defect must be one of {get_args(allowed)}, was {getattr(self, name)!r}")
        if self.duration_ns < 0 or self.count < 1:
            raise BadRule(f"{self.kind}: wanted a duration of 0 ns or more and a count of 1 or more, found {self}")
        if self.kind == "drifted_feature":
            self.drift()

    @property
    def end_ns(self) -> int:
        """The first moment behind the fault."""
        return self.start_ns + self.duration_ns

    @property
    def resync_ns(self) -> int | None:
        """When a recorder would have asked for a new snapshot, or None when the book did not break."""
        if self.kind == "gap":
            return self.end_ns
        breaks = self.kind in {"drop", "reorder"} and self.stream == "depth"
        return self.start_ns + _RESYNC_NS if breaks else None

    def drift(self) -> Drift:
        """Return this fault as a drift of the order flow."""
        return Drift(self.feature, self.factor, self.start_ns, self.end_ns)


@dataclass(frozen=True, slots=True)
class Injection:
    """What became of a defect: how many frames it touched, and the arrival times of the first and the last."""

    defect: Defect
    frames: int
    first_ns: int
    last_ns: int


def inject(
    frames: Iterator[Frame], defects: Sequence[Defect], symbol: Symbol, injected: list[Injection]
) -> Iterator[Frame]:
    """Return the frames with every defect in them; `injected` gets a record of each when the stream ends."""
    overlap = partial(_overlap, symbol)
    injectors: dict[str, _Injector] = {**_INJECTORS, "crossed": overlap, "locked": overlap}
    for defect in sorted(defects, key=lambda d: d.start_ns):
        if defect.kind in injectors:
            frames = _recorded(injectors[defect.kind], frames, defect, injected)
    return frames


class _Tally:
    """Counts the frames that one defect touched."""

    def __init__(self) -> None:
        self.frames, self.first_ns, self.last_ns = 0, 0, 0

    def touch(self, local_ns: int) -> None:
        self.first_ns = self.first_ns if self.frames else local_ns
        self.frames, self.last_ns = self.frames + 1, local_ns


_Injector = Callable[[Iterator[Frame], Defect, _Tally], Iterator[Frame]]


def _recorded(
    injector: _Injector, frames: Iterator[Frame], defect: Defect, injected: list[Injection]
) -> Iterator[Frame]:
    tally = _Tally()
    try:
        yield from injector(frames, defect, tally)
    finally:
        injected.append(Injection(defect, tally.frames, tally.first_ns, tally.last_ns))


def _gap(frames: Iterator[Frame], defect: Defect, tally: _Tally) -> Iterator[Frame]:
    for frame in frames:
        if defect.start_ns <= frame[1] < defect.end_ns:
            tally.touch(frame[1])
        else:
            yield frame


def _drop(frames: Iterator[Frame], defect: Defect, tally: _Tally) -> Iterator[Frame]:
    for frame in frames:
        if _is_next(frame, defect, tally):
            tally.touch(frame[1])
        else:
            yield frame


def _duplicate(frames: Iterator[Frame], defect: Defect, tally: _Tally) -> Iterator[Frame]:
    for frame in frames:
        yield frame
        if _is_next(frame, defect, tally):
            tally.touch(frame[1])
            yield frame


def _reorder(frames: Iterator[Frame], defect: Defect, tally: _Tally) -> Iterator[Frame]:
    held: Frame | None = None
    for frame in frames:
        if held is None and tally.frames == 0 and _is_next(frame, defect, tally):
            held = frame
            continue
        yield frame
        if held is not None and frame[0] == held[0]:
            tally.touch(frame[1])
            yield held[0], frame[1], held[2]
            held = None
    if held is not None:
        yield held


def _stall(frames: Iterator[Frame], defect: Defect, tally: _Tally) -> Iterator[Frame]:
    for kind, local_ns, payload in frames:
        if defect.start_ns <= local_ns < defect.end_ns:
            tally.touch(local_ns)
            yield kind, defect.end_ns, payload
        else:
            yield kind, local_ns, payload


def _clock_skew(frames: Iterator[Frame], defect: Defect, tally: _Tally) -> Iterator[Frame]:
    offset_ns = round(defect.offset_ms * 1e6)
    for kind, local_ns, payload in frames:
        if defect.start_ns <= local_ns < defect.end_ns:
            tally.touch(local_ns)
            yield kind, local_ns + offset_ns, payload
        else:
            yield kind, local_ns, payload


def _overlap(symbol: Symbol, frames: Iterator[Frame], defect: Defect, tally: _Tally) -> Iterator[Frame]:
    """Keep one bid more in the book, at or above the best ask, moved along with every depth update of the span."""
    above = _CROSSING_TICKS if defect.kind == "crossed" else 0
    ticker, placed = b"", _Bid(symbol)
    for kind, local_ns, payload in frames:
        if kind == TICKER:
            ticker = payload
        # Without a duration it is one depth update.
        within = defect.start_ns <= local_ns and (local_ns < defect.end_ns or tally.frames == 0) and ticker != b""
        if kind == DEPTH and within:
            tally.touch(local_ns)
            ask_ticks = symbol.price_to_ticks(json.loads(ticker)["data"]["a"])
            yield kind, local_ns, placed.moved(payload, ask_ticks + above)
        elif kind == DEPTH and placed.ticks:
            yield kind, local_ns, placed.moved(payload, 0)
        else:
            yield kind, local_ns, payload


class _Bid:
    """A bid that is not there: where it stands, and what the venue says is really at that price."""

    def __init__(self, symbol: Symbol) -> None:
        self._symbol = symbol
        self.ticks, self._real = 0, "0"

    def moved(self, payload: bytes, ticks: int) -> bytes:
        """Return the depth update with the bid taken from where it stood and put at `ticks` (0: nowhere)."""
        frame = json.loads(payload)
        bids = {self._symbol.price_to_ticks(price): (price, size) for price, size in frame["data"]["b"]}
        if self.ticks and self.ticks not in bids:
            bids[self.ticks] = self._level(self.ticks, self._real)
        if ticks:
            # Above the best ask nobody bids, so what is really there is nothing until the venue says otherwise.
            self._real = bids[ticks][1] if ticks in bids else "0"
            bids[ticks] = self._level(ticks, str(self._symbol.size_lot))
        self.ticks = ticks
        frame["data"]["b"] = [list(bids[tick]) for tick in sorted(bids)]
        return _dumped(frame)

    def _level(self, ticks: int, size: str) -> tuple[str, str]:
        return f"{ticks * self._symbol.price_tick:f}", size


def _schema_change(frames: Iterator[Frame], defect: Defect, tally: _Tally) -> Iterator[Frame]:
    for kind, local_ns, payload in frames:
        if kind == _STREAMS[defect.stream] and defect.start_ns <= local_ns < defect.end_ns:
            tally.touch(local_ns)
            yield kind, local_ns, _dumped(_reformed(json.loads(payload), defect.change))
        else:
            yield kind, local_ns, payload


def _reformed(frame: dict[str, Any], change: Change) -> dict[str, Any]:
    data: dict[str, Any] = frame["data"]
    if change == "bare":
        return data
    if change == "extra_keys":
        data |= {"ps": data["s"], "st": 1}
    elif change == "missing_key":
        del data["s"]
    else:
        for key in ("p", "q", "B", "A"):
            if key in data:
                data[key] = float(data[key])
        for key in ("b", "a"):
            if key in data:
                old = data[key]
                data[key] = float(old) if isinstance(old, str) else [[float(p), float(q)] for p, q in old]
    return frame


_INJECTORS: dict[str, _Injector] = {
    "gap": _gap,
    "drop": _drop,
    "duplicate": _duplicate,
    "reorder": _reorder,
    "stall": _stall,
    "clock_skew": _clock_skew,
    "schema_change": _schema_change,
}


def _is_next(frame: Frame, defect: Defect, tally: _Tally) -> bool:
    """Whether the frame is one of the first `count` of the defect's stream from its start on."""
    return frame[0] == _STREAMS[defect.stream] and frame[1] >= defect.start_ns and tally.frames < defect.count


def _dumped(frame: dict[str, Any]) -> bytes:
    return json.dumps(frame, separators=(",", ":")).encode()
