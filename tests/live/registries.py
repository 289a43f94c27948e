"""A registry in memory that can be silent, lie or lose what it had."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry.bundle import verify_bundle
from registry.errors import StoreUnavailable
from registry.versions import Version
from tests.live.mirrors import Models, registered


@dataclass
class FakeRegistry:
    """Versions as folders of a store, aliases and the model's tags as dicts; `is_up` False answers nothing."""

    models: Models
    aliases: dict[str, int] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    is_up: bool = True
    downloads: int = 0

    def add(self, number: int, **changes: Any) -> None:
        """Register a version."""
        self.models.sha256[number] = registered(self.folder(number), number, **changes)

    def folder(self, number: int) -> Path:
        """Where a version's bundle lies."""
        return self.models.folder / f"v{number}"

    def versions(self) -> list[Version]:
        """As the store."""
        self._answer()
        return [self._version(number, sha256) for number, sha256 in self.models.sha256.items()]

    def model_tags(self) -> dict[str, str]:
        """As the store."""
        self._answer()
        return dict(self.tags)

    def download(self, version: Version, folder: Path) -> Path:
        """As the store: verified against what the version is known by."""
        self._answer()
        self.downloads += 1
        shutil.copytree(self.folder(version.number), folder)
        verify_bundle(folder, version.sha256)
        return folder

    def _answer(self) -> None:
        if not self.is_up:
            raise StoreUnavailable("MLflow at http://127.0.0.1:9 cannot be opened")

    def _version(self, number: int, sha256: str) -> Version:
        named = tuple(sorted(alias for alias, at in self.aliases.items() if at == number))
        model_id = f"signal_scorer-{sha256[:12]}"
        return Version("signal_scorer", number, model_id, sha256, "", "", "", f"run{number}", "", 0, named, {})
