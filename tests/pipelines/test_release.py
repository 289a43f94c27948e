import msgspec
import pytest

from pipelines.errors import GateRefused
from pipelines.release import candidate, drift_report, model_card, onnx_bundle, parity_report
from tests.pipelines.conftest import Release
from tests.pipelines.days import Context, bench, described, passed


def test_the_bundle_asset_names_its_sha256_and_folder(first: Release) -> None:
    """And hands the draft on."""
    result = onnx_bundle(Context(), first.workspace, first.model)  # type: ignore[arg-type]
    assert result.value == first.draft
    assert passed(result) == {"bundle_verified": True}
    assert result.metadata is not None
    assert result.metadata["sha256"] == first.draft.sha256


def test_the_parity_asset_blocks_on_a_single_differing_margin(first: Release, second: Release) -> None:
    """A faithful graph passes its three checks; another model's graph fails, and its table says on which rows."""
    good = parity_report(Context(), first.workspace, first.model, first.draft)  # type: ignore[arg-type]
    assert good.value == first.proven
    assert passed(good) == {"parity_margin_bits": True, "parity_flips": True, "parity_probability": True}
    bad = parity_report(Context(), first.workspace, second.model, first.draft)  # type: ignore[arg-type]
    assert not passed(bad)["parity_margin_bits"]
    assert "wanted 0 differing margins" in described(bad, "parity_margin_bits")


def test_drift_warns_and_does_not_block(second: Release) -> None:
    """A market that changed is told; whether to release is another gate's word."""
    root = second.workspace.folder().parent
    touchy = bench(root, evaluation={"psi_warn": 1e-9, "psi_block": 1e-9, "ks_block": 1e-9})
    result = drift_report(Context(), touchy, second.model)  # type: ignore[arg-type]
    check, own = result.check_results or ()
    assert (check.passed, check.severity.value) == (False, "WARN")
    assert "features over a line" in str(check.description)
    assert own.passed  # two train days arm nothing
    assert result.metadata is not None
    assert str(result.metadata["against"]).startswith("signal_scorer version ")


def test_the_card_asset_shows_its_pictures_inline(second: Release) -> None:
    """Five data URLs, the card's text, and the run that holds them."""
    result = model_card(Context(), second.workspace, second.model, second.proven)  # type: ignore[arg-type]
    assert result.value is not None
    assert result.metadata is not None
    assert result.metadata["mlflow_run"] == result.value.run_id
    inline = [str(getattr(each, "value", "")) for each in result.metadata.values()]
    assert sum("](data:image/png;base64,iVBOR" in text for text in inline) == 5


def test_the_candidate_asset_asks_the_gates_itself(second: Release) -> None:
    """It registers what passed, and refuses what did not, whatever checks said elsewhere."""
    result = candidate(Context(), second.workspace, second.model, second.proven, second.recorded)  # type: ignore[arg-type]
    assert result.metadata is not None
    assert (result.metadata["alias"], result.metadata["sha256"]) == ("candidate", second.proven.bundle.sha256)
    assert result.metadata["version"] == str(second.version.number)
    wrong = msgspec.structs.replace(second.proven, margin_mismatches=3)
    with pytest.raises(GateRefused, match="parity_margin_bits: 3"):
        candidate(Context(), second.workspace, second.model, wrong, second.recorded)  # type: ignore[arg-type]
