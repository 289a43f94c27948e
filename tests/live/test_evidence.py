"""The journal of risk: what was appended is there again, torn anywhere, rewritten, and with what it sums to."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.messages import Judgement, Outcome
from live import evidence
from live.evidence import KEPT_ENDINGS, Ended, Evidence, Folded, Halt, Held, Marks, Opened, Record, Trip, synced
from market.barriers import STOP, TARGET

JUDGED = [Judgement("active", "m1", 1, 0.5, 0.6, 0.5), Judgement("canary", "m2", 2, 0.5, 0.6, 0.5)]


def opened(name: str) -> Opened:
    """An open candidate."""
    return Opened(name, "BTCUSDT", 1, 2, -1, "paper", True, 10, 11, JUDGED, 0.1, 0.2, 30.0, True)


def ended(name: str, outcome: int = TARGET) -> Ended:
    """The end of a canary's candidate."""
    return Ended(Outcome(name, "BTCUSDT", 1, "canary", True, 1, outcome, 5, 1.5, 0.5, [0.1, 0.2, 0.3], JUDGED))


def halt(reason: str, *, holds: bool = True) -> Halt:
    """A halt, or its end."""
    return Halt(reason, "BTCUSDT", "", 7, "CRIT", holds)


names = st.sampled_from("abcdef")
records = st.lists(
    st.one_of(
        names.map(opened),
        st.builds(ended, names, st.sampled_from([TARGET, STOP])),
        st.builds(
            Trip, names, st.sampled_from(["paper", "full"]), st.integers(1, 3), st.integers(-50, 50).map(float),
            st.booleans(),
        ),
        st.builds(halt, st.sampled_from(["pnl_guard", "trade_rate"]), holds=st.booleans()),
        st.builds(
            Held, st.just("BTCUSDT"), st.booleans(), st.integers(-5, 5), st.integers(1, 9).map(float), names,
            st.integers(1, 5),
        ),
        st.just(Marks(2, {"paper": 4.0}, 1.0, 5.0, -1.0, "m2", 30, 20)),
    ),
    max_size=30,
)  # fmt: skip


def folded(of: list[Record], *, counts_real: bool = False) -> Folded:
    """They taken together."""
    found = Folded(counts_real)
    for record in of:
        found.take(record)
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(of=records, real=st.booleans())
def test_what_was_appended_is_there_again_however_often_it_is_opened(
    tmp_path: Path, of: list[Record], real: bool
) -> None:
    """A kill needs no close; rewriting changes nothing."""
    path = tmp_path / "risk.journal"
    path.unlink(missing_ok=True)
    journal = Evidence(path, counts_real=real)
    for record in of:
        journal.append(record)
    again = Evidence(path, counts_real=real)
    assert again.folded == journal.folded == folded(of, counts_real=real)
    third = Evidence(path, counts_real=real)
    assert third.folded == again.folded
    assert third.damage == ""
    for each in (journal, again, third):
        each.close()


def test_a_tail_torn_at_any_byte_is_cut_and_kept_aside(tmp_path: Path) -> None:
    """Everything before it counts; what was cut is named."""
    path = tmp_path / "risk.journal"
    journal = Evidence(path)
    journal.append(opened("a"))
    whole = len(path.read_bytes())
    journal.append(opened("b"))
    journal.close()
    content = path.read_bytes()
    for cut in range(whole + 1, len(content)):
        path.write_bytes(content[:cut])
        again = Evidence(path)
        assert list(again.folded.open) == ["a"]
        assert f"from byte {whole} on are no record" in again.damage
        again.close()
        assert path.with_suffix(".damaged").read_bytes() == content[:cut]


def test_a_flipped_bit_ends_what_is_believed(tmp_path: Path) -> None:
    """A record that does not hash to its sum is none."""
    path = tmp_path / "risk.journal"
    journal = Evidence(path)
    journal.append(opened("a"))
    journal.close()
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))
    again = Evidence(path)
    assert again.folded.open == {}
    assert again.damage
    again.close()


def test_an_ending_stands_as_it_was_first_told() -> None:
    """Another one for the same candidate changes nothing."""
    found = folded([opened("a"), ended("a", TARGET), ended("a", STOP)])
    assert found.open == {}
    assert found.ended["a"].outcome == TARGET
    assert (found.canary.judged, found.canary.won) == (1, 1)


def test_endings_are_kept_up_to_a_bound() -> None:
    """The newest; the canary's count goes on."""
    found = folded([ended(str(k)) for k in range(KEPT_ENDINGS + 10)])
    assert len(found.ended) == KEPT_ENDINGS
    assert "9" not in found.ended and "10" in found.ended
    assert found.canary.judged == KEPT_ENDINGS + 10


@pytest.mark.parametrize(("counts_real", "guarded", "best"), [(False, -3.0, 5.0), (True, -8.0, 0.0)])
def test_a_days_best_is_of_what_is_guarded(counts_real: bool, guarded: float, best: float) -> None:
    """Of real orders alone where there are real ones."""
    trips = [Trip("a", "paper", 1, 5.0, False), Trip("b", "canary", 1, -8.0, True)]
    found = folded(list(trips), counts_real=counts_real)
    assert (found.guarded, found.best) == (guarded, best)
    found.take(Trip("c", "paper", 2, 1.0, False))
    assert found.pnl.by_route == {"paper": 1.0}


def test_a_long_file_is_rewritten_while_it_is_used(tmp_path: Path) -> None:
    """By sync, without losing what is open."""
    path = tmp_path / "risk.journal"
    journal = Evidence(path)
    journal.append(opened("kept"))
    for k in range(40_000):
        journal.append(halt("pnl_guard", holds=bool(k % 2)))
        if journal._size > 1_000_000:
            break
    journal._size = evidence.LONGEST_BYTES + 1
    assert journal.to_sync() is None
    assert path.stat().st_size < 1_000
    journal.append(opened("later"))
    again = Evidence(path)
    assert list(again.folded.open) == ["kept", "later"]
    journal.close()
    again.close()


def test_what_was_appended_is_synced_once(tmp_path: Path) -> None:
    """By whoever takes the descriptor, which outlives a rewriting."""
    journal = Evidence(tmp_path / "risk.journal")
    assert journal.to_sync() is None
    journal.append(opened("a"))
    descriptor = journal.to_sync()
    assert descriptor is not None
    assert journal.to_sync() is None
    journal._size = evidence.LONGEST_BYTES + 1
    assert journal.to_sync() is None
    synced([descriptor])
    with pytest.raises(OSError, match="Bad file descriptor"):
        synced([descriptor])
    journal.close()


def test_a_trip_told_late_does_not_begin_the_day_anew() -> None:
    """Yesterday's round trip, redelivered behind midnight, neither counts for today nor wipes what today has lost."""
    trips = [Trip("a", "paper", 1, 5.0, False), Trip("b", "paper", 2, -8.0, False), Trip("c", "paper", 1, -1.0, False)]
    found = folded(list(trips))
    assert (found.pnl.day, found.pnl.total) == (2, -8.0)
    assert [trip.report_id for trip in found.trips] == ["a", "b", "c"]
