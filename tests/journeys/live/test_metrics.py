"""Nobody, or somebody strange, at /metrics: trading does not wait for who looks at it."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.journeys.live.flow import acting, settled, trading
from tests.journeys.live.played import Played
from tests.journeys.live.processes import Site

STRANGERS = 50


@contextmanager
def strangers(port: int) -> Iterator[None]:
    """Connections that ask for half a page and then neither go on nor go away, and some that go at once."""
    with ExitStack() as held:
        for number in range(STRANGERS):
            line = held.enter_context(socket.create_connection(("127.0.0.1", port), 10.0))
            line.sendall(b"GET /metr" if number % 2 else b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n")
            if number % 5 == 0:
                line.close()
        yield


def test_a_page_that_hangs(place: Site, market: Played) -> None:
    """Fault 43: with fifty readers that do not read, approvals are acted on, and the next one is served."""
    executor = trading(place, market)
    beat = place.beat(executor)
    assert beat is not None
    with strangers(beat.metrics_port):
        acting(place, market)
        acting(place, market)
        assert place.scrape(executor).total("orders_total") > 0
    settled(place, market, executor)
