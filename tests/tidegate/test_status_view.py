from bus.streams import CONTROL
from tests.tidegate.live_side import NOW_NS, SECOND_NS, beat, bus, event, say, shown
from tidegate.situation import look
from tidegate.status_view import view

EXECUTOR = {
    "mode": "paper", "cooldown_seconds": 600.0, "needs_person": True, "halts": ["precision_halt"],
    "positions": {"BTCUSDT:paper": 12}, "live_orders": 2, "unknown_orders": 1, "open_trips": 1, "queue": 3,
    "pnl_quote": {"paper": -1.5}, "books": {"BTCUSDT": "live"}, "journal": "abc[1]",
}  # fmt: skip
COLLECTOR = {"feed": "simulator", "books": {"BTCUSDT": {"state": "gap", "book_age_seconds": 0.2, "updates": 1234}}}
ENGINE = {"symbols": {"BTCUSDT": {"warm": True, "candidates": 77}}}
SCORER = {
    "models": {"active": {"id": "model-a", "version": 3}},
    "rollout": {"mode": "canary", "canary_fraction": 0.1},
    "realized_fraction": 0.12,
}


def page(width: int = 140) -> str:
    """The page of a stack in which something of everything is there."""
    on = bus()
    beat(on, "collector", COLLECTOR)
    beat(on, "recorder", {"segment": 4, "waiting_bytes": 2_000})
    beat(on, "signal_engine", ENGINE)
    beat(on, "ai_scorer", SCORER)
    beat(on, "executor", EXECUTOR)
    beat(on, "risk", {"precision": 0.41, "halts": [], "open_candidates": 5}, at_ns=NOW_NS - 60 * SECOND_NS)
    say(on, "risk", CONTROL, event())
    return shown(view(look(on, "memory", NOW_NS), width), width)


def test_the_headline_has_the_mode_and_how_many_are_ready() -> None:
    """Of those that trade."""
    assert "PAPER" in page().splitlines()[0]
    assert "5 of 6 ready" in page().splitlines()[0]


def test_every_part_is_there() -> None:
    """Services, market, trading, models, queues, events."""
    told = page()
    for words in (
        "simulator: 0 of 1 books live", "77 candidates", "active v3", "✗ silent", "1,234", "full", "12 paper",
        "cooldown 10 min left", "back to real takes a person", "precision_halt", "2 live, 1 of unknown fate",
        "-1.50 paper", "model-a", "rollout canary, canary share 10% (realized 12%)", "sig:approved",
        "precision [0.2] is low", "abc[1]",
    ):  # fmt: skip
        assert words in told, words


def test_a_silent_service_says_nothing_and_its_figures_are_left_out() -> None:
    """Old precision is no precision."""
    assert "41" not in page()


def test_an_empty_bus_shows_that_nothing_is_there() -> None:
    """Without tables that have no rows."""
    told = shown(view(look(bus(), "memory", NOW_NS), 140))
    assert "0 of 6 ready" in told
    assert told.count("absent") == 7
    assert "queues" not in told
    assert "market" not in told


def test_a_status_of_another_release_does_not_break_the_page() -> None:
    """Whatever its values are."""
    on = bus()
    for name in ("collector", "signal_engine", "ai_scorer", "executor", "risk", "recorder", "model_sync"):
        beat(on, name, {"books": 3, "symbols": [], "models": "x", "positions": None, "halts": []})
    assert "ready" in shown(view(look(on, "memory", NOW_NS), 140))


def test_it_fits_a_narrow_terminal() -> None:
    """No line is wider."""
    assert max(len(line) for line in page(80).splitlines()) <= 80
