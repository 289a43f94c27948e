"""Tell the running services something, as a person: halt, resume, or paper (take real orders back, trade on paper).

Exit status: 0 it is on control:events, 1 there are no streams, 2 usage.
"""

import argparse
import getpass
import sys
import time

from bus.errors import BusError
from bus.messages import ControlEvent, ControlKind
from bus.publisher import Publisher
from bus.streams import CONTROL
from config.errors import SettingsError
from config.settings import load
from monitoring.metrics import FAIL_SAFE_REASONS, ROUTES
from tidegate.streams import NoStreams, opened

_EVENTS: dict[str, ControlKind] = {"halt": "HALT", "resume": "RESUME", "paper": "MODE_SWITCH"}


def main(arguments: list[str] | None = None) -> int:
    """Publish one control event and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=sorted(_EVENTS), help="halt: no new entries; resume: lift halts, real again")
    parser.add_argument("--symbol", default="", help="this one alone")
    parser.add_argument("--route", default="", choices=["", *ROUTES], help="this one alone")
    parser.add_argument("--reason", default="", choices=["", *FAIL_SAFE_REASONS], help="resume: halts of this reason")
    parser.add_argument("--text", default="", help="why, for those who read it later")
    parser.add_argument("--by", default=getpass.getuser(), help="your name (default: the user's)")
    parser.add_argument("--redis-url", default="", help="streams to write to, instead of redis.url")
    asked = parser.parse_args(arguments)
    try:
        with opened(load(), asked.redis_url) as bus:
            event = event_of(asked, time.time_ns())
            publisher = Publisher(bus, f"operator:{asked.by}", time.time_ns)
            publisher.publish(CONTROL, event, message_id=f"{event.by}-{event.event}-{event.at_ns}")
            publisher.flush()
    except (BusError, NoStreams, SettingsError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"said {event.event}; python -m tidegate status shows what became of it")
    return 0


def event_of(asked: argparse.Namespace, at_ns: int) -> ControlEvent:
    """What a command line says. A resume without a reason lifts every halt."""
    target = "paper" if asked.what == "paper" else ""
    reason = asked.reason if asked.what == "resume" else "operator"
    by = f"operator:{asked.by}"
    return ControlEvent(
        _EVENTS[asked.what], "WARN", "", target, reason, by, at_ns, asked.symbol, asked.route, asked.text
    )


if __name__ == "__main__":
    sys.exit(main())
