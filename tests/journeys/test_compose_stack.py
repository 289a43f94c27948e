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
from functools import partial
from pathlib import Path

import pytest

from config.settings import load
from live.wiring import SERVICES
from market.feature_spec import N_FEATURES
from scripts.make_secrets import main as make_secrets
from tests.journeys.compose.engine import Engine, running
from tests.journeys.compose.network import own_network
from tests.journeys.compose.plan import services
from tests.journeys.graphql import Webserver
from tests.journeys.waiting import until
from tests.live.mirrors import model_card
from tests.live.parts import ROOT
from tests.registry.graphs import Forest, forest_graph, written

CELL = "2026-01-05|BTCUSDT"
MLFLOW = "http://127.0.0.1:5000"
DAGSTER = "http://127.0.0.1:3000"
_ASKED = "TIDEGATE_STACK"
_RUN_SECONDS = 300
_SOONER = {"WARMUP_SECONDS": "10", "WARMUP_RECOVER_SECONDS": "10"}
"""All that the stack is told beside its file: five minutes of normal depth after the first book would be waited for."""


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
    for tried in (_CONTAINER, _NETWORK):
        done = subprocess.run(tried, cwd=ROOT, check=False, capture_output=True, text=True)
        if done.returncode:
            return f"no namespaces of our own here: {done.stderr.strip()[-200:]}"
    return ""


_MOUNTS = "mount -t tmpfs none /tmp && mkdir /tmp/p && mount -t proc proc /tmp/p"
_CONTAINER = ["unshare", "--mount", "--pid", "--ipc", "--fork", "/bin/sh", "-c", _MOUNTS]
_NETWORK = [sys.executable, "-c", "from tests.journeys.compose.network import own_network as o\nwith o(): pass"]


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
        name: dataclasses.replace(
            each,
            secrets={secret: str(secrets / secret) for secret in each.secrets},
            environment={**each.environment, **_SOONER} if name in SERVICES else each.environment,
        )
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
    web = Webserver(DAGSTER)
    run_id = launched("ingest_job", CELL)
    run = until(lambda: web.ended_run(run_id), _RUN_SECONDS, f"run {run_id}")
    assert run.succeeded, run.failures
    assert ("market_data", CELL) in run.materialized
    found = engine.containers["risk"].run(["find", "/app/data/parquet", "-name", "*.parquet"])
    assert "BTCUSDT" in found.stdout
    counted = engine.containers["dagster_code"].run(
        ["python", "-c", _COUNT_RUNS.replace("PLACE", "/run/secrets/postgres_dagster")]
    )
    assert int(counted.stdout) >= 1, counted.stderr


def launched(job: str, cell: str) -> str:
    """Launch a job for one partition as the page's button does; the daemon starts the run, whose id is returned."""
    day, symbol = cell.split("|")
    tags = {"dagster/partition": cell, "dagster/partition/day": day, "dagster/partition/symbol": symbol}
    params = {
        "selector": {"repositoryName": "__repository__", "repositoryLocationName": "tidegate", "jobName": job},
        "mode": "default",
        "runConfigData": {},
        "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
    }
    body = json.dumps({"query": _LAUNCH, "variables": {"params": params}}).encode()
    request = urllib.request.Request(f"{DAGSTER}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        answer = json.load(reply)
    assert "run" in answer["data"]["launchPipelineExecution"], answer
    return str(answer["data"]["launchPipelineExecution"]["run"]["runId"])


_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}"""

_COUNT_RUNS = """
import psycopg2, pathlib
link = psycopg2.connect(host="postgres", user="dagster", dbname="dagster", password=pathlib.Path("PLACE").read_text())
cursor = link.cursor()
cursor.execute("select count(*) from runs where status = 'SUCCESS'")
print(cursor.fetchone()[0])
"""

_REGISTER = """
from pathlib import Path
from config.settings import load
from pipelines.registrar import open_store
from registry.versions import TrainingData
store = open_store(load())
data = TrainingData(name="planted", source="lake", data_hash="0" * 64, rows=1)
run = store.log_training_run(parameters={"a": 1}, metrics={"b": 0.5}, tags={"git_commit": "planted"},
                             artifacts={"card/note.txt": "kept by the server"}, data=data)
print(store.register(Path("/app/var/planted"), run).number)
"""


def planted(folder: Path) -> None:
    """A small real bundle that approves nearly everything, for this repository's own settings."""
    forest = forest_graph(Forest.grown(trees=5, width=N_FEATURES, seed=1), N_FEATURES)
    described = model_card(0.01, load(ROOT / "config" / "app.yml"))
    written(folder, forest, **{name: getattr(described, name) for name in described.__struct_fields__})


def test_the_registry_is_written_by_the_trainer_and_only_read_by_others(engine: Engine, secrets: Path) -> None:
    """A run, a bundle, a version, and the alias that an operator's promotion sets, through MLflow's accounts."""
    planted(engine.folder / "volumes" / "state" / "planted")
    code = engine.containers["dagster_code"]
    recorded = code.run(["python", "-c", _REGISTER], 240)
    assert (recorded.returncode, recorded.stdout.split()[-1:]) == (0, ["1"]), recorded.stderr[-2000:]
    moved = code.run(["python", "scripts/promote_model.py", *_TO_ACTIVE], 120)
    assert moved.returncode == 0, moved.stderr[-2000:]
    assert "does not answer" not in moved.stdout
    assert "do not answer" not in moved.stdout
    password = (secrets / "mlflow_reader").read_text()
    alias = "/api/2.0/mlflow/registered-models/alias?name=signal_scorer&alias=active"
    assert ask(alias)[0] == 401
    assert ask(alias, "reader", "wrong password")[0] == 401
    status, text = ask(alias, "reader", password)
    assert (status, json.loads(text)["model_version"]["version"]) == (200, "1")
    other = {"name": "signal_scorer", "alias": "shadow", "version": "1"}
    assert ask("/api/2.0/mlflow/registered-models/alias", "reader", password, other)[0] == 403
    assert list((engine.folder / "volumes" / "artifacts").rglob("note.txt"))


_TO_ACTIVE = ["--to", "active", "--id", "1", "--force", "--reason", "a journey", "--by", "tests"]


def test_the_streams_know_every_service_by_name(engine: Engine, secrets: Path) -> None:
    """Nobody speaks without a password, and nobody writes another's streams."""
    redis = engine.containers["redis"]
    assert "NOAUTH" in redis.run(["redis-cli", "ping"]).stdout
    password = (secrets / "redis_executor").read_text()
    said = redis.run(["redis-cli", "--user", "executor", "-a", password, "xadd", "sig:approved", "*", "d", "x"])
    assert "NOPERM" in said.stdout
    beats = redis.run(["redis-cli", "--user", "executor", "-a", password, "mget", "hb:risk", "hb:collector"]).stdout
    assert '"running"' in beats.replace("\\", "")


def seen(engine: Engine, service: str, series: str) -> bool | None:
    """Whether a service counts something in the series that begin so, by the page that its own container shows."""
    port = 9100 + SERVICES.index(service)
    page = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{port}/metrics').read().decode())"
    lines = engine.containers[service].run(["python", "-c", page]).stdout.splitlines()
    return True if sum(float(line.split()[-1]) for line in lines if line.startswith(series)) > 0 else None


def test_a_candidate_is_scored_approved_and_traded_on_paper(engine: Engine) -> None:
    """The live chain speaks, with the version that came from MLflow by way of the mirror."""
    for service, series in (
        ("signal_engine", "candidates_total{"),
        ("ai_scorer", "approvals_total{"),
        ("executor", 'orders_total{route="paper",state="accepted"}'),
    ):
        until(partial(seen, engine, service, series), 180, series)
    ready = [engine.containers[name].run(["python", "-m", "live.health", name]) for name in ("ai_scorer", "model_sync")]
    assert [each.stdout for each in ready] == ["ai_scorer: well\n", "model_sync: well\n"]


def test_a_service_that_dies_comes_back(engine: Engine) -> None:
    """Killed as by the kernel, started anew as by the restart policy: healthy again, on the same volumes."""
    engine.containers["executor"].kill()
    engine.restart("executor")
    engine.up(["executor"])
    assert "services_started" in engine.containers["executor"].log_end


def test_no_log_shows_a_password_or_tells_of_a_place_that_cannot_be_written(engine: Engine, secrets: Path) -> None:
    """Of no service, after all of the above."""
    passwords = [
        file.read_text().strip() for file in secrets.iterdir() if file.is_file() and file.name != "redis_users"
    ]
    logs = {log.name: log.read_text(errors="replace") for log in engine.folder.glob("*.log")}
    assert {name.split(".")[0] for name, text in logs.items() if text} >= {*engine.services} - {"postgres"}
    for forbidden in (*passwords, "Permission denied", "Read-only file system"):
        assert [name for name, text in logs.items() if forbidden in text] == []


def test_all_end_in_order_when_asked(engine: Engine) -> None:
    """Within their grace, by SIGTERM alone."""
    codes = engine.down()
    assert {name: code for name, code in codes.items() if code not in (0, 143)} == {}
