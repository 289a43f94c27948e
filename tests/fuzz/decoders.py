"""Every decoder of this project: what valid bytes look like, how they are read, and which refusals are right.

Whatever else comes out of one is a fault: an error of another kind, a hang, memory taken because a header asked for it.
"""

import gzip
import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec

from archive.errors import ArchiveError
from archive.sources.protocol import KINDS, open_source
from bus import heartbeats
from bus.codec import decode, decode_dead, encode, encode_dead, kind_of
from bus.errors import BadMessage
from bus.memory import MemoryBus
from bus.messages import VERSION, BookImage, BookStatus, Header
from bus.protocol import Entry
from config.errors import SettingsError
from config.settings import APP_YML, all_knobs, load
from live.errors import FeedRefused, FrameRefused, OffGrid, SubscriptionRefused
from live.exchange.binance import Binance
from live.exchange.bybit import Bybit
from live.feed import Frame
from market.events import MarketError
from registry import card as cards
from registry import rollout
from registry.errors import RegistryError
from registry.golden_file import read_golden
from registry.journal import Folded
from registry.manifest import MANIFEST_FILE, Mirror
from registry.onnx_guard import refuse_hostile
from registry.onnx_wire import refuse_external_data
from registry.rollout import ROLLOUT_FILE
from registry.signing import SIGNATURE_FILE, Trust, new_key
from tests.archive.sources.made import TABLE
from tests.bus.samples import alert, trade
from tests.fuzz import answers, recordings
from tests.live.mirrors import candidate
from tests.registry.graphs import Forest, card, forest_graph, written

PLACE = "TIDEGATE_FUZZ_PLACE"
"""Variable by which whoever starts a fuzzer, which ends its process without a word, tidies up behind it."""
_HEADER = Header(VERSION, "", "writer", 1, 2, 3, 4, 5, "id")
_SYMBOLS = (TABLE["BTCUSDT"],)
_VENUE = (FrameRefused, OffGrid, FeedRefused, SubscriptionRefused)


@dataclass(frozen=True)
class Decoder:
    """One reader of foreign bytes. `runs` is its part of `make fuzz`, `few` of the suite."""

    name: str
    seeds: Callable[[], Sequence[bytes]]
    read: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...]
    runs: int
    few: int = 150

    def try_on(self, content: bytes) -> bool:
        """Whether the bytes were taken; raises what is no right refusal."""
        try:
            self.read(content)
        except self.refusals:
            return False
        return True


@cache
def folder() -> Path:
    """A place for files, in memory where there is one; below the folder that PLACE names, if it does."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of our own below it
    below = os.environ.get(PLACE) or (shared if shared.is_dir() else None)
    return Path(tempfile.mkdtemp(prefix="tidegate-fuzz-", dir=below))


def clean() -> None:
    """Remove that place."""
    shutil.rmtree(folder(), ignore_errors=True)
    folder.cache_clear()


def _in_file(name: str, content: bytes) -> Path:
    path = folder() / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(content)
    return path


# Streams


def _messages() -> list[bytes]:
    image = BookImage("BTCUSDT", 1, 2, 3, 0, [1000] * 10, [5] * 10, [1001] * 10, [6] * 10)
    examples = (image, trade(), alert("why"), candidate(), BookStatus("BTCUSDT", "live", "joined", 0, 0, 1))
    return [encode(_HEADER._replace(kind=kind_of(body)), body) for body in examples]


def _entry(content: bytes) -> Entry:
    return Entry("stream", "1-1", content, 1)


def _dead() -> list[bytes]:
    return [encode_dead(Entry("sig:approved", "1-1", message, 3), "executor", "why") for message in _messages()]


def _beats() -> list[bytes]:
    beat = heartbeats.Heartbeat("risk", 1, 2, 3, "running", True, 9, ["a"], [("s", "g")], {"a": {"b": [1, 2.5]}})
    return [msgspec.json.encode(beat)]


def _read_beat(content: bytes) -> object:
    bus = MemoryBus(lambda: 1)
    bus.put("hb:risk", content, 1_000)
    return heartbeats.read(bus)


# Venues


def _binance() -> list[bytes]:
    return [json.dumps(each).encode() for each in recordings.BINANCE_FRAMES]


def _bybit() -> list[bytes]:
    return [json.dumps(each).encode() for each in recordings.BYBIT_FRAMES]


@cache
def _venues() -> tuple[Binance, Bybit]:
    return Binance(_SYMBOLS), Bybit((TABLE["BTCUSDT-BYBIT"],))


def _read_binance(content: bytes) -> object:
    return _venues()[0].read(Frame(1, content, "BTCUSDT"))


def _read_bybit(content: bytes) -> object:
    return _venues()[1].read(Frame(1, content, "BTCUSDT"))


# Recorded files


@cache
def _recorded() -> tuple[tuple[str, str, bytes], ...]:
    """(kind, path, content unpacked) of every file of a small recording of each kind."""
    found = []
    for kind in KINDS:
        root = folder() / "valid" / kind
        recordings.MADE[kind](root)
        paths = sorted(each for each in root.rglob("*") if each.is_file())
        found += [(kind, str(path.relative_to(root)), _unpacked(path)) for path in paths]
    return tuple(found)


def _unpacked(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(content)
    if path.suffix == ".zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.read(archive.namelist()[0])
    return content


def _packed(path: Path, content: bytes) -> bytes:
    if path.suffix == ".gz":
        return gzip.compress(content, 1)
    if path.suffix == ".zip":
        whole = io.BytesIO()
        with zipfile.ZipFile(whole, "w") as archive:
            archive.writestr(path.with_suffix(".csv").name, content)
        return whole.getvalue()
    return content


def _recording_seeds() -> list[bytes]:
    return [bytes([number]) + content for number, (_, _, content) in enumerate(_recorded())]


def _read_recording(content: bytes) -> object:
    """The first byte chooses the file that the rest stands in for, from 128 on packed already."""
    if not content:
        return None
    kind, name, _ = _recorded()[content[0] % len(_recorded())]
    root = folder() / "tried" / kind
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(folder() / "valid" / kind, root)
    path = root / name
    path.write_bytes(_packed(path, content[1:]) if content[0] < 128 else content[1:])
    source = open_source(kind, root, TABLE)
    return [len(source.read_day(symbol, day).book) for symbol in source.symbols() for day in source.days(symbol)[:2]]


# Registry


def _bundle() -> Path:
    made = folder() / "bundle"
    if not made.exists():
        written(made)
    return made


def _graphs() -> list[bytes]:
    return [forest_graph(Forest.grown(trees=2))]


def _read_graph(content: bytes) -> None:
    refuse_external_data(content, "fuzz")
    refuse_hostile(content, 5, "fuzz")


def _journal_lines() -> list[bytes]:
    return recordings.journal(folder() / "registrar").splitlines()


def _manifests() -> list[bytes]:
    return [recordings.manifest(folder() / "mirror", _bundle())]


def _read_manifest(content: bytes) -> object:
    return Mirror(_in_file(f"fuzzed/{MANIFEST_FILE}", content).parent).manifest()


def _read_rollout(content: bytes) -> object:
    return rollout.read(_in_file(f"fuzzed/{ROLLOUT_FILE}", content).parent)


@cache
def _trust() -> Trust:
    return Trust.read(_in_file("trusted", new_key()[1].encode()))


def _signatures() -> list[bytes]:
    name = next(iter(_trust().keys))
    return [json.dumps({"key": name, "signature": "AAAA" * 22}).encode(), new_key()[1].encode()]


def _read_signature(content: bytes) -> None:
    place = _in_file(f"fuzzed/{SIGNATURE_FILE}", content)
    try:
        Trust.read(place)
    except RegistryError:
        _trust().check(place.parent, card())


# Configuration


def _configurations() -> list[bytes]:
    return [
        APP_YML.read_bytes()[:4_000],
        b"label: {tp_pct: 0.001}\nredis:\n  url: 'redis://h:1'\n",
        b"market: [1, 2]\n",
    ]


def _read_configuration(content: bytes) -> object:
    return load(_in_file("config/app.yml", content), {})


def _variables() -> list[bytes]:
    texts = (b"0.5", b"2026-01-06", b"redis://h:1", b"a, b", b"true", b"[10, 20]")
    return [bytes([number]) + texts[number % 6] for number in range(len(all_knobs()))][:200]


def _read_variable(content: bytes) -> object:
    knobs = all_knobs()
    text = content[1:].decode("utf-8", "replace")
    return load(_in_file("config/empty.yml", b""), {knobs[content[0] % len(knobs)].variable: text} if content else {})


DECODERS: tuple[Decoder, ...] = (
    Decoder("bus-message", _messages, lambda content: decode(_entry(content)), (BadMessage,), 300_000),
    Decoder("bus-dead-letter", _dead, lambda content: decode_dead(_entry(content)), (BadMessage,), 120_000),
    Decoder("heartbeat", _beats, _read_beat, (), 80_000),
    Decoder("binance-frame", _binance, _read_binance, _VENUE, 150_000),
    Decoder("bybit-frame", _bybit, _read_bybit, _VENUE, 150_000),
    Decoder("order-answers", answers.seeds, answers.read, (), 60_000),
    Decoder("exchange-filters", recordings.filters, recordings.read_filters_of, (MarketError,), 60_000),
    Decoder("onnx-graph", _graphs, _read_graph, (RegistryError,), 40_000),
    Decoder("golden-npz", lambda: [(_bundle() / "golden.npz").read_bytes()], read_golden, (ValueError,), 30_000),
    Decoder("model-card", lambda: [cards.encode(card())], lambda c: cards.decode(c, "fuzz"), (RegistryError,), 30_000),
    Decoder("journal-line", _journal_lines, lambda c: Folded().take(c, Path("journal")), (RegistryError,), 40_000),
    Decoder("manifest", _manifests, _read_manifest, (RegistryError,), 20_000),
    Decoder("rollout", lambda: [recordings.rollout_state(folder())], _read_rollout, (RegistryError,), 20_000),
    Decoder("signature", _signatures, _read_signature, (RegistryError,), 20_000),
    Decoder("configuration", _configurations, _read_configuration, (SettingsError,), 3_000, few=15),
    Decoder("variable", _variables, _read_variable, (SettingsError,), 5_000, few=40),
    Decoder("recording", _recording_seeds, _read_recording, (ArchiveError, MarketError), 40_000, few=40),
)
