"""An open partition: its spans, and files that other tools wrote."""

from pathlib import Path

import pytest

from archive.errors import ArchiveError
from archive.layout import BOOK, TABLES, partition_key
from archive.reading import Span, open_partition, schema_version
from archive.storage import open_storage
from archive.store import Lake
from tests.archive.lakes import DAY, SECOND_NS, START_NS, put_book, steady_ns

KEY = partition_key(BOOK, "BTCUSDT", DAY)


@pytest.mark.parametrize(
    ("text", "version"), [(b"1", 1), (b"12", 12), (b"", None), (b"one", None), (b"-1", None), (b"9" * 50, None)]
)
def test_a_version_is_a_short_number_or_none(text: bytes, version: int | None) -> None:
    """Whatever a stranger wrote there must not become a metric label of any length."""
    assert schema_version({b"tidegate.schema_version": text}) == version
    assert schema_version({}) is None


def test_spans_cover_the_rows_of_the_window(tmp_path: Path) -> None:
    """None outside the data; start included, end not."""
    put_book(Lake(tmp_path), "BTCUSDT", DAY, steady_ns(every_seconds=30))
    with open_partition(open_storage(tmp_path), KEY, TABLES[BOOK], "BTCUSDT", DAY) as file:
        assert file.spans() == [Span(0, 0, 2880)]
        assert file.spans(START_NS + 30 * SECOND_NS, START_NS + 90 * SECOND_NS) == [Span(0, 1, 3)]
        assert file.spans(end_ns=START_NS) == []
        assert file.spans(start_ns=START_NS + 86_400 * SECOND_NS) == []
        assert file.spans(START_NS + SECOND_NS, START_NS) == []
        assert file.columns == list(TABLES[BOOK].columns)


def test_a_disk_that_refuses_is_not_called_corrupt(tmp_path: Path) -> None:
    """A folder under the file's name: the error tells what the system said, and to mend that."""
    (tmp_path / KEY).mkdir(parents=True)
    storage = open_storage(tmp_path)
    said = r"part.parquet: cannot be opened: .* is a directory; mend"
    with pytest.raises(ArchiveError, match=said), open_partition(storage, KEY, TABLES[BOOK], "BTCUSDT", DAY):
        pytest.fail("a folder was read as a partition")
