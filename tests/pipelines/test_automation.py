from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.layout import BOOK, LABELS
from config.sections import Market, Schedule
from pipelines.automation import (
    MAX_ATTEMPTS,
    Attempts,
    BackfillPlan,
    backfill_sensor,
    daily_requests,
    daily_schedule,
    plan_backfill,
    running,
)
from pipelines.definitions import build
from pipelines.ingestion import BACKFILL_TAG
from pipelines.partitions import RANGE_END, RANGE_START, Cell
from tests.pipelines.days import CELLS, DAYS, MIDDLE, SYMBOLS, Bench, file_of, truncate

WHY = "book missing: no such partition"
KEY = str(MIDDLE.key)
_WANTED = st.dictionaries(
    st.builds(
        Cell,
        st.integers(0, 30).map(lambda n: DAYS[0] + timedelta(days=n)),
        st.sampled_from(["BTCUSDT", "ETHUSDT", "BTC-USD"]),
    ),
    st.sampled_from(["missing", "corrupt"]),
    max_size=20,
)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance in memory."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def looks(times: int, why: str = WHY, most: int = 50) -> list[BackfillPlan]:
    """What as many looks of the sensor decide while one cell stays as it is."""
    plans: list[BackfillPlan] = []
    for _ in range(times):
        plans.append(plan_backfill({MIDDLE: why}, plans[-1].attempts if plans else {}, set(), most))
    return plans


@given(_WANTED, st.integers(1, 10), st.data())
def test_a_plan_asks_only_for_what_is_wanting_and_idle_and_never_for_more_than_the_limit(
    wanted: dict[Cell, str], most: int, data: st.DataObject
) -> None:
    """The oldest first; every wanting cell is either asked for, under way, or left for a later look."""
    keys = [str(each.key) for each in sorted(wanted)]
    under_way = set(data.draw(st.lists(st.sampled_from(keys), unique=True))) if keys else set()
    plan = plan_backfill(wanted, {}, under_way, most)
    idle = [key for key in keys if key not in under_way]
    assert plan.asked == idle[:most]
    assert plan.waiting == len(under_way)
    assert plan.exhausted == []
    assert set(plan.attempts) == set(keys)


def test_a_cell_that_stays_damaged_is_asked_for_three_times_and_then_handed_to_a_person() -> None:
    """The skip reason names it and says what to do."""
    plans = looks(MAX_ATTEMPTS + 2)
    assert [plan.asked for plan in plans] == [[KEY]] * MAX_ATTEMPTS + [[], []]
    assert plans[-1].exhausted == [KEY]
    reason = plans[-1].result().skip_reason
    assert reason is not None
    assert str(reason.skip_message).startswith(f"1 partitions are still damaged after 3 backfills, the first is {KEY}")


def test_other_damage_starts_counting_anew() -> None:
    """A cell that changed may be mended by one more try; so may one that was sound in between."""
    known = looks(MAX_ATTEMPTS)[-1].attempts
    assert plan_backfill({MIDDLE: "silent for 1500 s"}, known, set(), 50).asked == [KEY]
    forgotten = plan_backfill({}, known, set(), 50).attempts
    assert forgotten == {}
    assert plan_backfill({MIDDLE: WHY}, forgotten, set(), 50).asked == [KEY]


def test_each_attempt_has_a_run_key_of_its_own() -> None:
    """Dagster starts nothing twice for one run key, so a second attempt must not repeat the first one's."""
    keys = [plan.result().run_requests[0].run_key for plan in looks(MAX_ATTEMPTS)]  # type: ignore[index]
    assert len(set(keys)) == MAX_ATTEMPTS
    assert all(str(key).startswith(f"backfill:{KEY}:") for key in keys)


def test_a_cell_under_way_is_neither_asked_for_nor_counted() -> None:
    """A slow backfill must not use up its attempts."""
    known = looks(1)[-1].attempts
    plan = plan_backfill({MIDDLE: WHY}, known, {KEY}, 50)
    assert (plan.asked, plan.waiting, plan.attempts) == ([], 1, known)
    assert str(plan.result().skip_reason.skip_message) == "1 backfills are under way"  # type: ignore[union-attr]
    assert plan_backfill({MIDDLE: WHY}, looks(MAX_ATTEMPTS)[-1].attempts, {KEY}, 50).exhausted == []


def test_nothing_wanting_says_so() -> None:
    """The tick is skipped with a reason a person can read."""
    reason = plan_backfill({}, {}, set(), 50).result().skip_reason
    assert reason is not None
    assert reason.skip_message == "no partition is missing or damaged"


def test_the_cursor_carries_the_attempts(own: Bench, instance: dg.DagsterInstance) -> None:
    """A sensor that is started anew goes on counting where it stopped."""
    truncate(own, BOOK, MIDDLE)
    sensor, cursor, asked = backfill_sensor("ingest_job", own.settings.schedule), None, []
    for _ in range(MAX_ATTEMPTS + 1):
        context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"workspace": own})
        found = sensor(context)
        asked.append([request.partition_key for request in found.run_requests or ()])
        cursor = found.cursor
    assert asked == [[KEY]] * MAX_ATTEMPTS + [[]]
    assert msgspec.json.decode(cursor or "", type=dict[str, Attempts])[KEY].count == MAX_ATTEMPTS


def test_the_sensor_asks_for_the_damaged_and_the_underived_and_for_no_other(
    own: Bench, instance: dg.DagsterInstance
) -> None:
    """As backfills, so that the second source is asked."""
    other = Cell(DAYS[2], "ETHUSDT")
    truncate(own, BOOK, MIDDLE)
    file_of(own, LABELS, other).unlink()
    context = dg.build_sensor_context(instance=instance, resources={"workspace": own})
    requests = backfill_sensor("ingest_job", own.settings.schedule)(context).run_requests
    assert [request.partition_key for request in requests] == [KEY, str(other.key)]
    assert {request.tags[BACKFILL_TAG] for request in requests} == {"true"}


def test_the_sensor_leaves_alone_what_a_run_works_on(own: Bench, instance: dg.DagsterInstance) -> None:
    """It asks the instance, and says that it waits."""
    truncate(own, BOOK, MIDDLE)
    started(instance, {"dagster/partition": KEY})
    context = dg.build_sensor_context(instance=instance, resources={"workspace": own})
    found = backfill_sensor("ingest_job", own.settings.schedule)(context)
    assert not found.run_requests
    assert found.skip_reason.skip_message == "1 backfills are under way"


def started(
    instance: dg.DagsterInstance, tags: dict[str, str], status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED
) -> None:
    """Put a run with these tags on the instance."""
    instance.add_run(dg.DagsterRun(job_name="ingest_job", tags=tags, status=status))


def test_a_range_of_days_and_symbols_is_under_way_cell_by_cell(instance: dg.DagsterInstance) -> None:
    """A single-run backfill names only its corners; a run without partition names none."""
    started(instance, {RANGE_START: "2026-01-05|ETHUSDT", RANGE_END: "2026-01-06|ETHUSDT"})
    started(instance, {})
    assert running(instance, CELLS) == {"2026-01-05|ETHUSDT", "2026-01-06|ETHUSDT"}


@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
)
def test_a_run_that_ended_is_not_under_way(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> None:
    """However it ended."""
    started(instance, {"dagster/partition": KEY}, status)
    assert running(instance, CELLS) == set()


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
def test_what_runs_by_itself_starts_switched_on_or_off_as_configured(automatic: bool, status: str) -> None:
    """Schedule and sensor alike; the sensor looks as often as configured."""
    rules = Schedule(automatic=automatic, backfill_seconds=120)
    sensor = backfill_sensor("ingest_job", rules)
    assert sensor.minimum_interval_seconds == 120
    assert sensor.default_status.value == status
    assert daily_schedule("ingest_job", rules, Market(symbols=SYMBOLS)).default_status.value == status
