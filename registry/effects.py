"""What a move does outside the journal: aliases and tags in MLflow, the event on the bus."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from registry.states import Announcement
from registry.versions import Version

Announce = Callable[[Announcement], None]
"""Tells the bus; may raise whatever it likes."""


class Store(Protocol):
    """What is asked of MLflow; `registry.store.ModelStore` is one. Every call may raise RegistryError."""

    def version(self, number: int) -> Version:
        """A version; raises UnknownVersion."""
        ...

    def aliases(self) -> dict[str, int]:
        """The version that each alias names."""
        ...

    def set_alias(self, alias: str, number: int) -> None:
        """Let an alias name a version."""
        ...

    def delete_alias(self, alias: str) -> None:
        """Take an alias away; one that is not there is fine."""
        ...

    def set_version_tags(self, number: int, tags: Mapping[str, str]) -> None:
        """Write tags of a version."""
        ...

    def model_tags(self) -> dict[str, str]:
        """The tags of the registered model."""
        ...

    def set_model_tags(self, tags: Mapping[str, str]) -> None:
        """Write tags of the registered model."""
        ...

    def download(self, version: Version, folder: Path) -> Path:
        """Fetch a version's bundle, verified against its tags."""
        ...
