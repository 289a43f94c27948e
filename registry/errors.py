"""What can go wrong between a trained model and the side that trades with it.

RegistryError
├── BadRow                a row the scorer must not answer: wrong width, dtype, or not finite
├── BundleError           a bundle folder that may not be used
│   ├── BadCard           model.json says something that cannot be
│   ├── BadSignature      nobody whom we trust signed it
│   ├── BadGraph          a graph that does not load, takes or gives something else, or refers to other files
│   ├── BundleExists      the folder is taken; a bundle is never overwritten
│   ├── CorruptBundle     a file is missing, torn, or does not hash to what it should
│   ├── GoldenMismatch    the graph answers its golden rows otherwise than when it was written
│   └── WrongBundle       a sound bundle, but of another sha256 or feature schema than asked for
├── FileError             the file system refused; nothing was changed
├── ManifestError         the mirror's manifest cannot be read, or a slot cannot be filled
├── StoreUnavailable      MLflow's database or server cannot be opened, reached, or is of another schema
├── UnknownVersion        no version has this number or id
├── AliasMoved            somebody else moved the alias first
├── MoveRefused           a guard does not let a version move; `code` says which
│   └── EpochConflict     somebody else moved first: the head's epoch is not the expected one
└── JournalBroken         a line of the journal is not the one that was written; `line` says which
"""


class RegistryError(Exception):
    """Base of every refusal in this package; the message says what was wanted, what was found and what to do."""


class BadRow(RegistryError):
    """A row is not float32 of the model's width, or holds a value that is not finite."""


class BundleError(RegistryError):
    """A bundle folder may not be used."""


class BadCard(BundleError, ValueError):
    """A model card says something that cannot be; a ValueError so that msgspec reports the field it stood in."""


class BadGraph(BundleError):
    """A graph is not one that a bundle may hold."""


class BadSignature(BundleError):
    """Nobody whom we trust signed a bundle, or a key is none."""


class BundleExists(BundleError):
    """The folder already holds something."""


class CorruptBundle(BundleError):
    """A file of a bundle is missing, torn, or not the one that was written."""


class GoldenMismatch(BundleError):
    """The golden rows get other answers here than where the bundle was written."""


class WrongBundle(BundleError):
    """The bundle is sound, and another one than was asked for."""


class FileError(RegistryError):
    """The file system refused a write; what was there before is untouched."""


class ManifestError(RegistryError):
    """The mirror's manifest or a slot cannot be read or written."""


class StoreUnavailable(RegistryError):
    """MLflow cannot be used as it is."""


class UnknownVersion(RegistryError):
    """The registered model holds no such version."""


class AliasMoved(RegistryError):
    """The alias no longer names the version that the caller saw."""


class MoveRefused(RegistryError):
    """A guard does not let a version move, and nothing was changed; `code` is short and stable."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class EpochConflict(MoveRefused):
    """Somebody else moved first."""

    def __init__(self, text: str) -> None:
        super().__init__("conflict", text)


class JournalBroken(RegistryError):
    """The journal's chain does not hold at `line`, counted from 1."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line
