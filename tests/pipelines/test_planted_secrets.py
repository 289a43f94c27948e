"""A model is trained and registered through Dagster with secrets all around it: none of them is kept anywhere.

What Dagster and MLflow keep is looked through as it lies on disk: databases, event logs, compute logs, artifacts.
"""

import gzip
import sqlite3
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from pipelines.definitions import build
from registry.bundle import SIGNATURE_FILE, verify_bundle
from registry.signing import Trust, new_key
from tests.pipelines.days import Bench, bench
from tests.pipelines.test_notification import webhook

PLANTED = {
    "REDIS_PASSWORD": "pl4nted-redis",
    "EXCHANGE_API_KEY": "pl4nted-venue-key",
    "EXCHANGE_API_SECRET": "pl4nted-venue-secret",
    "MLFLOW_TRACKING_USERNAME": "pl4nted-mlflow-name",
    "MLFLOW_TRACKING_PASSWORD": "pl4nted-mlflow",
}
IN_ADDRESSES = ("pl4nted-streams", "pl4nted-notice", "pl4nted-registry")
TRAINED = ("training_set", "model", "onnx_bundle", "parity_report", "model_card", "candidate")


@dataclass(frozen=True)
class Stack:
    """What the runs left behind, and the signing key that they had."""

    root: Path
    workspace: Bench
    signing_key: str
    public_key: str
    runs: dict[str, bool]
    said: str

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every one of them; of the key each line but its frame."""
        return (*PLANTED.values(), *IN_ADDRESSES, *self.signing_key.splitlines()[1:-1])


@pytest.fixture(scope="module")
def stack(finished: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A training that succeeds, an alert that cannot be told, a registry that is away: each a run of Dagster."""
    root = tmp_path_factory.mktemp("planted")
    private, public = new_key()
    paths = {"lake": str(finished.settings.paths.lake)}
    (root / "dagster").mkdir()
    overrides = {"telemetry": {"enabled": False}, "nux": {"enabled": False}}
    alert = {"release_alert": {"config": {"title": "silent", "text": "risk", "runbook": "docs/r.md#a"}}}
    with pytest.MonkeyPatch.context() as patch, webhook(500) as (hook, _):
        for name, value in {**PLANTED, "REGISTRY_SIGNING_KEY": private}.items():
            patch.setenv(name, value)
        notify = [hook.replace("secret", "pl4nted-notice"), "nowhere://pl4nted-notice/1"]
        redis = {"url": "redis://risk:pl4nted-streams@127.0.0.1:1/0"}
        workspace = bench(root, paths=paths, release={"notify": notify}, redis=redis)
        address = {"tracking_uri": "http://trainer:pl4nted-registry@127.0.0.1:9"}
        away = bench(root / "away", paths=paths, release={"notify": notify}, registry=address)
        with dg.DagsterInstance.local_temp(str(root / "dagster"), overrides=overrides) as instance:
            trained = build(workspace).resolve_job_def("train_job").execute_in_process(
                instance=instance, asset_selection=[dg.AssetKey(each) for each in TRAINED], raise_on_error=False,
            )  # fmt: skip
            told = build(workspace).resolve_job_def("release_alert_job").execute_in_process(
                instance=instance, run_config={"ops": alert}, raise_on_error=False
            )  # fmt: skip
            for name in ("model", "parity_report"):
                stored = workspace.folder("artifacts") / f"{name}.json"
                (away.folder("artifacts") / stored.name).write_bytes(stored.read_bytes())
            refused = build(away).resolve_job_def("train_job").execute_in_process(
                instance=instance, asset_selection=[dg.AssetKey("model_card")], raise_on_error=False
            )  # fmt: skip
            events = [event for run in (trained, told, refused) for event in instance.all_logs(run.run_id)]
            said = "\n".join(str(each) for each in events)
        runs = {"trained": trained.success, "told": told.success, "refused": refused.success}
        yield Stack(root, workspace, private, public, runs, said)


def kept(root: Path) -> Iterator[tuple[str, str]]:
    """(where, what) of everything below a folder: files as they are, packed ones unpacked, databases row by row too."""
    for path in sorted(each for each in root.rglob("*") if each.is_file()):
        content = path.read_bytes()
        yield str(path), content.decode("latin-1")
        if content.startswith(b"SQLite format 3"):
            with sqlite3.connect(path) as database:
                yield f"{path} as SQL", "\n".join(database.iterdump())
        elif content.startswith(b"\x1f\x8b"):
            yield f"{path} unpacked", gzip.decompress(content).decode("latin-1")
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    yield f"{path}/{name}", archive.read(name).decode("latin-1")


def leaks(root: Path, secrets: tuple[str, ...]) -> list[str]:
    """Where a secret stands, and which."""
    return [f"{where} keeps {each}" for where, text in kept(root) for each in secrets if each in text]


@pytest.mark.slow
def test_no_run_of_dagster_and_no_registry_keeps_a_secret(stack: Stack) -> None:
    """Of a run that went well, and of two that failed on addresses with passwords in them."""
    assert stack.runs == {"trained": True, "told": False, "refused": False}
    assert stack.workspace.store.by_alias("candidate") is not None
    everything = dict(kept(stack.root))
    for place in ("mlflow.db as SQL", "runs.db as SQL", "index.db as SQL", ".err", "card.md", "model.onnx"):
        assert any(where.endswith(place) for where in everything), f"there is no {place} to look through"
    assert "127.0.0.1:9" in stack.said and "did not take the message" in stack.said, "the failures must be told of"
    assert leaks(stack.root, stack.secrets) == []
    assert [each for each in stack.secrets if each in stack.said] == []


@pytest.mark.slow
def test_what_training_signed_is_what_the_registry_gives(stack: Stack, tmp_path: Path) -> None:
    """The signature goes up with the bundle, so that whoever trusts the key may load what comes down."""
    store = stack.workspace.store
    version = store.by_alias("candidate")
    assert version is not None
    folder = store.download(version, tmp_path / "bundle")
    assert (folder / SIGNATURE_FILE).is_file()
    (tmp_path / "trusted_keys").write_text(stack.public_key + "\n")
    Trust.read(tmp_path / "trusted_keys").check(folder, verify_bundle(folder))


def test_a_secret_that_is_kept_is_found(tmp_path: Path) -> None:
    """In a row of a database, and in a packed file."""
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("create table told (what text)")
        database.execute("insert into told values ('pl4nted-a')")
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"pl4nted-b"))
    found = leaks(tmp_path, ("pl4nted-a", "pl4nted-b", "pl4nted-c"))
    assert {each.rpartition(" ")[2] for each in found} == {"pl4nted-a", "pl4nted-b"}
