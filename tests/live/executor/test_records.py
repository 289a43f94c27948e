"""The journal's records: each through its bytes and back, and nothing else is taken for one."""

import msgspec
import pytest

from live.executor.records import (
    Accepted,
    AnyRecord,
    Doubted,
    Ended,
    Filled,
    Foreign,
    Heard,
    Intent,
    Lost,
    Refused,
    Snapshot,
    State,
    Taken,
    account_of,
    decode,
    encode,
    held_key,
)

RECORDS: list[AnyRecord] = [
    Taken("a", "BTCUSDT", 1, "full", "m", True, 1, 2, 0.1, 0.2, 3),
    Intent("k", "a", "entry", 0, 0, 1, 100, 5, "GTX", False, "low", "", 1),
    Accepted("k", "v", 1, 2),
    Refused("k", "filter", 0, 1),
    Doubted("k", "timeout", 1),
    Filled("k", "t", 100, 5, 0.1, True, 1, 2),
    Ended("k", "canceled", 3, "life", 1, 2),
    Lost("a", 3, 100, 1),
    Foreign("BTCUSDT", True, -3, 1),
    Heard("e", "HALT", "WARN", "trade_rate", "", "", "risk", 1),
    Snapshot(State()),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_is_read_as_it_was_written(record: AnyRecord) -> None:
    """And written the same again."""
    assert decode(encode(record)) == record
    assert encode(decode(encode(record))) == encode(record)


@pytest.mark.parametrize("data", [b"", b"\x90", b"\x91\xa5Magic", encode(RECORDS[2])[:-1]])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    """Empty, foreign, or cut."""
    with pytest.raises(msgspec.DecodeError):
        decode(data)


def test_accounts_have_names() -> None:
    """As metrics and status show them."""
    assert (account_of(True), account_of(False)) == ("real", "paper")
    assert held_key("BTCUSDT", True) == "BTCUSDT:real"


def test_a_new_state_shares_nothing() -> None:
    """Two executors in one process never see each other's orders."""
    one, other = State(), State()
    one.approvals["a"] = 1
    assert other.approvals == {}
