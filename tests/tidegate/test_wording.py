import pytest

from tidegate.wording import age, clock_time, length_of


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 ms"), (0.04, "40 ms"), (1.24, "1.2 s"), (42.4, "42 s"), (119.4, "119 s"), (600, "10 min"),
     (7_199, "120 min"), (18_000, "5 h"), (259_200, "3 d")],
)  # fmt: skip
def test_ages_are_told_in_two_figures_or_so(seconds: float, told: str) -> None:
    """In the unit that fits."""
    assert age(seconds) == told


def test_moments_are_told_to_the_second() -> None:
    """In UTC, and it says so."""
    assert clock_time(1_767_787_200_999_999_999) == "12:00:00 UTC"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5_400), ("1d", 86_400), (" 2m ", 120)]
)
def test_lengths_of_time_are_read(text: str, seconds: float) -> None:
    """With their unit."""
    assert length_of(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "-5m", "10 minutes", "1w"])
def test_other_lengths_are_refused(text: str) -> None:
    """With an example."""
    with pytest.raises(ValueError, match="like 10m"):
        length_of(text)
