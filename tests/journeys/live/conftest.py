"""A site and a played market for a test of its own; without redis-server there is nothing to test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.live.played import Played
from tests.journeys.live.processes import Site, site


@pytest.fixture(autouse=True)
def _server() -> None:
    """Skip where there is no server."""
    if shutil.which("redis-server") is None:
        pytest.skip("needs a redis-server on PATH (apt-get install redis-server)")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Site]:
    """A site of its own."""
    with site(tmp_path) as made:
        yield made


@pytest.fixture
def market(place: Site) -> Iterator[Played]:
    """A market and its approvals."""
    played = Played(place.server.url)
    try:
        yield played
    finally:
        played.close()
