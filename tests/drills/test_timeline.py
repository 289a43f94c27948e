import pytest

from tidegate.drills.errors import DrillFailed
from tidegate.drills.timeline import PROOFS, Timeline

SECOND_NS = 1_000_000_000


class Clock:
    """Turned by hand."""

    def __init__(self) -> None:
        self.ns = 1_000 * SECOND_NS

    def __call__(self) -> int:
        return self.ns


def test_lines_count_from_the_trouble() -> None:
    """Before it a line has no time; a known time may lie before the present."""
    clock, said = Clock(), list[str]()
    line = Timeline(clock, said.append)
    line.saw("healthy", "all ready")
    line.trouble("it breaks")
    clock.ns += 2 * SECOND_NS
    line.saw("metric", "x = 1")
    line.saw("event", "HALT", clock.ns - SECOND_NS)
    assert [each.seconds for each in line.seen] == [None, 0.0, 2.0, 1.0]
    assert said == [
        "            healthy     all ready",
        "     +0.0s  trouble     it breaks",
        "     +2.0s  metric      x = 1",
        "     +1.0s  event       HALT",
    ]


def test_without_stamps_every_line_stands_where_it_was_seen() -> None:
    """What the market's clock stamps is no time of the machine's."""
    clock = Clock()
    line = Timeline(clock, lambda _: None, takes_stamps=False)
    line.trouble("it breaks", at_ns=5)
    clock.ns += SECOND_NS
    line.saw("event", "HALT", at_ns=99)
    assert [each.seconds for each in line.seen] == [0.0, 1.0]


def test_what_was_not_shown_is_missing() -> None:
    """Each proof is asked for."""
    line = Timeline(Clock(), lambda _: None)
    assert line.missing() == list(PROOFS)
    for proof in PROOFS[:-1]:
        line.saw(proof, "seen")
    assert line.missing() == [PROOFS[-1]]


def test_nothing_can_be_counted_from_a_trouble_that_never_came() -> None:
    """A drill that forgot it fails."""
    with pytest.raises(DrillFailed, match="caused no trouble"):
        _ = Timeline(Clock(), lambda _: None).began_ns
