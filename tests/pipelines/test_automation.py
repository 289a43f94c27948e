from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from config.sections import Market, Schedule
from pipelines.automation import daily_requests, daily_schedule
from pipelines.definitions import build
from pipelines.partitions import Cell
from tests.pipelines.days import DAYS, SYMBOLS, Bench


def test_the_daily_schedule_runs_at_the_configured_hour() -> None:
    """A quarter past, UTC, when the venue's day is over."""
    schedule = daily_schedule("ingest_job", Schedule(daily_hour=3), Market(symbols=SYMBOLS))
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("15 3 * * *", "UTC")


def test_a_day_asks_for_yesterday_of_every_symbol_and_twice_starts_nothing_new() -> None:
    """The run keys depend on the day alone."""
    at = datetime(2026, 1, 7, 3, 15, tzinfo=UTC)
    first = date(2026, 1, 5)
    asked, again = daily_requests(at, SYMBOLS, first), daily_requests(at + timedelta(hours=5), SYMBOLS, first)
    assert [request.partition_key for request in asked] == ["2026-01-06|BTCUSDT", "2026-01-06|ETHUSDT"]
    assert [request.run_key for request in asked] == [request.run_key for request in again]


def test_new_year_has_a_day_before() -> None:
    """The last of December."""
    (request,) = daily_requests(datetime(2026, 1, 1, 1, 15, tzinfo=UTC), ("BTCUSDT",), date(2025, 12, 31))
    assert request.partition_key == str(Cell(date(2025, 12, 31), "BTCUSDT").key)


def test_a_day_is_labelled_to_its_end_once_the_next_is_there() -> None:
    """Yesterday is ingested whole; of the day two before it only the labels again, and none before the grid."""
    at = datetime(2026, 1, 9, 1, 15, tzinfo=UTC)
    whole, again = daily_requests(at, ("BTCUSDT",), DAYS[0])
    assert (whole.partition_key, whole.asset_selection) == ("2026-01-08|BTCUSDT", None)
    assert (again.partition_key, again.asset_selection) == ("2026-01-06|BTCUSDT", [dg.AssetKey("labels")])
    assert whole.run_key != again.run_key
    assert len(daily_requests(at, ("BTCUSDT",), date(2026, 1, 7))) == 1


def test_the_schedule_asks_for_runs_that_its_job_can_make(own: Bench) -> None:
    """A tick of the schedule in the real definitions, labels alone included."""
    definitions = build(own)
    schedule = definitions.resolve_schedule_def("daily_ingest")
    at = datetime.combine(DAYS[0] + timedelta(days=3), datetime.min.time(), UTC) + timedelta(hours=1, minutes=15)
    context = dg.build_schedule_context(
        scheduled_execution_time=at, repository_def=definitions.get_repository_def(), resources={"workspace": own}
    )
    asked = schedule.evaluate_tick(context).run_requests
    assert sorted(str(request.partition_key)[:10] for request in asked or []) == sorted(
        [DAYS[2].isoformat()] * len(SYMBOLS) + [DAYS[0].isoformat()] * len(SYMBOLS)
    )


@pytest.mark.parametrize(("automatic", "status"), [(True, "RUNNING"), (False, "STOPPED")])
def test_the_schedule_starts_switched_on_or_off_as_configured(automatic: bool, status: str) -> None:
    """A person may switch it all the same."""
    schedule = daily_schedule("ingest_job", Schedule(automatic=automatic), Market(symbols=SYMBOLS))
    assert schedule.default_status.value == status
