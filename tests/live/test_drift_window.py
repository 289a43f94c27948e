"""Rows drawn from a whole span: evenly, without favour, the same in a replay, and on after a restart."""

from typing import Any

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bus.messages import Score
from evaluation.clean_windows import WindowShape
from live.drift_window import LEAST_ROWS, SLICES, DriftWindow, packed
from market.feature_spec import N_COLUMNS, N_FEATURES
from tests.live.parts import START_NS
from tests.live.risk_market import image, score

HOUR_NS = 3_600_000_000_000
DAY = WindowShape(480, 86_400.0)
BORN_NS = START_NS - START_NS % HOUR_NS


def scored(at_ns: int, value: float, **changes: Any) -> Score:
    """A score whose columns all hold one value."""
    row = np.full(N_COLUMNS, value, "<f4").tobytes()
    return msgspec.structs.replace(score(image(at_ns, 10, 11), row=row), local_ns=at_ns, **changes)


def filled(window: DriftWindow, a_hour: dict[int, int]) -> DriftWindow:
    """So many rows in each of these hours; a row's value is its hour, every second one is a short."""
    for hour, count in a_hour.items():
        for k in range(count):
            window.take(scored(BORN_NS + hour * HOUR_NS + k * 10_000_000, float(hour), side=1 if k % 2 else -1))
    return window


def test_a_window_takes_from_each_hour_its_share_of_the_rows() -> None:
    """A busy hour counts for more, as it does in training; sides go with their rows, context columns do not."""
    window = filled(DriftWindow(DAY), {hour: 300 if hour == 14 else 100 for hour in range(SLICES)})
    drawn = window.draw()
    assert drawn is not None
    hours, counts = np.unique(drawn.rows[:, 0], return_counts=True)
    assert hours.tolist() == list(range(SLICES))
    assert drawn.rows.shape == (480, N_FEATURES)
    assert set(np.delete(counts, 14).tolist()) <= {18, 19}
    assert counts[14] in (55, 56)
    assert 150 < (drawn.sides == -1).sum() < 330
    assert (drawn.covered_seconds, drawn.spans(DAY)) == (86_400.0, True)
    assert np.all(np.diff(drawn.rows[:, 0]) >= 0)


def test_the_oldest_hour_leaves_when_a_new_one_comes() -> None:
    """And a row of before the span is not let in again."""
    window = filled(DriftWindow(DAY), dict.fromkeys(range(SLICES + 3), 50))
    window.take(scored(BORN_NS, 0.0))
    drawn = window.draw()
    assert drawn is not None
    assert sorted(set(drawn.rows[:, 0].tolist())) == list(range(3, SLICES + 3))


def test_a_day_with_a_fifth_missing_still_spans_it_and_with_more_does_not() -> None:
    """A pause of the market, or ours, is no reason to be blind for a day."""
    whole = dict.fromkeys(range(SLICES), 50)
    for missing, spans in ((4, True), (5, False)):
        drawn = filled(DriftWindow(DAY), {hour: n for hour, n in whole.items() if hour >= missing}).draw()
        assert drawn is not None
        assert drawn.spans(DAY) == spans


def test_too_few_rows_are_no_window() -> None:
    """PSI of them would be luck."""
    assert DriftWindow(DAY).draw() is None
    assert filled(DriftWindow(DAY), {0: LEAST_ROWS - 1}).draw() is None
    assert filled(DriftWindow(DAY), {0: LEAST_ROWS}).draw() is not None
    assert filled(DriftWindow(WindowShape(50, 60.0)), {0: 60}).draw() is not None


def test_rows_that_are_no_numbers_or_of_another_width_are_left_out() -> None:
    """They are counted elsewhere and would make every figure NaN."""
    window = DriftWindow(DAY)
    window.take(scored(BORN_NS, float("nan")))
    window.take(scored(BORN_NS, 1.0, row=b"\0" * 8))
    assert window.taken == 0


def test_another_schema_begins_anew() -> None:
    """Columns of two kernels do not mean the same."""
    window = filled(DriftWindow(DAY), {0: 300})
    window.take(scored(BORN_NS, 1.0, schema_hash="other"))
    assert window.draw() is None
    assert window.schema_hash == "other"


@given(st.permutations(range(400)))
def test_the_order_and_repeats_of_messages_do_not_matter(order: list[int]) -> None:
    """Each row is drawn by the hash of its candidate's id: a redelivery changes nothing, nor does who came first."""
    shape = WindowShape(240, 24.0)
    messages = [scored(BORN_NS + k * 50_000_000, float(k)) for k in range(400)]
    plain, mixed = DriftWindow(shape), DriftWindow(shape)
    for message in messages:
        plain.take(message)
    for k in order:
        mixed.take(messages[k])
        mixed.take(messages[k])
    first, second = plain.draw(), mixed.draw()
    assert first is not None and second is not None
    assert first.rows.tobytes() == second.rows.tobytes()
    assert len(first.rows) == 240


def test_a_draw_favours_no_part_of_an_hour() -> None:
    """Of 5,000 rows in an hour those drawn have the mean of all, within three deviations of it."""
    window = DriftWindow(DAY)
    for k in range(5_000):
        window.take(scored(BORN_NS + k * 700_000_000, k / 5_000))
    drawn = window.draw()
    assert drawn is not None
    assert abs(drawn.rows[:, 0].mean() - 0.5) < 3 * 0.289 / len(drawn.rows) ** 0.5


def test_a_restart_goes_on_to_the_bit() -> None:
    """The rows, and what comes later."""
    whole, first = (filled(DriftWindow(DAY), dict.fromkeys(range(10), 400)) for _ in range(2))
    second = DriftWindow(DAY)
    assert second.restore(packed(first.copied()))
    for window in (whole, second):
        filled(window, dict.fromkeys(range(10, 30), 400))
    wanted, found = whole.draw(), second.draw()
    assert wanted is not None and found is not None
    assert wanted.rows.tobytes() == found.rows.tobytes()
    assert second.schema_hash == whole.schema_hash
    empty = DriftWindow(DAY)
    assert empty.restore(packed(DriftWindow(DAY).copied()))
    assert empty.draw() is None


def test_what_is_of_another_shape_or_torn_is_refused() -> None:
    """The window is then empty, and works."""
    content = packed(filled(DriftWindow(DAY), {0: 300}).copied())
    for bad in (b"", b"no", content[: len(content) // 2]):
        window = DriftWindow(DAY)
        assert not window.restore(bad)
        assert window.draw() is None
    assert not DriftWindow(WindowShape(480, 3_600.0)).restore(content)
