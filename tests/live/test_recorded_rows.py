"""Messages as rows: every number in its column, and back the same."""

import math

import msgspec
import numpy as np
import pytest

from archive.layout import TABLES, book_arrays, trade_arrays
from archive.live_tables import KIND_CODES, LEG_CODES, REASON_CODES, ROUTE_CODES, key
from bus.messages import BookStatus, Message
from live.recorded_rows import Row, Rows, row_of
from market.feature_spec import COLUMN_NAMES
from tests.live.bodies import T_NS, S, outcome, report, score
from tests.live.markets import bodies, market


def table_of(*messages: Message) -> dict[str, np.ndarray]:
    """The columns these messages become."""
    rows = [row_of(each) for each in messages]
    assert rows[0] is not None
    gathered = Rows(TABLES[rows[0].table].columns)
    for row in rows:
        assert row is not None
        gathered.add(row)
    assert len(gathered) == len(messages)
    return TABLES[rows[0].table].conform(gathered.columns())


def test_market_data_becomes_the_very_columns_it_came_from() -> None:
    """Books and prints alike, every level."""
    book, trades = market(300, seed=3, resets=[5])
    said = bodies(S, book, trades)
    images = table_of(*(each for each in said if hasattr(each, "sequence")))
    prints = table_of(*(each for each in said if not hasattr(each, "sequence")))
    for found, wanted in ((images, book_arrays(book)), (prints, trade_arrays(trades))):
        assert list(found) == list(wanted)
        assert all(np.array_equal(found[name], wanted[name]) for name in wanted)


def test_a_score_keeps_the_row_that_was_scored_to_the_bit() -> None:
    """Behind it, what each model said; a slot without a model is version 0 and NaN."""
    bits = np.arange(len(COLUMN_NAMES), dtype="<f4")
    bits[4] = np.frombuffer(np.array([0x7FC12345], "<u4").tobytes(), "<f4")[0]
    found = table_of(score(row=bits.tobytes()))
    live = np.array([found[name][0] for name in COLUMN_NAMES], np.float32)
    assert live.tobytes() == bits.tobytes()
    assert (found["t_ns"][0], found["local_ns"][0], found["session_ns"][0]) == (T_NS, T_NS + 2, T_NS - 1)
    assert (found["active_version"][0], found["shadow_version"][0], found["canary_version"][0]) == (3, 4, 0)
    assert (found["active_margin"][0], found["shadow_tau"][0]) == (1.5, 0.55)
    assert math.isnan(found["canary_probability"][0])
    assert (ROUTE_CODES[found["route"][0]], found["side"][0], found["approved"][0]) == ("full", -1, 1)


def test_an_outcome_keeps_its_markouts() -> None:
    """NaN where the book was not live."""
    found = table_of(outcome())
    assert (found["markout_100ms_bps"][0], found["markout_1000ms_bps"][0]) == (0.25, -1.0)
    assert math.isnan(found["markout_500ms_bps"][0])
    assert (found["outcome"][0], found["exit_ns"][0], found["gross_bps"][0]) == (1, T_NS + 5, 4.5)
    assert ROUTE_CODES[found["route"][0]] == "canary"


def test_a_canarys_rows_are_told_by_the_key_of_its_salt() -> None:
    """Score and outcome alike; without a canary it is 0."""
    for body in (score(), outcome()):
        found = table_of(body, msgspec.structs.replace(body, canary_fraction=0.0, salt=""))
        assert found["salt_key"].tolist() == [key("seed:canary-4"), 0]
        assert found["canary_fraction"].tolist() == [0.1, 0.0]


def test_a_report_is_codes_and_keys() -> None:
    """Orders are found again by the key of their id, candidates by their time."""
    found = table_of(report(1), report(2, "dropped", "spread"), report(3, "closed", "something else"))
    assert found["order_key"].tolist() == [key("order-7")] * 3
    assert len(set(found["report_key"].tolist())) == 3
    assert found["t_ns"].tolist() == [T_NS] * 3
    assert [KIND_CODES[k] for k in found["kind"]] == ["filled", "dropped", "closed"]
    assert (found["reason"].tolist(), LEG_CODES[found["leg"][0]]) == ([-1, REASON_CODES.index("spread"), -1], "exit")
    assert (found["filled_lots"][0], found["fee_quote"][0], found["net_bps"][0]) == (5, 0.125, -2.5)


def test_what_has_no_table_has_no_row() -> None:
    """A book's status is in the segments, not in the lake."""
    assert row_of(BookStatus(S, "live", "", 0, 0, T_NS)) is None


def test_rows_of_another_shape_are_refused() -> None:
    """Rather than shifted into the wrong columns."""
    rows = Rows(TABLES["trades"].columns)
    with pytest.raises(ValueError, match="7 integers and 0 floats, found 2 and 0"):
        rows.add(Row("trades", (1, 2)))
    with pytest.raises(ValueError, match="kernel row has"):
        Rows(TABLES["live_scores"].columns).add(row_of(score(row=b"1234")) or Row("", ()))
    with pytest.raises(OverflowError):
        rows.add(Row("trades", (2**63, 1, 1, 1, 1, 1, 0)))
    assert len(rows) == 0
