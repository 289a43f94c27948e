import pytest
from prometheus_client import CollectorRegistry

from bus.streams import REPORTS, trade
from live.clock import ManualClock, SystemClock
from live.measuring import Measures
from monitoring.metrics import Metrics
from monitoring.scrape import Scrape
from tests.live.hosting import report
from tests.live.hosting import trade as print_of
from tests.live.parts import START_NS, received


def test_counts_come_in_one_go() -> None:
    """So that a message of the market costs no lock."""
    metrics = Metrics(CollectorRegistry())
    measures = Measures(metrics, ManualClock())
    for _ in range(5):
        measures.handled("risk", received(REPORTS, report(), kind="report"), 1_000)
    assert Scrape(metrics.render()).total("messages_total") == 0
    measures.pass_on()
    measures.pass_on()
    assert Scrape(metrics.render()).total("messages_total", service="risk", kind="report") == 5


def test_of_market_data_every_sixteenth_is_timed_of_everything_else_all() -> None:
    """Thousands a second would be measuring themselves."""
    metrics = Metrics(CollectorRegistry())
    measures = Measures(metrics, ManualClock())
    for _ in range(32):
        measures.handled("risk", received(trade("BTCUSDT"), print_of()), 1_000)
        measures.handled("executor", received(REPORTS, report()), 1_000)
    shown = Scrape(metrics.render())
    assert shown.total("handle_seconds_count", service="risk") == 2
    assert shown.total("handle_seconds_count", service="executor") == 32


def test_an_approval_is_timed_from_its_frame_by_the_wall_clock() -> None:
    """Also when other processes had it in between."""
    metrics = Metrics(CollectorRegistry())
    clock = SystemClock()
    Measures(metrics, clock).approved(clock.wall_ns() - 3_000_000_000, 0, 1)
    assert Scrape(metrics.render()).total("tick_to_approval_seconds_sum") == pytest.approx(3.0, abs=0.5)


@pytest.mark.parametrize("received_ns", [0, START_NS])
def test_where_a_replay_turns_the_clock_the_host_s_own_time_counts(received_ns: int) -> None:
    """Market time says nothing of how long it took."""
    metrics = Metrics(CollectorRegistry())
    Measures(metrics, ManualClock(START_NS + 60_000_000_000)).approved(received_ns, 1_000, 2_001_000)
    assert Scrape(metrics.render()).total("tick_to_approval_seconds_sum") == pytest.approx(0.002)
