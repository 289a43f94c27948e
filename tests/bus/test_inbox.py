"""A consumer takes every message once, sees every hole, and does not listen to who was replaced."""

from hypothesis import given
from hypothesis import strategies as st

from bus.inbox import SequenceCheck
from bus.messages import Received
from tests.bus.samples import header, trade


def message(epoch: int, seq: int, deliveries: int = 1, writer: str = "w", stream: str = "s") -> Received:
    """A message with this number."""
    return Received(stream, "1-1", header("trade", writer=writer, epoch=epoch, seq=seq), trade(), deliveries)


@given(st.integers(1, 50), st.sets(st.integers(2, 50)), st.data())
def test_what_is_taken_and_what_is_lost_make_the_whole(last: int, gone: set[int], data: st.DataObject) -> None:
    """Repeats are dropped; the numbers missing are counted where the hole ends."""
    sent = [n for n in range(1, last + 1) if n not in gone]
    repeats = data.draw(st.lists(st.sampled_from(sent), max_size=10))
    check = SequenceCheck()
    verdicts = [check.judge(message(1, n)) for n in sent]
    assert all(verdict.take for verdict in verdicts)
    assert sum(verdict.lost for verdict in verdicts) == sent[-1] - len(sent)
    assert {check.judge(message(1, n)).state for n in repeats} <= {"repeated"}


def test_the_first_message_sets_the_number() -> None:
    """A consumer that joins late has lost nothing."""
    assert SequenceCheck().judge(message(3, 900)).state == "next"


def test_a_new_epoch_starts_at_one_and_outranks() -> None:
    """Its first message missing is a hole; the older epoch is refused from then on."""
    check = SequenceCheck()
    check.judge(message(1, 7))
    assert check.judge(message(2, 1)).state == "next"
    assert check.judge(message(1, 8)) == ("outranked", False, 0)
    assert check.judge(message(3, 4)) == ("hole", True, 3)


def test_a_redelivery_is_taken() -> None:
    """A group gives again what had no effect yet; only the handler knows."""
    check = SequenceCheck()
    check.judge(message(1, 1))
    check.judge(message(1, 2))
    assert check.judge(message(1, 1, deliveries=2)).take
    assert check.judge(message(1, 3)).state == "next"
    check.judge(message(2, 1))
    assert check.judge(message(1, 3, deliveries=2)).take


def test_writers_and_streams_do_not_mix() -> None:
    """Each pair has a sequence of its own."""
    check = SequenceCheck()
    check.judge(message(5, 9))
    assert check.judge(message(1, 1, writer="v")).state == "next"
    assert check.judge(message(1, 1, stream="t")).state == "next"
