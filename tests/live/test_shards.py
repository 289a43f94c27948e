"""A share of the symbols: who takes which, what an instance is called, who writes what."""

import json
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from bus import streams
from bus.memory import MemoryBus
from bus.streams import APPROVED, CONTROL, SCORES, candidates, shard_of
from live.audience import audience_of
from live.errors import LiveError
from live.host import Host
from live.service import Subscription
from live.shards import SHARED, Shards, instances
from live.wiring import ALL, SERVICES, Surroundings, build, symbols_of
from monitoring.metrics import Metrics
from tests.live.parts import START_NS, settings

SYMBOLS = ("BTCUSDT", "ETHUSDT")
"""One in each of two shares."""
WHOLE = ("ai_scorer", "executor", "risk", "model_sync")


def host(tmp_path: Path, bus: MemoryBus, index: int, *names: str, metrics: Metrics | None = None) -> Host:
    """The host of one share of two."""
    config = settings(
        {
            "paths": {"var": str(tmp_path / "var"), "lake": str(tmp_path / "lake")},
            "registry": {"mirror": str(tmp_path / "mirror")},
            "shard": {"index": index, "count": 2},
        },
        SYMBOLS,
    )
    log = structlog.wrap_logger(structlog.ReturnLogger(), processors=[])
    return build(names, Surroundings(config, bus, metrics or Metrics(CollectorRegistry()), lambda _: log, {}))


@given(st.integers(1, 8))
def test_every_symbol_is_in_one_share_and_seen_by_those_that_run_once(count: int) -> None:
    """Shares that are empty are refused, with where the symbols are; all are when the first is."""
    symbols = symbols_of(settings(symbols=SYMBOLS))
    taken: list[str] = []
    for index in range(count):
        shards = Shards(index, count)
        try:
            taken += shards.symbols("collector", symbols)
        except LiveError as error:
            assert f"share {index} of {count}" in str(error) or f"share 0 of {count}" in str(error)
            assert "BTCUSDT is in" in str(error)
        assert {tuple(shards.symbols(name, symbols)) for name in WHOLE} == {SYMBOLS}
    assert sorted(taken) == (sorted(SYMBOLS) if 0 in {shard_of(name, count) for name in SYMBOLS} else [])


def test_a_cut_that_leaves_the_first_share_empty_is_refused() -> None:
    """Its collector alone trims the durable streams and records scores and outcomes: the server would fill up."""
    (right,) = (name for name in SYMBOLS if shard_of(name, 2) == 1)
    symbols = {right: symbols_of(settings(symbols=SYMBOLS))[right]}
    with pytest.raises(LiveError, match="nobody would record or trim"):
        Shards(1, 2).symbols("collector", symbols)
    assert Shards(0, 1).symbols("collector", symbols) == symbols


def test_every_share_that_has_symbols_is_expected_to_speak() -> None:
    """So the silence of one is not taken for a stack that is whole."""
    config = settings({"shard": {"count": 2}}, SYMBOLS)
    assert instances(("collector", "executor"), config) == ("collector", "collector:1", "executor")
    assert instances(SERVICES, settings(symbols=SYMBOLS)) == SERVICES


def test_the_first_share_keeps_the_plain_names() -> None:
    """A stack without shares is one share."""
    assert [Shards(0, 3).instance(name) for name in SERVICES] == list(SERVICES)
    assert [Shards(2, 3).instance(name) for name in SHARED] == ["collector:2", "recorder:2", "signal_engine:2"]
    assert [Shards(2, 3).instance(name) for name in WHOLE] == list(WHOLE)


def test_a_stream_is_written_by_the_instance_of_its_share() -> None:
    """So a process that hosts everything still follows the market of the other shares."""
    left, right = (next(name for name in SYMBOLS if shard_of(name, 2) == index) for index in (0, 1))
    shards = Shards(0, 2)
    assert shards.writer_of(streams.book(left)) == "collector"
    assert shards.writer_of(streams.mark(right)) == "collector:1"
    assert shards.writer_of(candidates(1)) == "signal_engine:1"
    assert (shards.writer_of(SCORES), shards.writer_of(CONTROL)) == ("ai_scorer", None)
    wanted = [Subscription(streams.book(name), start="0") for name in SYMBOLS]
    found = audience_of(
        [("collector", "collector", []), ("risk", "risk", wanted)], MemoryBus(lambda: 0), shards.writer_of
    )
    assert list(found.history) == [streams.book(left)]
    assert list(found.tails) == [streams.book(right)]


def test_two_shares_live_on_one_bus_and_fence_each_other_not(tmp_path: Path) -> None:
    """Each has names, folders, heartbeats and a stream of candidates of its own; scores are recorded once."""
    bus = MemoryBus(lambda: START_NS // 1_000_000)
    shown = Metrics(CollectorRegistry())
    whole = host(tmp_path, bus, 0, *ALL, metrics=shown)
    share = host(tmp_path, bus, 1, "collector", "signal_engine")
    try:
        subscribed = {
            (number, each.name): {row.stream for row in each.subscriptions()}
            for number, held in enumerate((whole, share))
            for each in held.services
        }
        assert {candidates(0), candidates(1)} <= subscribed[0, "ai_scorer"]
        assert candidates(1) in subscribed[1, "signal_engine"]
        assert candidates(1) not in subscribed[0, "signal_engine"]
        assert SCORES in subscribed[0, "recorder"]
        assert SCORES not in subscribed[1, "recorder"]
        assert {streams.book(name) for name in SYMBOLS} < subscribed[0, "risk"] & subscribed[0, "executor"]
        assert APPROVED in subscribed[0, "executor"]
        assert (tmp_path / "var/live/collector:1").is_dir()
        whole.start()
        assert 'heartbeat_age_seconds{service="signal_engine:1"}' in shown.render()  # it has never spoken
        share.start()
        for held in (whole, share):
            held.step()  # a name taken by another process would end this one here
        beats = bus.values("hb:")
        assert {"hb:collector", "hb:collector:1", "hb:recorder:1", "hb:signal_engine:1", "hb:risk"} <= beats.keys()
        assert json.loads(beats["hb:collector:1"])["hosted_with"] == ["recorder:1", "signal_engine:1"]
    finally:
        for held in (whole, share):
            held.stop()
