"""What the venue shows against what the journal knows. The venue is right about quantity, the journal about whose.

Pure: a survey and our own orders go in, what follows from it comes out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from live.exchange.protocol import OrderView, Surveyed
from live.executor.ids import is_ours
from live.executor.orders import UNPROVEN
from live.executor.records import Order, Trip


@dataclass(frozen=True, slots=True)
class Findings:
    """What follows from a survey.

    `ask`: our orders it does not bear out, to be asked for one by one. `strays`: resting orders with an id of ours
    that no intent stands for, to be canceled. `foreign_orders`: resting orders of somebody else, left alone.
    `difference` is the venue's position less ours in lots, None while an order of ours is not certain.
    """

    ask: tuple[str, ...]
    strays: tuple[str, ...]
    foreign_orders: int
    difference: int | None


def findings(survey: Surveyed, live: Sequence[Order], known: Iterable[str], held_lots: int) -> Findings:
    """Compare. `live` are our live orders of the symbol, `known` the ids of every order we remember."""
    shown = {view.client_id: view for view in survey.orders if view.state == "open"}
    remembered = set(known)
    ask = tuple(order.client_id for order in live if _is_doubtful(order, shown.get(order.client_id)))
    strays = tuple(key for key in shown if key not in remembered and is_ours(key))
    foreign = sum(1 for key in shown if key not in remembered and not is_ours(key))
    difference = None if ask else survey.position_lots - held_lots
    return Findings(ask, strays, foreign, difference)


def lost_lots(venue_lots: int, held_lots: int) -> int:
    """How much of what we hold, not signed, the venue does not have."""
    side = 1 if held_lots > 0 else -1
    there = max(0, min(side * venue_lots, side * held_lots))
    return abs(held_lots) - there


def losses(trips: Sequence[Trip], lots: int) -> list[tuple[str, int]]:
    """Take lots out of trips, the newest first: (approval id, lots) each."""
    taken: list[tuple[str, int]] = []
    for trip in reversed(trips):
        part = min(lots, trip.lots)
        if part > 0:
            taken.append((trip.approval_id, part))
            lots -= part
    return taken


def _is_doubtful(order: Order, view: OrderView | None) -> bool:
    if view is None or order.state in UNPROVEN or order.doubt:
        return True
    return view.filled_lots != order.filled_lots
