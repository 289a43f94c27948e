"""How many messages a second one process writes, and how many it reads and acknowledges; 200 bytes, a real server.

Ours against redis-py's pipelines and reads of the same size, in turn, the best of the rounds; and the whole way, from
a record to bytes to the stream and back. Run with `python -m benchmarks.bus_throughput`.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from benchmarks.rows import fact, row, show
from bus.client import RedisBus
from bus.codec import decode
from bus.messages import MarketTrade
from bus.protocol import Group
from bus.publisher import Publisher
from bus.server import serve

ROUNDS, MESSAGES, BATCH = 3, 50_000, 100
BACKLOG = 100_000
_STREAM = "sig:bench"
_DATA = b"x" * 200
_TRADE = MarketTrade("BTCUSDT", 1_234_567, 10**18, 10**18, 650_000, 1_000, 1)


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}; goals are absolute, as shares of the wanted rate."""
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as server, RedisBus(server.url) as bus:
        best: dict[str, float] = {}
        for _ in range(ROUNDS):
            for name, rate in _round(bus, server.url).items():
                best[name] = max(best.get(name, 0.0), rate)
        drained = min(_drain(bus) for _ in range(ROUNDS))
    write, read = best["write"] / best["write py"], best["read"] / best["read py"]
    return [
        row("bus: written, ours", best["write"], "k/s", ratio=best["write"] / 80, least=1),
        row("bus: written, ours to redis-py's pipeline", best["write py"], "k/s", ratio=write),
        row("bus: read and acknowledged, ours", best["read"], "k/s", ratio=best["read"] / 150, least=1),
        row("bus: read and acknowledged, ours to redis-py", best["read py"], "k/s", ratio=read),
        row("bus: published, records to stream", best["publish"], "k/s"),
        row("bus: received, stream to records, acknowledged", best["receive"], "k/s"),
        fact("bus: 100,000 waiting messages read as records and acknowledged", drained, "s", below=1.0),
    ]


def _round(bus: RedisBus, url: str) -> dict[str, float]:
    with redis.Redis.from_url(url, protocol=2) as client:
        rates = {"write": _rate(bus, lambda: _write(bus)), "read": _timed(lambda: _read(bus, MESSAGES))}
        rates["write py"] = _rate(bus, lambda: _write_redis_py(client))
        rates["read py"] = _timed(lambda: _read_redis_py(client))
    rates["publish"] = _rate(bus, lambda: _publish(bus, MESSAGES))
    rates["receive"] = _timed(lambda: _read(bus, MESSAGES, decoded=True))
    return rates


def _rate(bus: RedisBus, work: Callable[[], None]) -> float:
    """Time writing to a fresh stream with a group on it, in thousands a second."""
    bus.ask(("DEL", _STREAM))
    bus.ask(("XGROUP", "CREATE", _STREAM, "g", "0", "MKSTREAM"))
    return _timed(work)


def _timed(work: Callable[[], None]) -> float:
    begin = time.perf_counter()
    work()
    return MESSAGES / (time.perf_counter() - begin) / 1_000


def _write(bus: RedisBus) -> None:
    for first in range(1, MESSAGES + 1, BATCH):
        bus.add([(_STREAM, _DATA, f"{number}-0") for number in range(first, first + BATCH)])


def _read(bus: RedisBus, count: int, *, decoded: bool = False) -> None:
    reader = bus.reader("c", {}, [Group(_STREAM, "g")])
    while count:
        for entry in reader.poll(1_000):
            if decoded:
                decode(entry)
            reader.ack(entry)
            count -= 1
    reader.flush()
    reader.close()


def _write_redis_py(client: "redis.Redis[bytes]") -> None:
    for first in range(1, MESSAGES + 1, BATCH):
        pipeline = client.pipeline(transaction=True)
        for number in range(first, first + BATCH):
            pipeline.xadd(_STREAM, {b"d": _DATA}, id=f"{number}-0")
        pipeline.execute()


def _read_redis_py(client: "redis.Redis[bytes]") -> None:
    count = MESSAGES
    while count:
        reply: Any = client.xreadgroup("g", "c", {_STREAM: ">"}, count=500, block=1_000)
        for _, items in reply:
            count -= len(items)
            client.xack(_STREAM, "g", *[key for key, _ in items])


def _publish(bus: RedisBus, count: int) -> None:
    publisher = Publisher(bus, "bench", time.time_ns)
    for number in range(count):
        publisher.publish(_STREAM, _TRADE, message_id=str(number))
        if number % BATCH == BATCH - 1:
            publisher.flush()
    publisher.flush()


def _drain(bus: RedisBus) -> float:
    _rate(bus, lambda: _publish(bus, BACKLOG))
    begin = time.perf_counter()
    _read(bus, BACKLOG, decoded=True)
    return time.perf_counter() - begin


if __name__ == "__main__":
    show(run())
