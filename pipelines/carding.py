"""The model card as an MLflow run, and the step from a run to a version under alias candidate. Imports MLflow."""

import base64
import io
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from config.secrets import SIGNING_KEY, read_secret
from evaluation.drift import Reference, psi
from market.features import FEATURE_NAMES
from pipelines import card
from pipelines.artifacts import ProvenBundle, RecordedRun, TrainedModel
from pipelines.code_version import code_version, git_commit
from pipelines.dataset import Candidates, load
from pipelines.drift import REFERENCE_FILE, reference_sample
from pipelines.errors import GateRefused
from pipelines.gates import parity_gates, quality_gates, refusals
from pipelines.lineage import LEAVES_FILE, versions_of
from pipelines.registrar import open_registrar
from pipelines.retraining import recipe_files
from pipelines.workspace import Workspace
from registry.bundle import Scorer, verify_bundle
from registry.signing import sign
from registry.states import Actor
from registry.versions import TrainingData, Version

ALIAS = "candidate"
BY = Actor("pipeline", "train_job")
GAIN_FILE = "card/gain.json"


@dataclass(frozen=True, slots=True)
class _Former:
    """The version a new one is compared with, judged on the same test candidates."""

    name: str
    judged: card.Judged
    metrics: dict[str, float]
    gain: dict[str, float]


def record_card(
    workspace: Workspace, model: TrainedModel, proven: ProvenBundle, dagster_run: str
) -> tuple[RecordedRun, dict[str, str], str]:
    """Draw the card and record it, with the bundle's numbers, as one MLflow run.

    Returns the run, each picture as base64 PNG by name, and the card's text as Markdown.

    Raises:
        RegistryError: MLflow cannot be reached or refuses.
    """
    test = load(workspace.lake, model.training_set.test_cells)
    former = _former(workspace, model, test)
    reference = reference_sample(workspace, model)
    pictures = _pictures(workspace, model, test, former, reference)
    text = _text(model, proven, former, {name: f"{name}.png" for name in pictures})
    gain = dict(zip(FEATURE_NAMES, model.gain, strict=True))
    horizon_ns = round(workspace.settings.label.horizon_seconds * 1e9)
    commit = git_commit()
    run_id = workspace.store.log_training_run(
        parameters=_parameters(workspace, model),
        metrics={**model.measured.metrics, **_parity_metrics(proven), "tau_entry": model.measured.tau_entry},
        # MLflow shows as a run's source what stands under a name of its own.
        tags={"git_commit": commit, "mlflow.source.git.commit": commit.rstrip("+"), "code_version": code_version(),
              "dagster_run": dagster_run, "data_hash": model.training_set.data_hash,
              "bundle_sha256": proven.bundle.sha256},
        artifacts={
            **{f"card/{name}.png": picture for name, picture in pictures.items()},
            # MLflow shows beside each other, when it compares versions, files of a run's root alone.
            **{f"{name}.png": picture for name, picture in pictures.items()},
            "card/card.md": text,
            GAIN_FILE: json.dumps(gain, indent=1),
            LEAVES_FILE: json.dumps(model.training_set.leaves, indent=1, sort_keys=True),
            "card/drift.html": _drift_page(workspace),
            REFERENCE_FILE: _packed(reference),
            **recipe_files(model, horizon_ns, (Path(proven.bundle.folder) / "model.onnx").read_bytes()),
        },
        data=TrainingData(
            name="candidates", data_hash=model.training_set.data_hash, source=str(workspace.settings.paths.lake),
            rows=model.training_set.rows,
        ),
        run_name=proven.bundle.model_id,
    )  # fmt: skip
    shown = {name: base64.b64encode(picture).decode() for name, picture in pictures.items()}
    return RecordedRun(run_id, proven.bundle.sha256), shown, text


def register_candidate(
    workspace: Workspace, model: TrainedModel, proven: ProvenBundle, recorded: RecordedRun
) -> Version:
    """Make the bundle a version of the registered model, and a candidate by the registrar.

    A bundle that was registered before stays what it has become since.

    Raises:
        GateRefused: a blocking gate did not pass, or the run belongs to another bundle.
        RegistryError: MLflow cannot be reached or refuses, or the registrar does.
    """
    rules = workspace.settings.evaluation
    gates = [*quality_gates(model.measured.metrics, model.measured.tau_reached, rules), *parity_gates(proven)]
    if refused := refusals(gates):
        raise GateRefused(f"{proven.bundle.model_id} is not registered: {'; '.join(refused)}")
    if recorded.bundle_sha256 != proven.bundle.sha256:
        raise GateRefused(
            f"run {recorded.run_id} holds the card of bundle {recorded.bundle_sha256[:16]}, the bundle at hand is "
            f"{proven.bundle.sha256[:16]}; materialize model_card again"
        )
    _vouch(workspace, Path(proven.bundle.folder))
    tags = {f"gate.{gate.name}": "passed" if gate.passed else "warned" for gate in gates}
    version = workspace.store.register(Path(proven.bundle.folder), recorded.run_id, tags)
    versions_of(workspace.settings).keep(version.number, model.training_set.leaves)
    evidence = {
        "sha256": proven.bundle.sha256, "data_hash": model.training_set.data_hash, "mlflow_run": recorded.run_id,
        "gates": {gate.name: asdict(gate) for gate in gates},
    }  # fmt: skip
    with open_registrar(workspace.settings, workspace.now) as registrar:
        reason = f"trained as {proven.bundle.model_id}, every blocking gate passed"
        registrar.enter(version.number, BY, reason, evidence, tx=f"candidate-{version.number}-{version.sha256[:12]}")
    return workspace.store.version(version.number)


def _vouch(workspace: Workspace, folder: Path) -> None:
    """Sign the bundle where there is a key. Raises GateRefused where there is none and live loads only signed ones."""
    private_key = read_secret(SIGNING_KEY, os.environ)
    if private_key:
        sign(folder, verify_bundle(folder), private_key)
    elif workspace.settings.registry.signing == "required":
        raise GateRefused(
            f"{folder.name} is not registered: registry.signing is required, so live would refuse it; give the private "
            "key's file as REGISTRY_SIGNING_KEY_FILE"
        )


def _former(workspace: Workspace, model: TrainedModel, test: Candidates) -> _Former | None:
    version = workspace.store.by_alias("active") or workspace.store.by_alias(ALIAS)
    if version is None or version.schema_hash != model.training_set.schema_hash:
        return None
    into = workspace.folder("cache", version.sha256[:16])
    folder = into / "bundle"
    if not folder.exists():
        workspace.store.download(version, folder)
    scores = Scorer(folder, version.sha256).score_many(test.oriented()).probability
    kept = workspace.store.run_artifact(version.run_id, GAIN_FILE, into)
    name = f"version {version.number}"
    metrics = workspace.store.run_metrics(version.run_id)
    return _Former(name, card.Judged(name, scores, test.won), metrics, json.loads(kept.read_text()))


def _pictures(
    workspace: Workspace,
    model: TrainedModel,
    test: Candidates,
    former: _Former | None,
    reference: NDArray[np.float32],
) -> dict[str, bytes]:
    rules, tau = workspace.settings.evaluation, model.measured.tau_entry
    judged = card.Judged("this model", np.asarray(model.measured.scores, np.float32), np.asarray(model.measured.won))
    other = former.judged if former else None
    moved = psi(Reference.fit(reference, FEATURE_NAMES), test.oriented())
    return {
        "reliability": card.reliability_curve(judged, other),
        "threshold_sweep": card.threshold_sweep(judged, tau, rules.precision_target, other),
        "score_distribution": card.score_distribution(judged, tau),
        "feature_importance": card.feature_importance(FEATURE_NAMES, model.gain),
        "feature_deltas": card.feature_deltas(
            FEATURE_NAMES, model.gain, moved, former.gain if former else None,
            against=f"{former.name} (importance), the train days (PSI)" if former else "the train days",
            psi_warn=rules.psi_warn, psi_block=rules.psi_block,
        ),
    }  # fmt: skip


def _text(model: TrainedModel, proven: ProvenBundle, former: _Former | None, pictures: dict[str, str]) -> str:
    trained = model.training_set
    bundle = verify_bundle(Path(proven.bundle.folder), proven.bundle.sha256)
    facts = {
        "bundle sha256": proven.bundle.sha256,
        "learned from": f"{len(trained.train)} partitions, {trained.train[0]} to {trained.train[-1]}",
        "tested on": f"{len(trained.test)} partitions, {trained.test[0]} to {trained.test[-1]}",
        "data hash": trained.data_hash,
        "candidates": trained.candidate_rule,
        "label": trained.barrier_rule,
        "kernel schema": trained.schema_hash,
        "tau_entry": f"{model.measured.tau_entry:.4f}"
        + ("" if model.measured.tau_reached else " (no threshold reached the precision target)"),
        "parity": f"{proven.margin_mismatches} differing margins, {proven.flips} flips in {proven.rows:,} rows",
        "code": bundle.training.code_version,
    }
    return card.model_card_markdown(
        title=proven.bundle.model_id,
        facts=facts,
        metrics=model.measured.metrics,
        active_metrics=former.metrics if former else None,
        limitations=bundle.limitations,
        pictures=pictures,
    )


def _parameters(workspace: Workspace, model: TrainedModel) -> dict[str, object]:
    trained = model.training_set
    return {
        **model.parameters,
        "seed": model.seed,
        "candidate_rule": trained.candidate_rule,
        "barrier_rule": trained.barrier_rule,
        "schema_hash": trained.schema_hash[:16],
        "data_hash": trained.data_hash[:16],
        "train_partitions": len(trained.train),
        "test_partitions": len(trained.test),
        "source": workspace.settings.source.kind,
    }


def _parity_metrics(proven: ProvenBundle) -> dict[str, float]:
    return {
        "parity_rows": float(proven.rows),
        "parity_margin_mismatches": float(proven.margin_mismatches),
        "parity_flips": float(proven.flips),
        "parity_max_abs_diff": proven.max_abs_diff,
    }


def _drift_page(workspace: Workspace) -> Path | str:
    page = workspace.folder("reports") / "drift.html"
    return page if page.exists() else "no drift report was made for this model\n"


def _packed(rows: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, rows=rows)
    return buffer.getvalue()
