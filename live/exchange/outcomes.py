"""What a venue's reply means for an order, read from the HTTP status and the code in the body; pure.

ccxt's exception classes do not tell "certainly not accepted" from "perhaps accepted" (decision 17), so they are not
asked. The rule where no table speaks: a reply in the venue's own words that is no error of its insides is a refusal;
everything else, and silence, is unknown.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["done", "refused", "unknown", "already", "gone"]
"""done: it took effect. refused: it certainly did not. unknown: it may have. already: an order of this id stands, or
stood. gone: there is no such order now; it filled, was canceled, or never was."""

Venue = Literal["binance", "bybit"]

RATE_PAUSE_SECONDS = 10.0
OVERLOAD_PAUSE_SECONDS = 1.0
BAN_PAUSE_SECONDS = 120.0
CLOCK_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: `status` 0 when nothing did, `retry_after` seconds where the venue named them."""

    status: int = 0
    body: str = ""
    retry_after: float = 0.0

    def document(self) -> Any:
        """The body as JSON, None when it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to believe. `is_ban` and `is_clock` ask for more than a refusal: CRIT, and a look at the venue's clock."""

    kind: Kind
    reason: str = ""
    pause_seconds: float = 0.0
    is_ban: bool = False
    is_clock: bool = False


DONE = Outcome("done")


def classify(venue: Venue, reply: Reply) -> Outcome:
    """Return what a reply to placing, canceling or asking means."""
    if reply.status == 0:
        return Outcome("unknown", "no_reply")
    return _binance(reply) if venue == "binance" else _bybit(reply)


_BINANCE_REASONS: Mapping[int, str] = {
    -1013: "filter", -1111: "precision", -2010: "refused", -2014: "auth", -2015: "auth", -1022: "auth",
    -2018: "balance", -2019: "balance", -2022: "reduce_only", -2025: "too_many_orders", -2027: "leverage",
    -4003: "filter", -4014: "tick", -4023: "lot", -4118: "reduce_only", -4131: "price_band", -4164: "min_notional",
    -4016: "price_band", -4024: "price_band", -5022: "post_only", -5021: "fill_or_kill",
}  # fmt: skip
_BINANCE_UNKNOWN = frozenset((-1000, -1001, -1006, -1007, -1016))
"""Its own words, but of its insides: the order may have got through."""
_BINANCE_GONE = frozenset((-2011, -2013))


def _binance(reply: Reply) -> Outcome:
    status, document = reply.status, reply.document()
    code = _code(document, "code")
    if status == 418:
        return Outcome("refused", "banned", reply.retry_after or BAN_PAUSE_SECONDS, is_ban=True)
    if status in (403, 429) or code in (-1003, -1015):
        return Outcome("refused", "rate_limit", reply.retry_after or RATE_PAUSE_SECONDS)
    if code == -1008:
        return Outcome("refused", "overload", reply.retry_after or OVERLOAD_PAUSE_SECONDS)
    if 200 <= status < 300:
        is_readable = isinstance(document, dict | list) and (code is None or code >= 0)
        return DONE if is_readable else Outcome("unknown", "unreadable_reply")
    if code is None or code >= 0 or status >= 500 or status == 408 or code in _BINANCE_UNKNOWN:
        return Outcome("unknown", f"http_{status}" if code is None else f"code_{code}")
    if code == -1021:
        return Outcome("refused", "clock", CLOCK_PAUSE_SECONDS, is_clock=True)
    if code == -4116:
        return Outcome("already", "duplicate")
    if code in _BINANCE_GONE:
        return Outcome("gone", "unknown_order")
    return Outcome("refused", _BINANCE_REASONS.get(code, f"code_{code}"))


_BYBIT_REASONS: Mapping[int, str] = {
    10001: "filter", 10003: "auth", 10004: "auth", 10005: "auth", 10007: "auth", 10010: "auth", 33004: "auth",
    110003: "price_band", 110004: "balance", 110007: "balance", 110012: "balance", 110017: "reduce_only",
    110020: "too_many_orders", 110094: "min_notional", 110013: "leverage", 170210: "min_notional",
}  # fmt: skip
_BYBIT_RATE = frozenset((10006, 10018, 10429))
_BYBIT_GONE = frozenset((110001, 170213))
_BYBIT_ALREADY = frozenset((110072, 170141))


def _bybit(reply: Reply) -> Outcome:
    status, document = reply.status, reply.document()
    code = _code(document, "retCode")
    if status in (403, 429) or code in _BYBIT_RATE:
        # 403 is its gateway's "access too frequent": the whole address is held off.
        is_ban = status == 403
        pause = BAN_PAUSE_SECONDS if is_ban else RATE_PAUSE_SECONDS
        return Outcome("refused", "banned" if is_ban else "rate_limit", reply.retry_after or pause, is_ban=is_ban)
    if code is None or not 200 <= status < 300:
        return Outcome("unknown", f"http_{status}" if status != 200 else "unreadable_reply")
    if code == 0:
        return DONE
    if code == 10002:
        return Outcome("refused", "clock", CLOCK_PAUSE_SECONDS, is_clock=True)
    if code in _BYBIT_ALREADY:
        return Outcome("already", "duplicate")
    if code in _BYBIT_GONE:
        return Outcome("gone", "unknown_order")
    if code in _BYBIT_REASONS or 110_000 <= code < 111_000 or 170_000 <= code < 180_000:
        return Outcome("refused", _BYBIT_REASONS.get(code, f"code_{code}"))
    return Outcome("unknown", f"code_{code}")


def _code(document: Any, key: str) -> int | None:
    """The venue's code, which is a number or, now and then, a number as text."""
    found = document.get(key) if isinstance(document, dict) else None
    try:
        return None if found is None or isinstance(found, bool) else int(found)
    except (TypeError, ValueError):
        return None
