import pytest

from archive.layout import BOOK, LABELS, TRADES
from pipelines.errors import DamagedPartition
from pipelines.gap_gate import damaged, require_sound, scan_cells, wanting
from pipelines.partitions import Cell
from tests.pipelines.days import CELLS, DAYS, MIDDLE, SECOND_NS, Bench, file_of, ingest, market, silenced, truncate

NOON_NS = MIDDLE.start_ns + 12 * 3_600 * SECOND_NS


def quiet(workspace: Bench, at: Cell, start_ns: int, minutes: float) -> None:
    """Replace a cell's market data by one that was silent for some minutes."""
    workspace.primary = {at: silenced(market(at.symbol, at.day), start_ns, minutes)}
    ingest(workspace, [at])


def test_a_finished_lake_wants_nothing(finished: Bench) -> None:
    """No cell is damaged, and none lacks features or labels."""
    assert damaged(finished, CELLS) == {}
    assert wanting(finished) == {}
    require_sound(finished, CELLS)


def test_only_the_cells_asked_for_are_judged(own: Bench) -> None:
    """A scan of one cell does not open or name another."""
    truncate(own, BOOK, MIDDLE)
    assert damaged(own, [each for each in CELLS if each != MIDDLE]) == {}
    assert scan_cells(own, [CELLS[0]]).partitions == 2


@pytest.mark.parametrize("table", [BOOK, TRADES])
def test_a_missing_or_truncated_partition_is_damage_that_names_its_table(own: Bench, table: str) -> None:
    """Books and trades alike."""
    truncate(own, table, MIDDLE)
    assert damaged(own, CELLS).keys() == {MIDDLE}
    assert f"{table} corrupt" in damaged(own, CELLS)[MIDDLE]
    file_of(own, table, MIDDLE).unlink()
    assert f"{table} missing" in damaged(own, CELLS)[MIDDLE]


def test_silences_are_damage_only_beyond_the_limit_of_the_day(own: Bench) -> None:
    """Fourteen minutes are a gap that labels step around, sixteen are too much to learn from."""
    quiet(own, MIDDLE, NOON_NS, 14)
    assert scan_cells(own, [MIDDLE]).of(MIDDLE.symbol, MIDDLE.day)
    assert damaged(own, CELLS) == {}
    quiet(own, MIDDLE, NOON_NS, 16)
    assert damaged(own, CELLS).keys() == {MIDDLE}
    assert "at most 900 s allowed" in damaged(own, CELLS)[MIDDLE]


def test_a_silence_over_midnight_counts_for_each_day_by_its_own_part(own: Bench) -> None:
    """Ten minutes on either side are twenty in one stretch, and damage neither day."""
    before, after = MIDDLE, MIDDLE.shifted(1)
    quiet(own, before, before.end_ns - 600 * SECOND_NS, 10)
    quiet(own, after, after.start_ns, 10)
    (gap,) = scan_cells(own, [before, after]).of(before.symbol, before.day)
    assert gap.seconds > 1_200
    assert damaged(own, CELLS) == {}


def test_a_reader_is_refused_with_every_damaged_cell_and_what_to_do(own: Bench) -> None:
    """The message names cells, reasons and the way out."""
    other = Cell(DAYS[2], "ETHUSDT")
    truncate(own, BOOK, MIDDLE)
    file_of(own, TRADES, other).unlink()
    with pytest.raises(DamagedPartition) as refused:
        require_sound(own, CELLS)
    message = str(refused.value)
    assert message.startswith("2 of 6 partitions are damaged")
    assert str(MIDDLE.key) in message
    assert str(other.key) in message
    assert "gap_sensor" in message


def test_a_sound_day_without_features_or_labels_is_wanting(own: Bench) -> None:
    """It needs work although its market data is good."""
    file_of(own, LABELS, MIDDLE).unlink()
    assert wanting(own) == {MIDDLE: "labels missing: no partition; import the day"}


def test_a_repaired_cell_is_sound_again(own: Bench) -> None:
    """The scan follows the file, not what it remembers of it."""
    truncate(own, BOOK, MIDDLE)
    assert damaged(own, CELLS).keys() == {MIDDLE}
    own.primary = {}
    ingest(own, [MIDDLE])
    assert damaged(own, CELLS) == {}
    require_sound(own, CELLS)


def test_a_damaged_cell_is_wanting_for_its_damage_first(own: Bench) -> None:
    """Missing labels of a day that cannot be read are no second reason."""
    truncate(own, BOOK, MIDDLE)
    file_of(own, LABELS, MIDDLE).unlink()
    (why,) = wanting(own).values()
    assert "book corrupt" in why
    assert "no labels" not in why
