"""The active model's promise follows the mirror's slot and outlives a card that cannot be read."""

from pathlib import Path

from live.baseline import ActiveBaseline
from market.barriers import BarrierRule
from registry.card import encode
from tests.live.cards import card


def _turn(mirror: Path, version: int, content: bytes) -> None:
    """Point the active slot at a bundle folder, as the mirror does."""
    folder = mirror / "bundles" / f"v{version}"
    folder.mkdir(parents=True)
    (folder / "model.json").write_bytes(content)
    beside = mirror / ".active.writing"
    beside.symlink_to(folder, target_is_directory=True)
    beside.replace(mirror / "active")


def test_no_active_model_is_no_trouble(tmp_path: Path) -> None:
    """Risk starts before the first promotion."""
    baseline = ActiveBaseline(tmp_path)
    assert not baseline.look()
    assert (baseline.promise, baseline.trouble) == (None, "")


def test_the_slot_is_followed(tmp_path: Path) -> None:
    """A new version is read once; its label is the rule candidates are judged by."""
    baseline = ActiveBaseline(tmp_path)
    _turn(tmp_path, 1, encode(card(winrate=0.5)))
    assert baseline.look() and not baseline.look()
    assert baseline.promise is not None
    assert baseline.promise.card.baseline.winrate == 0.5
    assert baseline.promise.rule == BarrierRule(0.0005, 0.0004, 30.0, net_of_fees=True)
    _turn(tmp_path, 2, encode(card(winrate=0.6)))
    assert baseline.look()
    assert baseline.promise.card.baseline.winrate == 0.6


def test_a_card_that_cannot_be_read_leaves_the_one_before(tmp_path: Path) -> None:
    """And says why."""
    baseline = ActiveBaseline(tmp_path)
    _turn(tmp_path, 1, encode(card(winrate=0.5)))
    baseline.look()
    _turn(tmp_path, 2, b"{}")
    assert not baseline.look()
    assert baseline.promise is not None and baseline.promise.card.baseline.winrate == 0.5
    assert "not a model card" in baseline.trouble
    _turn(tmp_path, 3, encode(card(winrate=0.7)))
    assert baseline.look() and baseline.trouble == ""
