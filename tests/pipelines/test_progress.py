import inspect

import pytest

from pipelines.progress import Progress, timed


def market_data(cells: list[str], *, limit: int = 3) -> int:
    """Stand for an asset's function."""
    if not cells:
        raise ValueError("no cell")
    return len(cells) + limit


def test_a_timed_function_answers_and_looks_as_before() -> None:
    """Dagster reads the signature, the name and the docstring of what it is handed."""
    wrapped = timed(market_data, Progress())
    assert wrapped(["a"], limit=1) == 2
    assert inspect.signature(wrapped) == inspect.signature(market_data)
    assert (wrapped.__name__, wrapped.__doc__) == ("market_data", market_data.__doc__)


def test_seconds_are_counted_by_asset_and_add_up() -> None:
    """Each call adds to its own asset."""
    progress = Progress()
    wrapped = timed(market_data, progress)
    wrapped(["a"])
    once = progress.body_seconds["market_data"]
    wrapped(["a"])
    assert progress.body_seconds["market_data"] > once > 0
    assert list(progress.body_seconds) == ["market_data"]


def test_a_function_that_raises_is_counted_too() -> None:
    """Failed work is still ours, not the orchestrator's."""
    progress = Progress()
    with pytest.raises(ValueError, match="no cell"):
        timed(market_data, progress)([])
    assert progress.body_seconds["market_data"] > 0
