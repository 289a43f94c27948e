"""What is followed: the head once there is one, never something older, and the aliases before."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.course import lags, of_journal, of_tags, unmoved
from registry.effects import EPOCH_TAG, ROLLOUT_TAG, SLOTS_TAG
from registry.journal import JOURNAL_FILE, HeadReader
from registry.slots import SLOTS
from tests.live.journals import begun, committed, moved, tags
from tests.live.test_rollout import state

versions = st.dictionaries(st.sampled_from(SLOTS), st.integers(1, 9))


@given(versions)
def test_before_the_first_move_the_aliases_say_it(aliases: dict[str, int]) -> None:
    """At epoch 0."""
    course = of_tags({}, aliases, 0)  # type: ignore[arg-type]  # keys are slots
    assert (course.source, course.epoch, course.versions, course.doubt) == ("aliases", 0, aliases, "")


@given(versions, versions, st.integers(1, 9), st.integers(0, 9))
def test_a_head_outranks_aliases_unless_it_is_old(
    slots: dict[str, int], aliases: dict[str, int], epoch: int, known: int
) -> None:
    """Whatever the aliases name; an older one than was followed is doubted, and nothing follows from it."""
    course = of_tags(tags(epoch, **slots), aliases, known)  # type: ignore[arg-type]
    assert course.source == "tags"
    assert course.epoch == max(epoch, known)
    assert bool(course.doubt) == (epoch < known)
    assert course.versions == ({} if course.doubt else slots)


@pytest.mark.parametrize(
    "found",
    [{}, {EPOCH_TAG: "four", SLOTS_TAG: "{}"}, {EPOCH_TAG: "4"}, {EPOCH_TAG: "4", SLOTS_TAG: '{"active": "v0"}'},
     {EPOCH_TAG: "4", SLOTS_TAG: "{}", ROLLOUT_TAG: "{}"}],
)  # fmt: skip
def test_tags_that_are_gone_or_edited_are_doubted(found: dict[str, str]) -> None:
    """The aliases are not fallen back on: somebody moved them, or a backup did."""
    course = of_tags(found, {"active": 7}, 3)
    assert (course.epoch, course.versions) == (3, {})
    assert course.doubt


def test_a_rollout_comes_with_the_tags() -> None:
    """For hosts that the registrar does not write to."""
    share = state(epoch=4)
    found = tags(4, active=1) | {ROLLOUT_TAG: msgspec.json.encode(share).decode()}
    assert of_tags(found, {}, 0).rollout == share


def test_a_journal_outranks_everything_once_it_holds_a_move(tmp_path: Path) -> None:
    """None without one; the slots of its newest committed move."""
    reader = HeadReader(tmp_path)
    assert of_journal(reader) is None
    moved(tmp_path, active=1)
    moved(tmp_path, active=2, previous=1, shadow=1)
    course = of_journal(reader)
    assert course is not None
    assert (course.source, course.epoch, course.doubt) == ("journal", 2, "")
    assert course.versions == {"active": 2, "previous": 1, "shadow": 1}


def test_a_move_under_way_is_waited_for(tmp_path: Path) -> None:
    """Whatever the mirror shows of it; a turn that was decided before it is not made any more."""
    reader = HeadReader(tmp_path)
    moved(tmp_path, active=1)
    before = of_journal(reader)
    assert before is not None
    with unmoved(tmp_path, reader, before) as holds:
        assert holds
    tx = begun(tmp_path, active=2)
    found = of_journal(reader)
    assert found is not None
    assert tx in found.doubt
    with unmoved(tmp_path, reader, before) as holds:
        assert not holds
    committed(tmp_path, tx)
    with unmoved(tmp_path, reader, before) as holds:
        assert not holds
    after = of_journal(reader)
    assert after is not None
    assert after.versions == {"active": 2}


def test_a_journal_that_was_edited_is_doubted(tmp_path: Path) -> None:
    """And named with its line."""
    moved(tmp_path, active=1)
    path = tmp_path / JOURNAL_FILE
    path.write_bytes(path.read_bytes().replace(b"human:tests", b"human:nobody"))
    found = of_journal(HeadReader(tmp_path))
    assert found is not None
    assert "line 1" in found.doubt


def test_where_mlflow_lags_or_was_touched_is_said(tmp_path: Path) -> None:
    """Alias by alias, and the epoch; nothing while all agree, nor by aliases alone."""
    moved(tmp_path, active=2, previous=1)
    course = of_journal(HeadReader(tmp_path))
    assert course is not None
    assert lags(course, {"active": 2, "previous": 1}, tags(1, active=2)) == ()
    told = lags(course, {"active": 3, "shadow": 1}, tags(0))
    assert len(told) == 4
    assert "active: epoch 1 of the registry has version 2, its alias in MLflow names version 3" in told
    assert lags(of_tags({}, {"active": 1}, 0), {}, {}) == ()
