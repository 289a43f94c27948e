"""Logs: one line an event, named in snake_case, with the ids that follow a signal through every service.

`signal` is a candidate's id (and its approval's), `order` a client id, `model` a model's id, `symbol` a symbol's name.
"""

import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal, TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from monitoring.masking import scrubbed, written

Log = FilteringBoundLogger
"""What services are handed: log.info("order_accepted", signal=..., order=...)."""


class _Enduring:
    """A stream whose disk may be full, or whose reader gone: a log must not stop what it tells of."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write, if it can be."""
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        """Flush, if it can be."""
        with suppress(OSError):
            self._stream.flush()


def configure(
    service: str,
    format_: Literal["auto", "json", "text"] = "auto",
    level: Literal["debug", "info", "warning", "error"] = "info",
    stream: TextIO | None = None,
    secrets: Sequence[str] = (),
) -> Log:
    """Return the log of a process: JSON lines, or readable ones on a terminal; level is the least that is written.

    A line that cannot be written is lost; nobody is told by an exception. None shows one of `secrets`, nor the password
    in an address: a venue's library may quote either.
    """
    hidden = [form for each in secrets for form in written(each)]
    out = stream or sys.stderr
    readable = format_ == "text" or (format_ == "auto" and out.isatty())
    colors = out.isatty() and not os.environ.get("NO_COLOR")
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=colors) if readable else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            renderer,
            lambda _logger, _level, line: scrubbed(str(line), hidden),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Enduring(out))),
        cache_logger_on_first_use=False,
    )
    bound: Log = structlog.get_logger().bind(service=service)
    return bound
