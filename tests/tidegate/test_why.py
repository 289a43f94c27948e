import json

import pytest

from tests.live.parts import settings
from tests.tidegate.live_side import NOW_NS, SECOND_NS, beat, bus, candidate, lively, other_version, say, score, shown
from tidegate.why import look, run, view


def test_every_candidate_is_followed_to_its_fate() -> None:
    """Dropped, canceled, closed, still open, below tau, not scored."""
    answer = look(lively(), "BTCUSDT", 600)
    assert (answer.candidates, answer.scored, answer.approved, answer.below_tau) == (6, 5, 4, 1)
    assert answer.dropped == {"warmup": 1}
    assert answer.orders == {"accepted": 2, "canceled": 1, "filled": 1}
    assert answer.outcomes == {"target": 1, "timeout": 1, "stop": 1}
    assert answer.net_quote == 1.25
    assert answer.others == ["ETHUSDT"]
    assert [line.fate for line in answer.lines] == [
        "dropped: warmup",
        "canceled, 0 lots filled",
        "closed +1.25 (target)",
        "approved, nothing heard of it yet",
        "below tau",
    ]


def test_the_time_is_the_market_s() -> None:
    """Of a replay too: the window ends at the newest message."""
    answer = look(lively(), "BTCUSDT", 8)
    assert answer.to_ns == NOW_NS - 5 * SECOND_NS
    assert answer.candidates == 4


def test_the_model_that_decides_is_shown() -> None:
    """The canary's on the canary route."""
    on = bus()
    say(on, "ai_scorer", "sig:scores", score(1, approved=True, route="canary"), score(2, approved=True))
    lines = look(on, "BTCUSDT", 60).lines
    assert [(line.model_id, line.probability) for line in lines] == [("model-b", 0.9), ("model-a", 0.6)]


def test_without_a_candidate_the_engine_s_own_words_tell_why() -> None:
    """What it withheld."""
    on = bus()
    say(on, "signal_engine", "sig:candidates", candidate(1, "ETHUSDT"))
    market = {"state": "syncing", "warm": False, "withheld": {"windows": 12, "stale": 0}}
    beat(on, "signal_engine", {"symbols": {"BTCUSDT": market}})
    told = shown(view(look(on, "BTCUSDT", 60)))
    assert "no candidate in that time; the streams have ETHUSDT" in told
    assert "book syncing, windows not full yet; withheld: windows 12" in told


def test_a_symbol_of_another_share_is_looked_for_with_its_own_engine() -> None:
    """Its candidates are on a stream of their own."""
    on = bus()
    say(on, "signal_engine:1", "sig:candidates:1", candidate(1))
    beat(on, "signal_engine:1", {"symbols": {"BTCUSDT": {"state": "live", "warm": True}}})
    answer = look(on, "BTCUSDT", 60, share=1)
    assert (answer.candidates, "book live" in answer.engine) == (1, True)
    assert (look(on, "BTCUSDT", 60).candidates, look(on, "BTCUSDT", 60).engine) == (0, "")


def test_the_page_shows_funnel_and_candidates() -> None:
    """In the market's time."""
    told = shown(view(look(lively(), "BTCUSDT", 600)))
    for words in ("the last 10 min up to 11:59:55 UTC", "warmup 1", "target 1", "below tau", "sell", "0.600"):
        assert words in told


def test_messages_of_another_release_are_left_out() -> None:
    """They do not stop the rest."""
    on = lively()
    other_version(on, "sig:scores")
    assert look(on, "BTCUSDT", 600).scored == 5


def test_a_symbol_that_is_not_traded_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With those that are."""
    assert run(settings(), "", "DOGE", 60, as_json=True) == 1
    assert "BTCUSDT" in json.loads(capsys.readouterr().out)["error"]
