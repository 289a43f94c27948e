from collections.abc import Sequence
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from monitoring.metrics import Metrics
from monitoring.scrape import Scrape
from tests.live.parts import settings
from tests.tidegate.live_side import beat, bus, event, say
from tidegate.diagnosis import numbers_of, pages_of, run


@pytest.fixture
def shown() -> Sequence[Scrape]:
    """The pages of two processes: what the one counts, the other has at zero."""
    risk, executor = Metrics(CollectorRegistry()), Metrics(CollectorRegistry())
    for each in (risk, executor):
        each.touch(["BTCUSDT"])
    risk.precision.set(0.42)
    for number, feature in enumerate("abcdefgh"):
        risk.psi_feature.labels(feature).set(number / 10)
    executor.fail_safe_trigger_total.labels("redis_error").inc()
    executor.order_seconds.observe(0.02)
    return [Scrape(each.render()) for each in (risk, executor)]


@pytest.mark.parametrize(
    ("step", "lines"),
    [
        ("See `precision`.", ["precision = 0.42"]),
        ("See `fail_safe_trigger_total{reason}`.", ['fail_safe_trigger_total{reason="redis_error"} = 1']),
        ('See `fail_safe_trigger_total{reason="operator"}`.', ["fail_safe_trigger_total = 0"]),
        ("See `winrate_canary`.", ["winrate_canary = 0"]),
        ("See `rolling_precision{route}`.", ["rolling_precision: no service has shown it yet"]),
        ("See `order_seconds`.", ["order_seconds: median 0.015 s"]),
        ("See `handle_seconds{service}`.", ["handle_seconds: nothing measured yet"]),
        ("See `risk.window`.", ["risk.window is 1000"]),
        ("See `the weather`.", []),
    ],
)
def test_what_a_step_names_is_shown_as_it_is(shown: Sequence[Scrape], step: str, lines: list[str]) -> None:
    """Metrics with what is not zero, histograms by their median, keys as they are set; other words are left alone."""
    assert list(numbers_of(step, shown, bus())) == lines


def test_of_many_series_the_largest_come_first_and_the_rest_is_counted(shown: Sequence[Scrape]) -> None:
    """Fifty features would be no page."""
    lines = list(numbers_of("See `psi_feature{feature}`.", shown, bus()))
    assert lines[0] == 'psi_feature{feature="h"} = 0.7'
    assert len(lines) == 7
    assert lines[-1] == "... and 1 more of psi_feature"


def test_a_stream_is_shown_by_its_newest_entry(shown: Sequence[Scrape]) -> None:
    """As it stands on the bus."""
    on = bus()
    say(on, "risk", "control:events", event())
    (line,) = numbers_of("on `control:events`", shown, on)
    assert line == f"control:events: newest entry {on.last_id('control:events')}"


def test_pages_that_do_not_answer_are_left_out() -> None:
    """A process that has died left its port."""
    on = bus()
    beat(on, "risk", {}, metrics_port=9)
    beat(on, "executor", {}, metrics_port=0)
    assert pages_of(on) == []


def test_a_service_that_is_a_host_of_its_own_is_asked_there() -> None:
    """As in a stack of containers, which serves /metrics beyond loopback; nobody is looked up otherwise."""
    metrics, on = Metrics(CollectorRegistry()), bus()
    beat(on, "127.0.0.2", {}, metrics_port=metrics.serve(0, "127.0.0.2"))
    (page,) = pages_of(on, "0.0.0.0")  # noqa: S104 - what a stack of containers says
    assert page.value("precision") == 0.0
    assert pages_of(on) == []


def test_without_services_the_steps_are_printed_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1, and why on stderr."""
    assert run(settings({"paths": {"var": str(tmp_path)}}), "volatility") == 1
    told = capsys.readouterr()
    assert "volatility_bps{symbol}" in told.out
    assert told.err.strip().startswith("no numbers: no streams")


def test_an_unknown_section_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, with those there are."""
    assert run(settings({"paths": {"var": str(tmp_path)}}), "flood") == 2
    assert "drift-breach" in capsys.readouterr().err
