import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from market.features import FEATURE_NAMES
from pipelines.artifacts import ProvenBundle, RecordedRun
from pipelines.carding import GAIN_FILE, register_candidate
from pipelines.code_version import code_version
from pipelines.drift import REFERENCE_FILE
from pipelines.errors import GateRefused
from registry.bundle import SIGNATURE_FILE, copy_bundle, verify_bundle
from registry.errors import BadSignature
from registry.signing import Trust, new_key
from tests.pipelines.conftest import Release
from tests.pipelines.days import bench

PICTURES = {"reliability", "threshold_sweep", "score_distribution", "feature_importance", "feature_deltas"}
PNG = b"\x89PNG\r\n\x1a\n"


def run_of(release: Release) -> Any:
    """The MLflow run of a release, as MLflow itself tells it."""
    from mlflow import MlflowClient  # noqa: PLC0415 - six seconds, and loaded by then

    store = release.workspace.store
    return MlflowClient(store.tracking_uri, store.tracking_uri).get_run(release.recorded.run_id)


def test_two_runs_have_the_same_metric_and_parameter_names(first: Release, second: Release) -> None:
    """So that MLflow lines them up; the values differ where the seeds do."""
    before, after = run_of(first).data, run_of(second).data
    assert set(before.params) == set(after.params)
    assert set(before.metrics) == set(after.metrics)
    assert (before.params["seed"], after.params["seed"]) == ("7", "8")
    assert {"learning_rate", "num_leaves", "data_hash", "barrier_rule"} < set(before.params)
    assert {"test_win_auc", "test_ece", "tau_entry", "parity_rows", "parity_margin_mismatches"} < set(before.metrics)


def test_a_run_names_its_code_its_data_and_its_bundle(first: Release) -> None:
    """The git commit, the hash over the deciding source, the Merkle root, the bundle's sha256, the Dagster run."""
    run = run_of(first)
    tags = run.data.tags
    assert len(tags["git_commit"].rstrip("+")) in (40, len("unknown"))
    assert tags["mlflow.source.git.commit"] == tags["git_commit"].rstrip("+")
    assert tags["code_version"] == code_version()
    assert tags["data_hash"] == first.training_set.data_hash
    assert tags["bundle_sha256"] == first.proven.bundle.sha256
    assert tags["dagster_run"] == "run-of-a-test"
    assert run.info.status == "FINISHED"
    (used,) = run.inputs.dataset_inputs
    assert first.training_set.data_hash.startswith(used.dataset.digest)


def test_every_picture_is_a_png_in_the_run_and_inline(first: Release, tmp_path: Path) -> None:
    """The same bytes in all places; at the run's root MLflow's page of comparison finds them."""
    assert set(first.pictures) == PICTURES
    for name, code in first.pictures.items():
        shown = base64.b64decode(code)
        assert shown.startswith(PNG)
        for place in (f"card/{name}.png", f"{name}.png"):
            kept = first.workspace.store.run_artifact(first.recorded.run_id, place, tmp_path)
            assert kept.read_bytes() == shown


def test_the_run_keeps_what_the_next_release_is_compared_with(first: Release, tmp_path: Path) -> None:
    """The gain of each feature, the leaves of the training set, a sample of the train days, the drift page."""
    store, run_id = first.workspace.store, first.recorded.run_id
    gain = json.loads(store.run_artifact(run_id, GAIN_FILE, tmp_path).read_text())
    assert list(gain) == list(FEATURE_NAMES)
    leaves = json.loads(store.run_artifact(run_id, "card/training_set.json", tmp_path).read_text())
    assert leaves == first.training_set.leaves
    with np.load(store.run_artifact(run_id, REFERENCE_FILE, tmp_path)) as kept:
        assert kept["rows"].shape[1] == len(FEATURE_NAMES)
    assert "<html" in store.run_artifact(run_id, "card/drift.html", tmp_path).read_text()[:2_000].lower()


def test_the_card_tells_facts_figures_and_limits(first: Release) -> None:
    """With each picture under its caption."""
    assert first.proven.bundle.sha256 in first.card
    assert first.training_set.data_hash in first.card
    assert "0 differing margins, 0 flips" in first.card
    assert "## What this does not show" in first.card
    assert all(f"({name}.png)" in first.card for name in PICTURES)


def test_a_second_release_is_shown_beside_the_first(first: Release, second: Release) -> None:
    """Judged on the same candidates; the first had nothing to stand beside."""
    assert "| metric | value |\n" in first.card
    assert "| metric | value | active | change |" in second.card
    assert second.pictures["reliability"] != first.pictures["reliability"]


def test_a_passing_bundle_becomes_a_version_under_alias_candidate(first: Release, second: Release) -> None:
    """With a tag for each gate; the newer release takes the alias over."""
    assert first.version.aliases == ("candidate",)
    assert first.version.sha256 == first.proven.bundle.sha256
    assert first.version.tags["gate.parity_margin_bits"] == "passed"
    assert {"gate.beats_base_rate", "gate.precision_target"} < set(first.version.tags)
    now = second.workspace.store.by_alias("candidate")
    assert now is not None
    assert now.number == second.version.number == first.version.number + 1


def test_a_version_can_be_fetched_and_is_the_bundle_that_was_proven(second: Release, tmp_path: Path) -> None:
    """Verified on the way."""
    folder = second.workspace.store.download(second.version, tmp_path / "bundle")
    proven = Path(second.proven.bundle.folder)
    assert (folder / "model.onnx").read_bytes() == (proven / "model.onnx").read_bytes()


def test_a_failed_blocking_gate_refuses_the_candidate(second: Release) -> None:
    """Whatever Dagster's checks said in some other run: no version is made, and the refusal names the gate."""
    store, known = second.workspace.store, len(second.workspace.store.versions())
    flipped = msgspec.structs.replace(second.proven, flips=1)
    with pytest.raises(GateRefused, match=r"is not registered: parity_flips: 1, wanted 0"):
        register_candidate(second.workspace, second.model, flipped, second.recorded)
    metrics = second.model.measured.metrics | {"test_win_auc": 0.51}
    weak = msgspec.structs.replace(
        second.model, measured=msgspec.structs.replace(second.model.measured, metrics=metrics)
    )
    with pytest.raises(GateRefused, match=r"discriminates: 0\.51, wanted >= 0\.55"):
        register_candidate(second.workspace, weak, second.proven, second.recorded)
    assert len(store.versions()) == known


def test_the_card_of_another_bundle_is_refused(first: Release, second: Release) -> None:
    """A run that was recorded before the bundle changed must not speak for it."""
    stale = RecordedRun(first.recorded.run_id, first.recorded.bundle_sha256)
    with pytest.raises(GateRefused, match=r"materialize model_card again"):
        register_candidate(second.workspace, second.model, second.proven, stale)


def test_a_candidate_registered_twice_is_one_version(second: Release) -> None:
    """A retried step makes no second one."""
    again = register_candidate(second.workspace, second.model, second.proven, second.recorded)
    assert again.number == second.version.number


def test_training_signs_where_it_has_a_key(second: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it registers, with the key of the environment; the bundle stays the one that was proven."""
    private, public = new_key()
    folder = copied(second, tmp_path)
    proven = with_folder(second.proven, folder)
    register_candidate(second.workspace, second.model, proven, second.recorded)
    assert not (folder / SIGNATURE_FILE).exists(), "without a key nobody signs"
    monkeypatch.setenv("REGISTRY_SIGNING_KEY", private)
    register_candidate(second.workspace, second.model, proven, second.recorded)
    (tmp_path / "trusted_keys").write_text(public + "\n")
    Trust.read(tmp_path / "trusted_keys").check(folder, verify_bundle(folder, second.proven.bundle.sha256))


def test_an_unsigned_model_is_not_registered_where_live_would_refuse_it(second: Release, tmp_path: Path) -> None:
    """The refusal names the variable to give; no version is made, and none is with a key that is none."""
    store, known = second.workspace.store, len(second.workspace.store.versions())
    (tmp_path / "trusted_keys").write_text(new_key()[1] + "\n")
    rules = {"signing": "required", "trusted_keys": tmp_path / "trusted_keys"}
    strict = bench(second.workspace.folder().parent, registry=rules)
    proven = with_folder(second.proven, copied(second, tmp_path))
    with pytest.raises(GateRefused, match=r"registry\.signing is required.*REGISTRY_SIGNING_KEY_FILE"):
        register_candidate(strict, second.model, proven, second.recorded)
    assert len(store.versions()) == known


def test_a_key_that_is_none_signs_nothing(second: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the sentence does not quote it."""
    monkeypatch.setenv("REGISTRY_SIGNING_KEY", "pl4nted-no-key")
    folder = copied(second, tmp_path)
    with pytest.raises(BadSignature, match="holds no ed25519 private key") as refused:
        register_candidate(second.workspace, second.model, with_folder(second.proven, folder), second.recorded)
    assert "pl4nted" not in str(refused.value)
    assert not (folder / SIGNATURE_FILE).exists()


def copied(release: Release, tmp_path: Path) -> Path:
    """The release's bundle in a folder of the test's own, which it may sign."""
    copy_bundle(Path(release.proven.bundle.folder), tmp_path / "bundle")
    return tmp_path / "bundle"


def with_folder(proven: ProvenBundle, folder: Path) -> ProvenBundle:
    """The same proof of a bundle that lies elsewhere."""
    return msgspec.structs.replace(proven, bundle=msgspec.structs.replace(proven.bundle, folder=str(folder)))
