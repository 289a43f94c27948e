"""Real orders to a loopback exchange through ccxt, from the market's socket to a flat position; and none on paper.

Collector, executor and risk are one process as they are in production; the scorer is played: it approves one signal.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bus import streams
from bus.messages import Approval, Report
from bus.publisher import Publisher
from live.executor.records import Filled, Intent
from tests.bus.servers import needs_redis
from tests.fake_exchange.orders import Desk, FakeOrder, desk
from tests.fake_exchange.server import FakeExchange, running
from tests.journeys.live.processes import Process, Site, site, wait
from tests.journeys.played import bodies, journal
from tests.journeys.test_live_extra import imported

SYMBOLS = {"binance": "BTCUSDT", "bybit": "BTCUSDT-BYBIT"}
SERVICES = ("collector", "executor", "risk")
KEYS = {"EXCHANGE_API_KEY": "key", "EXCHANGE_API_SECRET": "secret"}
VENUE_SPEED = 20
"""The venue's clock runs so many times as fast, so that the ten seconds of market that gates want are soon over."""
RUNGS = 2
HORIZON_NS = 5_000_000_000
CALLS_OF_ORDERS = {
    "/fapi/v1/order", "/fapi/v1/allOpenOrders", "/v5/order/create", "/v5/order/cancel", "/v5/order/cancel-all",
    "/fapi/v1/countdownCancelAll", "/v5/order/disconnected-cancel-all", "/fapi/v3/positionRisk", "/v5/position/list",
}  # fmt: skip


@dataclass
class Trading:
    """A running process, the exchange it trades on, and the market that is stepped."""

    place: Site
    process: Process
    exchange: FakeExchange
    symbol: str
    steps: int = 0

    @property
    def account(self) -> Desk:
        """What the venue has of us."""
        return desk(self.exchange.state)

    def step(self) -> None:
        """A look at the market: the second level breathes, a print, a mark price."""
        self.steps += 1
        self.exchange.step("BTCUSDT", bids=[("59999.8", f"{40 + self.steps % 5}.000")])
        self.exchange.trade("BTCUSDT", "60000.0", "0.010")
        self.exchange.mark("BTCUSDT", "60000.0")

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Step the market until something holds."""

        def stepped() -> bool:
            assert self.process.is_running, self.process.text()[-3_000:]
            self.step()
            return holds()

        wait(stepped, what)

    def reports(self, kind: str) -> list[Report]:
        """What was told."""
        told = bodies(self.place.bus, streams.REPORTS)
        return [each for each in told if isinstance(each, Report) and each.kind == kind]

    def approve(self, side: int) -> str:
        """Approve a signal of now, on the route that goes to the venue."""
        now = time.time_ns()
        leave = Approval(
            f"{self.symbol}-{now}", f"{self.symbol}-{now}", self.symbol, side, "full", "m", 1, 0.6, 0.5, now, now,
            now + 1_500_000_000, 599_999, 600_000, 0.01, 0.01, HORIZON_NS,
        )  # fmt: skip
        publisher = Publisher(self.place.bus, "ai_scorer", time.time_ns)
        publisher.publish(streams.APPROVED, leave, message_id=leave.id)
        publisher.flush()
        return leave.id

    def acted_on(self, side: int) -> str:
        """Approve until it is acted on, and return that approval: until then gates are closed."""
        asked: list[str] = []

        def is_acted_on() -> bool:
            dropped = {each.approval_id for each in self.reports("dropped")}
            if not asked or asked[-1] in dropped:
                asked.append(self.approve(side))
            return sum(each.approval_id == asked[-1] for each in self.reports("accepted")) == RUNGS

        self.until(is_acted_on, "an approval that is acted on")
        return asked[-1]


@contextmanager
def trading(folder: Path, venue: str, mode: str) -> Iterator[Trading]:
    """Services on a venue's market in a mode, ready."""
    began = time.time_ns()

    def now_ms() -> int:
        return (began + (time.time_ns() - began) * VENUE_SPEED) // 1_000_000

    with running(("BTCUSDT",), now_ms) as exchange, site(folder) as place:
        books = [("100.0", "0"), ("99.9", "0"), ("59999.9", "40.000"), ("59999.8", "40.000")]
        exchange.step("BTCUSDT", books, [("100.1", "0"), ("100.2", "0"), ("60000.0", "40.000"), ("60000.1", "40.000")])
        process = place.start(
            *SERVICES, MARKET_SYMBOLS=SYMBOLS[venue], FEED_KIND=venue, FEED_WS_URL=exchange.ws_url,
            FEED_REST_URL=exchange.rest_url, EXCHANGE_MODE=mode, EXCHANGE_VENUE=venue,
            EXCHANGE_REST_URL=exchange.rest_url, EXCHANGE_POLL_SECONDS="0.1", ROLLOUT_MODE="full",
            LADDER_LIFE_MS="60000", PYTHONPROFILEIMPORTTIME="1", **KEYS,
        )  # fmt: skip
        found = Trading(place, process, exchange, SYMBOLS[venue])
        found.until(lambda: place.is_ready(process), "the services")
        yield found


@pytest.mark.slow
@needs_redis
@pytest.mark.parametrize("venue", SYMBOLS)
def test_an_approval_becomes_real_orders_and_a_flat_position(tmp_path: Path, venue: str) -> None:
    """Entries post-only, fills found by polling, the exit reduce-only at the horizon, nothing left behind."""
    with trading(tmp_path, venue, "real") as found:
        acted = found.acted_on(+1)
        account = found.account
        entries = list(account.orders)
        found.exchange.call(_filled(account, entries[0]))
        found.until(lambda: bool(found.reports("closed")), "the end of the round trip")
        found.until(lambda: not any(order.is_open for order in account.orders), "the other rung's end")
        assert {"ccxt"} <= imported(found.process)
        assert found.process.end() == 0, found.process.text()[-3_000:]
        closed, filled = found.reports("closed"), found.reports("filled")
    exits = [order for order in account.orders if order not in entries]
    assert [(each.time_in_force, each.reduce_only, each.side) for each in entries] == [("GTX", False, "BUY")] * RUNGS
    assert {order.reduce_only for order in exits} == {True}
    assert {order.side for order in exits} == {"SELL"}
    assert account.position == 0
    assert [each.approval_id for each in closed] == [acted]
    assert {each.is_real for each in (*closed, *filled)} == {True}
    facts, _ = journal(tmp_path)
    assert {each.client_id for each in facts if isinstance(each, Intent)} == {each.client_id for each in account.orders}
    # Bybit's names of trades begin with x- here.
    told = [(each.client_id, each.trade_id.removeprefix("x-"), each.lots) for each in facts if isinstance(each, Filled)]
    wanted = [(each.order.client_id, str(each.trade_id), int(each.size * 1_000)) for each in account.fills]
    assert sorted(told) == sorted(wanted)
    assert len({name for name, _, _ in told}) == 2


@pytest.mark.slow
@needs_redis
def test_on_paper_the_venue_never_hears_of_an_order(tmp_path: Path) -> None:
    """Keys in the environment, a rollout of full, the same approval: it is traded, on the paper exchange alone."""
    with trading(tmp_path, "binance", "paper") as found:
        found.acted_on(+1)
        assert "ccxt" not in imported(found.process)
        assert found.process.end() == 0
        accepted = found.reports("accepted")
        heard = {path for _, path, _ in found.exchange.state.log}
    assert {each.is_real for each in accepted} == {False}
    assert found.account.orders == []
    assert heard & CALLS_OF_ORDERS == set()


async def _filled(account: Desk, order: FakeOrder) -> None:
    account.fill(order, str(order.size))
