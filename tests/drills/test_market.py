import gzip
from pathlib import Path

from config.settings import load
from market.simulator_defects import Defect
from tidegate.drills.knobs import MARKET, SYMBOL
from tidegate.drills.market import BEGIN_NS, SECOND_NS, after, record


def test_a_market_is_recorded_with_its_faults_and_is_the_same_each_time(tmp_path: Path) -> None:
    """A file of the name that a replay looks for; what a gap swallows is not in it."""
    settings = load(environ=MARKET)
    whole = _times(record(settings, tmp_path / "whole", 20.0))
    gap = Defect("gap", after(8.0), 4 * SECOND_NS)
    holed = _times(record(settings, tmp_path / "holed", 20.0, [gap]))
    assert whole == _times(record(settings, tmp_path / "again", 20.0))
    assert BEGIN_NS <= whole[0] < whole[-1] < after(21.0)
    assert any(after(8.0) <= ns < after(12.0) for ns in whole)
    assert not any(after(8.0) <= ns < after(12.0) for ns in holed)


def test_moments_count_from_the_begin() -> None:
    """To the nanosecond."""
    assert after(0.0) == BEGIN_NS
    assert after(1.5) - BEGIN_NS == 1_500_000_000


def _times(folder: Path) -> list[int]:
    (file,) = folder.glob(f"{SYMBOL}_????????.gz")
    with gzip.open(file) as lines:
        return [int(line.partition(b" ")[0]) for line in lines]
