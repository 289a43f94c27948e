"""A released model as a folder, and the one scorer of it.

    model.onnx   features float32[N, F] → margin float64[N, 1], probability float32[N, 1]; one file, no external data
    model.json   the card (`registry.card`)
    golden.npz   rows float32[n, F], margins float64[n], scores float32[n]: what the graph answered when it was written

A bundle is proven by the bytes that are then used: they are read once, hashed, compared with the card, and only then
given to onnxruntime, which must repeat the golden answers to the bit.
"""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from registry import card as cards
from registry import files
from registry.card import ModelCard
from registry.errors import (
    BadGraph,
    BadRow,
    BundleError,
    BundleExists,
    CorruptBundle,
    GoldenMismatch,
    WrongBundle,
)
from registry.golden_file import read_golden
from registry.onnx_guard import MAX_MODEL_BYTES, refuse_hostile
from registry.onnx_wire import refuse_external_data
from registry.signing import SIGNATURE_FILE

MODEL_FILE, CARD_FILE, GOLDEN_FILE = "model.onnx", "model.json", "golden.npz"
MAX_BYTES = {MODEL_FILE: MAX_MODEL_BYTES, GOLDEN_FILE: 64 * 2**20, CARD_FILE: 16 * 2**20, SIGNATURE_FILE: 4_096}
"""No file of a bundle is larger; one that is is not read."""

_INPUT = ("features", "tensor(float)")
_OUTPUTS = [("margin", "tensor(double)"), ("probability", "tensor(float)")]
_FLOAT32 = np.dtype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What the graph answers for n rows."""

    margin: NDArray[np.float64]  # [n], log-odds before calibration
    probability: NDArray[np.float32]  # [n]


class GraphScorer:
    """One ONNX graph on one thread, answering one row without allocating, or many at once; the same bits either way.

    Not for use by several threads at a time: a row is scored in buffers of the scorer's own.
    """

    def __init__(self, model: bytes, width: int, where: str = "model.onnx") -> None:
        """Load the graph of `width` features; raise BadGraph, naming `where`, unless it keeps the bundle's contract."""
        refuse_external_data(model, where)
        refuse_hostile(model, width, where)
        self._session = _session(model, where)
        _check_contract(self._session, width, where)
        self._row = np.zeros((1, width), np.float32)
        self._margin = np.zeros((1, 1), np.float64)
        self._probability = np.zeros((1, 1), np.float32)
        self._shape = (width,)
        self._finite_bytes = bytearray(width)
        self._finite = np.frombuffer(self._finite_bytes, np.bool_)
        self._binding = self._session.io_binding()
        self._binding.bind_input(_INPUT[0], "cpu", 0, np.float32, self._row.shape, self._row.ctypes.data)
        self._bind_output("margin", self._margin)
        self._bind_output("probability", self._probability)
        # The public run_with_iobinding wraps this call in WebGPU bookkeeping that costs 2 us of 13 a row. onnxruntime
        # is pinned, and the golden rows go through here at every load, so a release that moves it cannot go unseen.
        self._run_bound = self._session._sess.run_with_iobinding
        self._bound, self._run_options = self._binding._iobinding, ort.RunOptions()

    def score(self, row: NDArray[np.float32]) -> float:
        """Return the probability of one row float32[F]; raise BadRow for another shape or dtype, NaN or infinity."""
        self._run(row)
        return self._probability.item()

    def margin(self, row: NDArray[np.float32]) -> float:
        """Return the raw margin, log-odds before calibration, of one row float32[F]; raises BadRow like score."""
        self._run(row)
        return self._margin.item()

    def answer(self, row: NDArray[np.float32]) -> tuple[float, float]:
        """Return margin and probability of one row float32[F] from one run of the graph; raises BadRow like score."""
        self._run(row)
        return self._margin.item(), self._probability.item()

    def score_many(self, rows: NDArray[np.float32]) -> Scores:
        """Return margins float64[n] and probabilities float32[n] of rows float32[n, F], n >= 0; raises BadRow."""
        if (
            not isinstance(rows, np.ndarray)
            or rows.dtype != _FLOAT32
            or rows.ndim != 2
            or rows.shape[1:] != self._shape
        ):
            raise BadRow(f"rows: wanted float32[n, {self._shape[0]}], found {_described(rows)}")
        finite = np.isfinite(rows)
        if not finite.all():
            row, feature = (int(index[0]) for index in np.nonzero(~finite))
            raise BadRow(f"rows: {rows[row, feature]} in feature {feature} of row {row}; only valid rows are scored")
        if rows.shape[0] == 0:
            return Scores(np.empty(0, np.float64), np.empty(0, np.float32))
        margin, probability = self._session.run([name for name, _ in _OUTPUTS], {_INPUT[0]: np.ascontiguousarray(rows)})
        return Scores(margin[:, 0], probability[:, 0])

    def _bind_output(self, name: str, buffer: NDArray[Any]) -> None:
        self._binding.bind_output(name, "cpu", 0, buffer.dtype.type, buffer.shape, buffer.ctypes.data)

    def _run(self, row: NDArray[np.float32]) -> None:
        if not isinstance(row, np.ndarray) or row.dtype != _FLOAT32 or row.shape != self._shape:
            raise BadRow(f"row: wanted float32[{self._shape[0]}], found {_described(row)}")
        self._row[0] = row
        np.isfinite(row, self._finite)
        if 0 in self._finite_bytes:  # a search of the bytes takes a quarter of the time of all()
            feature = self._finite_bytes.index(0)
            raise BadRow(f"row: {row[feature]} in feature {feature}; only valid rows are scored")
        self._run_bound(self._bound, self._run_options)


class Scorer(GraphScorer):
    """The scorer of a bundle on disk: verified, and its golden rows answered, before it can be asked anything."""

    def __init__(self, folder: Path, expected_sha256: str | None = None, schema_hash: str | None = None) -> None:
        """Load a bundle; raise a BundleError as `verify_bundle` does, BadGraph or GoldenMismatch."""
        # A mirror slot is a link that may be turned while we read: follow it once.
        found = _Bundle.read(folder.resolve())
        found.check(expected_sha256, schema_hash)
        super().__init__(found.model, len(found.card.feature_names), str(folder / MODEL_FILE))
        found.golden().check(self, str(folder))
        self.card = found.card


def write_bundle(
    folder: Path,
    onnx_bytes: bytes,
    card: ModelCard,
    *,
    golden_rows: NDArray[np.float32],
    golden_scores: NDArray[np.float32],
    golden_margins: NDArray[np.float64],
) -> str:
    """Write a bundle as a new folder, complete or not at all, and return its sha256 (hex).

    golden_rows float32[n >= 1, F], golden_scores float32[n], golden_margins float64[n]. The graph is loaded and asked
    first: BadGraph or GoldenMismatch when it does not answer so, BundleExists when the folder holds anything. The same
    graph, golden rows and card (its identity apart) give the same sha256. An empty card.id becomes name-sha256[:12].
    """
    if folder.exists():
        raise BundleExists(f"{folder}: it is already there, and a bundle is never overwritten; choose another folder")
    golden = _Golden(golden_rows, golden_margins, golden_scores)
    golden.check(GraphScorer(onnx_bytes, len(card.feature_names), str(folder / MODEL_FILE)), str(folder))
    packed = golden.packed()
    sha256 = _digest(onnx_bytes, card, packed)
    named = msgspec.structs.replace(card, sha256=sha256, id=card.id or f"{card.name}-{sha256[:12]}")
    files.write_folder(folder, {MODEL_FILE: onnx_bytes, CARD_FILE: cards.encode(named), GOLDEN_FILE: packed})
    return sha256


def verify_bundle(folder: Path, expected_sha256: str | None = None, schema_hash: str | None = None) -> ModelCard:
    """Return the card of a bundle whose bytes are those it was written with.

    Raises CorruptBundle when a file is missing or bytes and card disagree, WrongBundle when the sha256 or the feature
    schema is not the one wanted. Cheap: nothing is loaded; `Scorer` also proves the answers.
    """
    found = _Bundle.read(folder.resolve())
    found.check(expected_sha256, schema_hash)
    return found.card


def copy_bundle(
    folder: Path, target: Path, expected_sha256: str | None = None, schema_hash: str | None = None
) -> ModelCard:
    """Copy the verified bytes of a bundle to a new folder, which appears complete; raises what verify_bundle does."""
    found = _Bundle.read(folder.resolve())
    found.check(expected_sha256, schema_hash)
    files.write_folder(target, found.files())
    return found.card


def stamp_bundle(folder: Path, version: int, run_id: str) -> ModelCard:
    """Write the registry's version and run into the card of a verified bundle; its sha256 does not change."""
    stamped = msgspec.structs.replace(verify_bundle(folder), version=version, run_id=run_id)
    files.write_file(folder / CARD_FILE, cards.encode(stamped))
    return stamped


@dataclass(frozen=True, slots=True, eq=False)
class _Golden:
    """Rows and what the graph answered for them."""

    rows: NDArray[np.float32]
    margins: NDArray[np.float64]
    scores: NDArray[np.float32]

    def check(self, scorer: GraphScorer, where: str) -> None:
        """Raise GoldenMismatch unless the scorer gives these bits, as a batch and one row at a time."""
        n = len(self.rows) if isinstance(self.rows, np.ndarray) else 0
        fits = self.margins.shape == self.scores.shape == (n,)
        if n == 0 or not fits or self.margins.dtype != np.float64 or self.scores.dtype != _FLOAT32:
            raise GoldenMismatch(
                f"{where}: wanted golden rows [n >= 1, F] with float64[n] margins and float32[n] scores, found"
                f" {_described(self.rows)}, {_described(self.margins)}, {_described(self.scores)}"
            )
        batch = scorer.score_many(self.rows)
        one_margin = np.array([scorer.margin(row) for row in self.rows])
        one_score = np.array([scorer.score(row) for row in self.rows], np.float32)
        for kind, margin, score in (("batch", batch.margin, batch.probability), ("single", one_margin, one_score)):
            other = (margin.view(np.int64) != self.margins.view(np.int64)) | (score != self.scores)
            if other.any():
                row = int(np.flatnonzero(other)[0])
                raise GoldenMismatch(
                    f"{where}: {int(other.sum())} of {n} golden rows get another {kind} answer, first row {row}:"
                    f" margin {float(self.margins[row])!r} wanted, {float(margin[row])!r} found; score"
                    f" {float(self.scores[row])!r} wanted, {float(score[row])!r} found; export again on this platform"
                )

    def packed(self) -> bytes:
        """Return golden.npz; the same arrays give the same bytes, whatever the clock says."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for name in ("rows", "margins", "scores"):
                array = io.BytesIO()
                np.lib.format.write_array(array, np.ascontiguousarray(getattr(self, name)), allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(f"{name}.npy"), array.getvalue())
        return buffer.getvalue()


@dataclass(frozen=True, slots=True, eq=False)
class _Bundle:
    """The bytes of a bundle, read once."""

    folder: Path
    model: bytes
    golden_bytes: bytes
    card: ModelCard
    signature: bytes  # empty where nobody signed it

    @staticmethod
    def read(folder: Path) -> "_Bundle":
        contents = {name: _content(folder / name) for name in (MODEL_FILE, GOLDEN_FILE, CARD_FILE)}
        card = cards.decode(contents[CARD_FILE], str(folder / CARD_FILE))
        is_signed = (folder / SIGNATURE_FILE).exists()
        signature = _content(folder / SIGNATURE_FILE) if is_signed else b""
        return _Bundle(folder, contents[MODEL_FILE], contents[GOLDEN_FILE], card, signature)

    def check(self, expected_sha256: str | None, schema_hash: str | None) -> None:
        found = _digest(self.model, self.card, self.golden_bytes)
        if found != self.card.sha256:
            raise CorruptBundle(
                f"{self.folder}: sha256 of its files is {found}, {CARD_FILE} says {self.card.sha256 or 'nothing'};"
                " fetch the bundle again"
            )
        if expected_sha256 is not None and found != expected_sha256:
            raise WrongBundle(f"{self.folder}: its sha256 is {found}, wanted {expected_sha256}; fetch that version")
        if schema_hash is not None and self.card.schema_hash != schema_hash:
            raise WrongBundle(
                f"{self.folder}: trained on feature schema {self.card.schema_hash}, this release computes"
                f" {schema_hash}; train again or run the release it was trained with"
            )

    def golden(self) -> _Golden:
        try:
            stored = read_golden(self.golden_bytes)
        except ValueError as error:
            raise CorruptBundle(f"{self.folder / GOLDEN_FILE}: {error}; write the bundle anew") from error
        return _Golden(stored["rows"], stored["margins"], stored["scores"])

    def files(self) -> dict[str, bytes]:
        """What a copy holds."""
        kept = {MODEL_FILE: self.model, CARD_FILE: cards.encode(self.card), GOLDEN_FILE: self.golden_bytes}
        return kept | ({SIGNATURE_FILE: self.signature} if self.signature else {})


def _content(path: Path) -> bytes:
    limit = MAX_BYTES[path.name]
    try:
        if path.exists() and not path.is_file():
            raise CorruptBundle(f"{path}: no plain file; fetch the bundle again")
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except FileNotFoundError as error:
        raise CorruptBundle(f"{path}: not there; a bundle is {MODEL_FILE}, {CARD_FILE} and {GOLDEN_FILE}") from error
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}; check its permissions") from error
    if len(content) > limit:
        raise CorruptBundle(f"{path}: larger than the {limit} bytes it may have; fetch the bundle again")
    return content


def _digest(model: bytes, card: ModelCard, golden: bytes) -> str:
    """Return sha256 over the hashes of the parts, so that no part can run into the next."""
    parts = (model, golden, cards.canonical(card))
    return hashlib.sha256("\n".join(hashlib.sha256(part).hexdigest() for part in parts).encode()).hexdigest()


def _session(model: bytes, where: str) -> Any:
    options = ort.SessionOptions()
    # One thread: more change the order in which trees are summed, so the last bits, and take longer for one row.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what matters is raised
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as refused:  # onnxruntime's errors have no base of their own
        raise BadGraph(f"{where}: onnxruntime cannot load it: {refused}") from refused


def _check_contract(session: Any, width: int, where: str) -> None:
    inputs = [(node.name, node.type) for node in session.get_inputs()]
    outputs = [(node.name, node.type) for node in session.get_outputs()]
    if inputs != [_INPUT] or outputs != _OUTPUTS:
        raise BadGraph(f"{where}: wanted inputs {[_INPUT]} and outputs {_OUTPUTS}, found {inputs} and {outputs}")
    found = session.get_inputs()[0].shape
    if len(found) != 2 or isinstance(found[0], int) or found[1] != width:
        raise BadGraph(f"{where}: wanted input shape [N, {width}], one column a feature of the card, found {found}")
    for node in session.get_outputs():
        if len(node.shape) != 2 or node.shape[1] != 1:
            raise BadGraph(f"{where}: wanted output {node.name} of shape [N, 1], found {node.shape}")


def _described(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    return type(value).__name__
