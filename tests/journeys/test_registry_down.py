"""An MLflow server that is not there, comes, and is stopped: trading goes on, and a moved alias is followed at once."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bus import streams
from bus.codec import decode
from bus.messages import Score
from registry.store import ModelStore
from registry.versions import TrainingData
from tests.bus.servers import needs_redis
from tests.journeys.live.processes import Process, Site, site
from tests.journeys.played import mirror, overrides, seconds_until
from tests.live.registries import FakeRegistry
from tidegate.live_stack import SERVICES
from tidegate.up import Page, answers, pages_of, start, stop

START_SECONDS, PATIENCE_SECONDS = 120.0, 60.0
MOST_SECONDS = 10.0
"""Far more than the two seconds it should take: what is measured is told, and a busy machine fails no test."""


@pytest.mark.slow
@needs_redis
def test_trading_goes_on_without_the_registry_and_follows_it_when_it_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the mirror while the server is away; within seconds by the alias that was moved; by that one when it stops."""
    port = free_port()
    models = mirror(tmp_path)
    store = registry_of(tmp_path, FakeRegistry(models))
    models.put("active", 1)
    server = page(tmp_path, port)
    with site(tmp_path) as place:
        place.environ |= overrides(tmp_path, FEED_MINUTES="0", MARKET_SYMBOLS="BTCUSDT")
        place.start(*SERVICES)
        artifacts = str(tmp_path / "artifacts")
        sync = place.start("model_sync", REGISTRY_TRACKING_URI=server.url, REGISTRY_ARTIFACTS=artifacts)
        more_scores(place, 1)
        assert not place.is_ready(sync)
        with serving(server, tmp_path / "mlflow.log"):
            seconds_until(lambda: place.is_ready(sync), PATIENCE_SECONDS, "the registry's first answer")
            more_scores(place, 1)
            store.set_alias("active", 2)
            took = seconds_until(lambda: newest(place) == 2, MOST_SECONDS, "a score by the version the alias names")
        with capsys.disabled():
            print(f" [alias moved to first score by the new model: {took:.2f} s]", end="")  # noqa: T201
        assert not answers(server)
        seconds_until(lambda: is_silent(place, sync), PATIENCE_SECONDS, "word that the registry is silent")
        more_scores(place, 2)
        said = scores(place)
    versions = [each.judgements[0].version for each in said]
    assert versions == sorted(versions), "one version, then the other"
    assert len({each.candidate_id for each in said}) == len(said)


def registry_of(folder: Path, made: FakeRegistry) -> ModelStore:
    """A registry in a database, with two versions, the first of them active."""
    store = ModelStore(f"sqlite:///{folder}/mlflow.db", str(folder / "artifacts"), "signal_scorer")
    for number in (1, 2):
        made.add(number)
        data = TrainingData("d", "ab" * 32, "lake", 1)
        run_id = store.log_training_run(parameters={}, metrics={}, tags={}, artifacts={}, data=data)
        assert store.register(made.folder(number), run_id).number == number
    store.set_alias("active", 1)
    return store


def page(folder: Path, port: int) -> Page:
    """The server over that database."""
    return pages_of(f"sqlite:///{folder}/mlflow.db", str(folder / "artifacts"), 0, port)[1]


@contextmanager
def serving(server: Page, log: Path) -> Iterator[None]:
    """Run the server; when the block ends it is stopped, with everything that listens for it."""
    process = start(server, log, {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"})
    try:
        seconds_until(lambda: _is_up(server, process, log), START_SECONDS, f"MLflow; its output is in {log}")
        yield
    finally:
        stop([process])


def more_scores(place: Site, version: int, count: int = 50) -> None:
    """Wait for so many scores more, all by one version."""
    begin = len(scores(place))
    seconds_until(lambda: len(scores(place)) >= begin + count, PATIENCE_SECONDS, f"{count} scores more")
    assert {each.judgements[0].version for each in scores(place)[begin + 1 :]} == {version}


def scores(place: Site) -> list[Score]:
    """Every score so far."""
    found = [decode(entry).body for entry in place.bus.recent(streams.SCORES, 1_000_000)]
    return [each for each in found if isinstance(each, Score)]


def newest(place: Site) -> int:
    """The version that gave the newest score."""
    body = decode(place.bus.recent(streams.SCORES, 1)[-1]).body
    assert isinstance(body, Score)
    return body.judgements[0].version


def is_silent(place: Site, sync: Process) -> bool:
    """Whether model_sync runs, and says that the registry does not answer."""
    beat = place.beat(sync)
    assert sync.is_running
    return beat is not None and not beat.ready and bool(beat.status["text"])


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_up(server: Page, process: "subprocess.Popen[bytes]", log: Path) -> bool:
    assert process.poll() is None, f"MLflow ended with {process.returncode}: {log.read_text()[-2_000:]}"
    return answers(server)
