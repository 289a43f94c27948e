"""What a card keeps of drift comes back as it was measured, and only for windows like those it is of."""

import msgspec
import numpy as np
import pytest

from evaluation.clean_windows import WindowShape
from evaluation.drift import Reference
from evaluation.drift_lines import CleanHistory
from registry.card import ModelCard, canonical, decode, encode
from registry.drift_baseline import clean_baseline, clean_of, reference_of
from registry.errors import BadCard
from tests.registry.graphs import NAMES, card

SHAPE = WindowShape(500, 86_400.0)


def history() -> CleanHistory:
    """Of 25 windows, other numbers for each feature."""
    rng = np.random.default_rng(2)
    return CleanHistory(480, 25, *(rng.random(len(NAMES)) for _ in range(3)))


def with_history(names: tuple[str, ...] = NAMES) -> ModelCard:
    """A card that has it."""
    plain = card()
    clean = clean_baseline(history(), names, SHAPE)
    return msgspec.structs.replace(plain, baseline=msgspec.structs.replace(plain.baseline, clean=clean))


def test_clean_history_survives_the_card_bit_for_bit() -> None:
    """Through model.json and back."""
    found = clean_of(decode(encode(with_history()), "model.json").baseline, SHAPE)
    assert found is not None
    wanted = history()
    assert (found.rows, found.windows) == (480, 25)
    for name in ("psi_mean", "psi_high", "ks_high"):
        assert getattr(found, name).tobytes() == getattr(wanted, name).tobytes()


def test_the_reference_comes_back() -> None:
    """Feature by feature."""
    reference = reference_of(card().baseline)
    assert isinstance(reference, Reference)
    assert reference.names == NAMES


def test_windows_of_another_span_have_no_history() -> None:
    """An hour differs from a day by more than a day does; how many rows are drawn may differ."""
    baseline = with_history().baseline
    assert clean_of(baseline, WindowShape(500, 3_600.0)) is None
    assert clean_of(baseline, WindowShape(100, 86_400.5)) is not None
    assert clean_of(card().baseline, SHAPE) is None
    assert clean_baseline(None, NAMES, SHAPE) is None


def test_a_card_from_before_there_was_history_keeps_its_sha256() -> None:
    """What is absent is not written, so bundles in mirrors verify as they did."""
    assert b"clean" not in encode(card())
    assert b"clean" not in canonical(card())
    assert canonical(with_history()) != canonical(card())


def test_history_of_other_features_is_refused() -> None:
    """Their lines would be another feature's."""
    with pytest.raises(BadCard, match=r"baseline\.clean describes"):
        with_history(tuple(reversed(NAMES)))
