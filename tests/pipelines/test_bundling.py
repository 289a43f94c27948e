from pathlib import Path

import numpy as np

from market.features import FEATURE_NAMES
from pipelines.bundling import export_bundle, prove_bundle
from pipelines.dataset import load
from pipelines.gates import parity_gates, refusals
from pipelines.learning import make_training_set, train
from registry.bundle import Scorer, verify_bundle
from tests.pipelines.conftest import Release
from tests.pipelines.days import CELLS, bench, derive, ingest


def test_the_same_data_code_and_seed_give_the_same_bundle_wherever_and_in_whatever_order(
    first: Release, tmp_path: Path
) -> None:
    """Another folder, partitions written the other way round: the same sha256, to the last bit of the graph."""
    elsewhere = bench(tmp_path)
    ingest(elsewhere, reversed(CELLS))
    derive(elsewhere, reversed(CELLS))
    model = train(elsewhere, make_training_set(elsewhere, list(reversed(CELLS))))
    again = prove_bundle(elsewhere, model, export_bundle(elsewhere, model))
    assert again.bundle.sha256 == first.proven.bundle.sha256
    assert again.bundle.model_id == first.proven.bundle.model_id
    mine, theirs = (Path(each.bundle.folder) / "model.onnx" for each in (again, first.proven))
    assert mine.read_bytes() == theirs.read_bytes()


def test_another_seed_gives_another_bundle(first: Release, second: Release) -> None:
    """On the very same data."""
    assert second.training_set.data_hash == first.training_set.data_hash
    assert second.proven.bundle.sha256 != first.proven.bundle.sha256


def test_a_model_exported_twice_is_one_folder(first: Release) -> None:
    """Named by its sha256; nothing half-made is left beside it."""
    again = export_bundle(first.workspace, first.model)
    assert (again.folder, again.sha256) == (first.draft.folder, first.draft.sha256)
    parent = Path(again.folder).parent
    assert [each for each in parent.iterdir() if each.name.startswith(".")] == []
    assert Path(again.folder).name == f"draft-{again.sha256[:16]}"


def test_the_scorer_that_trades_answers_as_the_model_does(first: Release) -> None:
    """Margins of test rows that no proof has seen, bit for bit; probabilities after rounding to float32."""
    rows = load(first.workspace.lake, first.training_set.test_cells).oriented()
    fitted, scorer = first.model.fitted(), Scorer(Path(first.proven.bundle.folder), first.proven.bundle.sha256)
    answers = scorer.score_many(rows)
    assert np.array_equal(answers.margin.reshape(-1).view(np.int64), fitted.margins(rows).view(np.int64))
    assert np.array_equal(answers.probability.reshape(-1), fitted.probabilities(rows))
    assert scorer.score(rows[7]) == answers.probability.reshape(-1)[7]


def test_the_proof_covers_every_kind_of_row_and_finds_nothing(first: Release) -> None:
    """Training rows from both sides, random ones, every threshold, tiny values, single rows."""
    proven, known = first.proven, load(first.workspace.lake, first.training_set.train_cells)
    rows = {line.kind: line.rows for line in proven.lines}
    assert set(rows) == {"training", "random", "threshold", "tiny", "single"}
    assert (rows["training"], rows["random"]) == (2 * len(known), 1_000)
    assert proven.rows == sum(rows.values())
    assert (proven.margin_mismatches, proven.prob_mismatches, proven.flips, proven.max_abs_diff) == (0, 0, 0, 0.0)
    assert "| training |" in proven.table()


def test_the_bundle_differs_from_its_draft_in_the_proof_alone(first: Release) -> None:
    """The card of the bundle tells how many rows were compared; the draft's tells none."""
    draft, bundle = (verify_bundle(Path(each.folder)) for each in (first.draft, first.proven.bundle))
    assert (draft.parity.rows, bundle.parity.rows) == (0, first.proven.rows)
    assert (draft.metrics, draft.thresholds, draft.baseline) == (bundle.metrics, bundle.thresholds, bundle.baseline)


def test_the_card_says_what_the_model_was_made_of(first: Release) -> None:
    """Names, thresholds, data hash, seed, symbols and days of the train cells, and what it does not show."""
    card = verify_bundle(Path(first.proven.bundle.folder), first.proven.bundle.sha256)
    assert card.feature_names == tuple(FEATURE_NAMES)
    assert card.thresholds.tau_entry == first.model.measured.tau_entry
    assert card.thresholds.tau_hold < card.thresholds.tau_entry
    assert (card.training.data_hash, card.training.seed) == (first.training_set.data_hash, 7)
    assert card.training.symbols == ("BTCUSDT", "ETHUSDT")
    assert (card.training.first_day, card.training.last_day) == ("2026-01-05", "2026-01-06")
    assert any("profit" in sentence for sentence in card.limitations)


def test_a_proof_that_fails_is_written_down_and_refused(first: Release, second: Release) -> None:
    """A graph of another model: the bundle's card tells the mismatches, and the gates stop it."""
    wrong = prove_bundle(first.workspace, second.model, first.draft)
    assert wrong.margin_mismatches > 0
    assert wrong.first_bad
    card = verify_bundle(Path(wrong.bundle.folder), wrong.bundle.sha256)
    assert card.parity.margin_mismatches == wrong.margin_mismatches
    assert any(refusal.startswith("parity_margin_bits") for refusal in refusals(parity_gates(wrong)))
