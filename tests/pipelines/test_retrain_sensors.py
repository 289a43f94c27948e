from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.layout import BOOK, LABELS
from bus.messages import Breach, Verdict
from pipelines.ingestion import BACKFILL_TAG
from pipelines.partitions import RANGE_END, RANGE_START, Cell
from pipelines.retrain_sensors import (
    BECAUSE_TAG,
    MAX_ATTEMPTS,
    BackfillPlan,
    GapCursor,
    drift_sensor,
    gap_sensor,
    plan_backfill,
    plan_drift,
    plan_training,
    running,
)
from tests.pipelines.days import CELLS, DAYS, MIDDLE, Bench, bench, file_of, truncate

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


def result_of(plan: BackfillPlan) -> dg.SensorResult:
    """A plan in Dagster's terms, with nothing filled before."""
    return plan_training(plan, GapCursor(), "train_job").result("ingest_job")


def jobs() -> tuple[Any, Any]:
    """The two jobs that the sensors of data start."""
    return dg.define_asset_job("ingest_job", selection="*"), dg.define_asset_job("train_job", selection="*")


def sensor_of(workspace: Bench) -> dg.SensorDefinition:
    """The gap sensor of a workspace."""
    return gap_sensor(*jobs(), workspace.settings)


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
    reason = result_of(plans[-1]).skip_reason
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
    keys = [result_of(plan).run_requests[0].run_key for plan in looks(MAX_ATTEMPTS)]  # type: ignore[index]
    assert len(set(keys)) == MAX_ATTEMPTS
    assert all(str(key).startswith(f"backfill:{KEY}:") for key in keys)


def test_a_cell_under_way_is_neither_asked_for_nor_counted() -> None:
    """A slow backfill must not use up its attempts."""
    known = looks(1)[-1].attempts
    plan = plan_backfill({MIDDLE: WHY}, known, {KEY}, 50)
    assert (plan.asked, plan.waiting, plan.attempts) == ([], 1, known)
    assert str(result_of(plan).skip_reason.skip_message) == "1 backfills are under way"  # type: ignore[union-attr]
    assert plan_backfill({MIDDLE: WHY}, looks(MAX_ATTEMPTS)[-1].attempts, {KEY}, 50).exhausted == []


def test_nothing_wanting_says_so() -> None:
    """The tick is skipped with a reason a person can read."""
    reason = result_of(plan_backfill({}, {}, set(), 50)).skip_reason
    assert reason is not None
    assert reason.skip_message == "no partition is missing or damaged"


def test_the_cursor_carries_the_attempts(
    own: Bench, instance: dg.DagsterInstance, capfd: pytest.CaptureFixture[str]
) -> None:
    """A sensor that is started anew goes on counting where it stopped; people hear of the gap twice."""
    truncate(own, BOOK, MIDDLE)
    sensor, cursor, asked = sensor_of(own), None, []
    for _ in range(MAX_ATTEMPTS + 1):
        context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"workspace": own})
        found = sensor(context)
        asked.append([request.partition_key for request in found.run_requests or ()])
        cursor = found.cursor
    assert asked == [[KEY]] * MAX_ATTEMPTS + [[]]
    assert msgspec.json.decode(cursor or "", type=GapCursor).attempts[KEY].count == MAX_ATTEMPTS + 1  # given up
    told = capfd.readouterr().err
    assert (told.count("1 partition found missing"), told.count("1 partition given up")) == (1, 1)


def test_the_sensor_asks_for_the_damaged_and_the_underived_and_for_no_other(
    own: Bench, instance: dg.DagsterInstance
) -> None:
    """As backfills, so that the second source is asked."""
    other = Cell(DAYS[2], "ETHUSDT")
    truncate(own, BOOK, MIDDLE)
    file_of(own, LABELS, other).unlink()
    context = dg.build_sensor_context(instance=instance, resources={"workspace": own})
    requests = sensor_of(own)(context).run_requests
    assert [request.partition_key for request in requests] == [KEY, str(other.key)]
    assert {request.tags[BACKFILL_TAG] for request in requests} == {"true"}


def test_the_sensor_leaves_alone_what_a_run_works_on(own: Bench, instance: dg.DagsterInstance) -> None:
    """It asks the instance, and says that it waits."""
    truncate(own, BOOK, MIDDLE)
    started(instance, {"dagster/partition": KEY})
    context = dg.build_sensor_context(instance=instance, resources={"workspace": own})
    found = sensor_of(own)(context)
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


def test_what_was_filled_is_trained_on_once_nothing_is_wanting_any_more() -> None:
    """One run for all of it, not one a cell; and none again for the same filling."""
    asked = looks(1)[0]
    first = plan_training(asked, GapCursor(), "train_job")
    assert (first.training, first.cursor.filled) == (None, ())
    mended = plan_backfill({}, first.cursor.attempts, set(), 50)
    then = plan_training(mended, first.cursor, "train_job")
    assert then.training is not None
    assert (then.training.job_name, then.training.tags[BECAUSE_TAG]) == ("train_job", "1 partitions were filled")
    assert plan_training(plan_backfill({}, {}, set(), 50), then.cursor, "train_job").training is None


def test_no_training_while_a_cell_is_still_wanting() -> None:
    """The others wait for it: a training would read the damaged one, and one training is enough."""
    other = Cell(DAYS[2], "ETHUSDT")
    both = plan_training(plan_backfill({MIDDLE: WHY, other: WHY}, {}, set(), 50), GapCursor(), "train_job")
    half = plan_training(plan_backfill({other: WHY}, both.cursor.attempts, set(), 50), both.cursor, "train_job")
    assert (half.training, half.cursor.filled) == (None, (KEY,))
    whole = plan_training(plan_backfill({}, half.cursor.attempts, set(), 50), half.cursor, "train_job")
    assert whole.training is not None
    assert whole.training.tags[BECAUSE_TAG] == "2 partitions were filled"


def test_the_same_cells_filled_again_are_trained_on_again() -> None:
    """Dagster remembers run keys for ever, so a key of the content alone would start nothing the second time."""
    cursor, keys = GapCursor(), []
    for _ in range(2):
        cursor = plan_training(plan_backfill({MIDDLE: WHY}, cursor.attempts, set(), 50), cursor, "train_job").cursor
        then = plan_training(plan_backfill({}, cursor.attempts, set(), 50), cursor, "train_job")
        cursor = then.cursor
        keys.append(then.training.run_key if then.training else None)
    assert None not in keys
    assert len(set(keys)) == 2


def test_the_gap_sensor_trains_after_the_backfill(own: Bench, instance: dg.DagsterInstance) -> None:
    """In Dagster's terms, over three looks: damaged, mended, and nothing left to do."""
    path, sensor = file_of(own, LABELS, MIDDLE), sensor_of(own)
    kept, cursor, asked = path.read_bytes(), None, []
    path.unlink()
    for look in range(3):
        if look == 1:
            path.write_bytes(kept)
        context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"workspace": own})
        found = sensor(context)
        asked.append([request.job_name for request in found.run_requests or ()])
        cursor = found.cursor
    assert asked == [["ingest_job"], ["train_job"], []]


def active(*breaches: Breach, observed: tuple[Breach, ...] = ()) -> Verdict:
    """What risk says of version 4, which is active."""
    return Verdict(
        trial="active", decision="roll_back" if breaches else "hold", version=4, model_id="m-4", against=0, epoch=1,
        salt="", breaches=list(breaches), observed=list(observed), numbers={}, limits={}, budget_used=0.0, since_ns=0,
        signal_ns=0, at_ns=0,
    )  # fmt: skip


PSI = Breach("psi_feature_spread", 0.41, 0.3, "psi of spread 0.41 over 0.30 for 31 minutes")


def test_drift_asks_for_one_training_a_day_of_labels() -> None:
    """Whether the gate decides or only watches; drift that goes on asks for nothing new."""
    asked, text = plan_drift(active(PSI), DAYS[1], False, "train_job")
    watched, _ = plan_drift(active(observed=(PSI,)), DAYS[1], False, "train_job")
    later, _ = plan_drift(active(PSI), DAYS[2], False, "train_job")
    assert asked is not None
    assert watched is not None
    assert later is not None
    assert asked.run_key == watched.run_key != later.run_key
    assert asked.tags[BECAUSE_TAG] == "drift of psi_feature_spread"
    assert "0.41" in text


@pytest.mark.parametrize(
    ("verdict", "day", "trains", "why"),
    [
        (None, DAYS[1], False, "no verdict"),
        (active(), DAYS[1], False, "no feature of version 4 is over its line"),
        (active(Breach("winrate_delta", 0.4, 0.5, "lower")), DAYS[1], False, "no feature"),
        (active(PSI), None, False, "no labels"),
        (active(PSI), DAYS[1], True, "a training is under way"),
    ],
)
def test_no_training_without_drift_or_data_or_while_one_runs(
    verdict: Verdict | None, day: date | None, trains: bool, why: str
) -> None:
    """The tick says which."""
    request, text = plan_drift(verdict, day, trains, "train_job")
    assert request is None
    assert why in text


def test_the_drift_sensor_without_streams_says_so_and_keeps_its_cursor(
    own: Bench, instance: dg.DagsterInstance
) -> None:
    """A bus that is away is no drift."""
    context = dg.build_sensor_context(instance=instance, cursor="7-0", resources={"workspace": own})
    found = drift_sensor(jobs()[1], own.settings)(context)
    assert not found.run_requests
    assert "the streams tell nothing" in found.skip_reason.skip_message
    assert found.cursor == "7-0"


@pytest.mark.parametrize(("automatic", "status"), [(True, "RUNNING"), (False, "STOPPED")])
def test_what_starts_work_by_itself_is_switched_on_or_off_as_configured(
    tmp_path: Path, automatic: bool, status: str
) -> None:
    """Both sensors; they look as often as configured."""
    settings = bench(tmp_path, schedule={"automatic": automatic, "backfill_seconds": 120}).settings
    for sensor in (gap_sensor(*jobs(), settings), drift_sensor(jobs()[1], settings)):
        assert sensor.minimum_interval_seconds == 120
        assert sensor.default_status.value == status
