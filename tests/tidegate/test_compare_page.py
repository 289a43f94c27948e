import re
from html.parser import HTMLParser

from bus.messages import Breach, Verdict
from registry.card import ScoreBaseline
from tidegate.compare_page import html
from tidegate.comparison import Comparison, Row
from tidegate.versions import Meant


def comparison(**changes: object) -> Comparison:
    """Two versions that differ in their threshold."""
    rows = [Row("tau_entry", 0.5, 0.625, is_measured=True), Row("symbols", "BTC<USD>", "BTC<USD>")]
    scores = ScoreBaseline(edges=(0.0, 0.5, 1.0), shares=(0.75, 0.25))
    facts = {"verdicts": [], "scores": (scores, scores), "taus": (0.5, 0.625), "silence": "no server runs"}
    return Comparison(Meant(1, "one"), Meant(2, "two"), rows, **{**facts, **changes})  # type: ignore[arg-type]


class _Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_asks_nobody() -> None:
    """Tags close in order; no address of any host is in it; what is not ours is escaped."""
    page = html(comparison())
    balance = _Balance()
    balance.feed(page)
    assert balance.open == []
    assert re.findall(r"(?:src|href)=|https?://|url\(", page) == []
    assert "BTC&lt;USD&gt;" in page


def test_what_differs_stands_before_what_is_equal() -> None:
    """With the difference of what was measured."""
    page = html(comparison())
    assert page.index("tau_entry") < page.index("What is equal") < page.index("BTC&lt;USD&gt;")
    assert "+0.125" in page
    assert "Nothing of them: no server runs." in page


def test_a_verdict_is_told_with_its_breaches() -> None:
    """And the numbers it was decided on."""
    bad = Breach("canary_winrate", 0.36, 0.48, "36 % won, 48 % wanted")
    verdict = Verdict("canary", "roll_back", 2, "two", 1, 3, "", [bad], [], {"trades": 200.0}, {}, 0.1, 0, 0, 0)
    page = html(comparison(verdicts=[verdict]))
    for words in ("canary trial of version 2 against version 1", "roll back", "36 % won", "trades 200"):
        assert words in page


def test_each_distribution_has_its_threshold() -> None:
    """At its place on the axis from 0 to 1, which is 640 wide."""
    page = html(comparison())
    assert re.findall(r'<line x1="([\d.]+)" y1="0"', page) == ["320.0", "400.0"]
    assert page.count("<path ") == 2
