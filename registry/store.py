"""The MLflow store: training runs that compare side by side, model versions, their tags and aliases.

MLflow is the truth about which versions exist; what trades is the mirror beside it. This is the only importer of
mlflow, and only once a store is used: the import costs five seconds. MLflow has no compare-and-set, so whatever reads,
checks and then writes does so under one file lock.
"""

# ruff: noqa: PLC0415  # mlflow is imported where a store is first used, not where the module is

import json
import logging
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from monitoring.masking import masked
from registry.bundle import stamp_bundle, verify_bundle
from registry.card import ModelCard
from registry.database import MALFORMED, check_database, log_in, quotable, shortened, why_not_opened
from registry.errors import AliasMoved, RegistryError, StoreUnavailable, UnknownVersion
from registry.files import locked
from registry.staging import check_metrics, check_source, stage
from registry.versions import TrainingData, Version

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

BUNDLE_FOLDER = "bundle"
SERVER_KEEPS = "mlflow-artifacts:"
"""An artifact root that begins so lies where the MLflow server keeps its artifacts: it then names each experiment's
place itself, which is what its accounts are held against."""

# Read by MLflow when it is imported, or used: no telemetry, no search for git, no progress bars, no job workers.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # Its own patience with a server that is away is four minutes; ours is one try more.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
_DIGEST_LENGTH = 36
_BATCH = 100


class _Anything(Enum):
    """Tells a caller who expects no alias (None) from one who does not care."""

    ANYTHING = "anything"


ANYTHING: Final = _Anything.ANYTHING


class ModelStore:
    """Runs and versions of one registered model.

    `tracking_uri` is `sqlite:///path` or the URL of an MLflow server or database; `artifact_root` a folder or an
    object-store URL. `lock_folder` is where the lock file lies: needed when artifact_root is a URL.
    """

    def __init__(
        self,
        tracking_uri: str,
        artifact_root: str | Path,
        name: str = "signal_scorer",
        *,
        lock_folder: Path | None = None,
    ) -> None:
        is_url = "://" in str(artifact_root)
        if is_url and lock_folder is None:
            raise RegistryError(
                f"artifact root {artifact_root} is a URL: give lock_folder, a local folder for the lock"
            )
        for variable, value in _QUIET.items():
            os.environ.setdefault(variable, value)
        log_in(os.environ)
        self.name = name
        self.tracking_uri = tracking_uri
        self.artifact_root = str(artifact_root) if is_url else str(Path(artifact_root).absolute())
        self._lock_folder = lock_folder or Path(self.artifact_root)

    def log_training_run(
        self,
        *,
        parameters: Mapping[str, object],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        artifacts: Mapping[str, Path | bytes | str],
        data: TrainingData,
        run_name: str | None = None,
    ) -> str:
        """Record one finished training and return its run id.

        Give every run the same metric and parameter names, so that MLflow lines them up; tag `git_commit`. Artifacts
        are keyed by their path inside the run (`card/reliability.png`): bytes, text, or a file or folder to copy.
        A run that cannot be recorded whole is marked FAILED. Raises RegistryError naming a metric that is not finite,
        an artifact that is missing or points outside the run, or what MLflow refused.
        """
        check_metrics(metrics)
        with tempfile.TemporaryDirectory(prefix="tidegate-run-") as staged, self._refusing("record the training run"):
            stage(artifacts, Path(staged))
            run_id = str(self._client.create_run(self._experiment_id, tags=dict(tags), run_name=run_name).info.run_id)
            try:
                self._log_values(run_id, parameters, metrics)
                self._log_data(run_id, data)
                self._client.log_artifacts(run_id, staged)
            except BaseException:
                self._client.set_terminated(run_id, status="FAILED")
                raise
            self._client.set_terminated(run_id)
            return run_id

    def add_to_run(
        self,
        run_id: str,
        *,
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        artifacts: Mapping[str, Path | bytes | str],
    ) -> None:
        """Add to a finished run what was found out later; metrics keep their history, artifacts are replaced.

        Versions are compared by their runs, so what live says of a version belongs beside what training said. Raises
        RegistryError as log_training_run does, and before anything is written when a metric or artifact is at fault.
        """
        check_metrics(metrics)
        with tempfile.TemporaryDirectory(prefix="tidegate-run-") as staged, self._refusing(f"add to run {run_id}"):
            stage(artifacts, Path(staged))
            self._client.log_artifacts(run_id, staged)
            self._log_values(run_id, {}, metrics)
            for key, value in tags.items():
                self._client.set_tag(run_id, key, value)

    def register(self, bundle_folder: Path, run_id: str, tags: Mapping[str, str] | None = None) -> Version:
        """Verify a bundle, store it with its run and return the new version, in state `candidate`, without an alias.

        Registering the same bundle id again returns the version it already has, so a retried job makes no second one.
        Raises RegistryError when that version holds another sha256, and BundleError for a damaged folder.
        """
        card = verify_bundle(bundle_folder)
        with locked(self._lock_folder), self._refusing(f"register bundle {card.id}"):
            known = next((version for version in self.versions() if version.model_id == card.id), None)
            if known is not None:
                if known.sha256 != card.sha256:
                    raise RegistryError(
                        f"{self.name} version {known.number} already has id {card.id} with sha256 {known.sha256}, "
                        f"this bundle's is {card.sha256}; give the bundle an id of its own"
                    )
                return known
            run = self._client.get_run(run_id)
            self._client.log_artifacts(run_id, str(bundle_folder), BUNDLE_FOLDER)
            self._ensure_model()
            made = self._client.create_model_version(
                self.name,
                source=f"{run.info.artifact_uri}/{BUNDLE_FOLDER}",
                run_id=run_id,
                tags={**(tags or {}), **_card_tags(card)},
                await_creation_for=0,
            )
        return self.version(int(made.version))

    def set_alias(self, alias: str, number: int, *, expected: int | _Anything | None = ANYTHING) -> None:
        """Let `alias` name version `number`.

        With `expected`, the number the caller saw there (None: no such alias), the move is a compare-and-set: raises
        AliasMoved when somebody else was faster, and UnknownVersion when there is no such version.
        """
        with locked(self._lock_folder), self._refusing(f"set alias {alias!r}"):
            self.version(number)
            found = self.aliases().get(alias)
            if expected is not ANYTHING and found != expected:
                raise AliasMoved(
                    f"alias {alias!r} of {self.name} names version {found}, expected {expected}; look again and retry"
                )
            self._client.set_registered_model_alias(self.name, alias, str(number))

    def delete_alias(self, alias: str) -> None:
        """Take an alias away; one that is not there is fine."""
        with locked(self._lock_folder), self._refusing(f"delete alias {alias!r}"):
            if alias in self.aliases():
                self._client.delete_registered_model_alias(self.name, alias)

    def aliases(self) -> dict[str, int]:
        """Return the version that each alias names."""
        with self._refusing("read the aliases"):
            models = self._client.search_registered_models(f"name='{self.name}'")
            return {alias: int(number) for model in models for alias, number in model.aliases.items()}

    def model_tags(self) -> dict[str, str]:
        """Return the tags of the registered model, none before its first version."""
        with self._refusing("read the model's tags"):
            models = self._client.search_registered_models(f"name='{self.name}'")
            return {key: str(value) for model in models for key, value in model.tags.items()}

    def set_model_tags(self, tags: Mapping[str, str]) -> None:
        """Write tags of the registered model; those that are not named stay."""
        with self._refusing("tag the model"):
            for key, value in tags.items():
                self._client.set_registered_model_tag(self.name, key, value)

    def set_version_tags(self, number: int, tags: Mapping[str, str]) -> None:
        """Write tags of a version; those that are not named stay. Raises UnknownVersion."""
        with self._refusing(f"tag version {number}"):
            self.version(number)
            for key, value in tags.items():
                self._client.set_model_version_tag(self.name, str(number), key, value)

    def by_alias(self, alias: str) -> Version | None:
        """Return the version that an alias names, or None when there is no such alias yet."""
        with self._refusing(f"read alias {alias!r}"):
            number = self.aliases().get(alias)
        return None if number is None else self.version(number)

    def by_model_id(self, model_id: str) -> Version:
        """Return the version of a bundle id; raise UnknownVersion naming the ids there are."""
        versions = self.versions()
        for version in versions:
            if version.model_id == model_id:
                return version
        known = ", ".join(version.model_id for version in versions[:10]) or "none"
        raise UnknownVersion(f"{self.name} has no version with id {model_id!r}; newest ids: {known}")

    def version(self, number: int) -> Version:
        """Return a version by number; raise UnknownVersion naming the newest."""
        versions = self.versions()
        for version in versions:
            if version.number == number:
                return version
        newest = f"the newest is {versions[0].number}" if versions else "it has none yet: run train_job"
        raise UnknownVersion(f"{self.name} has no version {number}; {newest}")

    def versions(self) -> list[Version]:
        """Return all versions, newest first."""
        with self._refusing("list the versions"):
            named: dict[int, list[str]] = {}
            for alias, number in self.aliases().items():
                named.setdefault(number, []).append(alias)
            found, token = [], None
            while True:
                page = self._client.search_model_versions(f"name='{self.name}'", page_token=token)
                found += [self._told(each, named.get(int(each.version), [])) for each in page]
                if not (token := page.token):
                    return sorted(found, key=lambda version: -version.number)

    def download(self, version: Version, folder: Path) -> Path:
        """Fetch a version's bundle, verify it against the version's tags, and return `folder`, which then holds it.

        Its card then names the version and the run; the sha256 does not cover these. A verified copy that is already
        there is used again, a damaged one replaced; nothing unverified stands under the name. Raises RegistryError
        when the artifact is missing, BundleError when it is not what was registered.
        """
        if folder.exists():
            try:
                verify_bundle(folder, version.sha256, version.schema_hash)
            except RegistryError:
                shutil.rmtree(folder)
            else:
                return folder
        check_source(version.source, self.artifact_root)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as beside:
            fetched = self._fetch(
                version.source,
                beside,
                f"fetch version {version.number} from {version.source}; restore the artifact folder, or train again",
            )
            verify_bundle(fetched, version.sha256, version.schema_hash)
            stamp_bundle(fetched, version.number, version.run_id)
            fetched.rename(folder)
        return folder

    def run_artifact(self, run_id: str, path: str, into: Path) -> Path:
        """Fetch one artifact of a run (`card/gain.json`) into a folder and return where it lies there."""
        doing = f"fetch {path} of run {run_id}"
        with self._refusing(doing):
            run = self._client.get_run(run_id)
        into.mkdir(parents=True, exist_ok=True)
        return self._fetch(f"{run.info.artifact_uri}/{path}", str(into), doing)

    def run_metrics(self, run_id: str) -> dict[str, float]:
        """Return the metrics of a run by name."""
        with self._refusing(f"read the metrics of run {run_id}"):
            return dict(self._client.get_run(run_id).data.metrics)

    def _fetch(self, uri: str, into: str, doing: str) -> Path:
        from mlflow.artifacts import download_artifacts

        with self._refusing(doing):
            return Path(download_artifacts(uri, dst_path=into, tracking_uri=self.tracking_uri))

    @cached_property
    def _client(self) -> "MlflowClient":
        check_database(self.tracking_uri)
        with warnings.catch_warnings():
            # What MLflow and SQLAlchemy deprecate of each other is not ours to mend.
            warnings.simplefilter("ignore", DeprecationWarning)
            from mlflow import MlflowClient
            from mlflow.exceptions import MlflowException

            logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
            try:
                return MlflowClient(self.tracking_uri, self.tracking_uri)
            except MlflowException as error:
                raise StoreUnavailable(why_not_opened(self.tracking_uri, str(error))) from quotable(error)

    @cached_property
    def _experiment_id(self) -> str:
        found = self._client.get_experiment_by_name(self.name)
        if found is None:
            is_server_s = self.artifact_root.startswith(SERVER_KEEPS)
            place = None if is_server_s else self.artifact_root
            return str(self._client.create_experiment(self.name, artifact_location=place))
        if found.lifecycle_stage != "active":
            raise StoreUnavailable(
                f"experiment {self.name!r} in {masked(self.tracking_uri)} is deleted; restore it with "
                f"'mlflow experiments restore --experiment-id {found.experiment_id}'"
            )
        return str(found.experiment_id)

    def _ensure_model(self) -> None:
        if not self._client.search_registered_models(f"name='{self.name}'"):
            self._client.create_registered_model(self.name, description="Scores candidate signals; see the card.")

    def _log_values(self, run_id: str, parameters: Mapping[str, object], metrics: Mapping[str, float]) -> None:
        from mlflow.entities import Metric, Param

        now_ms = time.time_ns() // 1_000_000
        params = [Param(key, str(value)) for key, value in parameters.items()]
        values = [Metric(key, value, now_ms, 0) for key, value in metrics.items()]
        for start in range(0, max(len(params), len(values)), _BATCH):
            end = start + _BATCH
            self._client.log_batch(run_id, metrics=values[start:end], params=params[start:end])

    def _log_data(self, run_id: str, data: TrainingData) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        described = Dataset(
            name=data.name,
            digest=data.data_hash[:_DIGEST_LENGTH],
            source_type="lake",
            source=json.dumps({"uri": data.source}),
            profile=json.dumps({"rows": data.rows, "data_hash": data.data_hash}),
        )
        self._client.log_inputs(run_id, [DatasetInput(described, [InputTag("mlflow.data.context", "training")])])

    def _told(self, version: "ModelVersion", aliases: list[str]) -> Version:
        tags = dict(version.tags)
        return Version(
            name=self.name,
            number=int(version.version),
            model_id=tags.get("model_id", ""),
            sha256=tags.get("sha256", ""),
            schema_hash=tags.get("schema_hash", ""),
            data_hash=tags.get("data_hash", ""),
            state=tags.get("state", ""),
            run_id=version.run_id or "",
            source=version.source or "",
            created_ns=int(version.creation_timestamp) * 1_000_000,
            aliases=tuple(sorted(aliases)),
            tags=tags,
        )

    @contextmanager
    def _refusing(self, doing: str) -> Iterator[None]:
        """Turn what MLflow raises into an error that says what was being done, and where."""
        from google.protobuf.json_format import Error as NoSuchMessage
        from mlflow.exceptions import MlflowException

        try:
            yield
        except RegistryError:
            raise
        except (MlflowException, NoSuchMessage, *MALFORMED) as error:
            found = shortened(str(error))
            where = f"{self.name} in {masked(self.tracking_uri)}"
            raise RegistryError(f"{where}: MLflow would not {doing}: {found}") from quotable(error)


def _card_tags(card: ModelCard) -> dict[str, str]:
    proof = card.parity
    return {
        "model_id": card.id,
        "sha256": card.sha256,
        "schema_hash": card.schema_hash,
        "data_hash": card.training.data_hash,
        "parity": f"{proof.margin_mismatches} margin mismatches, {proof.flips} flips in {proof.rows} rows",
        "state": "candidate",
    }
