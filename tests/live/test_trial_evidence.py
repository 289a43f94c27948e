"""What an outcome or a report is to each kind of trial, and what is no evidence for it."""

import math
from typing import Any

import msgspec
import pytest

from bus.messages import Judgement, Outcome, Report
from live.trial_evidence import MOST_DRAWS, Draw, Draws, executed, filled, judged
from live.trial_rows import Begun, ExecutedRow, JudgedRow, RoutedRow
from market.barriers import STOP, TARGET, TIMEOUT, UNRESOLVED
from tests.live import bodies
from tests.live.bodies import T_NS

HORIZON_NS = 60_000_000_000
SHADOW = Begun("shadow", 4, "model-b", 3, "", "", 1, T_NS, HORIZON_NS)
CANARY = Begun("canary", 4, "model-b", 3, "canary-4", "seed:canary-4", 1, T_NS, HORIZON_NS)
ACTIVE = Begun("active", 3, "model-a", 0, "", "", 1, T_NS, HORIZON_NS)
DRAW = Draw("seed:canary-4", 0.1)


def outcome(**changes: Any) -> Outcome:
    """Judged by version 3 (0.625, tau 0.5) and version 4 (0.4375, tau 0.55); drawn to the canary."""
    return msgspec.structs.replace(bodies.outcome(), **{"outcome": TARGET, **changes})


def test_a_shadow_is_paired_with_the_active_version() -> None:
    """Each by its own threshold, whatever slot it was judged in."""
    wanted = JudgedRow(outcome().candidate_id, 9, True, 0.4375, approves=False, other_probability=0.625,
                       other_approves=True)  # fmt: skip
    assert judged(outcome(), SHADOW, 0, 9) == wanted
    turned = [msgspec.structs.replace(each, slot="canary") for each in reversed(outcome().judgements)]
    assert judged(outcome(judgements=turned), SHADOW, 0, 9) == wanted


def test_an_active_version_is_paired_with_its_control_alone() -> None:
    """Without one it is judged for itself."""
    alone = judged(outcome(), ACTIVE, 0, 9)
    beside = judged(outcome(), ACTIVE, 4, 9)
    assert isinstance(alone, JudgedRow) and isinstance(beside, JudgedRow)
    assert (alone.probability, alone.approves, alone.other_probability) == (0.625, True, None)
    assert (beside.other_probability, beside.other_approves) == (0.4375, False)


@pytest.mark.parametrize(("result", "won"), [(TARGET, True), (STOP, False), (TIMEOUT, False)])
def test_a_canary_is_told_by_its_draw(result: int, won: bool) -> None:
    """Of both routes; only the target is a win."""
    row = judged(msgspec.structs.replace(outcome(approved=True), outcome=result), CANARY, 0, 9)
    assert row == RoutedRow(outcome().candidate_id, 9, 0.1, True, True, won, 0.4375)
    other = judged(outcome(route="paper"), CANARY, 0, 9)
    assert isinstance(other, RoutedRow) and not other.is_canary


@pytest.mark.parametrize(
    ("begun", "changes"),
    [
        (SHADOW, {"outcome": UNRESOLVED}), (CANARY, {"outcome": UNRESOLVED}), (ACTIVE, {"outcome": UNRESOLVED}),
        (SHADOW, {"t_ns": T_NS - 1}), (CANARY, {"t_ns": T_NS - 1}),
        (CANARY, {"salt": "seed:canary-3"}), (CANARY, {"canary_fraction": 0.0}),
        (SHADOW, {"judgements": bodies.JUDGED[:1]}), (SHADOW, {"judgements": bodies.JUDGED[1:]}),
        (ACTIVE, {"judgements": [Judgement("active", "x", 3, 0.0, math.nan, 0.5)]}),
    ],
)  # fmt: skip
def test_what_is_no_evidence(begun: Begun, changes: dict[str, Any]) -> None:
    """Unresolved, older than the trial, of another canary, without one of the two."""
    assert judged(msgspec.structs.replace(outcome(), **changes), begun, 0, 9) is None


def report(**changes: Any) -> Report:
    """An entry that was filled."""
    return msgspec.structs.replace(bodies.report(1), **{"leg": "entry", **changes})


def test_orders_of_a_canary_are_those_of_its_draw() -> None:
    """On either route; the shadow's trial has none."""
    own = executed(report(route="canary"), CANARY, DRAW, "fill", 1.0, is_compared=True, at_ns=9)
    other = executed(report(), CANARY, DRAW, "markout", -2.0, is_compared=False, at_ns=9)
    assert own == ExecutedRow("order-7-1/fill", 9, 0.1, True, True, "fill", 1.0)
    assert other == ExecutedRow("order-7-1/markout", 9, 0.1, False, False, "markout", -2.0)
    assert executed(report(), CANARY, Draw("", 0.0), "fill", 1.0, is_compared=True, at_ns=9) is None
    assert executed(report(), CANARY, DRAW, "markout", math.nan, is_compared=True, at_ns=9) is None
    assert executed(report(), SHADOW, DRAW, "fill", 1.0, is_compared=True, at_ns=9) is None


def test_orders_of_an_active_version_are_those_it_decided() -> None:
    """For its floors; they are compared with nobody's."""
    row = executed(report(), ACTIVE, DRAW, "fill", 0.0, is_compared=True, at_ns=9)
    assert row is not None and row.is_own and not row.is_compared
    assert executed(report(route="canary"), ACTIVE, DRAW, "fill", 0.0, is_compared=True, at_ns=9) is None
    assert executed(report(model_id="model-b"), ACTIVE, DRAW, "fill", 0.0, is_compared=True, at_ns=9) is None


@pytest.mark.parametrize(
    ("kind", "lots", "wanted"),
    [("filled", 9, 1.0), ("canceled", 0, 0.0), ("canceled", 3, 1.0), ("expired", 0, 0.0), ("accepted", 0, None)],
)
def test_an_entry_has_filled_or_not_when_it_has_ended(kind: str, lots: int, wanted: float | None) -> None:
    """Exits do not count."""
    assert filled(report(kind=kind, filled_lots=lots)) == wanted
    assert filled(report(kind=kind, filled_lots=lots, leg="exit")) is None


def test_draws_are_remembered_within_bounds() -> None:
    """One that is not known is of no canary."""
    draws = Draws()
    for number in range(MOST_DRAWS + 1):
        draws.add(f"a-{number}", "s", 0.5)
    assert draws.of("a-0") == Draw("", 0.0)
    assert draws.of(f"a-{MOST_DRAWS}") == Draw("s", 0.5)
