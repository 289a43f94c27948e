import io

import pytest
from rich.console import Console

from tidegate.bars import Bars


@pytest.fixture
def screen() -> io.StringIO:
    """What a person would see."""
    return io.StringIO()


def bars(screen: io.StringIO) -> Bars:
    """Bars on a wide terminal without colours."""
    return Bars(Console(file=screen, force_terminal=True, width=120, color_system=None, legacy_windows=False))


def test_each_asset_that_reports_has_a_bar_with_its_count(screen: io.StringIO) -> None:
    """Under the title of the stage."""
    drawn = bars(screen)
    with drawn.titled("1  market data"):
        drawn.step("market_data", 0, 4, "2026-01-05|BTCUSDT")
        drawn.step("market_data", 4, 4)
        drawn.step("features", 1, 2)
    shown = screen.getvalue()
    assert "1  market data" in shown
    assert "market_data" in shown
    assert "4/4" in shown
    assert "1/2" in shown


def test_outside_a_stage_nothing_is_drawn(screen: io.StringIO) -> None:
    """An asset may report at any time."""
    drawn = bars(screen)
    drawn.step("model", 1, 1)
    assert screen.getvalue() == ""


def test_a_second_stage_starts_with_bars_of_its_own(screen: io.StringIO) -> None:
    """The same asset may report in both."""
    drawn = bars(screen)
    for title in ("first", "second"):
        with drawn.titled(title):
            drawn.step("market_data", 1, 1)
    assert screen.getvalue().index("first") < screen.getvalue().index("second")


def test_bars_count_seconds_as_any_progress_does(screen: io.StringIO) -> None:
    """The closing screen needs them."""
    drawn = bars(screen)
    with drawn.body("model"):
        pass
    assert drawn.body_seconds["model"] > 0
