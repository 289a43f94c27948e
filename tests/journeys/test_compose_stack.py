"""Every service of the paper profile for real, as the compose file says, and a journey over them. `make stack` runs it.

No engine is needed: tests.journeys.compose gives each service its command, environment, user, read-only root, volumes
and secrets with the kernel's namespaces, which takes root. PostgreSQL and Redis are Debian's.
"""

import base64
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.make_secrets import main as make_secrets
from tests.journeys.compose.engine import Engine, running
from tests.journeys.compose.network import own_network
from tests.journeys.compose.plan import services
from tests.journeys.graphql import Webserver
from tests.journeys.waiting import until

CELL = "2026-01-05|BTCUSDT"
MLFLOW = "http://127.0.0.1:5000"
_ASKED = "TIDEGATE_STACK"
_RUN_SECONDS = 300


def _missing() -> str:
    if os.environ.get(_ASKED) != "1":
        return f"minutes long: make stack, or {_ASKED}=1"
    if os.geteuid() != 0:
        return "needs root for the containers' namespaces"
    absent = [name for name in ("docker-compose", "redis-server", "unshare", "setpriv", "ip") if not shutil.which(name)]
    if not list(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
        absent.append("postgresql")
    if absent:
        return f"not on this machine: {', '.join(absent)}"
    return (
        "" if subprocess.run(["unshare", "--net", "--mount", "true"], check=False).returncode == 0 else "no namespaces"
    )


pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(_missing()), reason=_missing() or "runs")]


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Passwords made by the script that operators use."""
    folder = tmp_path_factory.mktemp("secrets")
    assert make_secrets(["--into", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, secrets: Path) -> Iterator[Engine]:
    """The whole profile, healthy by its own checks."""
    folder = tmp_path_factory.mktemp("stack")
    for each in (folder, *folder.parents[:3]):
        each.chmod(each.stat().st_mode | 0o055)
    environ = {**os.environ, "MARKET_SYMBOLS": "BTCUSDT", "MARKET_LAST_DAY": "2026-01-05"}
    plan = {
        name: dataclasses.replace(each, secrets={secret: str(secrets / secret) for secret in each.secrets})
        for name, each in services("paper", environ).items()
    }
    with own_network(), running(plan, folder) as started:
        started.up()
        yield started


def ask(path: str, user: str = "", password: str = "", body: object = None) -> tuple[int, str]:
    """MLflow's answer to a request, by an account or nobody."""
    headers = {"Content-Type": "application/json"}
    if user:
        headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{MLFLOW}{path}", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_every_service_is_healthy_by_its_own_check(engine: Engine) -> None:
    """Started in order, in its start period; the one that only makes accounts is done."""
    assert sorted(engine.healthy_after) == sorted(engine.services)
    times = {name: round(seconds, 1) for name, seconds in engine.healthy_after.items()}
    sys.stdout.write(f"\nhealthy after, seconds: {times}\n")


def test_nobody_is_root_and_nothing_can_be_written_but_the_volumes(engine: Engine) -> None:
    """As the file says, tried in every container that runs."""
    for name, container in engine.containers.items():
        if container.code is None:
            assert container.run(["id", "-u"]).stdout.strip() not in ("0", ""), name
            refused = container.run(["touch", "/usr/planted", "/planted", "/etc/planted"])
            assert refused.stderr.count("Read-only file system") == 3, (name, refused.stderr)
            assert container.run(["touch", "/tmp/planted"]).returncode == 0, name  # noqa: S108 - its own


def test_an_asset_is_made_from_dagsters_page_on_postgresql(engine: Engine) -> None:
    """Webserver, daemon, code server and database together; the partition lies in the shared lake."""
    web = Webserver("http://127.0.0.1:3000")
    run_id = web.launch("ingest_job", CELL)
    run = until(lambda: web.ended_run(run_id), _RUN_SECONDS, f"run {run_id}")
    assert run.succeeded, run.failures
    assert ("market_data", CELL) in run.materialized
    found = engine.containers["risk"].run(["find", "/app/data/parquet", "-name", "*.parquet"])
    assert "BTCUSDT" in found.stdout
    counted = engine.containers["dagster_code"].run(
        ["python", "-c", _COUNT_RUNS.replace("PLACE", "/run/secrets/postgres_dagster")]
    )
    assert int(counted.stdout) >= 1, counted.stderr


_COUNT_RUNS = """
import psycopg2, pathlib
link = psycopg2.connect(host="postgres", user="dagster", dbname="dagster", password=pathlib.Path("PLACE").read_text())
cursor = link.cursor()
cursor.execute("select count(*) from runs where status = 'SUCCESS'")
print(cursor.fetchone()[0])
"""

_RECORD_A_RUN = """
from config.settings import load
from pipelines.registrar import open_store
from registry.versions import TrainingData
store = open_store(load())
data = TrainingData(name="planted", source="lake", data_hash="0" * 64, rows=1)
run = store.log_training_run(parameters={"a": 1}, metrics={"b": 0.5}, tags={"git_commit": "planted"},
                             artifacts={"card/note.txt": "kept by the server"}, data=data)
store._ensure_model()
made = store._client.create_model_version("signal_scorer", source=f"runs:/{run}/card", run_id=run)
store.set_alias("shadow", int(made.version))
print(run)
"""


def test_the_registry_is_written_by_the_trainer_and_only_read_by_others(engine: Engine, secrets: Path) -> None:
    """A run with an artifact, a version and an alias, through MLflow's accounts."""
    recorded = engine.containers["dagster_code"].run(["python", "-c", _RECORD_A_RUN], 240)
    assert recorded.returncode == 0, recorded.stderr[-2000:]
    password = (secrets / "mlflow_reader").read_text()
    alias = "/api/2.0/mlflow/registered-models/alias?name=signal_scorer&alias=shadow"
    assert ask(alias)[0] == 401
    assert ask(alias, "reader", "wrong password")[0] == 401
    status, text = ask(alias, "reader", password)
    assert (status, json.loads(text)["model_version"]["version"]) == (200, "1")
    moved = {"name": "signal_scorer", "alias": "active", "version": "1"}
    assert ask("/api/2.0/mlflow/registered-models/alias", "reader", password, moved)[0] == 403
    assert list((engine.folder / "volumes" / "artifacts").rglob("note.txt"))


def test_the_streams_know_every_service_by_name(engine: Engine, secrets: Path) -> None:
    """Nobody speaks without a password, and nobody writes another's streams."""
    redis = engine.containers["redis"]
    assert "NOAUTH" in redis.run(["redis-cli", "ping"]).stdout
    password = (secrets / "redis_executor").read_text()
    said = redis.run(["redis-cli", "--user", "executor", "-a", password, "xadd", "sig:approved", "*", "d", "x"])
    assert "NOPERM" in said.stdout
    beats = redis.run(["redis-cli", "--user", "executor", "-a", password, "mget", "hb:risk", "hb:collector"]).stdout
    assert '"running"' in beats.replace("\\", "")


def test_candidates_are_found_on_the_simulated_market(engine: Engine) -> None:
    """The live chain speaks: from the collector's books to the signal engine's candidates."""
    page = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9101/metrics').read().decode())"

    def found() -> bool | None:
        lines = engine.containers["signal_engine"].run(["python", "-c", page]).stdout.splitlines()
        counts = [float(line.split()[-1]) for line in lines if line.startswith("candidates_total{")]
        return True if sum(counts) > 0 else None

    until(found, 180, "a candidate")


def test_a_service_that_dies_comes_back(engine: Engine) -> None:
    """Killed as by the kernel, started anew as by the restart policy: healthy again, on the same volumes."""
    engine.containers["executor"].kill()
    engine.restart("executor")
    engine.up(["executor"])
    assert "services_started" in engine.containers["executor"].log_end


def test_no_password_is_in_any_log(engine: Engine, secrets: Path) -> None:
    """Of no service, after all of the above."""
    passwords = [
        file.read_text().strip() for file in secrets.iterdir() if file.is_file() and file.name != "redis_users"
    ]
    for log in engine.folder.glob("*.log"):
        text = log.read_text(errors="replace")
        assert not [each for each in passwords if each in text], log.name


def test_all_end_in_order_when_asked(engine: Engine) -> None:
    """Within their grace, by SIGTERM alone."""
    codes = engine.down()
    assert {name: code for name, code in codes.items() if code not in (0, 143)} == {}
