"""Why a sensor that reads the gap scan fills the holes, and not one of Dagster's automation conditions.

Each condition is evaluated as the daemon would, on ten old days whose upstream is there and whose downstream is not.
What is asserted is what the release of Dagster in the lock does: when one of these fails, look again at gap_sensor.
"""

from collections.abc import Iterator
from datetime import date, timedelta

import dagster as dg
import pytest

from pipelines.retrain_sensors import MAX_ATTEMPTS, Attempts, plan_backfill
from tests.pipelines.days import Cell

DAYS = dg.DailyPartitionsDefinition(start_date="2026-01-01", end_date="2026-01-11")
KEYS = DAYS.get_partition_keys()
BROKEN = KEYS[4]
WHEN = dg.AutomationCondition
MISSING = WHEN.missing() & ~WHEN.any_deps_missing() & ~WHEN.in_progress()
CAREFUL = MISSING & ~WHEN.execution_failed()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Ten days of the upstream are there."""
    with dg.DagsterInstance.ephemeral() as made:
        materialized(made, "upstream", KEYS)
        yield made


def materialized(instance: dg.DagsterInstance, asset: str, keys: list[str]) -> None:
    """Note partitions of an asset as made."""
    for key in keys:
        instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=key))


def definitions(condition: dg.AutomationCondition, broken: str = "") -> dg.Definitions:
    """Two assets; the second has the condition, and fails on one day."""

    @dg.asset(partitions_def=DAYS)
    def upstream() -> None: ...

    @dg.asset(partitions_def=DAYS, deps=[upstream], automation_condition=condition)
    def downstream(context: dg.AssetExecutionContext) -> None:
        assert context.partition_key != broken

    return dg.Definitions(assets=[upstream, downstream])


def looks(
    instance: dg.DagsterInstance, defs: dg.Definitions, times: int, cursor: object = None
) -> tuple[list[int], object]:
    """How many partitions each evaluation asks for, when every one asked for is then run."""
    asked = []
    for _ in range(times):
        found = dg.evaluate_automation_conditions(defs=defs, instance=instance, cursor=cursor)  # type: ignore[arg-type]
        cursor = found.cursor
        keys = sorted(found.get_requested_partitions(dg.AssetKey("downstream"))) if found.total_requested else []
        asked.append(len(keys))
        for key in keys:
            defs.resolve_implicit_global_asset_job_def().execute_in_process(
                instance=instance, partition_key=str(key), asset_selection=[dg.AssetKey("downstream")],
                raise_on_error=False, run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )  # fmt: skip
    return asked, cursor


@pytest.mark.parametrize("condition", [WHEN.on_missing(), WHEN.eager()], ids=["on_missing", "eager"])
def test_two_conditions_leave_old_holes_alone(instance: dg.DagsterInstance, condition: dg.AutomationCondition) -> None:
    """Neither on_missing nor eager asks for what was missing before it was first evaluated."""
    assert looks(instance, definitions(condition), 3)[0] == [0, 0, 0]


def test_a_hand_built_condition_fills_them_once_and_gives_up_on_what_fails(instance: dg.DagsterInstance) -> None:
    """A day that failed once, perhaps because a server was away, is never asked for again."""
    assert looks(instance, definitions(CAREFUL, BROKEN), 4)[0] == [10, 0, 0, 0]


def test_without_its_last_part_it_asks_for_what_fails_for_ever(instance: dg.DagsterInstance) -> None:
    """One run a look, all night."""
    assert looks(instance, definitions(MISSING, BROKEN), 4)[0] == [10, 1, 1, 1]


def test_an_old_day_that_was_repaired_is_seen_by_one_condition_only(instance: dg.DagsterInstance) -> None:
    """eager without its window; the hand-built one sees nothing missing."""
    found = {}
    for name, condition in (("eager", WHEN.eager().without(WHEN.in_latest_time_window())), ("careful", CAREFUL)):
        with dg.DagsterInstance.ephemeral() as own:
            materialized(own, "upstream", KEYS)
            materialized(own, "downstream", KEYS)
            defs = definitions(condition)
            _, cursor = looks(own, defs, 1)
            materialized(own, "upstream", [KEYS[1]])
            found[name] = looks(own, defs, 1, cursor)[0]
    assert found == {"eager": [1], "careful": [0]}


def test_the_gap_sensor_fills_all_of_them_and_tries_what_fails_a_few_times() -> None:
    """Ten at the first look, then the one that stays wanting twice more, then a person is asked."""
    wanted = {Cell(date(2026, 1, 1) + timedelta(days=day), "BTCUSDT"): "missing" for day in range(10)}
    broken = list(wanted)[4]
    known: dict[str, Attempts] = {}
    asked = []
    for _ in range(MAX_ATTEMPTS + 2):
        plan = plan_backfill(wanted, known, set(), 50)
        asked.append(len(plan.asked))
        known, wanted = plan.attempts, {broken: "missing"}
    assert asked == [10, 1, 1, 0, 0]
    assert plan.exhausted == [str(broken.key)]
