"""The guards behind a running service: silence, depth, volatility, liquidation, and what a restart remembers."""

from pathlib import Path

from bus.messages import ControlEvent, MarkPrice
from market.columns import BOOK_ONE_SIDED
from tests.live.parts import START_NS
from tests.live.risk_market import SECOND, Stage, control, image, report, score, steady

RECOVER = {"warmup": {"recover_seconds": 30.0}}


def test_a_silent_market_is_crit_and_comes_back_after_normal_depth(tmp_path: Path) -> None:
    """Silence is counted tick by tick; the event names the symbol, and its id is one for each episode."""
    stage = Stage(tmp_path, RECOVER)
    stage.market(*steady(range(70)))
    stage.pass_seconds(14)
    assert stage.calls() == []
    stage.pass_seconds(3)
    assert stage.calls() == [("HALT", "CRIT", "stale_market")]
    assert stage.value("halted", reason="stale_market") == 1
    stage.market(*(image(START_NS + (90 + k) * SECOND, 100_000, 100_001) for k in range(30)))
    assert len(stage.calls()) == 1
    stage.market(*(image(START_NS + (120 + k) * SECOND, 100_000, 100_001) for k in range(2)))
    assert stage.calls()[1:] == [("RESUME", "INFO", "stale_market")]
    halt, resume = stage.out.of(ControlEvent)
    assert (halt.symbol, halt.by, resume.symbol) == ("BTCUSDT", "risk", "BTCUSDT")
    assert len({said.message_id for said in stage.out.said}) == len(stage.out.said)


def test_a_process_that_stood_still_does_not_take_its_sleep_for_silence(tmp_path: Path) -> None:
    """An hour between two ticks counts a second (and so does the one before it)."""
    stage = Stage(tmp_path)
    stage.market(*steady(range(20)))
    stage.clock.advance(seconds=3_600)
    stage.risk.tick()
    assert stage.calls() == []
    assert stage.risk.status()["silent_seconds"]["BTCUSDT"] <= 2.0


def test_a_side_without_depth_warns(tmp_path: Path) -> None:
    """After a second of it."""
    stage = Stage(tmp_path)
    stage.market(*steady(range(20)))
    hollow = [image(START_NS + (20 + k) * SECOND, 100_000, 100_001, ask_lots=0, flags=BOOK_ONE_SIDED) for k in range(3)]
    stage.market(*hollow)
    assert stage.calls() == [("HALT", "WARN", "stale_market")]


def test_wild_seconds_halt_a_symbol(tmp_path: Path) -> None:
    """50 bps up and down each second, above the line of 30 after the debounce."""
    stage = Stage(tmp_path, {"risk": {"volatility_resume_seconds": 20.0}})
    stage.market(*steady(range(20)))
    wild = [image(START_NS + (20 + k) * SECOND, 100_000 + 500 * (k % 2), 100_001 + 500 * (k % 2)) for k in range(40)]
    stage.market(*wild)
    assert stage.calls() == [("HALT", "WARN", "volatility_halt")]
    stage.market(*(image(START_NS + (60 + k) * SECOND, 100_000, 100_001) for k in range(60)))
    assert stage.calls()[1:] == [("RESUME", "INFO", "volatility_halt")]
    assert stage.value("volatility_bps", symbol="BTCUSDT") == 0.0


def test_a_market_that_never_came_is_told_of(tmp_path: Path) -> None:
    """Once, and nobody is halted."""
    stage = Stage(tmp_path)
    stage.pass_seconds(40)
    assert stage.calls() == [("ALERT", "WARN", "stale_market")]
    assert stage.risk.status()["halts"] == []


def test_history_read_again_halts_nobody(tmp_path: Path) -> None:
    """What a start finds on the streams is old; only candidates are judged by it."""
    stage = Stage(tmp_path)
    stage.clock.advance(seconds=600)
    wild = [image(START_NS + k * SECOND, 100_000 + 500 * (k % 2), 100_001 + 500 * (k % 2)) for k in range(60)]
    stage.market(*wild)
    assert stage.calls() == []


def _mark(price: float) -> MarkPrice:
    return MarkPrice("BTCUSDT", START_NS, START_NS, price, 0.0, 0)


def test_a_mark_near_liquidation_is_crit(tmp_path: Path) -> None:
    """A short at 50 times: liquidated some 160 bps above its entry of 10,000."""
    stage = Stage(tmp_path, {"sizing": {"leverage": 50.0}, "gates": {"near_liq_bps": 100.0}})
    stage.say(_mark(10_000.0))
    stage.say(report("filled", 1, filled=10, side=-1, price=100_000))
    stage.say(_mark(10_000.0))
    assert stage.calls() == []
    stage.say(_mark(10_100.0))
    assert stage.calls() == [("HALT", "CRIT", "near_liquidation")]
    stage.say(report("filled", 2, filled=10, side=1, price=100_000, leg="exit"))
    stage.say(_mark(10_100.0))
    stage.clock.advance(seconds=10)
    stage.say(_mark(10_100.0))
    assert stage.calls()[1:] == [("RESUME", "INFO", "near_liquidation")]


def test_halts_survive_a_restart_and_are_said_again_without_crit(tmp_path: Path) -> None:
    """The guard is still in its episode: it neither speaks of it anew nor forgets to let go."""
    stage = Stage(tmp_path, RECOVER)
    stage.market(*steady(range(20)))
    stage.pass_seconds(17)
    again = Stage(tmp_path, RECOVER)
    assert again.calls() == [("HALT", "WARN", "stale_market")]
    assert again.value("halted", reason="stale_market") == 1
    assert [each["severity"] for each in again.risk.status()["halts"]] == ["CRIT"]
    again.market(*steady(range(40)))
    assert again.calls()[1:] == [("RESUME", "INFO", "stale_market")]
    third = Stage(tmp_path, RECOVER)
    assert third.calls() == []


def test_a_resume_of_one_reason_leaves_the_others(tmp_path: Path) -> None:
    """And one for another symbol changes nothing."""
    stage = Stage(tmp_path, {**RECOVER, "risk": {"max_loss": 10.0}})
    stage.market(*steady(range(20)))
    stage.pass_seconds(17)
    stage.say(report("closed", 1, net=-11.0))
    assert {each["reason"] for each in stage.risk.status()["halts"]} == {"stale_market", "pnl_guard"}
    stage.say(control("RESUME", "stale_market", symbol="ETHUSDT"))
    assert len(stage.risk.status()["halts"]) == 2
    stage.say(control("RESUME", "stale_market", symbol="BTCUSDT"))
    assert [each["reason"] for each in stage.risk.status()["halts"]] == ["pnl_guard"]


def test_the_canarys_precision_is_its_own(tmp_path: Path) -> None:
    """It warns with its route and is no verdict on the active model."""
    stage = Stage(tmp_path, {"risk": {"min_samples": 10, "window": 10}})
    stage.market(*steady([0]))
    for k in range(10):
        first = image(START_NS + (2 + 4 * k) * SECOND, 100_000, 100_001)
        stage.market(first)
        stage.say(score(first, route="canary"))
        stage.market(image(first.exchange_ns + SECOND, 99_900, 99_901))
        stage.market(image(first.exchange_ns + 2 * SECOND, 99_900, 99_901))
    (halt,) = [each for each in stage.out.of(ControlEvent) if each.reason == "precision_halt"]
    assert (halt.severity, halt.route) == ("WARN", "canary")
    again = Stage(tmp_path, {"risk": {"min_samples": 10, "window": 10}})
    assert [(each.reason, each.route) for each in again.out.of(ControlEvent)] == [("precision_halt", "canary")]


def test_only_a_person_resumes(tmp_path: Path) -> None:
    """Another service's RESUME is about its own halts; a person is an operator, with or without a name."""
    stage = Stage(tmp_path, {"risk": {"max_loss": 10.0}})
    stage.say(report("closed", 1, net=-11.0))
    stage.say(control("RESUME", "pnl_guard", by="executor"))
    assert len(stage.risk.status()["halts"]) == 1
    stage.say(control("RESUME", "operator", by="operator:ada"))
    assert stage.risk.status()["halts"] == []


def test_lifting_a_halt_of_another_service_resets_no_guard_of_risk(tmp_path: Path) -> None:
    """An operator who clears an order mismatch has not looked at the day's loss."""
    stage = Stage(tmp_path, {"risk": {"max_loss": 10.0}})
    stage.say(report("closed", 1, net=-11.0))
    stage.say(control("RESUME", "order_mismatch", by="operator:ada"))
    assert len(stage.risk.status()["halts"]) == 1
    stage.say(control("RESUME", "", by="operator:ada"))
    assert stage.risk.status()["halts"] == []


def test_a_restart_knows_what_is_held(tmp_path: Path) -> None:
    """The position an earlier run saw is watched on; its exit, told to the new one, makes it flat and not short."""
    knobs = {"sizing": {"leverage": 50.0}, "gates": {"near_liq_bps": 100.0}}
    first = Stage(tmp_path, knobs)
    first.say(report("filled", 1, filled=10, side=-1, price=100_000))
    first.risk.stop()
    again = Stage(tmp_path, knobs)
    again.say(_mark(10_100.0))
    assert again.calls() == [("HALT", "CRIT", "near_liquidation")]
    again.say(report("filled", 2, filled=10, price=100_000, leg="exit"))
    again.risk.stop()
    third = Stage(tmp_path, knobs)
    assert third.risk._positions.held["BTCUSDT", False].lots == 0
    third.risk.stop()


def _lose(stage: Stage, count: int, *, start: int) -> None:
    """So many approved candidates reach their stop; the last one is seen to with the next book."""
    for k in range(start, start + count):
        first = image(START_NS + (2 + 4 * k) * SECOND, 100_000, 100_001)
        stage.market(first)
        stage.say(score(first))
        stage.market(image(first.exchange_ns + SECOND, 99_900, 99_901))


def test_precision_is_judged_on_behind_a_restart_and_anew_behind_a_resume(tmp_path: Path) -> None:
    """Nine losses before it and one behind it halt; once a person has lifted that, they do not halt again."""
    knobs = {"risk": {"min_samples": 10, "window": 10}}
    first = Stage(tmp_path, knobs)
    first.market(*steady([0]))
    _lose(first, 10, start=0)
    assert first.calls() == []
    again = Stage(tmp_path, knobs)
    again.market(*steady([0]))
    _lose(again, 2, start=10)
    assert again.calls() == [("HALT", "CRIT", "precision_halt")]
    again.clock.advance(seconds=5)
    again.say(control("RESUME", "precision_halt"))
    third = Stage(tmp_path, knobs)
    third.market(*steady([0]))
    _lose(third, 10, start=15)
    assert third.calls() == []
    _lose(third, 1, start=25)
    assert third.calls() == [("HALT", "CRIT", "precision_halt")]
