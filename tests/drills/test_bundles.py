from pathlib import Path

import numpy as np
import pytest

from registry.bundle import Scorer, verify_bundle
from registry.errors import GoldenMismatch
from tests.live.mirrors import registered
from tidegate.drills.bundles import break_parity, golden_rows, turned_round, with_threshold


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A small real bundle."""
    folder = tmp_path / "sound"
    registered(folder, 1)
    return folder


def test_another_threshold_is_another_bundle_of_the_same_answers(sound: Path, tmp_path: Path) -> None:
    """Scored as the first, with an id of its own."""
    sha256 = with_threshold(sound, tmp_path / "other", 0.9)
    card, before = verify_bundle(tmp_path / "other", sha256), verify_bundle(sound)
    assert card.thresholds.tau_entry == pytest.approx(0.9 * before.thresholds.tau_entry)
    assert card.thresholds.tau_hold <= card.thresholds.tau_entry
    assert card.id != before.id
    rows, scores = golden_rows(sound)
    assert (Scorer(tmp_path / "other").score_many(rows).probability == scores).all()


def test_turned_round_says_the_opposite_and_promises_the_same(sound: Path, tmp_path: Path) -> None:
    """Its golden rows are its own, so that nothing but the market tells."""
    turned_round(sound, tmp_path / "turned")
    rows, scores = golden_rows(sound)
    found = Scorer(tmp_path / "turned").score_many(rows)
    np.testing.assert_array_equal(found.probability, np.float32(1.0) - scores)
    np.testing.assert_array_equal(found.margin, -Scorer(sound).score_many(rows).margin)
    assert verify_bundle(tmp_path / "turned").metrics == verify_bundle(sound).metrics


def test_a_broken_one_has_every_checksum_and_no_right_answer(sound: Path) -> None:
    """Verified as a file, refused as a scorer."""
    before = verify_bundle(sound)
    sha256 = break_parity(sound)
    assert verify_bundle(sound, sha256).id != before.id
    with pytest.raises(GoldenMismatch, match="256 of 256 golden rows"):
        Scorer(sound, sha256)
