"""The streams: their names, who writes them, how they are kept, and which share of the symbols one belongs to.

One writer a stream, `control:events` excepted. The braces are Redis Cluster's hash tag: all keys of one symbol share a
slot.
"""

import zlib
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


def candidates(shard: int = 0) -> str:
    """The stream of the candidates that the signal engine of one share of the symbols finds."""
    return f"{CANDIDATES}:{shard}" if shard else CANDIDATES


def candidates_shard(stream: str) -> int | None:
    """The share whose candidates a stream carries; None for any other stream."""
    if stream == CANDIDATES:
        return 0
    head, _, shard = stream.rpartition(":")
    return int(shard) if head == CANDIDATES and shard.isdigit() else None


def symbol_of(stream: str) -> str:
    """The symbol of a market stream."""
    return stream[stream.index("{") + 1 : stream.index("}")]


def shard_of(symbol: str, count: int) -> int:
    """Which of `count` shares a symbol belongs to, by the crc32 of its name: the same on every machine, for ever."""
    return zlib.crc32(symbol.encode()) % count


def dead_letters(stream: str) -> str:
    """Where messages of a stream go that no consumer could take."""
    return f"dlq:{stream}"


def is_market(stream: str) -> bool:
    """Whether a stream carries market data, which is kept by age and may be conflated."""
    return stream.startswith("md:")
