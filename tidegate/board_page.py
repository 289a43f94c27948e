"""A board as one HTML page that needs nothing else: no script, no font, no picture from anywhere.

Its policy says so to the browser too: what the page does not hold itself is not loaded.
"""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from html import escape
from typing import Final

from monitoring.panel import QUESTIONS, Question
from tidegate.board import Board, Series, Shown
from tidegate.charts import color_of, drawing, spelled

_MOST_LISTED: Final = 8
_STYLE: Final = """
:root{--ink:#1f2933;--dim:#616e7c;--line:#e4e7eb;--red:#c62828;--amber:#b35c00;--green:#2e7d32}
*{box-sizing:border-box}
body{margin:0;background:#f5f7fa;color:var(--ink);font:14px/1.45 system-ui,-apple-system,"Segoe UI",sans-serif}
header,main,footer{max-width:1560px;margin:0 auto;padding:0 20px}
header{padding-top:18px}
h1{margin:0;font-size:22px}h2{margin:26px 0 10px;font-size:17px}h3{margin:0;font-size:14px}
a{color:#0b5394}
.sub{color:var(--dim)}
.bar{display:flex;flex-wrap:wrap;gap:8px;margin:12px 0 0;padding:0;list-style:none}
.bar li{background:#fff;border:1px solid var(--line);
  border-left:4px solid var(--green);border-radius:4px;padding:5px 10px}
.bar li.beyond,.bar li.firing{border-left-color:var(--red)}.bar li.was,.bar li.pending{border-left-color:var(--amber)}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(400px,1fr));gap:12px}
.card{background:#fff;border:1px solid var(--line);
  border-radius:6px;padding:10px 12px 8px;display:flex;flex-direction:column}
.card.beyond{border-color:var(--red);box-shadow:0 0 0 1px var(--red)}.card.was{border-color:var(--amber)}
.head{display:flex;justify-content:space-between;gap:8px;align-items:baseline}
.flag{font-size:12px;font-weight:600;color:var(--red);white-space:nowrap}.was .flag{color:var(--amber)}
.card p{margin:2px 0 6px;color:var(--dim);font-size:12px}
svg{display:block;width:100%;height:auto;font:10px system-ui,sans-serif}
.g{stroke:#e4e7eb;stroke-width:1}.t{fill:#616e7c}
.f{fill:#c62828;text-anchor:end;paint-order:stroke;stroke:#fff;stroke-width:3px}
.n{fill:#9aa5b1;font-size:14px;text-anchor:middle}
.keys{display:flex;flex-wrap:wrap;gap:2px 14px;margin:6px 0;padding:0;list-style:none;font-size:12px}
.keys b{font-weight:600}
.keys i{display:inline-block;width:10px;height:10px;border-radius:2px;margin-right:5px;vertical-align:-1px}
.keys i.limit{height:0;border-top:2px dashed var(--red);border-radius:0;vertical-align:3px}
.foot{margin-top:auto;font-size:12px;color:var(--dim)}
footer{padding-top:18px;padding-bottom:24px;color:var(--dim);font-size:12px}
"""


def page(board: Board, runbook: str) -> str:
    """The page; `runbook` is the address, seen from the page, that a section's anchor is added to."""
    sections = "".join(_section(question, board, runbook) for question in QUESTIONS)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>tidegate snapshot, {_moment(board.end)}</title><style>{_STYLE}</style></head>"
        f"<body>{_header(board, runbook)}<main>{sections}</main>{_footer(board)}</body></html>\n"
    )


def _header(board: Board, runbook: str) -> str:
    span = f"{_moment(board.start)} to {datetime.fromtimestamp(board.end, UTC):%H:%M:%S} UTC"
    notes = [*_alerts(board, runbook), *_standings(board), *_marks(board)]
    if not notes:
        notes = ["<li>No alert fires, and nothing is beyond a limit.</li>"]
    return (
        f'<header><h1>tidegate snapshot</h1><div class="sub">{span}, from {escape(board.source)}</div>'
        f'<ul class="bar">{"".join(notes)}</ul></header>'
    )


def _alerts(board: Board, runbook: str) -> Iterator[str]:
    for each in sorted(board.firing, key=lambda each: (each.state != "firing", each.name)):
        words = f"<b>{escape(each.name)}</b> {escape(each.state)}: {escape(each.annotations.get('summary', ''))}"
        anchor = each.annotations.get("runbook_url", "").rpartition("#")[2]
        link = f' <a href="{escape(runbook, quote=True)}#{escape(anchor, quote=True)}">runbook</a>' if anchor else ""
        yield f'<li class="{escape(each.state, quote=True)}">{words}{link}</li>'


def _standings(board: Board) -> Iterator[str]:
    for shown in board.shown:
        if shown.standing != "quiet":
            panel = shown.panel
            link = f'<a href="#{panel.id}">{escape(panel.title)}</a>'
            is_now = shown.standing == "beyond"
            yield f'<li class="{_kind(shown)}">{link} {"is" if is_now else "was"} beyond a limit</li>'


def _marks(board: Board) -> Iterator[str]:
    for mark in board.marks:
        at = f"{datetime.fromtimestamp(mark.at, UTC):%H:%M:%S}"
        yield f'<li class="{"beyond" if mark.color == "red" else "was"}">{at} {escape(mark.text)}</li>'


def _section(question: Question, board: Board, runbook: str) -> str:
    cards = "".join(_card(shown, board, runbook) for shown in board.shown if shown.panel.question == question)
    return f'<section id="{question}"><h2>{escape(QUESTIONS[question])}</h2><div class="grid">{cards}</div></section>'


def _card(shown: Shown, board: Board, runbook: str) -> str:
    panel = shown.panel
    flag = ""
    if shown.standing == "beyond":
        flag = ", ".join(f"{limit.of}: {limit.text}" if limit.of else limit.text for limit in shown.crossed)
    elif shown.standing == "was beyond":
        flag = "was beyond a limit"
    return (
        f'<article class="card {_kind(shown)}" id="{panel.id}"><div class="head"><h3>{escape(panel.title)}</h3>'
        f'<span class="flag">{escape(flag)}</span></div><p>{escape(panel.description)}</p>'
        f"{drawing(shown, board.start, board.end, board.marks)}{_keys(shown)}"
        f'<div class="foot"><a href="{escape(runbook, quote=True)}#{panel.runbook}">runbook: '
        f"{escape(panel.runbook)}</a></div></article>"
    )


def _keys(shown: Shown) -> str:
    """What each line is, and its newest value; those with the largest values where there are many."""
    if shown.panel.kind == "heatmap":
        return '<ul class="keys"><li>the darker, the more scores</li></ul>'
    measured = [each for each in shown.series if not each.is_limit]
    more = len(measured) - _MOST_LISTED
    numbers = range(len(measured)) if more <= 0 else sorted(range(len(measured)), key=lambda n: _rank(measured[n]))
    listed = numbers[:_MOST_LISTED]
    keys = [_key(f'<i style="background:{color_of(n)}"></i>', measured[n], shown) for n in listed]
    keys += [f"<li>and {more} more</li>"] if more > 0 else []
    keys += [_key('<i class="limit"></i>', each, shown) for each in shown.series if each.is_limit]
    return f'<ul class="keys">{"".join(keys)}</ul>'


def _rank(series: Series) -> float:
    """The largest newest value first; what has none, last."""
    return math.inf if math.isnan(series.last) else -series.last


def _key(sign: str, series: Series, shown: Shown) -> str:
    return f"<li>{sign}{escape(series.name)} <b>{escape(spelled(series.last, shown.panel.unit))}</b></li>"


def _footer(board: Board) -> str:
    asked = sum(len(each.panel.queries) for each in board.shown)
    return (
        f"<footer>{len(board.shown)} panels, {asked} questions: those of monitoring/panels.py, of which Grafana's "
        "dashboard is made too. Times are UTC. This page loads nothing and needs no network.</footer>"
    )


def _kind(shown: Shown) -> str:
    return {"beyond": "beyond", "was beyond": "was", "quiet": ""}[shown.standing]


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
