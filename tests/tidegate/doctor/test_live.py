import pytest

from bus.memory import MemoryBus
from tests.live.parts import settings
from tests.tidegate.live_side import NOW_NS, SECOND_NS, beat, bus
from tidegate.doctor.live import clocks, mode, services
from tidegate.situation import SERVICES, Snapshot, look


def seen(on: MemoryBus) -> Snapshot:
    """The bus at NOW_NS."""
    return look(on, "memory", NOW_NS)


@pytest.fixture
def running() -> MemoryBus:
    """Everything is ready."""
    on = bus()
    for name in SERVICES:
        beat(on, name, {"mode": "paper"} if name == "executor" else None)
    return on


def test_when_everything_is_ready_there_is_one_line(running: MemoryBus) -> None:
    """With the count."""
    (found,) = services(seen(running))
    assert (found.level, found.says) == ("ok", f"{len(SERVICES)} ready")


def test_each_service_that_is_not_has_a_line_and_its_command(running: MemoryBus) -> None:
    """Silent must be mended, the others are told; the recorder lives in the collector's process."""
    beat(running, "risk", {}, at_ns=NOW_NS - 60 * SECOND_NS)
    beat(running, "ai_scorer", {"text": "no active model"}, ready=False)
    beat(running, "recorder", {}, state="stopped")
    found = {each.says.split()[0]: each for each in services(seen(running))}
    assert (found["risk"].level, found["risk"].mend) == ("fail", "python -m live risk")
    assert (found["ai_scorer"].level, "no active model" in found["ai_scorer"].says) == ("warn", True)
    assert found["recorder"].mend == "python -m live collector"
    shares = look(running, "memory", NOW_NS, None, (*SERVICES, "recorder:2"))
    assert "SHARD_INDEX=2 python -m live collector" in [each.mend for each in services(shares)]


def test_a_clock_ahead_of_ours_is_told(running: MemoryBus) -> None:
    """Nothing is said of clocks that are not."""
    assert list(clocks(seen(running))) == []
    beat(running, "collector", {}, at_ns=NOW_NS + 3 * SECOND_NS)
    assert [each.level for each in clocks(seen(running))] == ["fail"]


def test_real_orders_need_keys_and_an_executor_that_sends_them(running: MemoryBus) -> None:
    """None of it says what the keys are."""
    real = settings({"exchange": {"mode": "real"}, "feed": {"kind": "binance"}})
    assert [each.level for each in mode(settings(), {}, seen(running))] == ["ok"]
    assert [each.level for each in mode(real, {}, None)] == ["fail", "fail"]
    keys = {"EXCHANGE_API_KEY": "sesame", "EXCHANGE_API_SECRET": "open"}
    (found,) = mode(real, keys, seen(running))
    assert (found.level, "the executor trades on paper" in found.says) == ("warn", True)
    assert "sesame" not in found.says + found.mend
