"""tidegate why SYMBOL: what became of its candidates lately, read from the streams.

Candidates, what the models said of them, which were approved, which gate dropped the rest, which orders went out and
how they ended. The time is the market's: of a replay, the replay's.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from bus.codec import decode
from bus.errors import BusError
from bus.heartbeats import read
from bus.messages import Approval, Candidate, Outcome, Report, Score
from bus.protocol import Bus
from bus.streams import APPROVED, OUTCOMES, REPORTS, SCORES, shard_of
from bus.streams import candidates as candidates_of
from config.settings import Settings
from live.handing import SIGNAL_ENGINE
from live.shards import named
from tidegate.complaint import complain
from tidegate.streams import NoStreams, opened
from tidegate.wording import age, clock_time

_READ = 20_000
"""Newest entries of each stream that are looked at."""
_SHOWN = 12
_OUTCOMES = {1: "target", -1: "stop", 0: "timeout"}
M = TypeVar("M", Candidate, Score, Approval, Report, Outcome)


@dataclass(frozen=True, slots=True)
class Line:
    """One candidate: what the deciding model said, and what became of it."""

    t_ns: int
    candidate_id: str
    side: int
    route: str
    model_id: str
    probability: float | None
    tau: float | None
    fate: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Counts over the window, and the newest candidates, the newest first."""

    symbol: str
    from_ns: int
    to_ns: int
    candidates: int
    scored: int
    approved: int
    below_tau: int
    dropped: Mapping[str, int]
    orders: Mapping[str, int]
    net_quote: float
    outcomes: Mapping[str, int]
    engine: str
    others: Sequence[str] = ()
    lines: Sequence[Line] = field(default=())


def look(bus: Bus, symbol: str, seconds: float, share: int = 0) -> Answer:
    """Gather what the streams hold of a symbol, which belongs to this share of them. Raises BusUnavailable."""
    candidates, scores = _read(bus, candidates_of(share), Candidate), _read(bus, SCORES, Score)
    approvals, reports = _read(bus, APPROVED, Approval), _read(bus, REPORTS, Report)
    outcomes = _read(bus, OUTCOMES, Outcome)
    times = [each.t_ns for each in candidates] + [each.t_ns for each in scores] + [each.local_ns for each in reports]
    to_ns = max(times, default=0)
    from_ns = to_ns - round(seconds * 1e9)
    ours = {each.candidate_id: each for each in scores if each.symbol == symbol and each.t_ns >= from_ns}
    given = [each for each in approvals if each.symbol == symbol and each.t_ns >= from_ns]
    told = [each for each in reports if each.symbol == symbol and each.local_ns >= from_ns]
    ended = [each for each in outcomes if each.symbol == symbol and each.t_ns >= from_ns]
    found = {each.id for each in candidates if each.symbol == symbol and each.t_ns >= from_ns} | set(ours)
    entries = [each for each in told if each.leg == "entry" and each.client_id and each.kind != "closed"]
    return Answer(
        symbol=symbol,
        from_ns=from_ns,
        to_ns=to_ns,
        candidates=len(found),
        scored=len(ours),
        approved=len(given),
        below_tau=sum(not each.approved for each in ours.values()),
        dropped=dict(Counter(each.reason for each in told if each.kind == "dropped").most_common()),
        orders=dict(Counter(each.kind for each in entries).most_common()),
        net_quote=sum(each.net_quote for each in told if each.kind == "closed"),
        outcomes=dict(Counter(_OUTCOMES.get(each.outcome, str(each.outcome)) for each in ended)),
        others=sorted(({each.symbol for each in candidates} | {each.symbol for each in scores}) - {symbol}),
        engine=_engine(bus, symbol, share),
        lines=list(_lines(ours, told)),
    )


def run(settings: Settings, url: str, symbol: str, seconds: float, *, as_json: bool) -> int:
    """Show it; returns 0, or 1 when there are no streams or the symbol is unknown."""
    console = Console(highlight=False)
    problem = ""
    if symbol not in settings.market.symbols:
        problem = f"{symbol} is none of market.symbols ({', '.join(settings.market.symbols)})"
    else:
        try:
            with opened(settings, url) as bus:
                answer = look(bus, symbol, seconds, shard_of(symbol, settings.shard.count))
        except (NoStreams, BusError) as error:
            problem = str(error)
    if problem:
        console.print_json(json.dumps({"error": problem})) if as_json else complain(problem)
        return 1
    if as_json:
        console.print_json(json.dumps(msgspec.to_builtins(answer)))
    else:
        console.print(view(answer))
    return 0


def view(answer: Answer) -> RenderableType:
    """The page."""
    head = Text(f"why {answer.symbol}  ", style="bold")
    if not answer.candidates:
        engine = Text(f"signal_engine: {answer.engine}" if answer.engine else "signal_engine is silent")
        hint = (
            f"; the streams have {', '.join(answer.others)}" if answer.others else "; nothing at all is on the streams"
        )
        return Group(head, Text(f"no candidate in that time{hint}", style="yellow"), engine)
    span = age((answer.to_ns - answer.from_ns) / 1e9)
    head.append(f"the last {span} up to {clock_time(answer.to_ns)}", style="dim")
    return Group(head, _funnel(answer), _table(answer))


def _funnel(answer: Answer) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    dropped = ", ".join(f"{gate} {count:,}" for gate, count in answer.dropped.items()) or "none"
    orders = ", ".join(f"{kind} {count:,}" for kind, count in answer.orders.items()) or "none"
    outcomes = ", ".join(f"{name} {count:,}" for name, count in answer.outcomes.items()) or "none yet"
    for name, value in (
        ("signal_engine", answer.engine or "silent"),
        ("candidates", f"{answer.candidates:,}"),
        ("scored", f"{answer.scored:,}, {answer.below_tau:,} of them below the model's tau"),
        ("approved", f"{answer.approved:,}"),
        ("dropped by gate", dropped),
        ("entry orders", orders),
        ("round trips, net", f"{answer.net_quote:+,.2f}"),
        ("how candidates end", outcomes),
    ):
        table.add_row(Text(f"  {name}", style="dim"), value)
    return table


def _table(answer: Answer) -> Table:
    table = Table(title="newest candidates", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
                  pad_edge=False, header_style="dim")  # fmt: skip
    for name in ("at", "side", "route", "probability", "tau", "what became of it"):
        table.add_column(name, justify="right" if name in ("probability", "tau") else "left")
    for line in answer.lines[:_SHOWN]:
        above = line.probability is not None and line.tau is not None and line.probability >= line.tau
        table.add_row(
            clock_time(line.t_ns),
            Text("buy", style="green") if line.side > 0 else Text("sell", style="red"),
            line.route,
            Text("" if line.probability is None else f"{line.probability:.3f}", style="bold" if above else ""),
            "" if line.tau is None else f"{line.tau:.3f}",
            line.fate,
        )
    return table


def _lines(scores: Mapping[str, Score], reports: Sequence[Report]) -> Iterator[Line]:
    by_approval: dict[str, list[Report]] = {}
    for report in reports:
        by_approval.setdefault(report.approval_id, []).append(report)
    for score in sorted(scores.values(), key=lambda each: each.t_ns, reverse=True):
        decides = "canary" if score.route == "canary" else "active"
        judgement = next((each for each in score.judgements if each.slot == decides), None)
        yield Line(
            t_ns=score.t_ns,
            candidate_id=score.candidate_id,
            side=score.side,
            route=score.route,
            model_id=judgement.model_id if judgement else "",
            probability=judgement.probability if judgement else None,
            tau=judgement.tau if judgement else None,
            fate=_fate(score, by_approval.get(score.candidate_id, [])),
        )


def _engine(bus: Bus, symbol: str, share: int) -> str:
    """The signal engine's own words about a symbol: the book, its windows, what it withheld."""
    beat = read(bus).get(named(SIGNAL_ENGINE, share))
    market = beat.status.get("symbols", {}).get(symbol, {}) if beat else {}
    if not market:
        return ""
    withheld = ", ".join(f"{reason} {count:,}" for reason, count in market.get("withheld", {}).items() if count)
    windows = "full" if market.get("warm") else "not full yet"
    return f"book {market.get('state', '?')}, windows {windows}; withheld: {withheld or 'nothing'}"


def _fate(score: Score, reports: Sequence[Report]) -> str:
    if not score.approved:
        return "below tau" if score.judgements else "no model"
    if not reports:
        return "approved, nothing heard of it yet"
    if reports[-1].kind == "dropped":
        return f"dropped: {reports[-1].reason}"
    closed = [each for each in reports if each.kind == "closed"]
    if closed:
        return f"closed {sum(each.net_quote for each in closed):+.2f} ({closed[-1].reason or 'round trip'})"
    filled = max((each.filled_lots for each in reports if each.leg == "entry"), default=0)
    last = [each for each in reports if each.leg == "entry"][-1:]
    return f"{last[0].kind}, {filled:,} lots filled" if last else reports[-1].kind


def _read(bus: Bus, stream: str, kind: type[M]) -> list[M]:
    found: list[M] = []
    for entry in bus.recent(stream, _READ):
        try:
            body: Any = decode(entry).body
        except BusError:
            continue  # set aside by those who read it; counted in messages_refused_total
        if isinstance(body, kind):
            found.append(body)
    return found
