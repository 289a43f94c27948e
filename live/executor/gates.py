"""The gates: why an approval is not acted on. One ordered table, pure; the first gate that is closed names the drop.

Facts go in, a name and a line for people come out. The names are `monitoring.metrics.GATES`, the runbook's among them.
Cheap gates that end most approvals of a backlog stand first; those that need a size stand behind the sizing.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from bus.messages import Approval
from config.settings import Settings
from live.guards import liquidation_price
from market.symbols import Symbol

FUTURE_NS = 1_000_000_000
"""A message from more than a second ahead was stamped by a clock that cannot be trusted."""
MARK_STALE_MS = 60_000


class Closed(NamedTuple):
    """The gate that is closed, and why."""

    gate: str
    text: str


class Ask(NamedTuple):
    """What is asked for: an approval as far as gates look at it, and the orders it would become.

    `lots` and `price_ticks` are the whole entry and its first rung, `far_ticks` its last; 0 lots where nothing was
    affordable or each order would be below the venue's least.
    """

    side: int
    expires_ns: int
    local_ns: int
    is_known: bool
    shed: str
    lots: int
    price_ticks: int
    far_ticks: int
    orders: int


class Market(NamedTuple):
    """The symbol's market now. Ticks are 0 and ages infinite where there is nothing.

    `depth_lots` is the thinner side within the configured levels. `volatility_bps` None: windows are not full yet.
    """

    state: str
    live_seconds: float | None
    recovering_seconds: float
    book_age_ms: float
    mark_age_ms: float
    bid_ticks: int
    ask_ticks: int
    mark_price: float
    depth_lots: int
    volatility_bps: float | None


class Account(NamedTuple):
    """Where we stand on the account the order would go to.

    Worst cases count every live entry as filled: `symbol_notional`, `total_notional`, `held_lots` (signed),
    `entry_price` of what is held. `other_way` says that something is held or may be, against the side asked for.
    """

    is_ready: bool
    why_not_ready: str
    is_switching: bool
    halts: Sequence[str]
    pause_seconds: float
    unknown_side: bool
    day_profit: float
    streak_seconds_left: float
    other_way: bool
    flip_seconds_left: float
    symbol_notional: float
    total_notional: float
    worst_lots: int
    entry_price: float
    open_entries: int
    venue_liquidation_price: float


class Situation(NamedTuple):
    """Everything the gates look at."""

    ask: Ask
    market: Market
    account: Account
    symbol: Symbol
    settings: Settings
    wall_ns: int


def closed_gate(now: Situation) -> Closed | None:
    """Return the first gate that is closed, None when all are open."""
    for gate, look in TABLE:
        text = look(now)
        if text:
            return Closed(gate, text)
    return None


def nonsense(approval: Approval) -> str:
    """Why nothing can be made of an approval, whoever wrote it; empty when something can.

    A position on barriers that are none could be neither held nor closed by them.
    """
    if approval.side not in (1, -1):
        return f"its side is {approval.side}"
    if not (0.0 < approval.tp_pct < 1.0 and 0.0 < approval.sl_pct < 1.0 and approval.horizon_ns > 0):
        return f"its barriers are {approval.tp_pct}, {approval.sl_pct}, {approval.horizon_ns} ns"
    return ""


def ttl_text(expires_ns: int, local_ns: int, wall_ns: int) -> str:
    """Why an approval is too old, or from a time that has not come; empty when it is neither."""
    if wall_ns > expires_ns:
        return f"expired {(wall_ns - expires_ns) / 1e6:.0f} ms ago"
    if local_ns - wall_ns > FUTURE_NS:
        return f"stamped {(local_ns - wall_ns) / 1e9:.1f} s ahead of our clock"
    return ""


def _duplicate(now: Situation) -> str:
    return "was acted on before" if now.ask.is_known else ""


def _ttl(now: Situation) -> str:
    return ttl_text(now.ask.expires_ns, now.ask.local_ns, now.wall_ns)


def _backpressure(now: Situation) -> str:
    return f"too many approvals wait ({now.ask.shed})" if now.ask.shed else ""


def _mode(now: Situation) -> str:
    return "real orders are being taken back; paper begins behind them" if now.account.is_switching else ""


def _halted(now: Situation) -> str:
    return "halted by " + ", ".join(now.account.halts) if now.account.halts else ""


def _daily_loss(now: Situation) -> str:
    cap = now.settings.gates.daily_loss_cap
    lost = -now.account.day_profit
    return f"lost {lost:.2f} of at most {cap:g} today" if lost >= cap else ""


def _streak(now: Situation) -> str:
    left = now.account.streak_seconds_left
    return f"{now.settings.gates.loss_streak} losses in a row; {left:.0f} s of the pause are left" if left > 0 else ""


def _warmup(now: Situation) -> str:
    market, warmup = now.market, now.settings.warmup
    if not now.account.is_ready:
        return now.account.why_not_ready
    if market.live_seconds is None:
        return f"the book is {market.state}"
    if market.live_seconds < warmup.seconds:
        return f"live for {market.live_seconds:.1f} of {warmup.seconds:g} s"
    if market.volatility_bps is None:
        return "too few one-second moves for a volatility"
    left = market.recovering_seconds
    return f"depth must be normal for {left:.1f} s more" if left > 0 else ""


def _stale_book(now: Situation) -> str:
    most = now.settings.gates.stale_book_ms
    return f"the book is {now.market.book_age_ms:.0f} ms old, at most {most}" if now.market.book_age_ms > most else ""


def _zero_liquidity(now: Situation) -> str:
    market = now.market
    return "a side of the book is empty" if not (market.bid_ticks and market.ask_ticks and market.depth_lots) else ""


def _venue_pause(now: Situation) -> str:
    left = now.account.pause_seconds
    return f"the venue asked for {left:.1f} s without orders" if left > 0 else ""


def _unknown_order(now: Situation) -> str:
    return "an order of this symbol and side may stand; it is being asked for" if now.account.unknown_side else ""


def _flip(now: Situation) -> str:
    if now.account.other_way:
        return "a position or entry the other way is open"
    left = now.account.flip_seconds_left
    return f"a position the other way ended; {left:.1f} s to wait" if left > 0 else ""


def _spread(now: Situation) -> str:
    bid, ask = now.market.bid_ticks, now.market.ask_ticks
    bps = 2e4 * (ask - bid) / (ask + bid)
    most = now.settings.gates.max_spread_bps
    return f"the spread is {bps:.2f} bps, at most {most:g}" if bps > most else ""


def _volatility(now: Situation) -> str:
    bps, most = now.market.volatility_bps, now.settings.gates.max_volatility_bps
    return f"one-second moves deviate by {bps:.1f} bps, at most {most:g}" if bps is not None and bps > most else ""


def _too_small(now: Situation) -> str:
    return "balance or cap buy less than the venue takes" if now.ask.lots <= 0 else ""


def _liquidity(now: Situation) -> str:
    gates = now.settings.gates
    need = gates.liquidity_alpha * now.ask.lots
    if now.market.depth_lots >= need:
        return ""
    return f"{now.market.depth_lots} lots on {gates.liquidity_levels} levels of the thinner side, {need:.0f} wanted"


def _fat_finger(now: Situation) -> str:
    most = now.settings.gates.fat_finger_bps
    mid = (now.market.bid_ticks + now.market.ask_ticks) / 2
    mark = now.market.mark_price / float(now.symbol.price_tick)
    for ticks in (now.ask.price_ticks, now.ask.far_ticks):
        for name, reference in (("mid", mid), ("mark", mark)):
            bps = abs(ticks - reference) / reference * 1e4 if reference > 0 else 0.0
            if bps > most:
                return f"the price is {bps:.1f} bps from the {name}, at most {most:g}"
    return ""


def _near_liquidation(now: Situation) -> str:
    if now.market.mark_age_ms > MARK_STALE_MS or now.market.mark_price <= 0.0:
        return "there is no fresh mark price"
    least, found = now.settings.gates.near_liq_bps, distance_bps(now)
    return f"liquidation would be {found:.0f} bps from the mark, at least {least:g}" if found < least else ""


def distance_bps(now: Situation) -> float:
    """How far the mark is from liquidation, in basis points, with what is asked for filled as well; inf when flat.

    Our own figure (isolated margin at the configured leverage, the lowest bracket) or the venue's for what is held
    now, whichever is nearer; negative when the mark is beyond it.
    """
    account, mark = now.account, now.market.mark_price
    lots = account.worst_lots + now.ask.side * now.ask.lots
    side = 1 if lots > 0 else -1
    unit = float(now.symbol.size_lot * now.symbol.contract_value)
    found = float("inf")
    if lots:
        old, new = abs(account.worst_lots), now.ask.lots
        new_price = now.ask.price_ticks * float(now.symbol.price_tick)
        entry = ((account.entry_price or new_price) * old + new_price * new) / (old + new)
        size = abs(lots) * unit
        margin = entry * size / now.settings.sizing.leverage
        own = liquidation_price(side, entry, size, margin, now.symbol.maintenance_margin_rate)
        found = side * (mark - own) / mark * 1e4
    if account.venue_liquidation_price > 0.0 and account.worst_lots:
        held_side = 1 if account.worst_lots > 0 else -1
        found = min(found, held_side * (mark - account.venue_liquidation_price) / mark * 1e4)
    return found


def _exposure(now: Situation) -> str:
    gates = now.settings.gates
    more = asked_notional(now.ask, now.symbol)
    symbol = now.account.symbol_notional + more
    if symbol > gates.max_symbol_notional:
        return f"{symbol:.0f} of {now.symbol.name} in the worst case, at most {gates.max_symbol_notional:g}"
    return ""


def _open_notional(now: Situation) -> str:
    gates = now.settings.gates
    total = now.account.total_notional + asked_notional(now.ask, now.symbol)
    if total > gates.max_total_notional:
        return f"{total:.0f} over all symbols in the worst case, at most {gates.max_total_notional:g}"
    entries = now.account.open_entries + now.ask.orders
    return (
        f"{entries} entry orders would be open, at most {gates.max_open_orders}"
        if (entries > gates.max_open_orders)
        else ""
    )


def asked_notional(ask: Ask, symbol: Symbol) -> float:
    """Quote units of what is asked for, at the dearer of its prices."""
    unit = float(symbol.price_tick * symbol.size_lot * symbol.contract_value)
    return ask.lots * max(ask.price_ticks, ask.far_ticks) * unit


TABLE: Sequence[tuple[str, Callable[[Situation], str]]] = (
    ("duplicate", _duplicate),
    ("ttl", _ttl),
    ("backpressure", _backpressure),
    ("halted", _halted),
    ("mode", _mode),
    ("warmup", _warmup),
    ("stale_book", _stale_book),
    ("zero_liquidity", _zero_liquidity),
    ("venue_pause", _venue_pause),
    ("unknown_order", _unknown_order),
    ("daily_loss_cap", _daily_loss),
    ("loss_streak", _streak),
    ("flip_cooldown", _flip),
    ("spread", _spread),
    ("volatility", _volatility),
    ("too_small", _too_small),
    ("liquidity_by_side", _liquidity),
    ("fat_finger", _fat_finger),
    ("near_liq_guard", _near_liquidation),
    ("exposure", _exposure),
    ("open_notional", _open_notional),
)
"""Every gate, in the order in which they are looked at."""
