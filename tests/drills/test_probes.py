from pathlib import Path

import pytest

from bus.codec import decode
from bus.memory import MemoryBus
from bus.messages import BookImage, Candidate
from bus.streams import CANDIDATES
from config.settings import load
from live.candidate_check import Wanted, refusal
from market.feature_spec import schema_hash
from tests.live.mirrors import registered
from tidegate.drills.errors import DrillFailed
from tidegate.drills.knobs import MARKET, SYMBOL
from tidegate.drills.probes import Probes

NOW_NS = 1_767_787_200_000_000_000
IMAGE = BookImage(SYMBOL, NOW_NS, NOW_NS, 7, 0, [600_000] * 10, [5] * 10, [600_001] * 10, [6] * 10)


def test_a_scorer_takes_what_is_said(tmp_path: Path) -> None:
    """Of the schema, the rule and the width that are wanted, each under an id of its own, at the touch of the book."""
    registered(tmp_path / "v1", 1, tau=0.5)
    bus, settings = MemoryBus(lambda: NOW_NS // 1_000_000), load(environ=MARKET)
    probes = Probes(bus, lambda: NOW_NS, settings, tmp_path / "v1")
    ids = probes.say(3, IMAGE) + probes.say(1, IMAGE)
    entries = [decode(entry) for entry in bus.recent(CANDIDATES, 10)]
    wanted = Wanted(frozenset([SYMBOL]), schema_hash(), settings.candidate.rule().id, 1_500_000_000)
    assert [each.body.id for each in entries if isinstance(each.body, Candidate)] == ids
    assert len(ids[:3]) == len(set(ids[:3])) == 3
    for each in entries:
        assert isinstance(each.body, Candidate)
        assert refusal(each.body, each.header, wanted, NOW_NS) is None
        assert (each.body.bid_ticks, each.body.ask_ticks) == (600_000, 600_001)


def test_a_model_that_approves_of_nothing_is_told_of(tmp_path: Path) -> None:
    """A drill could wait for an entry for ever."""
    registered(tmp_path / "v1", 1, tau=1.0)
    with pytest.raises(DrillFailed, match="no golden row is over its entry threshold"):
        Probes(MemoryBus(lambda: NOW_NS // 1_000_000), lambda: NOW_NS, load(environ=MARKET), tmp_path / "v1").say(
            1, IMAGE
        )
