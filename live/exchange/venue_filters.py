"""What the venue says of its instruments now: asked before real orders, and by risk on its schedule."""

from collections.abc import Mapping
from typing import Any

from config.live_sections import Exchange as ExchangeSettings
from live.errors import RealModeRefused
from live.exchange.ccxt_venue import dialect_of
from live.exchange.outcomes import classify
from live.exchange.rest_client import RestClient
from market.exchange_filters import Filters, filters_of
from market.symbols import Symbol


def fetch(settings: ExchangeSettings, symbols: Mapping[str, Symbol]) -> list[Filters]:
    """Return the venue's filters of these symbols; no keys are needed.

    Raises RealModeRefused when the venue does not answer, BadReference when its answer cannot be read.
    """
    dialect = dialect_of(settings.venue)
    client = RestClient(
        settings.venue,
        None,
        timeout_seconds=settings.timeout_seconds,
        sandbox=settings.sandbox,
        rest_url=settings.rest_url,
    )
    try:
        reply = client.call(dialect.instruments_call())
    finally:
        client.close()
    outcome = classify(settings.venue, reply)
    if outcome.kind != "done":
        where = settings.rest_url or ("its test network" if settings.sandbox else "its REST interface")
        raise RealModeRefused(
            f"real orders are refused: {settings.venue} does not tell its instruments ({where}: {outcome.reason}); "
            "is it reachable from here?"
        )
    wanted = {symbol.venue_symbol for symbol in symbols.values()}
    return filters_of(_only(reply.document(), wanted), settings.venue)


def _only(document: Any, wanted: set[str]) -> Any:
    """The answer without the hundreds of instruments we do not trade, some of which have filters of other kinds."""
    if "symbols" in document:
        return {**document, "symbols": [each for each in document["symbols"] if each.get("symbol") in wanted]}
    result = document["result"]
    return {**document, "result": {**result, "list": [each for each in result["list"] if each.get("symbol") in wanted]}}
