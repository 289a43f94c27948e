"""One hop: from before XADD in one process to after the read in another, acknowledgement included, 200 bytes.

Two processes answer one another through two streams, as fast as they can: a hop is half of such a round. Ours against
redis-py's synchronous client, both on a unix socket of a server with an append-only file, and against the round trip
that redis-benchmark measures for an XADD, which is as closed a loop and what no client can beat. All take turns; the
best of the rounds counts, so that other work on the machine troubles them alike. Messages that come every 2 ms find
everybody asleep: that hop is shown too. Where it is allowed, all of them run at real-time priority for these seconds,
so that the figures show the code and not the queue for a processor. Run with `python -m benchmarks.bus_hop`.
"""

import csv
import multiprocessing
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import redis

from benchmarks.rows import row, show
from bus.client import RedisBus
from bus.protocol import Group
from bus.server import serve

ROUNDS, MESSAGES, PACED, PAUSE_SECONDS = 7, 1_500, 300, 0.002
_FILL = b"x" * 200
_THERE, _BACK = "sig:there", "sig:back"


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}."""
    if shutil.which("redis-benchmark") is None:
        raise ModuleNotFoundError("no redis-benchmark", name="redis-benchmark")
    _in_front()
    hops: dict[str, list[list[float]]] = {"ours": [], "redis-py": [], "paced": []}
    floors: list[float] = []
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as server:
        for turn in range(ROUNDS):
            floors.append(_floor(server.url))
            for name, kind in [("ours", _Ours), ("redis-py", _RedisPy)][:: 1 if turn % 2 else -1]:
                hops[name].append(_hops(server.url, kind, MESSAGES, 0.0))
            hops["paced"].append(_hops(server.url, _Ours, PACED, PAUSE_SECONDS))
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
        row("bus: hop of our client, a message every 2 ms, p50", p50["paced"], "us"),
    ]


def _in_front() -> None:
    """Ask for real-time priority, which the server and every process started here inherit."""
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def _floor(url: str) -> float:
    """Return the p50 of redis-benchmark's XADD in microseconds."""
    command = ["redis-benchmark", "-s", url.removeprefix("unix://"), "-c", "1", "-n", "5000", "--csv",
               "XADD", "bench:floor", "*", "d", "x" * 200]  # fmt: skip
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    head = next(at for at, line in enumerate(lines) if line.startswith('"test"'))
    return float(next(csv.DictReader(lines[head:]))["p50_latency_ms"]) * 1_000


class _Ours:
    """Our client: reads one stream, writes another."""

    def __init__(self, url: str, read: str, write: str) -> None:
        self._bus = RedisBus(url)
        self._reader = self._bus.reader("c", {}, [Group(read, "g")])
        self._write = write
        self._number = 0

    def say(self) -> None:
        self._number += 1
        self._bus.add([(self._write, _FILL, f"{self._number}-0")])

    def hear(self) -> None:
        while not (entries := self._reader.poll(1_000)):
            pass
        for entry in entries:
            self._reader.ack(entry)

    def close(self) -> None:
        self._bus.close()


class _RedisPy:
    """The same with redis-py."""

    def __init__(self, url: str, read: str, write: str) -> None:
        self._client = redis.Redis.from_url(url, protocol=2)
        self._client.xgroup_create(read, "g", "0", mkstream=True)
        self._read, self._write = read, write
        self._number = 0

    def say(self) -> None:
        self._number += 1
        self._client.xadd(self._write, {b"d": _FILL}, id=f"{self._number}-0")

    def hear(self) -> None:
        reply: Any = None
        while not reply:
            reply = self._client.xreadgroup("g", "c", {self._read: ">"}, count=64, block=1_000)
        for _, items in reply:
            self._client.xack(self._read, "g", *[key for key, _ in items])

    def close(self) -> None:
        self._client.close()


def _hops(url: str, kind: type[_Ours | _RedisPy], count: int, pause: float) -> list[float]:
    """Return half of each round in microseconds, the first tenth left out."""
    with RedisBus(url) as bus:
        bus.ask(("DEL", _THERE, _BACK))
    spawn = multiprocessing.get_context("spawn")
    near, far = spawn.Pipe()
    other = spawn.Process(target=_answer, args=(url, kind, count, far))
    other.start()
    assert near.recv() == "ready"
    mine = kind(url, _BACK, _THERE)
    found = []
    for _ in range(count):
        begin = time.perf_counter_ns()
        mine.say()
        mine.hear()
        found.append((time.perf_counter_ns() - begin) / 2_000)
        if pause:
            time.sleep(pause)
    other.join()
    mine.close()
    return found[count // 10 :]


def _answer(url: str, kind: type[_Ours | _RedisPy], count: int, far: Connection) -> None:
    mine = kind(url, _THERE, _BACK)
    far.send("ready")
    for _ in range(count):
        mine.hear()
        mine.say()
    mine.close()


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


if __name__ == "__main__":
    show(run())
