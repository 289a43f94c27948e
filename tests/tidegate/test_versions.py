"""What a word of an operator means: the mirror answers where it can, the registry where it must."""

from pathlib import Path

import pytest

from registry.errors import RegistryError, UnknownVersion
from registry.versions import Version
from tests.live.mirrors import Models
from tests.live.registries import FakeRegistry
from tidegate.versions import Meant, Versions


class Registry(FakeRegistry):
    """The registry with the questions of an operator."""

    def version(self, number: int) -> Version:
        """As the store."""
        return self._found([each for each in self.versions() if each.number == number], str(number))

    def by_model_id(self, model_id: str) -> Version:
        """As the store."""
        return self._found([each for each in self.versions() if each.model_id == model_id], model_id)

    def by_alias(self, alias: str) -> Version | None:
        """As the store."""
        self._answer()
        number = self.aliases.get(alias)
        return None if number is None else self.version(number)

    def _found(self, found: list[Version], word: str) -> Version:
        if not found:
            raise UnknownVersion(f"signal_scorer has no version {word}")
        return found[0]


@pytest.fixture
def models(tmp_path: Path) -> Models:
    """A mirror with an active version and one before."""
    made = Models(tmp_path / "store", tmp_path / "mirror")
    made.put("active", 2)
    made.put("previous", 1)
    return made


@pytest.fixture
def registry(models: Models) -> Registry:
    """It knows a third."""
    made = Registry(models)
    made.add(3)
    made.aliases["candidate"] = 3
    return made


def test_what_the_mirror_has_needs_no_registry(models: Models, registry: Registry) -> None:
    """By number, id and slot; its card too."""
    registry.is_up = False
    versions = Versions(models.root, lambda: registry)
    second = Meant(2, models.id(2))
    assert [versions.meant(word) for word in ("2", "v2", models.id(2), "active")] == [second] * 4
    assert versions.meant("previous").number == 1
    assert versions.card(second).id == models.id(2)
    with pytest.raises(RegistryError, match="is not in the mirror, which knows version 2") as refused:
        versions.meant("3")
    assert "cannot be opened" in str(refused.value)


def test_the_registry_is_asked_for_what_was_never_mirrored(models: Models, registry: Registry) -> None:
    """By number, id and alias; an unknown id is said."""
    versions = Versions(models.root, lambda: registry)
    third = Meant(3, models.id(3))
    assert [versions.meant(word) for word in ("3", models.id(3), "candidate")] == [third] * 3
    assert versions.card(third).id == models.id(3)
    assert str(third) == f"version 3 ({models.id(3)})"
    for word in ("signal_scorer-none", "9", "shadow"):
        with pytest.raises(UnknownVersion, match=word):
            versions.meant(word)


def test_an_empty_slot_is_said_to_be_empty(models: Models, registry: Registry) -> None:
    """A slot is no id that could be looked up."""
    with pytest.raises(UnknownVersion, match="no version stands in slot shadow"):
        Versions(models.root, lambda: registry).meant("shadow")
