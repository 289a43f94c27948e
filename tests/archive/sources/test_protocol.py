"""The door: every kind opens by its name."""

from pathlib import Path
from typing import get_args

import pytest

from archive.errors import SourceError
from archive.sources.protocol import KINDS, open_source
from config.sections import Recorded
from tests.archive.sources.made import DAY, TABLE, at, capture, ladder, snapshot, standx_hour


def test_a_source_is_opened_by_kind_path_and_table(tmp_path: Path) -> None:
    """The path may be text; symbols, days and the day come through the protocol."""
    standx_hour(tmp_path, [{"exchange": at(1), **ladder(100.0, 100.1)}])
    source = open_source("standx", str(tmp_path), TABLE)
    (symbol,) = source.symbols()
    assert (source.name, symbol.name, source.days(symbol)) == ("standx", "BTC-USD", (DAY,))
    assert len(source.read_day(symbol, DAY).book) == 1


def test_kinds_are_those_the_settings_offer() -> None:
    """A kind that can be configured can be opened, and the other way about."""
    assert set(KINDS) == set(get_args(Recorded))


def test_an_unknown_kind_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    """So is the wrong kind for a folder: it says what it looked for and what is there."""
    with pytest.raises(SourceError, match=r"unknown kind of recording 'kafka'; known are .*standx"):
        open_source("kafka", tmp_path, TABLE)
    capture(tmp_path / "btcusdt_20260106.gz", [(at(1), snapshot(1))])
    with pytest.raises(SourceError, match=r"no StandX hours .* found btcusdt_20260106.gz"):
        open_source("standx", tmp_path, TABLE)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_refuses_a_folder_that_is_not_there(tmp_path: Path, kind: str) -> None:
    """With its path in the message."""
    with pytest.raises(SourceError, match=r"nowhere.*does not exist"):
        open_source(kind, tmp_path / "nowhere", TABLE)
