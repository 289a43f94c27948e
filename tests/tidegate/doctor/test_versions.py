from collections.abc import Mapping
from pathlib import Path

import pytest

from registry.errors import RegistryError
from registry.versions import Version
from tests.live.journals import moved
from tests.live.mirrors import Models
from tidegate.doctor.versions import findings


class Silent:
    """An MLflow that does not answer."""

    def by_alias(self, alias: str) -> Version | None:
        raise RegistryError("nobody answers")

    def model_tags(self) -> Mapping[str, str]:
        raise RegistryError("nobody answers")


class Empty(Silent):
    """An MLflow that has lost its aliases."""

    def by_alias(self, alias: str) -> Version | None:
        return None

    def model_tags(self) -> Mapping[str, str]:
        return {}


@pytest.fixture
def models(tmp_path: Path) -> Models:
    """Version 1 is active, 2 the shadow; journal and mirror agree."""
    made = Models(tmp_path / "store", tmp_path / "mirror")
    made.put("active", 1)
    made.put("shadow", 2)
    moved(made.root, active=1, shadow=2)
    return made


def levels(root: Path, store: type[Silent] | None = None, scorer: Mapping[str, object] | None = None) -> dict[str, str]:
    """Each finding's level by its name."""
    return {each.name: each.level for each in findings(root, store, scorer or {})}


def test_where_all_agree_all_is_well(models: Models) -> None:
    """Without MLflow and scorer only journal and mirror are held against each other."""
    assert levels(models.root) == {"journal": "ok", "mirror": "ok"}
    said = {"models": {"active": {"version": 1}, "shadow": {"version": 2}}}
    assert levels(models.root, scorer=said) == {"journal": "ok", "mirror": "ok", "scorer": "ok"}


def test_a_mirror_behind_the_journal_must_be_mended(models: Models) -> None:
    """A slot that holds another version than was decided."""
    models.put("active", 3)
    found = [each for each in findings(models.root, None, {}) if each.name == "mirror"]
    assert [(each.level, each.says) for each in found] == [("fail", "slot active holds v3, the journal says v1")]


def test_a_bundle_that_was_changed_is_found(models: Models) -> None:
    """By its bytes."""
    folder = models.mirror.slot("active")
    assert folder is not None
    (folder / "model.onnx").chmod(0o644)
    (folder / "model.onnx").write_bytes(b"another model")
    assert levels(models.root)["mirror"] == "fail"


def test_a_scorer_of_another_version_is_told(models: Models) -> None:
    """It has yet to swap, or it refused."""
    assert levels(models.root, scorer={"models": {"active": {"version": 9}}})["scorer"] == "warn"


def test_an_mlflow_that_is_away_or_differs_is_told(models: Models) -> None:
    """Trading goes on without it, so it is no more than that."""
    assert levels(models.root, Silent)["registry"] == "warn"
    assert levels(models.root, Empty)["registry"] == "warn"


def test_a_journal_that_was_edited_must_be_mended(models: Models) -> None:
    """Nothing else is believed then."""
    path = models.root / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"active":1', b'"active":2'))
    assert levels(models.root) == {"journal": "fail"}


def test_before_the_first_version_the_demo_is_named(tmp_path: Path) -> None:
    """There is nothing to compare."""
    (found,) = findings(tmp_path, None, {})
    assert (found.level, found.mend) == ("warn", "make demo")
