import io
import json

from rich.console import Console

from bus.protocol import Entry, Group
from bus.streams import APPROVED, CONTROL, dead_letters
from tests.tidegate.live_side import approval, bus, candidate, event, other_version, say
from tidegate.tail import as_plain, show


def line(entry: Entry, *, as_json: bool = False) -> str:
    """What is printed of an entry."""
    screen = io.StringIO()
    show(Console(file=screen, width=60, color_system=None, soft_wrap=True, highlight=False), entry, as_json=as_json)
    return screen.getvalue()


def test_a_message_is_one_line_with_names() -> None:
    """However narrow the terminal is."""
    on = bus()
    say(on, "risk", CONTROL, event())
    told = line(on.recent(CONTROL, 1)[0])
    assert told.count("\n") == 1
    assert "reason precision_halt" in told
    assert "precision [0.2] is low" in told


def test_as_json_header_and_body_have_their_names() -> None:
    """One document a line."""
    on = bus()
    say(on, "ai_scorer", APPROVED, approval(1))
    told = json.loads(line(on.recent(APPROVED, 1)[0], as_json=True))
    assert (told["kind"], told["writer"], told["seq"], told["body"]["symbol"]) == (
        "approval",
        "ai_scorer",
        1,
        "BTCUSDT",
    )


def test_what_cannot_be_read_is_shown_as_the_error() -> None:
    """With where it stands."""
    on = bus()
    other_version(on)
    assert "wanted version 1, found version 2" in line(on.recent(CONTROL, 1)[0])


def test_a_dead_letter_is_shown_with_what_was_in_it() -> None:
    """Why, by whom, and the message."""
    on = bus()
    say(on, "ai_scorer", APPROVED, approval(1))
    (entry,) = on.reader("live", {}, [Group(APPROVED, "executor")]).poll(0)
    on.dead_letter(entry, "executor", "ValueError: no")
    plain = as_plain(on.recent(dead_letters(APPROVED), 1)[0])
    assert (plain["error"], plain["group"], plain["message"]["kind"]) == ("ValueError: no", "executor", "approval")


def test_bytes_are_shown_by_their_length() -> None:
    """A row of features is no text."""
    on = bus()
    say(on, "signal_engine", "sig:candidates", candidate(1))
    assert as_plain(on.recent("sig:candidates", 1)[0])["body"]["row"] == "<0 bytes>"
