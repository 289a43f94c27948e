"""The streams: their names, who writes them, and how they are kept.

One writer a stream, `control:events` excepted. The braces are Redis Cluster's hash tag: all keys of one symbol share a
slot.
"""

from typing import Final

CANDIDATES: Final = "sig:candidates"
SCORES: Final = "sig:scores"
APPROVED: Final = "sig:approved"
REPORTS: Final = "exec:reports"
OUTCOMES: Final = "eval:outcomes"
VERDICTS: Final = "eval:verdicts"
CONTROL: Final = "control:events"

DURABLE: Final = (CANDIDATES, SCORES, APPROVED, REPORTS, OUTCOMES, VERDICTS, CONTROL)
"""Never cut by length: the janitor trims only what every group has acknowledged."""


def book(symbol: str) -> str:
    """The stream of a symbol's books: BookImage and BookStatus."""
    return f"md:{{{symbol}}}:book"


def trade(symbol: str) -> str:
    """The stream of a symbol's prints: MarketTrade."""
    return f"md:{{{symbol}}}:trade"


def mark(symbol: str) -> str:
    """The stream of a symbol's mark prices: MarkPrice."""
    return f"md:{{{symbol}}}:mark"


def dead_letters(stream: str) -> str:
    """Where messages of a stream go that no consumer could take."""
    return f"dlq:{stream}"


def is_market(stream: str) -> bool:
    """Whether a stream carries market data, which is kept by age and may be conflated."""
    return stream.startswith("md:")
