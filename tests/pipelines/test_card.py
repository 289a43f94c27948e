"""The card's pictures and text: drawn for ordinary and for odd models, the same bytes each time."""

import io
from collections.abc import Callable
from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest

from evaluation.errors import BadSample
from pipelines.card import (
    Judged,
    feature_deltas,
    feature_importance,
    model_card_markdown,
    reliability_curve,
    score_distribution,
    threshold_sweep,
)

NAMES = [f"feature_{number}" for number in range(26)]


def judged(name: str = "candidate", n: int = 3_000, seed: int = 0) -> Judged:
    """Calibrated scores of a fair model."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(4, 4, n).astype(np.float32)
    return Judged(name, scores, rng.random(n) < scores)


def gains(seed: int = 0) -> np.ndarray:
    """Gain of each feature."""
    return np.random.default_rng(seed).gamma(0.5, 1.0, len(NAMES))


_PSI = np.linspace(0.0, 0.4, len(NAMES))
_DRAWN: dict[str, Callable[[], bytes]] = {
    "reliability": lambda: reliability_curve(judged()),
    "reliability beside the active": lambda: reliability_curve(judged(), judged("active", seed=1)),
    "sweep": lambda: threshold_sweep(judged(), 0.6),
    "sweep with a target": lambda: threshold_sweep(judged(), 0.6, 0.7),
    "sweep beside the active": lambda: threshold_sweep(judged(), 0.6, 0.7, judged("active", seed=1)),
    "sweep that takes nothing": lambda: threshold_sweep(judged(), 1.0, 0.99),
    "distribution": lambda: score_distribution(judged(), 0.6),
    "distribution that takes nothing": lambda: score_distribution(judged(), 1.0),
    "importance": lambda: feature_importance(NAMES, gains()),
    "importance of few": lambda: feature_importance(NAMES[:3], gains()[:3]),
    "deltas": lambda: feature_deltas(
        NAMES, gains(), _PSI, dict(zip(NAMES, gains(1), strict=True)), against="version 3"
    ),
    "deltas of the first version": lambda: feature_deltas(NAMES, gains(), _PSI, None, against="the training days"),
    "deltas of the same model": lambda: feature_deltas(
        NAMES, gains(), 0 * _PSI, dict(zip(NAMES, gains(), strict=True)), against="itself"
    ),
}


@pytest.mark.parametrize("name", _DRAWN)
def test_a_picture_is_a_png_with_something_on_a_light_ground(name: str) -> None:
    """A readable size, mostly paper, and ink."""
    image = matplotlib.image.imread(io.BytesIO(_DRAWN[name]()), format="png")[:, :, :3]
    height, width, _ = image.shape
    assert 300 < height < 1_500 and 1_000 < width < 1_500
    assert (image.min(axis=2) > 0.97).mean() > 0.5
    assert (image.max(axis=2) < 0.6).sum() > 500


def test_pictures_differ_by_what_they_show_and_repeat_to_the_byte() -> None:
    """The same input gives the same bytes, an overlay or another threshold gives others."""
    assert _DRAWN["deltas"]() == _DRAWN["deltas"]()
    names = ["sweep", "sweep with a target", "sweep beside the active", "sweep that takes nothing"]
    assert len({_DRAWN[name]() for name in names}) == len(names)
    assert _DRAWN["reliability"]() != _DRAWN["reliability beside the active"]()


def test_a_model_that_says_the_same_of_every_row_is_drawn() -> None:
    """One score, one bin."""
    constant = replace(judged(), scores=np.full(3_000, 0.5, np.float32))
    for picture in (reliability_curve(constant), threshold_sweep(constant, 0.5), score_distribution(constant, 0.5)):
        assert picture.startswith(b"\x89PNG")


def test_a_feature_that_the_active_version_does_not_have_counts_as_unused_there() -> None:
    """A new feature is drawn with its whole share as the change."""
    known = dict(zip(NAMES[1:], gains(1)[1:], strict=True))
    assert feature_deltas(NAMES, gains(), _PSI, known, against="version 3").startswith(b"\x89PNG")


def test_outcomes_of_one_class_are_refused() -> None:
    """There is nothing to tell apart."""
    with pytest.raises(BadSample, match="0 losses"):
        score_distribution(replace(judged(), won=np.ones(3_000, bool)), 0.5)


def _card(active: dict[str, float] | None) -> str:
    return model_card_markdown(
        title="signal_scorer-0123",
        facts={"trained on": "2026-01-06, BTC-USD", "rule": "a | b"},
        metrics={"test_win_auc": 0.7131, "test_ece": 0.01},
        active_metrics=active,
        limitations=["No fees.", "One day."],
        pictures={"Reliability": "card/reliability.png"},
    )


def test_the_text_tells_facts_numbers_limits_and_pictures() -> None:
    """A table of two columns when there is no active version; bars in a cell do not break it."""
    text = _card(None)
    assert text.startswith("# signal_scorer-0123\n")
    assert "| rule | a \\| b |" in text
    assert "| test_win_auc | 0.7131 |" in text
    assert "- No fees.\n- One day.\n" in text
    assert "![Reliability](card/reliability.png)" in text


def test_the_text_sets_the_numbers_beside_the_active_version() -> None:
    """The change has its sign; what the active version was not measured for stays empty."""
    text = _card({"test_win_auc": 0.7})
    assert "| test_win_auc | 0.7131 | 0.7 | +0.0131 |" in text
    assert "| test_ece | 0.01 | | |" in text
