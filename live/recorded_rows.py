"""What live said, as rows of the lake's tables: one function a kind of message, and a place to gather them.

A row is its integers in the order of the table's integer columns, its floats likewise, and for a score the kernel's
row behind them.
"""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from archive.live_tables import (
    BUCKET_CODES,
    KIND_CODES,
    LEG_CODES,
    LIVE_SCORES,
    OUTCOMES,
    REASON_CODES,
    REPORTS,
    ROUTE_CODES,
    code,
    key,
)
from bus.messages import BookImage, Judgement, MarketTrade, Message, Outcome, Report, Score
from market.feature_spec import COLUMN_NAMES
from monitoring.metrics import SLOTS

BOOK, TRADES = "book", "trades"
_NAN = float("nan")


class Row(NamedTuple):
    """One row, not yet in columns."""

    table: str
    ints: Sequence[int]
    floats: Sequence[float] = ()
    features: bytes = b""


def row_of(body: Message) -> Row | None:
    """Return the row a message becomes, None for a kind that has no table."""
    make = _MAKERS.get(type(body))
    return None if make is None else make(body)


class Rows:
    """Rows of one table, gathered compactly; `columns` are the table's, by name."""

    def __init__(self, columns: Mapping[str, np.dtype[Any]]) -> None:
        self._int_names = [name for name, dtype in columns.items() if dtype.kind in "iu"]
        self._float_names = [name for name, dtype in columns.items() if dtype.kind == "f"]
        self._ints, self._floats, self._features = array("q"), array("d"), bytearray()

    def __len__(self) -> int:
        return len(self._ints) // len(self._int_names)

    def add(self, row: Row) -> None:
        """Add a row; ValueError when it has not the table's shape, OverflowError beyond int64."""
        if len(row.ints) != len(self._int_names) or len(row.floats) != len(self._float_names):
            raise ValueError(
                f"a row of {row.table} has {len(self._int_names)} integers and {len(self._float_names)} floats, found "
                f"{len(row.ints)} and {len(row.floats)}"
            )
        if row.features and len(row.features) != 4 * len(COLUMN_NAMES):
            raise ValueError(f"a kernel row has {4 * len(COLUMN_NAMES)} bytes, found {len(row.features)}")
        self._ints.extend(array("q", row.ints))
        self._floats.extend(row.floats)
        self._features += row.features

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the columns [n]: int64, float64, and float32 for those of the kernel."""
        ints = np.array(self._ints, np.int64).reshape(-1, len(self._int_names)).T
        found: dict[str, NDArray[Any]] = dict(zip(self._int_names, ints, strict=True))
        if self._float_names:
            floats = np.array(self._floats, np.float64).reshape(-1, len(self._float_names)).T
            found |= dict(zip(self._float_names, floats, strict=True))
        if self._features:
            kernel = np.frombuffer(bytes(self._features), "<f4").astype(np.float32).reshape(-1, len(COLUMN_NAMES)).T
            found |= dict(zip(COLUMN_NAMES, kernel, strict=True))
        return found


def _book(body: BookImage) -> Row:
    head = (body.exchange_ns, body.local_ns, body.sequence, body.flags)
    return Row(BOOK, (*head, *body.bid_ticks, *body.bid_lots, *body.ask_ticks, *body.ask_lots))


def _trade(body: MarketTrade) -> Row:
    price = (body.price_ticks, body.size_lots, body.aggressor, 0)
    return Row(TRADES, (body.exchange_ns, body.local_ns, body.trade_id, *price))


def _score(body: Score) -> Row:
    versions, floats = _judged(body.judgements)
    ints = (
        body.t_ns, body.local_ns, body.session_ns, key(body.schema_hash), body.side, code(ROUTE_CODES, body.route),
        int(body.approved), body.bid_ticks, body.ask_ticks, _salt_key(body.salt), *versions,
    )  # fmt: skip
    return Row(LIVE_SCORES, ints, (body.canary_fraction, *floats), body.row)


def _outcome(body: Outcome) -> Row:
    versions, floats = _judged(body.judgements)
    ints = (
        body.t_ns, body.exit_ns, body.side, code(ROUTE_CODES, body.route), int(body.approved), body.outcome,
        _salt_key(body.salt), *versions,
    )  # fmt: skip
    markouts = (*body.markouts_bps, _NAN, _NAN, _NAN)[:3]
    return Row(OUTCOMES, ints, (body.gross_bps, body.net_bps, *markouts, body.canary_fraction, *floats))


def _report(body: Report) -> Row:
    ints = (
        body.local_ns, body.exchange_ns, _t_ns(body.approval_id), key(body.id), key(body.client_id),
        code(KIND_CODES, body.kind), code(LEG_CODES, body.leg), body.rung, body.side, code(ROUTE_CODES, body.route),
        int(body.is_real), int(body.is_maker), code(BUCKET_CODES, body.bucket), code(REASON_CODES, body.reason),
        body.price_ticks, body.size_lots, body.filled_lots, body.leaves_lots,
    )  # fmt: skip
    return Row(REPORTS, ints, (body.fee_quote, body.net_quote, body.net_bps))


def _judged(judgements: Sequence[Judgement]) -> tuple[list[int], list[float]]:
    """Return the version of every slot, and margin, probability and tau of every slot."""
    by_slot = {each.slot: each for each in judgements}
    versions, floats = [], []
    for slot in SLOTS:
        found = by_slot.get(slot)  # type: ignore[call-overload]
        versions.append(found.version if found else 0)
        floats += [found.margin, found.probability, found.tau] if found else [_NAN] * 3
    return versions, floats


def _salt_key(salt: str) -> int:
    return key(salt) if salt else 0


def _t_ns(candidate_id: str) -> int:
    """Return the time in a candidate's id, 0 for an id of another form."""
    tail = candidate_id.rpartition("-")[2]
    return int(tail) if tail.isdecimal() else 0


_MAKERS: Mapping[type, Any] = {
    BookImage: _book, MarketTrade: _trade, Score: _score, Outcome: _outcome, Report: _report
}  # fmt: skip
