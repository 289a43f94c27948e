"""The tables of the live side: numbers only, and codes that mean what they are named for."""

import numpy as np
import pytest

from archive.layout import TABLES
from archive.live_tables import (
    BUCKET_CODES,
    KIND_CODES,
    LIVE_SCORES,
    OUTCOMES,
    REASON_CODES,
    REPORTS,
    ROUTE_CODES,
    code,
    key,
)
from bus.messages import ReportKind, Route


def test_codes_are_those_of_the_messages() -> None:
    """A new kind of report without a code would be stored as unknown."""
    assert ReportKind.__args__ == KIND_CODES  # type: ignore[attr-defined]
    assert set(ROUTE_CODES) == set(Route.__args__)  # type: ignore[attr-defined]
    assert len(REASON_CODES) < 127
    assert BUCKET_CODES == ("low", "mid", "high")


@pytest.mark.parametrize(("name", "place"), [("canary", 0), ("full", 2), ("elsewhere", -1), ("", -1)])
def test_a_name_is_its_place(name: str, place: int) -> None:
    """Unknown ones are -1, never somebody else's."""
    assert code(ROUTE_CODES, name) == place


def test_keys_are_stable_int64() -> None:
    """The same in every process and on every machine: they are compared across days."""
    assert key("BTCUSDT-1") == key("BTCUSDT-1") != key("BTCUSDT-2")
    assert all(-(2**63) <= key(str(n)) < 2**63 for n in range(1_000))
    assert key("") == int.from_bytes(bytes.fromhex("e4a6a0577479b2b4"), "little", signed=True)


def test_every_slot_has_its_judgement() -> None:
    """Version, margin, probability and threshold for active, shadow and canary, in scores and outcomes alike."""
    for table in (LIVE_SCORES, OUTCOMES):
        columns = TABLES[table].columns
        for slot in ("active", "shadow", "canary"):
            assert columns[f"{slot}_version"] == np.int64
            assert columns[f"{slot}_margin"] == columns[f"{slot}_probability"] == columns[f"{slot}_tau"] == np.float64
    assert TABLES[LIVE_SCORES].dtype_of("spread_ticks") == np.float32
    assert TABLES[OUTCOMES].dtype_of("spread_ticks") is None
    assert TABLES[REPORTS].event_time == "local_ns"
