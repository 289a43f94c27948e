"""What a scan learns about each expected partition: its facts, or why there are none to be had.

The cheapest source that can be trusted is asked: the manifest while the file's stamp is unchanged, else the footer,
else (to verify, or for thresholds the footer did not record) the event times of the rows.
"""

from collections.abc import Sequence
from datetime import date

import msgspec

from archive import manifest
from archive.errors import ArchiveError, CorruptPartition, MissingLake, MissingPartition, SchemaVersionError
from archive.gap_report import Gap, GapKind
from archive.layout import TABLES, day_bounds_ns, partition_key
from archive.manifest import Entry, entry_of
from archive.partition import GAP_FLOOR_NS, Partition, silences
from archive.storage import Stamp
from archive.store import Lake

Cell = tuple[str, date]
"""A symbol and a UTC day."""


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

    def inspect(self, cells: Sequence[Cell]) -> dict[Cell, Entry]:
        """Return the facts of every cell whose partition can be read."""
        keys = {cell: partition_key(self._table, *cell) for cell in cells}
        stamps = self._lake.storage.stamps(self._table, keys.values())
        known = manifest.load(self._lake.storage, self._table) if self._use_manifest else {}
        version = TABLES[self._table].version
        found: dict[Cell, Entry] = {}
        fresh: dict[str, Entry] = {}
        for cell, key in keys.items():
            stamp = stamps.get(key)
            entry = known.get(key)
            if stamp is None:
                self._report(GapKind.MISSING, cell, "no partition; import the day")
            elif entry is not None and self._rows_above_ns is None and entry.is_of(stamp, version):
                found[cell] = entry
            elif (read := self._read(cell, stamp)) is not None:
                found[cell] = fresh[key] = read
        self._remember(known, fresh, gone=[key for cell, key in keys.items() if key in known and cell not in found])
        return found

    def _read(self, cell: Cell, stamp: Stamp) -> Entry | None:
        self.opened += 1
        try:
            facts = self._lake.info(self._table, *cell)
            entry = entry_of(facts, stamp)
            return entry if self._rows_above_ns is None else self._verified(cell, entry, facts, self._rows_above_ns)
        except MissingPartition:
            self._report(GapKind.MISSING, cell, "deleted while it was scanned; import the day")
        except SchemaVersionError as error:
            self._report(GapKind.VERSION, cell, str(error))
        except MissingLake:
            raise
        except ArchiveError as error:
            # Corrupt, or refused by the disk: one such file must not hide what the scan finds in the others.
            self._report(GapKind.CORRUPT, cell, str(error))
        return None

    def _verified(self, cell: Cell, entry: Entry, facts: Partition, above_ns: int) -> Entry:
        event_ns = self._lake.event_times_ns(self._table, *cell)
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

    def _remember(self, known: dict[str, Entry], fresh: dict[str, Entry], gone: Sequence[str]) -> None:
        # Silences shorter than the footer's must not be remembered: another scan would take them for all there is.
        short = self._rows_above_ns is not None and self._rows_above_ns < GAP_FLOOR_NS
        if not self._use_manifest or short or not (fresh or gone):
            return
        kept = {key: entry for key, entry in known.items() if key not in set(gone)}
        manifest.save(self._lake.storage, self._table, kept | fresh)

    def _report(self, kind: GapKind, cell: Cell, detail: str) -> None:
        symbol, day = cell
        self.problems.append(Gap(kind, self._table, symbol, *day_bounds_ns(day), detail))
