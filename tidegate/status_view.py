"""How `tidegate status` looks in a terminal."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from tidegate.release_view import release_view
from tidegate.situation import ServiceRow, Snapshot
from tidegate.wording import age, clock_time

_COLOURS = {"ready": "green", "not ready": "yellow", "silent": "bold red", "stopped": "dim", "absent": "dim"}
_SIGNS = {"ready": "●", "not ready": "◐", "silent": "✗", "stopped": "○", "absent": "·"}
_SEVERITIES = {"INFO": "cyan", "WARN": "yellow", "CRIT": "bold red"}


def view(snapshot: Snapshot, width: int) -> RenderableType:
    """The whole page."""
    parts: list[RenderableType] = [_headline(snapshot), _services(snapshot)]
    parts += [
        part
        for part in (
            _markets(snapshot),
            _trading(snapshot),
            _models(snapshot),
            release_view(snapshot),
            _queues(snapshot),
            _events(snapshot, width),
        )
        if part is not None
    ]
    return Group(*parts)


def _table(title: str, *columns: str, right: Sequence[str] = ()) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim"
    )
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", no_wrap=name != "says")
    return table


def _headline(snapshot: Snapshot) -> Text:
    trades = [row for row in snapshot.services if row.name != "model_sync"]
    ready = sum(row.verdict == "ready" for row in trades)
    mode = str(snapshot.status_of("executor").get("mode", "no executor"))
    line = Text("tidegate  ", style="bold")
    line.append(mode.upper(), style="bold white on red" if mode == "real" else "bold black on cyan")
    line.append(f"  {ready} of {len(trades)} ready", style="green" if ready == len(trades) else "yellow")
    line.append(f"   {snapshot.address}   {clock_time(snapshot.at_ns)}", style="dim")
    return line


def _services(snapshot: Snapshot) -> Table:
    table = _table(
        "", "service", "state", "beat", "up", "pid", "/metrics", "says", right=("beat", "up", "pid", "/metrics")
    )
    for row in snapshot.services:
        style = _COLOURS[row.verdict]
        state = Text(f"{_SIGNS[row.verdict]} {row.verdict}", style=style)
        if row.beat is None:
            table.add_row(Text(row.name, style="dim"), state, "", "", "", "", Text("", style="dim"))
            continue
        up = age((row.beat.at_ns - row.beat.started_ns) / 1e9)
        port = str(row.beat.metrics_port or "")
        table.add_row(row.name, state, age(row.age_seconds), up, str(row.beat.pid), port, escape(_says(row)))
    return table


def _says(row: ServiceRow) -> str:
    """A service's own words in one line."""
    if row.beat is None or row.verdict in ("stopped", "silent"):
        return ""
    status = row.beat.status
    if error := status.get("error"):
        return str(error)
    match row.name.partition(":")[0]:
        case "collector":
            books = _mapping(status.get("books"))
            live = sum(_mapping(book).get("state") == "live" for book in books.values())
            done = ", the replay has ended" if status.get("finished") else ""
            return f"{status.get('feed', '')}: {live} of {len(books)} books live{done}"
        case "recorder":
            waits = float(status.get("waiting_bytes", 0) or 0)
            return str(
                status.get("trouble") or f"segment {status.get('segment', '')}, {waits / 1e3:.0f} kB not durable"
            )
        case "signal_engine":
            found = sum(int(_mapping(each).get("candidates", 0)) for each in _mapping(status.get("symbols")).values())
            return f"{found:,} candidates"
        case "ai_scorer":
            models = _mapping(status.get("models"))
            names = ", ".join(f"{slot} v{_mapping(each).get('version', '?')}" for slot, each in models.items())
            return str(status.get("text") or names)
        case "executor":
            return f"{status.get('live_orders', 0)} orders, {status.get('open_trips', 0)} positions open"
        case "risk":
            return f"{status.get('open_candidates', 0)} candidates unresolved"
    return str(status.get("text", ""))


def _markets(snapshot: Snapshot) -> Table | None:
    books = {k: v for each in snapshot.statuses_of("collector") for k, v in _mapping(each.get("books")).items()}
    engine = {k: v for each in snapshot.statuses_of("signal_engine") for k, v in _mapping(each.get("symbols")).items()}
    executor = snapshot.status_of("executor")
    positions = _mapping(executor.get("positions"))
    names = sorted({*books, *engine, *_mapping(executor.get("books"))})
    if not names:
        return None
    table = _table(
        "market", "symbol", "book", "update", "print", "updates", "gaps", "windows", "candidates", "lots",
        right=("update", "print", "updates", "gaps", "candidates", "lots"),
    )  # fmt: skip
    for name in names:
        book, signals = _mapping(books.get(name)), _mapping(engine.get(name))
        state = str(book.get("state") or _mapping(executor.get("books")).get(name, ""))
        held = [f"{lots} {key.rpartition(':')[2]}" for key, lots in positions.items() if key.startswith(f"{name}:")]
        table.add_row(
            name,
            Text(state, style="green" if state == "live" else "bold red"),
            _age_of(book.get("book_age_seconds")),
            _age_of(book.get("trade_age_seconds")),
            _count(book.get("updates")),
            _count(book.get("gaps")),
            {True: "full", False: "filling"}.get(bool(signals.get("warm")), "") if signals else "",
            _count(signals.get("candidates")),
            ", ".join(held) or "0",
        )
    return table


def _trading(snapshot: Snapshot) -> Table | None:
    executor, risk = snapshot.status_of("executor"), snapshot.status_of("risk")
    if not executor and not risk:
        return None
    table = Table(
        title="trading", title_justify="left", title_style="bold", box=None, show_header=False, pad_edge=False
    )
    halts = [str(each) for each in executor.get("halts", ())]
    halts += [str(_mapping(each).get("reason", "")) for each in risk.get("halts", ())]
    rows: list[tuple[str, RenderableType]] = []
    if executor:
        cooldown = float(executor.get("cooldown_seconds") or 0.0)
        rows += [
            ("mode", _mode(executor, cooldown)),
            ("halts", Text(", ".join(sorted(set(halts))) or "none", style="bold red" if halts else "")),
            ("orders", f"{executor.get('live_orders', 0)} live, {executor.get('unknown_orders', 0)} of unknown fate"),
            ("approvals waiting", str(executor.get("queue", 0))),
            ("profit today", _money(_mapping(executor.get("pnl_quote")))),
            ("journal", escape(str(executor.get("journal", "")))),
        ]
    if risk:
        precision = risk.get("precision")
        rows += [
            ("precision", "too few outcomes" if precision is None else f"{float(precision):.1%}"),
            ("entries an hour", f"{float(risk.get('entries_per_hour') or 0.0):,.0f}"),
        ]
    for name, value in rows:
        table.add_row(Text(f"  {name}", style="dim"), value)
    return table


def _mode(executor: Mapping[str, Any], cooldown: float) -> Text:
    text = Text(str(executor.get("mode", "")))
    if cooldown > 0:
        text.append(f", cooldown {age(cooldown)} left", style="yellow")
    if executor.get("needs_person"):
        text.append(", back to real takes a person", style="yellow")
    return text


def _models(snapshot: Snapshot) -> RenderableType | None:
    scorer = snapshot.status_of("ai_scorer")
    models = _mapping(scorer.get("models"))
    if not scorer:
        return None
    table = _table("models", "slot", "version", "model")
    for slot, model in models.items():
        table.add_row(slot, str(_mapping(model).get("version", "")), str(_mapping(model).get("id", "")))
    if not models:
        table.add_row(Text("none", style="yellow"), "", "")
    rollout = _mapping(scorer.get("rollout"))
    share = float(rollout.get("canary_fraction") or 0.0)
    realized = scorer.get("realized_fraction")
    told = f"rollout {rollout.get('mode', '?')}, canary share {share:.0%}"
    told += f" (realized {float(realized):.0%})" if realized is not None and share else ""
    return Group(table, Text(f"  {told}", style="dim"))


def _queues(snapshot: Snapshot) -> Table | None:
    if not snapshot.queues:
        return None
    table = _table("queues", "stream", "group", "waiting", "lost", right=("waiting", "lost"))
    for queue in snapshot.queues:
        lost = Text(f"{queue.lost:,}", style="bold red" if queue.lost else "dim")
        waiting = Text(f"{queue.waiting:,}", style="yellow" if queue.waiting > 100 else "")
        table.add_row(queue.stream, queue.group, waiting, lost)
    return table


def _events(snapshot: Snapshot, width: int) -> Table | None:
    if not snapshot.events:
        return None
    table = _table("last control events", "at", "severity", "event", "reason", "by", "says")
    for event in snapshot.events:
        at = datetime.fromtimestamp(event.at_ns / 1e9, UTC)
        text = event.text or (f"{event.source} to {event.target}" if event.target else "")
        where = f"{event.symbol} " if event.symbol else ""
        table.add_row(
            f"{at:%m-%d %H:%M:%S}",
            Text(event.severity, style=_SEVERITIES[event.severity]),
            event.event,
            escape(event.reason),
            escape(event.by),
            escape(f"{where}{text}"[: max(20, width)]),
        )
    return table


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _age_of(seconds: object) -> str:
    return age(float(seconds)) if isinstance(seconds, int | float) else ""


def _count(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else ""


def _money(by_account: Mapping[str, Any]) -> str:
    return ", ".join(f"{float(value):+,.2f} {name}" for name, value in by_account.items()) or "0"
