"""What a scan learns about each expected partition: its facts, or why there are none to be had.

The cheapest source that can be trusted is asked: the manifest while the file's stamp is unchanged, else the footer,
else (to verify, or for thresholds the footer did not record) the event times of the rows.
"""

from collections.abc import Mapping, Sequence
from datetime import date

import msgspec
import numpy as np
from numpy.typing import NDArray

from archive import manifest
from archive.errors import ArchiveError, CorruptPartition, MissingLake, MissingPartition, SchemaVersionError
from archive.gap_report import Gap, GapKind
from archive.layout import TABLES, day_bounds_ns, partition_keys
from archive.manifest import Entry, entry_of
from archive.partition import GAP_FLOOR_NS, Partition, silences
from archive.storage import Stamp
from archive.store import Lake


class Inspector:
    """Inspects partitions of one table; `problems` and `opened` tell what came up on the way."""

    def __init__(self, lake: Lake, table: str, *, use_manifest: bool, rows_above_ns: int | None) -> None:
        """Build it.

        Args:
            lake: where the partitions are.
            table: which table's.
            use_manifest: ask and renew the memory of earlier scans.
            rows_above_ns: read the rows of every partition and find silences longer than this; None trusts footers.
        """
        self.problems: list[Gap] = []
        self.opened = 0
        self._lake = lake
        self._table = table
        self._use_manifest = use_manifest
        self._rows_above_ns = rows_above_ns

    def inspect(self, expected: Mapping[str, Sequence[date]]) -> dict[str, list[Entry | None]]:
        """Return what is known of each symbol's days, in their order; None where no partition can be read."""
        known = manifest.load(self._lake.storage, self._table) if self._use_manifest else {}
        fresh: dict[str, Entry | None] = {}
        found = {symbol: self._inspect(symbol, days, known, fresh) for symbol, days in expected.items()}
        self._remember(known, fresh)
        return found

    def _inspect(
        self, symbol: str, days: Sequence[date], known: Mapping[str, Entry], fresh: dict[str, Entry | None]
    ) -> list[Entry | None]:
        """Return one symbol's facts; whatever the manifest did not know, or knew wrongly, goes into `fresh` too."""
        keys = partition_keys(self._table, symbol, days)
        stamps = self._lake.storage.stamps(f"{self._table}/symbol={symbol}", keys)
        version = TABLES[self._table].version
        trusted = self._rows_above_ns is None
        found: list[Entry | None] = []
        for day, key, stamp in zip(days, keys, stamps, strict=True):
            entry = known.get(key)
            if entry is None or stamp is None or not (trusted and entry.is_of(stamp, version)):
                entry = fresh[key] = self._read(symbol, day, stamp)
            found.append(entry)
        return found

    def _read(self, symbol: str, day: date, stamp: Stamp | None) -> Entry | None:
        if stamp is None:
            self._report(GapKind.MISSING, symbol, day, "no partition; import the day")
            return None
        self.opened += 1
        try:
            if self._rows_above_ns is None:
                return entry_of(self._lake.info(self._table, symbol, day), stamp)
            facts, event_ns = self._lake.timeline(self._table, symbol, day)
            return _verified(entry_of(facts, stamp), facts, event_ns, self._rows_above_ns)
        except MissingPartition:
            self._report(GapKind.MISSING, symbol, day, "deleted while it was scanned; import the day")
        except SchemaVersionError as error:
            self._report(GapKind.VERSION, symbol, day, str(error))
        except MissingLake:
            raise
        except ArchiveError as error:
            # Corrupt, or refused by the disk: one such file must not hide what the scan finds in the others.
            self._report(GapKind.CORRUPT, symbol, day, str(error))
        return None

    def _remember(self, known: Mapping[str, Entry], fresh: Mapping[str, Entry | None]) -> None:
        # Silences shorter than the footer's must not be remembered: another scan would take them for all there is.
        short = self._rows_above_ns is not None and self._rows_above_ns < GAP_FLOOR_NS
        changed = any(known.get(key) != entry for key, entry in fresh.items())
        if self._use_manifest and changed and not short:
            entries = {key: entry for key, entry in {**known, **fresh}.items() if entry is not None}
            manifest.save(self._lake.storage, self._table, entries)

    def _report(self, kind: GapKind, symbol: str, day: date, detail: str) -> None:
        self.problems.append(Gap(kind, self._table, symbol, *day_bounds_ns(day), detail))


def _verified(entry: Entry, facts: Partition, event_ns: NDArray[np.int64], above_ns: int) -> Entry:
    counted = silences(event_ns, GAP_FLOOR_NS)
    ends = (int(event_ns[0]), int(event_ns[-1])) if len(event_ns) else (facts.first_ns, facts.last_ns)
    if counted != facts.gaps or ends != (facts.first_ns, facts.last_ns):
        raise CorruptPartition(
            f"{facts.path}: the footer tells of {len(facts.gaps)} silences between {facts.first_ns} and "
            f"{facts.last_ns}, the rows of {len(counted)} between {ends[0]} and {ends[1]}; import the day again"
        )
    if above_ns >= GAP_FLOOR_NS:
        return entry
    return msgspec.structs.replace(entry, gaps=silences(event_ns, above_ns))
