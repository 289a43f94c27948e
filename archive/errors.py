"""Everything the archive can refuse, as one tree.

ArchiveError
├── MissingLake            the root folder does not exist
├── MissingPartition       no such table, symbol or day
├── SchemaVersionError     the file was written under another schema version
├── CorruptPartition       truncated, altered, or not the partition its path says
├── BadColumns             columns that do not fit the table, or rows of another day
├── EmptyPartition         no row, where the caller did not allow that
├── ArchiveBusy            another process is writing this partition
├── WriteFailed            the disk refused; what was there before is intact
├── ForeignPartition       rows of another source are there already, and these are not among them
└── SourceError            a recording that an importer cannot read
"""


class ArchiveError(Exception):
    """Base of every error the archive raises."""


class MissingLake(ArchiveError):
    """The root folder does not exist."""


class MissingPartition(ArchiveError):
    """No such table, symbol or day."""


class SchemaVersionError(ArchiveError):
    """The file was written under another schema version; `found` is the one it names, None when it names none."""

    def __init__(self, message: str, found: int | None) -> None:
        super().__init__(message)
        self.found = found


class CorruptPartition(ArchiveError):
    """The file is truncated, altered, or not the partition its path says."""


class BadColumns(ArchiveError):
    """The columns do not fit the table, or hold rows of another day."""


class EmptyPartition(ArchiveError):
    """A partition without a row, where the caller did not allow that."""


class ArchiveBusy(ArchiveError):
    """Another process is writing this partition."""


class WriteFailed(ArchiveError):
    """The disk refused a write; what was there before is intact."""


class ForeignPartition(ArchiveError):
    """Rows of another source are in the partition, and the ones to be merged are not among them."""


class SourceError(ArchiveError):
    """A recording that is missing, truncated or of another layout."""
