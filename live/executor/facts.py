"""From views, ledger and desk to the facts that gates look at."""

from collections.abc import Mapping

from bus.messages import Approval
from live.executor.controls import Controls
from live.executor.desk import Desk
from live.executor.gates import Account, Ask, Market, Situation
from live.executor.keeper import Keeper
from live.executor.ladder import Rung
from live.executor.positions import Exposure, entry_ticks
from live.executor.records import held_key
from live.executor.view import MarketView
from live.service import Parts


class Facts:
    """What holds now. Nothing here decides."""

    def __init__(self, parts: Parts, keeper: Keeper, controls: Controls, views: Mapping[str, MarketView]) -> None:
        self._parts, self._keeper, self._controls, self._views = parts, keeper, controls, views

    def situation(self, approval: Approval, desk: Desk, rungs: list[Rung], *, is_known: bool, shed: str) -> Situation:
        """Everything the gates look at for one approval laid out as `rungs`."""
        ask = Ask(
            side=approval.side,
            expires_ns=approval.expires_ns,
            local_ns=approval.local_ns,
            is_known=is_known,
            shed=shed,
            lots=sum(rung.size_lots for rung in rungs),
            price_ticks=rungs[0].price_ticks if rungs else 0,
            far_ticks=rungs[-1].price_ticks if rungs else 0,
            orders=len(rungs),
        )
        return Situation(
            ask=ask,
            market=self.market(approval.symbol),
            account=self.account(approval.symbol, approval.side, approval.route, desk),
            symbol=self._parts.symbols[approval.symbol],
            settings=self._parts.settings,
            wall_ns=self._parts.clock.wall_ns(),
        )

    def standing(self, name: str, desk: Desk) -> Situation:
        """A symbol as it stands, nothing asked for."""
        return Situation(
            ask=Ask(1, 0, 0, is_known=False, shed="", lots=0, price_ticks=0, far_ticks=0, orders=0),
            market=self.market(name),
            account=self.account(name, 1, "", desk),
            symbol=self._parts.symbols[name],
            settings=self._parts.settings,
            wall_ns=self._parts.clock.wall_ns(),
        )

    def market(self, name: str) -> Market:
        """A symbol's market."""
        view, clock = self._views[name], self._parts.clock
        mono_ns, wall_ns, touch = clock.mono_ns(), clock.wall_ns(), view.touch()
        levels = self._parts.settings.gates.liquidity_levels
        return Market(
            state=view.state,
            live_seconds=view.live_seconds(mono_ns),
            recovering_seconds=view.recovering_seconds(mono_ns),
            book_age_ms=view.book_age_ms(mono_ns, wall_ns),
            mark_age_ms=view.mark_age_ms(mono_ns, wall_ns),
            bid_ticks=touch.bid_ticks if touch else 0,
            ask_ticks=touch.ask_ticks if touch else 0,
            mark_price=view.mark.price if view.mark else 0.0,
            depth_lots=min(view.depth_lots(1, levels), view.depth_lots(-1, levels)),
            volatility_bps=view.volatility_bps(),
        )

    def account(self, name: str, side: int, route: str, desk: Desk) -> Account:
        """Where we stand at a venue, for an entry of `side` on a symbol."""
        ledger, clock = self._keeper.ledger, self._parts.clock
        gates, wall_ns = self._parts.settings.gates, clock.wall_ns()
        ours = {key: self.exposure(key, desk) for key in self._parts.symbols}
        mine, surveys = ours[name], desk.surveys
        is_ready = surveys.is_done(name) and surveys.free_balance is not None
        halts = self._controls.halts(name, route)
        if ledger.state.foreign.get(held_key(name, desk.is_real)):
            halts.append("order_mismatch")
        ended_side, ended_ns = ledger.state.ended.get(held_key(name, desk.is_real), (0, 0))
        money = ledger.money(desk.is_real)
        pause_ns = money.streak_ns + round(gates.loss_streak_pause_seconds * 1e9) if money.streak_ns else 0
        flip_ns = ended_ns + round(gates.flip_cooldown_seconds * 1e9) if ended_side == -side else 0
        return Account(
            is_ready=is_ready,
            why_not_ready="" if is_ready else f"{desk.exchange.name} has not shown what is ours on {name} yet",
            is_switching=self._controls.is_switching,
            halts=halts,
            pause_seconds=desk.pause_seconds(),
            unknown_side=any(
                order.symbol == name and order.side == side and (order.state == "unknown" or bool(order.doubt))
                for order in desk.live()
            ),
            day_profit=ledger.day_profit(desk.is_real, wall_ns),
            streak_seconds_left=max(0, pause_ns - wall_ns) / 1e9,
            other_way=mine.lots * side < 0,
            flip_seconds_left=max(0, flip_ns - wall_ns) / 1e9,
            symbol_notional=mine.notional,
            total_notional=sum(each.notional for each in ours.values()),
            worst_lots=mine.lots,
            entry_price=self._entry_price(name, desk),
            open_entries=sum(each.open_entries for each in ours.values()),
            venue_liquidation_price=surveys.liquidation_price(name),
        )

    def exposure(self, name: str, desk: Desk) -> Exposure:
        """Worst-case exposure of a symbol, what is held valued at the middle of the book."""
        return self._keeper.ledger.exposure(self._parts.symbols[name], desk.is_real, self._views[name].mid_ticks())

    def _entry_price(self, name: str, desk: Desk) -> float:
        """Mean entry price of what is held on a symbol, quote units; 0 when flat."""
        lots = value = 0
        for trip in self._keeper.ledger.open_trips.values():
            if trip.symbol == name and trip.is_real is desk.is_real and trip.lots > 0:
                lots += trip.lots
                value += trip.lots * entry_ticks(trip)
        return value / lots * float(self._parts.symbols[name].price_tick) if lots else 0.0
