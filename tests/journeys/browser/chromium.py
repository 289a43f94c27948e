"""Debian's Chromium without a window: one page after the other, every host noted that a page asks, pictures kept."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect, sync_playwright

_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE_MS = 90_000
_OF_OURS = frozenset({"127.0.0.1", "localhost"})
_NO_HOST = frozenset({"data", "blob", "file", "about"})
# The first visit would open MLflow's page of language models.
_MLFLOW_OPENS_ON_TRAINING = "localStorage.setItem('mlflow.workflowType_v1', '\"machine_learning\"');"


@dataclass
class Window:
    """A page, the folder of its pictures, and every address that it asked outside this machine."""

    page: Page
    pictures: Path
    foreign: list[str] = field(default_factory=list)

    def note(self, address: str) -> None:
        """Keep an address that does not lie on loopback."""
        parts = urlsplit(address)
        if parts.scheme not in _NO_HOST and parts.hostname not in _OF_OURS:
            self.foreign.append(address)

    def keep(self, name: str) -> None:
        """Keep what is on the page as a picture."""
        self.page.screenshot(path=self.pictures / f"{name}.png", animations="disabled")


def browser() -> str:
    """Where Chromium is; skips the test, and says so, where there is none."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("no chromium on this machine: the pages were not looked at in a browser")
    return found


@contextmanager
def opened(pictures: Path) -> Iterator[Window]:
    """A window for a block. An event loop runs in this thread meanwhile: what needs one of its own comes before it."""
    with sync_playwright() as play, play.chromium.launch(executable_path=browser(), args=list(_FLAGS)) as running:
        context = running.new_context(viewport={"width": 1400, "height": 900})
        context.add_init_script(_MLFLOW_OPENS_ON_TRAINING)
        context.set_default_timeout(_PATIENCE_MS)
        expect.set_options(timeout=_PATIENCE_MS)
        window = Window(context.new_page(), pictures)
        context.on("request", lambda request: window.note(request.url))
        yield window
