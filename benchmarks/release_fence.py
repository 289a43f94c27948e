"""From the message, or the moment, that gives a canary away to the canary fenced, between processes on a real server.

One process runs risk, one the scorer, this one is the market and whoever else speaks. Told by a message: a bundle of
the shadow slot failed its golden rows. Told by the evidence: the trade that decides has its horizon behind it. Both end
when the scorer routes nothing to the canary any more; before each, a canary of another salt begins. Beside it, what an
outcome costs risk while three trials run, and how long another policy takes over a hundred recorded canaries. Run with
`python -m benchmarks.release_fence`.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from benchmarks.rows import fact, row, show
from bus.client import RedisBus
from bus.messages import BookImage, ControlEvent, Judgement, Received, Route, Score
from bus.publisher import Publisher
from bus.server import serve
from bus.streams import CONTROL, SCORES, book
from bus.wake import Wake
from config.settings import Settings
from live.ai_scorer import AiScorer
from live.clock import SystemClock
from live.host import Host
from live.logs import configure
from live.maturing import GRACE_NS
from live.policy_replay import compare, replay
from live.release_watch import PARITY
from live.risk import Risk
from live.service import Parts, Service
from live.trial_log import TrialLog
from live.trial_rows import Begun, RoutedRow
from live.wiring import symbols_of
from market.columns import BOOK_RESET
from market.feature_spec import N_COLUMNS, schema_hash
from monitoring.metrics import Metrics
from registry.card import Label
from registry.rollout import RolloutState, write
from tests.live.mirrors import Models
from tests.live.release_stage import ReleaseStage

SYMBOL, BID, MOVE = "BTCUSDT", 999_990, 1_000
TOLD, TRADED = 30, 6
HORIZON_SECONDS, BARRIER_PCT = 1.0, 0.00048
PATIENCE_SECONDS = 20.0
OUTCOMES, LOGS, LOG_ROWS, CANARIES = 3_000, 5, 20_000, 100
_ROOT = Path(__file__).resolve().parents[1]


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}."""
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder) / "redis") as server:
        told, traded = _trials(server.url, Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        cost = _cost_of_an_outcome(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        seconds = _replay_seconds(Path(folder))
    return [
        row("fence: message that gives the canary away to fenced, p50", _quantile(told, 0.5), "ms"),
        fact("fence: message that gives the canary away to fenced, p99", _quantile(told, 0.99), "ms", below=1_000.0),
        row("fence: deciding trade matured to fenced, p50", _quantile(traded, 0.5), "ms"),
        fact("fence: deciding trade matured to fenced, longest", max(traded), "ms", below=1_000.0),
        row("fence: an outcome in three running trials", cost, "us"),
        fact(f"fence: {CANARIES} recorded canaries of {LOG_ROWS} rows under another policy", seconds, "s", below=60.0),
    ]  # fmt: skip


class Fenced(AiScorer):
    """A scorer that tells when it no longer routes to the canary."""

    pipe: Connection

    def handle(self, received: Received) -> None:
        super().handle(received)
        body = received.body
        if isinstance(body, ControlEvent) and (body.event, body.route) == ("HALT", "canary"):
            self.pipe.send((time.perf_counter_ns(), self._parts.clock.wall_ns(), self._rollout.has_canary))


def _trials(url: str, folder: Path) -> tuple[list[float], list[float]]:
    """Return the milliseconds of each trial: told by a message, and by a trade."""
    models = Models(folder / "store", folder / "mirror")
    label = Label(tp_pct=BARRIER_PCT, sl_pct=BARRIER_PCT, horizon_s=HORIZON_SECONDS, net_of_fees=False)
    models.put("active", 1, label=label)
    models.put("shadow", 2, label=label)
    spawn = multiprocessing.get_context("spawn")
    near, far = spawn.Pipe()
    risk_near, risk_far = spawn.Pipe()
    others = [
        spawn.Process(daemon=True, target=_score, args=(url, folder, far)),
        spawn.Process(daemon=True, target=_watch, args=(url, folder, risk_far)),
    ]
    for each in others:
        each.start()
    assert _heard(near) == _heard(risk_near) == "ready"
    told: list[float] = []
    traded: list[float] = []
    with RedisBus(url) as bus:
        market = _Market(bus, folder / "mirror")
        for trial in range(TOLD):
            market.begin(trial)
            said_ns = market.say_parity(trial)
            fenced_ns, _, has_canary = _heard(near)
            assert not has_canary
            told.append((fenced_ns - said_ns) / 1e6)
        for trial in range(TOLD, TOLD + TRADED):
            market.begin(trial)
            ready_ns = market.trade(trial)
            _, fenced_ns, has_canary = _heard(near)
            assert not has_canary
            traded.append((fenced_ns - ready_ns) / 1e6)
    for pipe in (near, risk_near):
        pipe.send("end")
    for each in others:
        each.join()
    return told, traded


def _heard(pipe: Connection) -> Any:
    """What the other process says. Raises TimeoutError when it says nothing: it may have ended."""
    if not pipe.poll(PATIENCE_SECONDS):
        raise TimeoutError(f"nothing was said for {PATIENCE_SECONDS:g} s")
    return pipe.recv()


class _Market:
    """The market, the registry and the scorer's words."""

    def __init__(self, bus: RedisBus, mirror: Path) -> None:
        self._clock, self._mirror = SystemClock(), mirror
        self._collector = Publisher(bus, f"collector:{SYMBOL}", self._clock.wall_ns)
        self._scorer = Publisher(bus, "benchmark", self._clock.wall_ns)
        self._rng, self._books = Random(5), 0

    def begin(self, trial: int) -> None:
        """Another canary, when the failure before is forgotten; risk looks at the mirror once a second."""
        time.sleep(0.7)
        at = datetime.fromtimestamp(self._clock.wall_ns() / 1e9, UTC)
        state = RolloutState(
            epoch=trial + 1, mode="canary", canary_fraction=0.5, salt=f"s{trial}", reason="", by="bench", at=at
        )
        write(self._mirror, state)
        time.sleep(1.2 + 0.5 * self._rng.random())

    def say_parity(self, trial: int) -> int:
        """The shadow's bundle failed its golden rows; returns when that was begun to be said."""
        said_ns = time.perf_counter_ns()
        now_ns = self._clock.wall_ns()
        body = ControlEvent("ALERT", "WARN", PARITY, "v2-0a1b", "model_error", "ai_scorer", now_ns, "", "", "")
        self._scorer.publish(CONTROL, body, message_id=f"parity-{trial}-{now_ns}")
        self._scorer.flush()
        return said_ns

    def trade(self, trial: int) -> int:
        """One signal each way: the market goes the active route's way. Returns when that has matured, wall time."""
        t_ns = self._clock.wall_ns()
        self._image(t_ns, BID)
        ways: tuple[tuple[int, Route], ...] = ((1, "paper"), (-1, "canary"))
        for side, route in ways:
            judgements = [Judgement("active", "m1", 1, 0.0, 0.6, 0.5), Judgement("canary", "m2", 2, 0.0, 0.6, 0.5)]
            score = Score(
                f"{SYMBOL}-{t_ns + (side > 0)}", SYMBOL, t_ns, t_ns, side, route, 0.5, True, judgements, BID, BID + 10,
                schema_hash(), 0, bytes(4 * N_COLUMNS), f"seed:s{trial}",
            )  # fmt: skip
            self._scorer.publish(SCORES, score, message_id=score.candidate_id)
        self._scorer.flush()
        for seconds, bid in ((0.2, BID + MOVE), (HORIZON_SECONDS, BID + MOVE), (0.1, BID)):
            time.sleep(seconds)
            self._image(self._clock.wall_ns(), bid)
        return t_ns + round(HORIZON_SECONDS * 1e9) + GRACE_NS

    def _image(self, at_ns: int, bid: int) -> None:
        levels = range(10)
        flags = BOOK_RESET if not self._books else 0
        self._books += 1
        body = BookImage(
            SYMBOL, at_ns, at_ns, self._books, flags, [bid - level for level in levels], [50_000] * 10,
            [bid + 10 + level for level in levels], [50_000] * 10,
        )  # fmt: skip
        self._collector.publish(book(SYMBOL), body, message_id=f"{self._books}")
        self._collector.flush()


def _score(url: str, folder: Path, pipe: Connection) -> None:
    def build(parts: Parts) -> Service:
        scorer = Fenced(parts)
        scorer.pipe = pipe
        return scorer

    _serve("ai_scorer", url, folder, pipe, build)


def _watch(url: str, folder: Path, pipe: Connection) -> None:
    _serve("risk", url, folder, pipe, Risk)


def _serve(name: str, url: str, folder: Path, pipe: Connection, build: Callable[[Parts], Service]) -> None:
    """A process with one service, until the pipe says end."""
    settings = Settings.model_validate(
        {
            "market": {"symbols": [SYMBOL]}, "paths": {"var": str(folder)},
            "registry": {"mirror": str(folder / "mirror")},
            "rollout": {"mode": "canary", "canary_fraction": 0.5, "seed": "seed"},
            "label": {"tp_pct": BARRIER_PCT, "sl_pct": BARRIER_PCT, "horizon_seconds": HORIZON_SECONDS},
            "release": {"parity_minutes": 0.01, "min_sample": 1, "seq_min_sample": 1},
        },
        context={"root": _ROOT},
    )  # fmt: skip
    log = configure("benchmark", level="error")
    var = folder / name
    var.mkdir()
    with RedisBus(url) as bus, Wake() as waker:
        metrics = Metrics(CollectorRegistry())
        host = Host(name, bus, SystemClock(), metrics, log, settings, waker=waker)
        host.add(
            build(Parts(settings, symbols_of(settings), SystemClock(), host.output(name), metrics, log, host.wake, var))
        )
        host.start()
        pipe.send("ready")
        busy = False
        while not pipe.poll(0):
            busy = host.step(0 if busy else 50)
        host.stop()


def _cost_of_an_outcome(folder: Path) -> float:
    """Microseconds, log and verdict included."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    stage = ReleaseStage(folder)
    stage.seat(active=1, shadow=2)
    stage.roll(1)
    stage.start()
    rng, took_ns = Random(3), 0
    for _ in range(OUTCOMES):
        found = stage.outcome(
            won=rng.random() < 0.55, probabilities={1: 0.55, 2: rng.uniform(0.5, 0.6)}, salt="seed:one", fraction=0.5,
            route="canary" if rng.random() < 0.5 else "paper",
        )  # fmt: skip
        stage.clock.advance(seconds=63.0)
        begun_ns = time.perf_counter_ns()
        stage.release.on_outcome(found)
        stage.release.tick(60_000_000_000)
        took_ns += time.perf_counter_ns() - begun_ns
    return took_ns / OUTCOMES / 1_000


def _replay_seconds(folder: Path) -> float:
    """How long a stricter policy takes over a hundred canaries, a few logs again and again."""
    paths = [_canary(folder, number) for number in range(LOGS)]
    policy = ReleaseStage(
        folder, {"release": {"min_sample": 200, "winrate_delta_pp": 3.0}}
    ).parts.settings.release.policy()
    begun = time.perf_counter()
    found = list(replay((paths[number % LOGS] for number in range(CANARIES)), policy))
    assert compare(found).trials == CANARIES
    return time.perf_counter() - begun


def _canary(folder: Path, number: int) -> Path:
    """The log of an even canary of 10 % that was never found bad."""
    begun = Begun("canary", 2, "m2", 1, "one", "seed:one", 1, number, 60_000_000_000)
    log = TrialLog.begin(folder, begun)
    for row_ in _routed(Random(number)):
        log.add(row_)
    log.close()
    return log.path


def _routed(rng: Random) -> Iterator[RoutedRow]:
    for number in range(LOG_ROWS):
        yield RoutedRow(f"{SYMBOL}-{number}", number * 10**9, 0.1, rng.random() < 0.1, True, rng.random() < 0.55, 0.55)


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


if __name__ == "__main__":
    show(run())
