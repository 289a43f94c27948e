from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from pipelines.gap_notices import gap_notices
from pipelines.partitions import Cell
from pipelines.retrain_sensors import MAX_ATTEMPTS, Attempts, plan_backfill
from tests.pipelines.test_notification import webhook

CELLS = [Cell(date(2026, 1, day), symbol) for day in (5, 6, 7) for symbol in ("BTCUSDT", "ETHUSDT")]


def test_damage_is_told_when_it_is_found_and_not_again() -> None:
    """With what is wrong, and where to read on."""
    (told,) = gap_notices({}, {CELLS[0]: "book missing"}, (), MAX_ATTEMPTS)
    assert (told.title, told.urgency) == ("1 partition found missing or damaged", "warning")
    assert f"{CELLS[0].key} (book missing)" in told.text
    assert "docs/runbook.md#data-gaps" in told.text
    assert list(gap_notices({str(CELLS[0].key): 1}, {CELLS[0]: "book missing"}, (), MAX_ATTEMPTS)) == []


def test_what_backfills_do_not_mend_is_told_once() -> None:
    """Through every look, from the finding on: found, asked for three times, given up, and then silence."""
    known: dict[str, Attempts] = {}
    titles = []
    for _ in range(MAX_ATTEMPTS + 4):
        wanted = {CELLS[0]: "silent for 1500 s"}
        plan = plan_backfill(wanted, known, set(), 50)
        counts = {key: each.count for key, each in known.items()}
        titles += [each.title for each in gap_notices(counts, wanted, plan.exhausted, MAX_ATTEMPTS)]
        known = plan.attempts
    assert titles == ["1 partition found missing or damaged", "1 partition given up"]
    counts = {key: each.count for key, each in known.items()}
    assert [each.title for each in gap_notices(counts, {}, (), MAX_ATTEMPTS)] == ["1 partition mended"]


@given(st.sets(st.sampled_from(CELLS)), st.sets(st.sampled_from(CELLS)))
def test_each_partition_is_told_of_by_what_became_of_it(before: set[Cell], now: set[Cell]) -> None:
    """Found, or mended, or neither; the counts are those of the sets."""
    known = {str(each.key): 1 for each in before}
    told = list(gap_notices(known, dict.fromkeys(now, "why"), (), MAX_ATTEMPTS))
    sizes = [(len(now - before), "warning"), (len(before - now), "success")]
    assert [(int(each.title.split()[0]), each.urgency) for each in told] == [each for each in sizes if each[0]]


def test_a_long_list_is_cut_short() -> None:
    """A lake of years would be no message."""
    (told,) = gap_notices({}, dict.fromkeys(CELLS, "missing"), (), MAX_ATTEMPTS)
    assert told.title == "6 partitions found missing or damaged"
    assert "and 1 more" in told.text


def test_a_webhook_hears_of_a_gap() -> None:
    """As of promotions and rollbacks."""
    from pipelines.notification import notify  # noqa: PLC0415

    (notice,) = gap_notices({}, {CELLS[0]: "book missing"}, (), MAX_ATTEMPTS)
    with webhook() as (url, heard):
        assert notify([url], notice, print) == []
    assert [each["title"] for each in heard] == ["1 partition found missing or damaged"]
