"""The signal engine on one core: market messages from their bytes through order, kernel and rule to the candidate.

Events of an ordinary market, 12 % of them prints, as the collector publishes them. The whole way is taken in one
process: decode, `SignalEngine.handle` (order of the two streams, kernel step, rule, candidates said), and encoding
what it said. The parts are measured alone over the same events, the recorder beside them. The peer is the offline
kernel, `run` over `interleave` of the day in one call: what a step at a time costs more than that is Python. Run
with `python -m benchmarks.live_engine`.
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from benchmarks.rows import row, show
from benchmarks.timing import measure
from bus.codec import decode, encode, kind_of
from bus.messages import BookImage, Candidate, Header, MarketTrade, Received
from bus.protocol import Entry
from live.clock import ManualClock
from live.compaction import Compacted
from live.market_feed import MarketFeed
from live.recorder import Recorder
from live.service import Parts
from live.signal_engine import SignalEngine
from live.worker import at_once
from market.candidates import CandidateGate
from market.features import N_COLUMNS, KernelState, interleave
from market.features import run as run_kernel
from market.stepper import Stepper
from tests.live.markets import Market, bodies, market, numbered
from tests.live.parts import RecordingOutput, parts

SYMBOL = "BTCUSDT"
EVENTS = 40_000
ROUNDS = 5
WANTED = 20_000


class _NoJob:
    """A compaction that never ends: the lake is not what is measured."""

    def __init__(self, folder: Path, upto: int, lake_root: str) -> None:
        pass

    def poll(self) -> Compacted | None:
        return None

    def wait(self) -> Compacted:
        return Compacted(error="not measured")


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}; a ratio is against the offline kernel's CPU an event."""
    whole = market(EVENTS, seed=1, per_second=96.0)
    messages = numbered(bodies(SYMBOL, *whole))
    entries = [Entry(each.stream, each.entry_id, encode(each.header, each.body), 0) for each in messages]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory() as folder:
        made = parts(Path(folder), {"paths": {"lake": f"{folder}/lake"}})
        work: dict[str, Callable[[], object]] = {
            "whole": lambda: _whole(made, entries),
            "decode": lambda: _decoded(entries),
            "order": lambda: _ordered(messages),
            "step": lambda: _stepped(messages),
            "rule": lambda: _ruled(made, messages),
            "record": lambda: _recorded(made, messages),
            "batch": lambda: _batch(whole),
        }
        seconds = measure(work, ROUNDS)
        found = _whole(made, entries)
    each = {name: value / len(messages) for name, value in seconds.items()}
    parts_named = {
        "decode": "decoding a message",
        "order": "putting the two streams in order",
        "step": "book image or print through the kernel",
        "rule": "the same with the candidate rule",
        "record": "the recorder, in its own process",
    }
    return [
        row("live engine: bytes to candidate, one core", 1e-3 / each["whole"], "k ev/s",
            ratio=1.0 / each["whole"] / WANTED, least=1.0),
        row("live engine: bytes to candidate, CPU an event", each["whole"] * 1e6, "us",
            ratio=each["whole"] / each["batch"]),
        *(row(f"live engine: {told}", each[name] * 1e6, "us", ratio=each[name] / each["batch"])
          for name, told in parts_named.items()),
        row("live engine: offline kernel, the day in one call", each["batch"] * 1e6, "us", ratio=1.0),
        row(f"live engine: candidates found in {len(messages):,} events", found, ""),
    ]  # fmt: skip


def _whole(made: Parts, entries: list[Entry]) -> int:
    """Everything the process does for an event; returns how many candidates were said."""
    clock, out = ManualClock(0), RecordingOutput()
    engine = SignalEngine(replace(made, clock=clock, out=out))
    engine.start()
    for entry in entries:
        received = decode(entry)
        clock.advance_to(received.header.received_ns)
        engine.handle(received)
    for said in out.said:
        candidate = said.body
        assert isinstance(candidate, Candidate)
        encode(Header(1, kind_of(candidate), "signal_engine", 1, 1, 0, 0, 0, candidate.id), candidate)
    return len(out.said)


def _decoded(entries: list[Entry]) -> None:
    for entry in entries:
        decode(entry)


def _ordered(messages: list[Received]) -> None:
    feed = MarketFeed([SYMBOL])
    for received in messages:
        feed.take(received)


def _step(stepper: Stepper, body: BookImage | MarketTrade) -> bool:
    if isinstance(body, MarketTrade):
        return stepper.trade(body.exchange_ns, body.price_ticks, body.size_lots, body.aggressor)
    return stepper.book(body.exchange_ns, body.flags, body.bid_ticks, body.bid_lots, body.ask_ticks, body.ask_lots)


def _stepped(messages: list[Received]) -> None:
    stepper = Stepper()
    for received in messages:
        _step(stepper, received.body)  # type: ignore[arg-type]


def _ruled(made: Parts, messages: list[Received]) -> None:
    stepper, gate = Stepper(), CandidateGate(made.settings.candidate.rule())
    for received in messages:
        if _step(stepper, received.body):  # type: ignore[arg-type]
            gate.step(stepper.t_ns, stepper.row, valid=1)


def _recorded(made: Parts, messages: list[Received]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(replace(made, clock=ManualClock(0), var=Path(folder)), _NoJob, at_once)
        recorder.subscriptions()
        recorder.start()
        for count, received in enumerate(messages):
            recorder.handle(received)
            if count % 64 == 0:
                recorder.tick()
        recorder.stop()


def _batch(whole: Market) -> None:
    events = interleave(*whole)
    out, valid = np.empty((len(events), N_COLUMNS), np.float32), np.empty(len(events), np.uint8)
    run_kernel(KernelState.new(), events, out, valid)


if __name__ == "__main__":
    show(run())
