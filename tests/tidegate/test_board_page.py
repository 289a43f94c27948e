"""The snapshot's page: everything on it, nothing from elsewhere, trouble first."""

import math
import re

from monitoring.panels import PANELS
from tests.tidegate.boards import START, board, panel, series
from tidegate.board import Mark, Shown
from tidegate.board_page import page
from tidegate.prometheus import Firing

_RUNBOOK = "../docs/runbook.md"


def test_every_panel_has_a_card_in_the_section_of_its_question() -> None:
    """With its drawing, its words and its link, and an anchor that can be linked to."""
    text = page(board(*(Shown(each, []) for each in PANELS)), _RUNBOOK)
    for each in PANELS:
        assert f'id="{each.id}"' in text
        assert f'href="{_RUNBOOK}#{each.runbook}"' in text
    assert text.count("<svg") == text.count("</svg>") == len(PANELS)
    assert [text.index(f'<section id="{name}"') for name in ("good", "execution", "guards", "system")] == sorted(
        text.index(f'<section id="{name}"') for name in ("good", "execution", "guards", "system")
    )


def test_nothing_is_loaded_from_anywhere() -> None:
    """No script, no address of another host, and a policy that forbids both."""
    text = page(board(Shown(panel(), [series("full", 0.4)])), _RUNBOOK)
    assert "default-src 'none'" in text
    assert "<script" not in text
    assert re.findall(r"(?:src|href|url\()[=\"'(]*(?:https?:|//)", text) == []


def test_trouble_stands_at_the_top() -> None:
    """Alerts with their links, panels beyond a limit, moments; when there is none that is said."""
    firing = Firing("StaleBook", "firing", {}, {"summary": "old <book>", "runbook_url": "x#zero-liquidity--stale-book"})
    text = page(
        board(
            Shown(panel(), [series("full", 0.1)]),
            Shown(panel(id="was", title="Was"), [series("full", 0.1, 0.4)]),
            marks=(Mark(START + 5, "rollback: markout", "red"),),
            firing=(firing,),
        ),
        _RUNBOOK,
    )
    head = text[: text.index("<main>")]
    assert f'<b>StaleBook</b> firing: old &lt;book&gt; <a href="{_RUNBOOK}#zero-liquidity--stale-book">' in head
    assert '<a href="#fill-rate">Fill rate</a> is beyond a limit' in head
    assert '<a href="#was">Was</a> was beyond a limit' in head
    assert "08:00:05 rollback: markout" in head
    assert 'class="card beyond" id="fill-rate"' in text
    quiet = page(board(Shown(panel(), [series("full", 0.4)])), _RUNBOOK)
    assert "No alert fires" in quiet


def test_keys_name_the_newest_values() -> None:
    """The eight largest, and how many more there are: a feature that drifts is named wherever its name would stand."""
    values = [0.1] * 8 + [math.nan, 0.9, 0.1]
    shown = Shown(panel(), [series(f"route {number}", value) for number, value in enumerate(values)])
    text = page(board(shown), _RUNBOOK)
    assert text.count("<b>10 %</b>") == 7
    assert text.count("<b>90 %</b>") == 1
    assert text.index("route 9 <b>90 %</b>") < text.index("route 0 <b>10 %</b>")
    assert "and 3 more" in text
