"""How far the record goes, kept by the segments themselves: where each stream is read on after a stop or a crash."""

from pathlib import Path
from typing import Final, Self

import msgspec

from bus.codec import kind_of
from bus.messages import BookImage, MarketTrade, Message, Outcome, Report, Score
from bus.streams import is_market
from live.compaction import read_records
from live.errors import SegmentError
from live.market_feed import Key
from live.segments import segment_numbers, segment_path
from registry.files import write_file

CURSOR: Final = "cursor.json"
_NS_PER_DAY: Final = 86_400_000_000_000


class State(msgspec.Struct):
    """The last entry of each market stream, the next place of each symbol, and the latest event times by kind.

    `upto` is the newest segment. A cursor file holds the state behind the segments that are in the lake and gone; the
    segments that are left bring it up to date.
    """

    cursors: dict[str, str] = {}
    places: dict[str, Key] = {}
    latest_ns: dict[str, int] = {}
    upto: int = 0

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what an earlier run left in a folder. Raises SegmentError for a cursor file that is none."""
        file = folder / CURSOR
        try:
            state = msgspec.json.decode(file.read_bytes(), type=cls) if file.exists() else cls()
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as strange:
            raise SegmentError(
                f"{file}: wanted the recorder's cursor, found something else ({strange}); remove it, and everything "
                f"that is still on the streams is recorded again (rows already in the lake are not doubled)"
            ) from strange
        for number in segment_numbers(folder):
            for record in read_records(segment_path(folder, number))[0]:
                symbol = record.stream.partition("{")[2].partition("}")[0]
                if is_market(record.stream):
                    state.follow(record.stream, record.entry_id, symbol, (record.epoch, record.seq))
                    state._rise(f"{record.kind}:{symbol}", record.day * _NS_PER_DAY)
            state.upto = number
        return state

    def save(self, folder: Path) -> None:
        """Write the cursor file. Raises FileError."""
        write_file(folder / CURSOR, msgspec.json.encode(self))

    def copy(self) -> Self:
        """Return the state as it is now."""
        return type(self)(dict(self.cursors), dict(self.places), dict(self.latest_ns), self.upto)

    def follow(self, stream: str, entry_id: str, symbol: str, at: Key) -> None:
        """Go on behind a message of the market that is in a segment."""
        self.cursors[stream] = entry_id
        self.places[symbol] = (at[0], at[1] + 1)

    def day_of(self, body: Message) -> int:
        """Return the UTC day (since 1970) of a row's partition: its event time's, which never goes back for a market.

        So a print of yesterday that comes late belongs to today, as the lake wants it.
        """
        if isinstance(body, BookImage | MarketTrade):
            return self._rise(f"{kind_of(body)}:{body.symbol}", body.exchange_ns) // _NS_PER_DAY
        if isinstance(body, Score | Outcome):
            return body.t_ns // _NS_PER_DAY
        return body.local_ns // _NS_PER_DAY if isinstance(body, Report) else 0

    def _rise(self, name: str, ns: int) -> int:
        """Move a latest time on; return it."""
        self.latest_ns[name] = latest = max(self.latest_ns.get(name, 0), ns)
        return latest
