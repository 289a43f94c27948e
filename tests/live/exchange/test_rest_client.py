"""The door to ccxt: what came back is handed on, nothing is sent twice, nothing goes elsewhere, nothing is raised."""

import subprocess
import sys

import pytest

from live.exchange.outcomes import Venue
from live.exchange.real_mode import Keys
from live.exchange.rest_client import NOT_SENT, RestClient
from live.exchange.venue_facts import Call
from tests.fake_exchange.server import running
from tests.live.exchange.venues import VENUES

TIME = {"binance": Call("fapiPublicGetTime"), "bybit": Call("publicGetV5MarketTime")}


@pytest.mark.parametrize("venue", VENUES)
def test_the_reply_is_handed_on_as_it_came(venue: Venue) -> None:
    """Status and body, good or bad; no exception of ccxt's."""
    with running() as exchange:
        client = RestClient(venue, Keys("k", "s"), timeout_seconds=5.0, rest_url=exchange.rest_url + "/")
        assert client.call(TIME[venue]).document() is not None
        exchange.state.fault("info", "html_503")
        info = "fapiPublicGetExchangeInfo" if venue == "binance" else "publicGetV5MarketInstrumentsInfo"
        reply = client.call(Call(info))
        assert (reply.status, reply.body) == (503, "<html>503</html>")
        exchange.state.fault("info", "drop")
        assert client.call(Call(info)).status == 0
        assert exchange.state.asked("/fapi/v1/exchangeInfo") + exchange.state.asked("/v5/market/instruments-info") == 2
        client.close()


@pytest.mark.parametrize("venue", VENUES)
def test_the_venues_clock_is_taken_over(venue: Venue) -> None:
    """And a venue that does not answer is told as False."""
    with running() as exchange:
        client = RestClient(venue, None, timeout_seconds=5.0, rest_url=exchange.rest_url)
        assert client.sync_clock()
        client.close()
    assert not client.sync_clock()
    client.close()


@pytest.mark.parametrize("venue", VENUES)
def test_what_cannot_be_signed_never_leaves(venue: Venue) -> None:
    """No keys: certainly not sent, which is another thing than not answered."""
    with running() as exchange:
        client = RestClient(venue, None, timeout_seconds=5.0, rest_url=exchange.rest_url)
        method = "fapiPrivateGetOpenOrders" if venue == "binance" else "privateGetV5OrderRealtime"
        assert client.call(Call(method, {"symbol": "BTCUSDT"})).status == NOT_SENT
        assert exchange.state.log == []
        client.close()


def test_endpoints_we_do_not_use_are_turned_to_the_same_address() -> None:
    """A spot call of a client that was pointed at a loopback must not reach the net."""
    with running() as exchange:
        client = RestClient("binance", Keys("k", "s"), timeout_seconds=5.0, rest_url=exchange.rest_url)
        assert client.call(Call("publicGetTime")).status == 404
        client.close()


@pytest.mark.parametrize(("venue", "host"), [("binance", "demo-fapi.binance.com"), ("bybit", "api-testnet.")])
def test_the_sandbox_has_addresses_of_its_own(venue: Venue, host: str) -> None:
    """Binance's demo trading, Bybit's testnet; nothing is called here."""
    client = RestClient(venue, Keys("k", "s"), timeout_seconds=5.0, sandbox=True)
    addresses = [url for name, url in client.addresses().items() if name in ("fapiPrivate", "private")]
    assert any(host in url for url in addresses)
    client.close()


def test_paper_never_imports_ccxt() -> None:
    """Not even the module that would: a second and 100 MB."""
    imports = "import sys, live.exchange.ccxt_venue, live.exchange.paper"
    code = f"{imports}; print([name for name in ('ccxt', 'numba', 'pyarrow') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
