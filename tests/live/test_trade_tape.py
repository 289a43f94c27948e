from hypothesis import given
from hypothesis import strategies as st

from live.trade_tape import TradeTape


def test_a_missing_number_is_counted_and_a_repeat_dropped() -> None:
    """5, 6, 9: two are missing; 6 again is none of ours."""
    tape = TradeTape(contiguous=True)
    assert [tape.is_new(number) for number in (5, 6, 9, 6, 10)] == [True, True, True, False, True]
    assert (tape.missing, tape.repeated) == (2, 1)


@given(st.lists(st.integers(0, 50), max_size=80))
def test_no_number_passes_twice(numbers: list[int]) -> None:
    """In whatever order they come, of either kind of venue."""
    for contiguous in (True, False):
        tape = TradeTape(contiguous=contiguous)
        passed = [number for number in numbers if tape.is_new(number)]
        assert len(passed) == len(set(passed))
        assert tape.repeated == len(numbers) - len(passed)


@given(st.sets(st.integers(0, 60), min_size=1))
def test_missing_numbers_are_those_between_the_first_and_the_last(numbers: set[int]) -> None:
    """Where numbers rise."""
    tape = TradeTape(contiguous=True)
    for number in sorted(numbers):
        assert tape.is_new(number)
    assert tape.missing == max(numbers) - min(numbers) + 1 - len(numbers)


def test_ids_without_order_are_remembered_and_forgotten_at_last() -> None:
    """Ten thousand are kept."""
    tape = TradeTape(contiguous=False)
    assert all(tape.is_new(number) for number in range(10_001))
    assert tape.is_new(0)
    assert not tape.is_new(10_000)
    assert tape.missing == 0
