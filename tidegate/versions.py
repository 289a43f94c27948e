"""The version that an operator means by a number, a model id or a slot, and its card; from the mirror where it has it,
so that MLflow is asked only for what never was mirrored."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from registry.bundle import CARD_FILE
from registry.card import ModelCard, decode
from registry.errors import ManifestError, RegistryError, UnknownVersion
from registry.manifest import BUNDLES_FOLDER, Mirror
from registry.slots import SLOTS
from registry.versions import Version


class Store(Protocol):
    """What is asked of the registry. Every call may raise RegistryError."""

    def version(self, number: int) -> Version:
        """A version by number; raises UnknownVersion."""
        ...

    def by_model_id(self, model_id: str) -> Version:
        """A version by its bundle's id; raises UnknownVersion."""
        ...

    def by_alias(self, alias: str) -> Version | None:
        """The version an alias names."""
        ...

    def download(self, version: Version, folder: Path) -> Path:
        """Fetch a version's bundle."""
        ...


@dataclass(frozen=True, slots=True)
class Meant:
    """A version by its number and its model's id."""

    number: int
    model_id: str

    def __str__(self) -> str:
        return f"version {self.number} ({self.model_id})"


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of a mirror at `root`, and of the registry behind it, which is opened when it is needed."""

    root: Path
    open_store: Callable[[], Store]

    def meant(self, word: str) -> Meant:
        """Say which version a word means: `7`, `v7`, a model id, active, shadow, previous, or an alias.

        Raises:
            UnknownVersion: none; the text names those there are.
            RegistryError: the mirror does not know it, and the registry does not answer.
        """
        if word in SLOTS and (number := self._in_slot(word)):
            word = str(number)
        digits = word.removeprefix("v")
        try:
            entries = Mirror(self.root).manifest().entries
        except ManifestError:
            entries = ()
        for entry in entries:
            if word == entry.id or digits == str(entry.version):
                return Meant(entry.version, entry.id)
        try:
            found = self._asked(word, digits)
        except UnknownVersion:
            raise
        except RegistryError as error:
            known = _listed([Meant(each.version, each.id) for each in entries])
            raise RegistryError(f"{word!r} is not in the mirror, which knows {known}; and {error}") from error
        return Meant(found.number, found.model_id)

    def card(self, meant: Meant) -> ModelCard:
        """Return a version's card. Raises RegistryError when it is neither in the mirror nor to be had."""
        for folder in sorted((self.root / BUNDLES_FOLDER).glob(f"v{meant.number}-*")):
            path = folder / CARD_FILE
            if path.is_file() and (card := decode(path.read_bytes(), str(path))).id == meant.model_id:
                return card
        store = self.open_store()
        with tempfile.TemporaryDirectory(prefix="tidegate-card-") as beside:
            folder = store.download(store.version(meant.number), Path(beside) / "bundle")
            return decode((folder / CARD_FILE).read_bytes(), str(folder / CARD_FILE))

    def _in_slot(self, slot: str) -> int:
        """The version in a slot of the mirror; 0 where there is none."""
        try:
            folder = Mirror(self.root).slot(slot)  # type: ignore[arg-type]  # the caller has looked
        except ManifestError:
            return 0
        number = folder.name.partition("-")[0].removeprefix("v") if folder else ""
        return int(number) if number.isdecimal() else 0

    def _asked(self, word: str, digits: str) -> Version:
        store = self.open_store()
        if digits.isdecimal():
            return store.version(int(digits))
        if found := store.by_alias(word):
            return found
        if word in SLOTS:
            raise UnknownVersion(f"no version stands in slot {word}; name one by its number or its model's id")
        return store.by_model_id(word)


def _listed(known: Sequence[Meant]) -> str:
    return ", ".join(str(each) for each in known[:10]) or "none"
