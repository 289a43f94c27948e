"""The soak: the whole live side for minutes under a simulated market at five times the recorded rate, while services
and Redis are killed at random moments; then everything that was said and written is counted.

    python -m benchmarks.soak [--minutes 30] [--seed 5] [--folder DIR] [--write docs/reliability.md]

Two thirds of the time somebody dies every few seconds, by kill -9; the last kill takes everything at once. The last
third is quiet, and there memory is measured. Exit status 1 when anything is lost, doubled, torn, or grows. In the end
the streams, journals and the lake are left in DIR/run.
"""

import argparse
import shutil
import statistics
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import page, soak_audit
from benchmarks.rows import fact, row, show
from benchmarks.soak_audit import Finding, Said
from benchmarks.soak_memory import of_last, slope_per_hour
from benchmarks.soak_plan import EVERYTHING, KILLED_SHARE, plan
from benchmarks.soak_stack import Recovery, SoakStack, folder_of, prepare
from bus.messages import BookImage, Candidate, MarketTrade
from bus.streams import CANDIDATES, book, trade
from live.health import SERVICES
from tests.journeys.live.counted import books, is_drained
from tests.journeys.live.flow import is_at_rest
from tests.journeys.live.processes import Site, site
from tests.journeys.waiting import until
from tidegate.drills.knobs import SYMBOL
from tidegate.drills.training import trained

RECORDED_BOOKS, RECORDED_TRADES = 2.998, 1.738
"""A second, of the StandX recording (BTC-USD, 49 hours): what the simulator was calibrated by."""
TIMES = 5.0
GROWTH_MIB_PER_HOUR, JUDGED_SECONDS = 64.0, 300.0
"""Growth that is judged, of a process that nobody has started anew for so long: before that its caches fill."""
WARM_SECONDS, REST_SECONDS = 240.0, 180.0
_MIB = 2.0**20
_ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Soak as the command line says."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="length of the load")
    parser.add_argument("--seed", type=int, default=5, help="of the kills")
    parser.add_argument("--folder", type=Path, default=_ROOT / "var" / "soak", help="where everything of it lies")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the figures into this Markdown page")
    asked = parser.parse_args()
    if shutil.which("redis-server") is None:
        print("soak: needs a redis-server on PATH; apt-get install redis-server", file=sys.stderr)
        return 1
    begin = time.monotonic()
    rows = soak(asked.folder, asked.minutes, asked.seed)
    show(rows)
    if asked.write:
        now = datetime.now(UTC)  # noqa: TID251 - an entry point owns the clock
        page.write(asked.write, {"soak": {"rows": rows, "seconds": time.monotonic() - begin}}, now)
    missed = [each["name"] for each in rows if each["holds"] is False]
    print("\n".join(f"MISSED {each}" for each in missed) or "everything holds")
    return int(bool(missed))


def soak(root: Path, minutes: float, seed: int) -> list[dict[str, Any]]:
    """Run a soak below a folder and return its rows."""
    _tell(f"model: trained once, kept in {root / 'trained'}")
    stage = trained(root)
    folder = folder_of(root)
    with site(folder) as place:
        prepare(place, stage)
        stack = SoakStack(place)
        try:
            stack.start()
            _until_candidates(place)
            quiet = _load(stack, minutes, seed)
            _come_to_rest(stack)
            return _counted(stack, minutes, seed, quiet)
        finally:
            stack.close()


def _until_candidates(place: Site) -> None:
    """Wait for the engine's windows to be full: before that nothing flows that could be lost."""
    _tell("every service is ready; the engine's windows fill")
    until(lambda: place.bus.recent(CANDIDATES, 1) or None, WARM_SECONDS, "the first candidate", 0.2)


def _load(stack: SoakStack, minutes: float, seed: int) -> tuple[float, float]:
    """The load, with its kills; returns when it became quiet and when it ended.

    On a machine that is slow to start things, kills whose turn comes too late are left out, the last one excepted, and
    the quiet third is whole all the same.
    """
    begin = time.monotonic()
    killing_seconds = minutes * 60.0 * KILLED_SHARE
    for kill in plan(seed, minutes):
        time.sleep(max(0.0, begin + kill.at_seconds - time.monotonic()))
        if time.monotonic() - begin > killing_seconds and kill.victim != EVERYTHING:
            continue
        stack.suffer(kill)
        found = stack.recoveries[-1]
        at = f"{time.monotonic() - begin:6.0f} s  {kill.victim:<14}"
        _tell(f"{at} away {kill.away_seconds:.1f} s, back in {found.seconds:.1f} s")
    _tell("quiet from here on")
    quiet = time.monotonic()
    time.sleep(max(begin + minutes * 60.0 - quiet, minutes * 60.0 - killing_seconds))
    return quiet, time.monotonic()


def _come_to_rest(stack: SoakStack) -> None:
    """No more candidates; everything that was said is taken to its end, then all services end in order."""
    place = stack.place
    _tell("coming to rest")
    stack.end("signal_engine")

    def at_rest() -> bool | None:
        said = soak_audit.read_streams(place.bus, ())
        is_ended = not [each for each in soak_audit.chain(said) if not each.holds]
        return (is_ended and is_drained(place.bus) and is_at_rest(books(place.folder / "var", place.bus))) or None

    try:
        until(at_rest, REST_SECONDS, "everything's end", 1.0)
    except AssertionError as late:  # what is missing is told by the audit
        _tell(str(late))
    for name in ("ai_scorer", "executor", "risk", "model_sync", "collector"):
        stack.end(name)


def _counted(stack: SoakStack, minutes: float, seed: int, quiet: tuple[float, float]) -> list[dict[str, Any]]:
    place, folder = stack.place, stack.place.folder
    said = soak_audit.read_streams(place.bus, [SYMBOL])
    findings = [
        *soak_audit.chain(said),
        *soak_audit.orders(books(folder / "var", place.bus), said),
        *soak_audit.streams(said),
        Finding("entries lost that a service told of", stack.told("entries_lost"), 0),
        *soak_audit.lake(said, folder / "lake", [SYMBOL]),
        *soak_audit.files(folder / "var", folder / "mirror"),
    ]
    return [
        row("length of the load", minutes, "min"),
        row("seed of the kills", seed, ""),
        *_rates(said),
        *_kills(stack.recoveries),
        *(_shown(each) for each in findings),
        *_memory(stack, *quiet),
    ]


def _rates(said: Said) -> list[dict[str, Any]]:
    """Events a second while the market came, outages left out."""
    images, prints = said.of(book(SYMBOL), BookImage), said.of(trade(SYMBOL), MarketTrade)
    seconds = _seconds(images)
    books_rate, prints_rate = len(images) / seconds, len(prints) / seconds
    return [
        row("books a second, to those recorded", books_rate, "1/s", ratio=books_rate / RECORDED_BOOKS, least=TIMES),
        row("prints a second, to those recorded", prints_rate, "1/s", ratio=prints_rate / RECORDED_TRADES, least=TIMES),
        row("seconds with a market", seconds, "s"),
        row("seconds with a candidate", _seconds(said.of(CANDIDATES, Candidate)), "s"),
    ]


def _seconds(told: Sequence[BookImage] | Sequence[Candidate]) -> int:
    return len({each.local_ns // 1_000_000_000 for each in told})


def _kills(recoveries: Sequence[Recovery]) -> list[dict[str, Any]]:
    """How many, and from a victim's start to every service at work."""
    rows = [row("kills by kill -9", len(recoveries), "")]
    for victim in sorted({each.victim for each in recoveries}):
        found = sorted(each.seconds for each in recoveries if each.victim == victim)
        rows += [
            row(f"{victim} killed", len(found), "times"),
            row(f"{victim}: started again to at work, p50", statistics.median(found), "s"),
            row(f"{victim}: started again to at work, longest", found[-1], "s"),
        ]
    return rows


def _memory(stack: SoakStack, begin: float, end: float) -> list[dict[str, Any]]:
    """Growth in the quiet third, its first fifth left out; a short soak only tells it. Redis is to keep everything."""
    quiet = begin + (end - begin) / 5.0
    rows = []
    for name in (*SERVICES, "redis"):
        samples = [each for each in of_last(stack.samples[name], quiet) if each.seconds <= end]
        growth = slope_per_hour(samples) / _MIB
        if samples:
            rows.append(row(f"{name}: resident at the end", samples[-1].resident_bytes / _MIB, "MiB"))
        what = f"{name}: growth in the quiet third"
        is_judged = name != "redis" and end - quiet >= JUDGED_SECONDS
        rows.append(fact(what, growth, "MiB/h", below=GROWTH_MIB_PER_HOUR if is_judged else None))
    return rows


def _shown(found: Finding) -> dict[str, Any]:
    if found.text and not found.holds:
        _tell(f"{found.name}: {found.text}")
    return (
        row(found.name, found.found, "")
        if found.wanted is None
        else fact(found.name, found.found, "", wanted=found.wanted)
    )


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
