"""One venue's REST interface through ccxt: it signs and sends; what came back is handed on as it is.

ccxt is imported here and only when a client is made, which is in real mode alone (and for the venue's filters).
Nothing is ever sent twice: neither ccxt nor the session under it retries.
"""

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from live.exchange.outcomes import Reply, Venue
from live.exchange.real_mode import Keys
from live.exchange.venue_facts import Call

NOT_SENT = -1
"""The status of a call that certainly never left."""

_CLASSES = {"binance": "binanceusdm", "bybit": "bybit"}
_BYBIT_INTERFACES = ("spot", "futures", "v2", "public", "private")


class RestClient:
    """Calls endpoints of a venue, one at a time; one client a thread.

    `sandbox` is Binance's demo trading and Bybit's testnet; `rest_url` another address of the same interface.
    """

    def __init__(
        self, venue: Venue, keys: Keys | None, *, timeout_seconds: float, sandbox: bool = False, rest_url: str = ""
    ) -> None:
        self._reply: Reply | None = None
        self._was_sent = False
        self._client = _hooked(_CLASSES[venue], self._on_send, self._on_reply)(
            {
                "apiKey": keys.api_key if keys else "",
                "secret": keys.secret if keys else "",
                "enableRateLimit": False,
                "timeout": round(timeout_seconds * 1000),
                "options": {"maxRetriesOnFailure": 0},
            }
        )
        # At its debug level ccxt logs the headers of every request, the key among them.
        self._client.logger.setLevel(logging.WARNING)
        if sandbox and venue == "binance":
            self._client.enable_demo_trading(True)
        elif sandbox:
            self._client.set_sandbox_mode(True)
        if rest_url:
            self._send_to(venue, rest_url.rstrip("/"))

    def call(self, call: Call) -> Reply:
        """Send a request and return what came back: status 0 for nothing, NOT_SENT when it never left. Never raises."""
        self._reply, self._was_sent = None, False
        try:
            getattr(self._client, call.method)(dict(call.params))
        except Exception:  # whatever ccxt makes of a reply: the reply itself is read
            if not self._was_sent:
                return Reply(status=NOT_SENT)
        return self._reply or Reply()

    def sync_clock(self) -> bool:
        """Ask the venue for its time, so that later requests are stamped with it; False when it does not tell."""
        try:
            self._client.load_time_difference()
        except Exception:  # as above; the next request is refused again, and tells of it
            return False
        return True

    def addresses(self) -> dict[str, str]:
        """Where each of ccxt's interfaces is: what a start-up tells and a test checks."""
        return {name: str(url) for name, url in self._client.urls["api"].items()}

    def close(self) -> None:
        """Give up the connections."""
        self._client.close()

    def _on_send(self) -> None:
        self._was_sent = True

    def _on_reply(self, reply: Reply) -> None:
        self._reply = reply

    def _send_to(self, venue: Venue, base: str) -> None:
        """Point every endpoint at another address: those we do not use as well, so that nothing can go elsewhere."""
        urls = self._client.urls["api"]
        for name, url in list(urls.items()):
            if venue == "bybit" and name in _BYBIT_INTERFACES:
                urls[name] = base
            elif venue == "binance" and name.startswith("fapi"):
                urls[name] = base + urlsplit(url).path
            else:
                urls[name] = f"{base}/unexpected/{name}"


def _hooked(name: str, on_send: Callable[[], None], on_reply: Callable[[Reply], None]) -> Any:
    """ccxt's class of a venue that tells when a request leaves and what it brings back, before any judgement of it."""
    import ccxt  # noqa: PLC0415 (a second and 100 MB that paper trading shall not pay)

    class Hooked(getattr(ccxt, name)):  # type: ignore[misc]
        def fetch(self, *args: Any, **more: Any) -> Any:
            on_send()
            return super().fetch(*args, **more)

        def on_rest_response(self, code: int, reason: str, url: str, method: str, headers: Any, body: str,
                             *more: Any) -> Any:  # fmt: skip
            on_reply(Reply(code, body, _retry_after(headers)))
            return super().on_rest_response(code, reason, url, method, headers, body, *more)

    return Hooked


def _retry_after(headers: Any) -> float:
    try:
        return max(0.0, float(headers.get("Retry-After", 0)))
    except ValueError:
        return 0.0
