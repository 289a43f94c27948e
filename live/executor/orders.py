"""The life of one order as a pure state machine: an order and a fact give the order behind it.

    new ─▶ sent ─▶ open ─▶ partial ─▶ filled | canceled | expired
      │      │
      │      └──▶ unknown: may stand; asked for until it is known
      └─────────▶ refused

`new` is an intent on the disk, `sent` one that this process has handed to the venue. Facts come in any order and more
than once: a fill before its acknowledgement counts at once and proves that the order stands; a fill is counted once by
its trade id; an end that names more lots than fills have shown keeps the order alive until they are known; a fill
behind the end is still counted, because the position has it.
"""

from typing import Final

from msgspec.structs import replace

from live.executor.records import Accepted, Doubted, Ended, Filled, Intent, Order, OrderFact, Refused

LIVE: Final = frozenset(("new", "sent", "open", "partial", "unknown"))
RESTING: Final = frozenset(("open", "partial"))
UNPROVEN: Final = frozenset(("new", "sent", "unknown"))
ENDS: Final = frozenset(("filled", "canceled", "expired", "refused"))


def begin(intent: Intent, symbol: str, *, is_real: bool) -> Order:
    """The order that an intent is for, not sent yet."""
    return Order(
        client_id=intent.client_id,
        approval_id=intent.approval_id,
        symbol=symbol,
        is_real=is_real,
        leg=intent.leg,
        rung=intent.rung,
        replacement=intent.replacement,
        side=intent.side,
        price_ticks=intent.price_ticks,
        size_lots=intent.size_lots,
        time_in_force=intent.time_in_force,
        reduce_only=intent.reduce_only,
        bucket=intent.bucket,
        reason=intent.reason,
        at_ns=intent.at_ns,
    )


def sent(order: Order) -> Order:
    """The order was handed to the venue. Not written down: a restart takes every unanswered one for sent."""
    return replace(order, state="sent") if order.state == "new" else order


def advance(order: Order, fact: OrderFact) -> Order:
    """Return the order behind a fact; the same object when the fact says nothing new."""
    match fact:
        case Accepted():
            return _accepted(order, fact)
        case Refused():
            if order.state in UNPROVEN and not order.filled_lots:
                return replace(order, state="refused", reason=fact.reason, doubt="")
            return order
        case Doubted():
            if order.state in ("new", "sent"):
                return replace(order, state="unknown", doubt=fact.reason)
            return order
        case Filled():
            return _filled(order, fact)
        case Ended():
            return _ended(order, fact)


def is_live(order: Order) -> bool:
    """Whether it may still trade, or has traded in a way not known yet."""
    return order.state in LIVE


def leaves(order: Order) -> int:
    """Lots that may still trade, in the worst case: of an unknown order all of them."""
    if order.state not in LIVE:
        return 0
    most = order.final_lots if order.final_lots >= 0 else order.size_lots
    return max(0, most - order.filled_lots)


def counts(order: Order, fact: Filled) -> int:
    """The lots that a fill adds to the position: 0 when it was counted before, by its id or as settled."""
    if fact.trade_id in order.trade_ids:
        return 0
    if not fact.is_settled and order.settled_lots >= fact.lots:
        return 0
    return fact.lots


def _accepted(order: Order, fact: Accepted) -> Order:
    if order.state in UNPROVEN:
        return replace(order, state="open", venue_id=fact.venue_id, doubt="")
    return order if order.venue_id else replace(order, venue_id=fact.venue_id)


def _filled(order: Order, fact: Filled) -> Order:
    if fact.trade_id in order.trade_ids:
        return order
    trade_ids = (*order.trade_ids, fact.trade_id)
    lots = counts(order, fact)
    if not lots:
        return replace(order, trade_ids=trade_ids, settled_lots=order.settled_lots - fact.lots)
    filled = order.filled_lots + lots
    settled = order.settled_lots + (lots if fact.is_settled else 0)
    order = replace(order, trade_ids=trade_ids, filled_lots=filled, settled_lots=settled)
    if order.state not in LIVE:
        return order
    if 0 <= order.final_lots <= filled:
        return replace(order, state=order.final_state, doubt="")
    if filled >= order.size_lots:
        return replace(order, state="filled", doubt="")
    return replace(order, state="partial", doubt="" if order.state == "unknown" else order.doubt)


def _ended(order: Order, fact: Ended) -> Order:
    if order.state not in LIVE:
        return order
    if fact.filled_lots > order.filled_lots:
        state = "partial" if order.state in UNPROVEN else order.state
        return replace(
            order, state=state, final_state=fact.state, final_lots=fact.filled_lots, reason=fact.reason,
            doubt="fills_missing",
        )  # fmt: skip
    return replace(order, state=fact.state, reason=fact.reason, doubt="")
