import pytest

from bus.ids import parse
from bus.memory import MemoryBus
from bus.streams import APPROVED, CONTROL, REPORTS, trade
from live.audience import Audience, audience_of, start_of
from live.errors import LiveError
from live.service import Subscription

TRADES = trade("BTCUSDT")


def bus(*ids: str) -> MemoryBus:
    """A bus whose trades have these ids."""
    made = MemoryBus(lambda: 0)
    made.add([(TRADES, b"x", entry_id) for entry_id in ids])
    return made


def of(*rows: tuple[str, list[Subscription]]) -> Audience[str]:
    """The audience of services by name."""
    return audience_of([(name, name, subscriptions) for name, subscriptions in rows], bus("5-0", "6-0"))


def test_a_stream_is_followed_from_the_lowest_start_of_all() -> None:
    """Each follower still begins where it said."""
    found = of(("executor", [Subscription(TRADES)]), ("risk", [Subscription(TRADES, start="5-0")]))
    assert found.tails == {TRADES: "5-0"}
    assert dict(found.followers[TRADES]) == {"executor": (6, 0), "risk": (5, 0)}


def test_what_a_service_here_writes_is_read_once_and_not_followed() -> None:
    """It is handed on directly."""
    found = of(("collector", []), ("recorder", [Subscription(TRADES, start="0")]))
    assert found.tails == {}
    assert found.history == {TRADES: "0-0"}


def test_control_is_always_followed() -> None:
    """Others write it too."""
    found = of(("risk", [Subscription(CONTROL)]), ("executor", [Subscription(CONTROL, group="executor")]))
    assert found.tails == {CONTROL: "0-0"}
    assert found.groups == [(CONTROL, "executor")]
    assert found.subscribers[CONTROL] == [("risk", ""), ("executor", "executor")]


def test_two_services_cannot_share_a_group() -> None:
    """Each would get half of the messages."""
    both = Subscription(REPORTS, group="risk")
    with pytest.raises(LiveError, match="name it apart"):
        of(("risk", [both]), ("recorder", [both]))


@pytest.mark.parametrize(
    ("start", "behind"),
    [("$", "6-0"), ("0", "0-0"), ("recent:1", "5-18446744073709551615"), ("recent:9", "4-18446744073709551615"),
     ("5-0", "5-0")],
)  # fmt: skip
def test_starts(start: str, behind: str) -> None:
    """The id to read behind."""
    assert start_of(Subscription(TRADES, start=start), bus("5-0", "6-0")) == parse(behind)


def test_the_newest_of_an_empty_stream_is_everything_to_come() -> None:
    """From its very beginning."""
    assert start_of(Subscription(APPROVED, start="recent:5"), bus()) == (0, 0)


@pytest.mark.parametrize("start", ["", "yesterday", "recent:", "recent:0", "recent:x", "5", "a-b"])
def test_other_starts_are_refused(start: str) -> None:
    """With what would have been right."""
    with pytest.raises(LiveError, match=r"recent:N"):
        start_of(Subscription(TRADES, start=start), bus())
