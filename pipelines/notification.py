"""Telling people: a message to every place of release.notify, to the log or by apprise to a webhook, a mailbox, a chat.

What cannot be told is said by its address without its secrets; it never stops what it was told about.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

LOG = "log"
"""The place of release.notify that is the log of the run."""
Urgency = Literal["info", "success", "warning", "failure"]


@dataclass(frozen=True, slots=True)
class Notice:
    """What is told: one line, and the rest."""

    title: str
    text: str
    urgency: Urgency


def notify(places: Sequence[str], notice: Notice, log: Callable[[str], None]) -> list[str]:
    """Tell every place, and return a sentence for each that could not be told.

    A place is `log` or an apprise URL; one that does not answer is given up after some seconds. Imports apprise only
    when a place needs it.
    """
    if LOG in places:
        log(f"{notice.title}: {notice.text}")
    return [why for url in places if url != LOG and (why := _send(url, notice))]


def _send(url: str, notice: Notice) -> str:
    from apprise import Apprise, NotifyType

    service = Apprise.instantiate(url, suppress_exceptions=True)
    if service is None:
        scheme = url.partition("://")[0][:20]
        return f"a place of release.notify with scheme {scheme!r} is no URL that apprise knows"
    if service.notify(title=notice.title, body=notice.text, notify_type=NotifyType(notice.urgency)):
        return ""
    return f"{service.url(privacy=True).partition('?')[0]} did not take the message"
