"""tidegate compare --html: the comparison as one file that needs no network, to be kept or sent."""

from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise

from bus.messages import Verdict
from registry.card import ScoreBaseline
from tidegate.comparison import Comparison, Row, shown

_COLORS = ("#1f5fa8", "#c2571a")
_WIDTH, _HEIGHT, _FOOT = 640, 200, 24
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1c1e21; background: #fff; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.35rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #e3e6ea; vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; } tr.same { color: #6b7178; }
.a { color: #1f5fa8; } .b { color: #c2571a; } .breach { color: #b3261e; } svg { width: 100%; height: auto; }
""".strip()


def html(found: Comparison) -> str:
    """Return the page: what tells the two apart first, then their scores, what live says, and all that is equal."""
    first, second = escape(str(found.first)), escape(str(found.second))
    differs = [row for row in found.rows if row.first != row.second]
    equal = [row for row in found.rows if row.first == row.second]
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>{first} and {second}</title><style>{_STYLE}</style></head><body>",
            f'<h1><span class="a">{first}</span> and <span class="b">{second}</span></h1>',
            "<h2>What differs</h2>",
            *_table(differs, first, second),
            "<h2>Scores on the test days</h2>",
            "<p>Share of the test rows by calibrated probability; the dashed line is where each begins to trade.</p>",
            *_scores(found),
            "<h2>What live says</h2>",
            *_verdicts(found.verdicts, found.silence),
            "<h2>What is equal</h2>",
            *_table(equal, first, second),
            "</body></html>",
        ]
    )


def _table(rows: Sequence[Row], first: str, second: str) -> Iterator[str]:
    if not rows:
        yield "<p>nothing</p>"
        return
    yield f'<table><tr><th></th><th class="a">{first}</th><th class="b">{second}</th><th>difference</th></tr>'
    for row in rows:
        cells = "".join(f'<td class="n">{escape(shown(value))}</td>' for value in (row.first, row.second))
        moved = f"{row.difference:+.4g}" if row.difference else ""
        kind = ' class="same"' if row.first == row.second else ""
        yield f'<tr{kind}><td>{escape(row.name)}</td>{cells}<td class="n">{moved}</td></tr>'
    yield "</table>"


def _scores(found: Comparison) -> Iterator[str]:
    """Both distributions as steps over the probability, 0 to 1, each with its tau_entry."""
    top = max((share for scores in found.scores for share in scores.shares), default=0.0) or 1.0
    yield f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + _FOOT}" role="img" aria-label="distributions of scores">'
    yield f'<line x1="0" y1="{_HEIGHT}" x2="{_WIDTH}" y2="{_HEIGHT}" stroke="#9aa1a9"/>'
    for tenth in range(0, 11, 2):
        anchor = "start" if tenth == 0 else "end" if tenth == 10 else "middle"
        place = f'x="{tenth * _WIDTH / 10:.0f}" y="{_HEIGHT + 17}" text-anchor="{anchor}"'
        yield f'<text {place} font-size="12" fill="#6b7178">{tenth / 10}</text>'
    for color, scores, tau in zip(_COLORS, found.scores, found.taus, strict=True):
        yield f'<path d="{_steps(scores, top)}" fill="{color}" fill-opacity=".15" stroke="{color}" stroke-width="1.5"/>'
        x = f"{tau * _WIDTH:.1f}"
        yield f'<line x1="{x}" y1="0" x2="{x}" y2="{_HEIGHT}" stroke="{color}" stroke-dasharray="5 4"/>'
    yield "</svg>"


def _steps(scores: ScoreBaseline, top: float) -> str:
    """One distribution as a closed path; a card may leave out the outermost edges, which are 0 and 1."""
    has_all = len(scores.edges) > len(scores.shares)
    bounds = scores.edges if has_all else (0.0, *scores.edges, 1.0)
    path = f"M{bounds[0] * _WIDTH:.1f},{_HEIGHT}"
    for (left, right), share in zip(pairwise(bounds), scores.shares, strict=True):
        y = _HEIGHT * (1 - 0.95 * share / top)
        path += f"L{left * _WIDTH:.1f},{y:.1f}L{right * _WIDTH:.1f},{y:.1f}"
    return f"{path}L{bounds[-1] * _WIDTH:.1f},{_HEIGHT}Z"


def _verdicts(verdicts: Sequence[Verdict], silence: str) -> Iterator[str]:
    if not verdicts:
        yield f"<p>Nothing of them{': ' + escape(silence) if silence else ''}.</p>"
    for verdict in verdicts:
        against = f"against version {verdict.against}" if verdict.against else "on its own"
        decision = escape(verdict.decision.replace("_", " "))
        yield f"<p>The {escape(verdict.trial)} trial of version {verdict.version} {against}: <b>{decision}</b></p><ul>"
        yield from (f'<li class="breach">{escape(breach.text)}</li>' for breach in verdict.breaches)
        yield from (f"<li>{escape(name)} {value:.4g}</li>" for name, value in sorted(verdict.numbers.items()))
        yield "</ul>"
