"""One hop: from before XADD in one process to after the read in another, acknowledgement included, 200 bytes, paced.

Ours against redis-py's synchronous client, both on a unix socket of a server with an append-only file, and against the
round trip that redis-benchmark measures for an XADD: what no client can beat. All three take turns; the best of the
rounds counts, so that other work on the machine troubles them alike. Run with `python -m benchmarks.bus_hop`.
"""

import csv
import multiprocessing
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import redis

from benchmarks.rows import row, show
from bus.client import RedisBus
from bus.protocol import Group
from bus.server import serve

ROUNDS, MESSAGES, PAUSE_SECONDS = 7, 1_500, 0.0005
_FILL = b"x" * 192
_STREAM = "sig:bench"


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}."""
    if shutil.which("redis-benchmark") is None:
        raise ModuleNotFoundError("no redis-benchmark", name="redis-benchmark")
    peers = {"ours": (_write_ours, _read_ours), "redis-py": (_write_redis_py, _read_redis_py)}
    hops: dict[str, list[list[float]]] = {name: [] for name in peers}
    floors: list[float] = []
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as server:
        for turn in range(ROUNDS):
            floors.append(_floor(server.url))
            for name in list(peers)[:: 1 if turn % 2 else -1]:
                hops[name].append(_hops(server.url, *peers[name]))
    floor = min(floors)
    p50 = {name: min(_quantile(each, 0.5) for each in rounds) for name, rounds in hops.items()}
    p99 = {name: min(_quantile(each, 0.99) for each in rounds) for name, rounds in hops.items()}
    ours = p50["ours"]
    return [
        row("bus: XADD round trip of redis-benchmark, p50", floor, "us"),
        row("bus: hop of our client, p50, to that round trip", ours, "us", ratio=ours / floor, most=2.0),
        row("bus: hop of our client, p99", p99["ours"], "us"),
        row("bus: hop of redis-py, p50; ours to it", p50["redis-py"], "us", ratio=ours / p50["redis-py"], most=0.6),
        row("bus: hop of redis-py, p99", p99["redis-py"], "us"),
    ]


def _floor(url: str) -> float:
    """Return the p50 of redis-benchmark's XADD in microseconds."""
    command = ["redis-benchmark", "-s", url.removeprefix("unix://"), "-c", "1", "-n", "5000", "--csv",
               "XADD", "bench:floor", "*", "d", "x" * 200]  # fmt: skip
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    head = next(at for at, line in enumerate(lines) if line.startswith('"test"'))
    return float(next(csv.DictReader(lines[head:]))["p50_latency_ms"]) * 1_000


def _hops(url: str, write: Callable[[str], None], read: Callable[[str, Connection], None]) -> list[float]:
    """Return the hop of each message in microseconds, the first tenth left out."""
    with RedisBus(url) as bus:
        bus.ask(("DEL", _STREAM))
        bus.ask(("XGROUP", "CREATE", _STREAM, "g", "$", "MKSTREAM"))
    spawn = multiprocessing.get_context("spawn")
    near, far = spawn.Pipe()
    reader = spawn.Process(target=read, args=(url, far))
    reader.start()
    assert near.recv() == "ready"
    write(url)
    found: list[float] = near.recv()
    reader.join()
    return found[MESSAGES // 10 :]


def _write_ours(url: str) -> None:
    with RedisBus(url) as bus:
        for number in range(1, MESSAGES + 1):
            bus.add([(_STREAM, _stamp() + _FILL, f"{number}-0")])
            time.sleep(PAUSE_SECONDS)


def _read_ours(url: str, far: Connection) -> None:
    found: list[float] = []
    with RedisBus(url) as bus:
        reader = bus.reader("c", {}, [Group(_STREAM, "g")])
        far.send("ready")
        while len(found) < MESSAGES:
            entries = reader.poll(1_000)
            now = time.perf_counter_ns()
            for entry in entries:
                found.append(_age(now, entry.data))
                reader.ack(entry)
    far.send(found)


def _write_redis_py(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        for number in range(1, MESSAGES + 1):
            client.xadd(_STREAM, {b"d": _stamp() + _FILL}, id=f"{number}-0")
            time.sleep(PAUSE_SECONDS)


def _read_redis_py(url: str, far: Connection) -> None:
    found: list[float] = []
    with redis.Redis.from_url(url, protocol=2) as client:
        far.send("ready")
        while len(found) < MESSAGES:
            reply: Any = client.xreadgroup("g", "c", {_STREAM: ">"}, count=64, block=1_000)
            now = time.perf_counter_ns()
            for _, items in reply or ():
                found += [_age(now, fields[b"d"]) for _, fields in items]
                client.xack(_STREAM, "g", *[key for key, _ in items])
    far.send(found)


def _stamp() -> bytes:
    return struct.pack("<q", time.perf_counter_ns())


def _age(now: int, data: bytes) -> float:
    return float(now - struct.unpack_from("<q", data)[0]) / 1_000


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


if __name__ == "__main__":
    show(run())
