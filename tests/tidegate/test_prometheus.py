"""The client of a Prometheus: answers as numbers, and every way in which there is none is told with the address."""

import math

import pytest

from tests.tidegate.boards import answering
from tidegate.prometheus import Prometheus, PrometheusError, watching


def test_values_are_numbers_of_every_kind() -> None:
    """Infinities and NaN too."""
    values = {"result": [{"metric": {"a": "b"}, "value": [1.5, text]} for text in ("2", "+Inf", "NaN")]}
    with answering({"up": values}) as url:
        found = [answer.points[0][1] for answer in Prometheus(url).now("up")]
    assert found[:2] == [2.0, math.inf]
    assert math.isnan(found[2])


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("scrape_interval: 500ms", 0.5), ("scrape_interval: 15s", 15.0), ("scrape_interval: 1m", 60.0),
     ("scrape_interval: 1m30s", 15.0), ("evaluation_interval: 1s", 15.0)],
)  # fmt: skip
def test_it_tells_how_often_it_looks(said: str, seconds: float) -> None:
    """What is not one number and a unit is taken as Prometheus' own default."""
    with answering({"status/config": {"yaml": f"global:\n  {said}\n"}}) as url:
        assert Prometheus(url).scrape_seconds() == seconds


def test_a_server_that_is_none_is_told_by_its_address() -> None:
    """Silence, refusals, pages of something else, an address that is none."""
    with answering({"up": b"<html>"}) as url, pytest.raises(PrometheusError, match=f"{url}: query was not answered in"):
        Prometheus(url).now("up")
    with answering({"up": b"[]"}) as url, pytest.raises(PrometheusError, match="not answered as Prometheus does"):
        Prometheus(url).now("up")
    with (
        answering({"up": b'{"error": "bad query"}'}, 400) as url,
        pytest.raises(PrometheusError, match="400: bad query"),
    ):
        Prometheus(url).now("up")
    with pytest.raises(PrometheusError, match="no answer"):
        Prometheus(url).now("up")
    assert not Prometheus(url).is_ready()
    with pytest.raises(PrometheusError, match="wanted http://HOST:PORT"):
        Prometheus("file:///etc").now("up")


def test_none_to_be_started_says_how_to_get_one(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of a traceback."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PrometheusError, match="apt-get install prometheus"), watching({}, tmp_path):  # type: ignore[arg-type]
        pass
