"""Three models on one market: everything judged by all of them, routes by the draw, the canary fenced by one word."""

from collections import Counter
from pathlib import Path

import pytest

from bus import streams
from bus.client import open_bus
from bus.messages import Approval, ControlEvent, Report, Score
from bus.publisher import Publisher
from live.clock import SystemClock
from live.rollout import Rollout
from live.routing import route_of
from tests.bus.servers import needs_redis
from tests.journeys.played import bodies, mirror, run_out, services
from tests.journeys.waiting import until
from tidegate.live_stack import LiveStack

FRACTION = 0.4
ROLLOUT = Rollout("canary", FRACTION, "tidegate", 0)
ENOUGH = 100


@pytest.mark.slow
@needs_redis
def test_a_canary_takes_its_share_until_it_is_withdrawn(tmp_path: Path, subtests: pytest.Subtests) -> None:
    """Active, shadow and canary judge each candidate; behind the ROLLBACK the shadow judges on and decides nothing."""
    models = mirror(tmp_path)
    models.put("active", 1, tau=0.5)
    models.put("shadow", 2, tau=0.45)
    knobs = {"ROLLOUT_MODE": "canary", "ROLLOUT_CANARY_FRACTION": str(FRACTION), "FEED_MINUTES": "8"}
    with services(tmp_path, **knobs) as stack:
        until(lambda: len(bodies(stack.bus, streams.SCORES)) > ENOUGH or None, 60, "scores", 0.01)
        roll_back(stack)
        until(lambda: is_fenced(stack), 60, "the fence", 0.01)
        fenced = len(bodies(stack.bus, streams.SCORES))
        shown = run_out(stack)
        scores = [each for each in bodies(stack.bus, streams.SCORES) if isinstance(each, Score)]
        approvals = [each for each in bodies(stack.bus, streams.APPROVED) if isinstance(each, Approval)]
        reports = [each for each in bodies(stack.bus, streams.REPORTS) if isinstance(each, Report)]
    assert fenced < len(scores) - ENOUGH, "the market was over before the fence could show"
    with subtests.test("before"):
        before = [each for each in scores if each.canary_fraction]
        assert len(before) > ENOUGH
        assert before == scores[: len(before)], "it goes once, and comes back never"
        check_judgements(before, ("active", "shadow", "canary"))
        assert [each.route for each in before] == [route_of(each.candidate_id, ROLLOUT) for each in before]
        routes = Counter(each.route for each in before)
        assert set(routes) == {"paper", "canary"}
    with subtests.test("behind"):
        behind = scores[len(before) :]
        assert len(before) <= fenced
        check_judgements(behind, ("active", "shadow"))
        assert {each.route for each in behind} == {"paper"}
        assert shown.value("canary_fraction_target") == 0.0
    with subtests.test("approvals are those of the model of their route"):
        assert {each.version for each in approvals if each.route == "canary"} == {2}
        assert {each.version for each in approvals if each.route == "paper"} == {1}
        assert {each.candidate_id: each.route for each in approvals} == {
            each.candidate_id: each.route for each in scores if each.approved
        }
        for route in ("paper", "canary"):
            asked = sum(each.route == route for each in approvals)
            assert shown.total("approvals_total", route=route) == asked > 0
        by_id = {each.id: each.route for each in approvals}
        assert all(by_id[each.approval_id] == each.route and not each.is_real for each in reports)


def check_judgements(scores: list[Score], slots: tuple[str, ...]) -> None:
    """Everybody judged, the same version alike, and the model of the route decided."""
    for each in scores:
        said = {judged.slot: judged for judged in each.judgements}
        assert tuple(said) == slots
        assert (said["active"].version, said["shadow"].version) == (1, 2)
        if "canary" in said:
            assert said["canary"].probability == said["shadow"].probability
        decider = said["canary" if each.route == "canary" else "active"]
        assert each.approved is (decider.probability >= decider.tau)


def roll_back(stack: LiveStack) -> None:
    """Say that the canary is withdrawn, as a guard would."""
    # The market's clock is the services' own: what is said now, in its time, is later than anything it knows.
    at_ns = SystemClock().wall_ns()
    event = ControlEvent("ROLLBACK", "WARN", "", "", "winrate_delta", "tests", at_ns, "", "canary", "withdrawn")
    with open_bus(stack.bus.url) as bus:
        publisher = Publisher(bus, "tests", SystemClock().wall_ns)
        publisher.publish(streams.CONTROL, event, message_id="withdrawn")
        publisher.flush()


def is_fenced(stack: LiveStack) -> bool | None:
    """Whether the scorer has said so."""
    stack.check()
    return True if "canary_fenced" in stack.log.read_text() else None
