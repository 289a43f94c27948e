"""Bundles: written whole, proven by bytes and answers, and a scorer that gives one row the bits of a batch."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from onnx import TensorProto, helper

from registry.bundle import (
    CARD_FILE,
    GOLDEN_FILE,
    MODEL_FILE,
    GraphScorer,
    Scorer,
    copy_bundle,
    stamp_bundle,
    verify_bundle,
    write_bundle,
)
from registry.card import Parity, canonical, encode
from registry.errors import (
    BadCard,
    BadGraph,
    BadRow,
    BundleError,
    BundleExists,
    CorruptBundle,
    FileError,
    GoldenMismatch,
    WrongBundle,
)
from tests.registry.graphs import WIDTH, Forest, card, forest_graph, rows, serialized, written

_SCHEMA = "5c" * 32
_ROWS = hnp.arrays(np.float32, st.tuples(st.integers(1, 40), st.just(WIDTH)), elements=st.floats(-4, 4, width=32))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle, written once; tests that damage one take a copy."""
    folder = tmp_path_factory.mktemp("bundles") / "original"
    written(folder)
    return folder


@pytest.fixture
def bundle(original: Path, tmp_path: Path) -> Path:
    """A bundle of the test's own."""
    return Path(shutil.copytree(original, tmp_path / "bundle"))


@pytest.fixture(scope="module")
def scorer(original: Path) -> Scorer:
    """The scorer of a bundle."""
    return Scorer(original)


def test_a_written_bundle_is_three_files_and_proves_itself(bundle: Path) -> None:
    """It verifies with the sha256 that writing returned, loads, and its card carries sha256 and a name of its own."""
    assert sorted(path.name for path in bundle.iterdir()) == ["golden.npz", "model.json", "model.onnx"]
    found = verify_bundle(bundle)
    assert verify_bundle(bundle, expected_sha256=found.sha256, schema_hash=_SCHEMA) == found
    assert found.id == f"signal_scorer-{found.sha256[:12]}"
    assert Scorer(bundle, found.sha256, _SCHEMA).card == found


def test_the_same_training_gives_the_same_sha256(tmp_path: Path) -> None:
    """Identity does not enter the sha256; graph, golden rows and any other line of the card do."""
    base = written(tmp_path / "base")
    assert written(tmp_path / "again", created_at="2030-01-01T00:00:00Z", version=9, id="mine", run_id="r") == base
    assert written(tmp_path / "metrics", metrics={"auc": 0.5}) != base
    assert written(tmp_path / "graph", forest_graph(Forest.grown(seed=4))) != base
    files = [(tmp_path / folder / GOLDEN_FILE).read_bytes() for folder in ("base", "again")]
    assert files[0] == files[1]


def test_a_bundle_is_never_overwritten(bundle: Path) -> None:
    """Writing or copying to a folder that is there is refused, and it stays as it was."""
    before = (bundle / CARD_FILE).read_bytes()
    with pytest.raises(BundleExists, match="never overwritten"):
        written(bundle)
    with pytest.raises(FileError, match="nothing was changed"):
        copy_bundle(bundle, bundle)
    assert (bundle / CARD_FILE).read_bytes() == before


def test_a_stamp_names_the_registration_and_keeps_the_sha256(bundle: Path) -> None:
    """Version and run are written into the card; the bundle still verifies by its sha256."""
    sha256 = verify_bundle(bundle).sha256
    stamp_bundle(bundle, version=12, run_id="run")
    stamped = verify_bundle(bundle, expected_sha256=sha256)
    assert (stamped.version, stamped.run_id) == (12, "run")


def test_a_copy_is_the_bundle(bundle: Path, tmp_path: Path) -> None:
    """A copy carries the same bytes; a damaged bundle is not copied."""
    copy_bundle(bundle, tmp_path / "copy")
    for name in (MODEL_FILE, CARD_FILE, GOLDEN_FILE):
        assert (tmp_path / "copy" / name).read_bytes() == (bundle / name).read_bytes()
    (bundle / MODEL_FILE).write_bytes(b"")
    with pytest.raises(CorruptBundle):
        copy_bundle(bundle, tmp_path / "worse")
    assert not (tmp_path / "worse").exists()


@pytest.mark.parametrize("name", [MODEL_FILE, CARD_FILE, GOLDEN_FILE])
@pytest.mark.parametrize("damage", ["truncated", "flipped bit", "empty", "absent"])
def test_a_damaged_file_is_refused(bundle: Path, name: str, damage: str) -> None:
    """Each file, cut, changed in one bit, emptied or gone, is refused by verification and by the scorer."""
    path = bundle / name
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    {
        "truncated": lambda: path.write_bytes(path.read_bytes()[:-10]),
        "flipped bit": lambda: path.write_bytes(content),
        "empty": lambda: path.write_bytes(b""),
        "absent": path.unlink,
    }[damage]()
    for load in (verify_bundle, Scorer):
        with pytest.raises(CorruptBundle, match=str(bundle)):
            load(bundle)


def test_a_changed_card_is_refused_even_when_it_is_a_good_card(bundle: Path) -> None:
    """A threshold edited by hand no longer matches the sha256; both hashes are named."""
    shown = json.loads((bundle / CARD_FILE).read_bytes())
    shown["thresholds"]["tau_entry"] = 0.51
    (bundle / CARD_FILE).write_text(json.dumps(shown))
    with pytest.raises(CorruptBundle, match=f"sha256 of its files is .*model.json says {shown['sha256']}"):
        verify_bundle(bundle)


def test_another_bundle_than_wanted_is_refused(bundle: Path) -> None:
    """A sound bundle with another sha256 or feature schema is not the one asked for."""
    with pytest.raises(WrongBundle, match=f"wanted {'0' * 64}"):
        verify_bundle(bundle, expected_sha256="0" * 64)
    with pytest.raises(WrongBundle, match="trained on feature schema 5c5c"):
        Scorer(bundle, schema_hash="ab" * 32)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    """A missing folder and a file in its place are bundle errors that name the path."""
    with pytest.raises(CorruptBundle, match="nowhere"):
        verify_bundle(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(BundleError, match="file"):
        verify_bundle(tmp_path / "file")


def test_golden_rows_are_answered_before_the_scorer_is_there(bundle: Path) -> None:
    """A bundle whose bytes are consistent but whose golden answers are not the graph's is refused at load."""
    other = forest_graph(Forest.grown(seed=9))
    genuine = verify_bundle(bundle)
    hashes = [_sha256(part) for part in (other, (bundle / GOLDEN_FILE).read_bytes(), canonical(genuine))]
    forged = msgspec.structs.replace(genuine, sha256=_sha256("\n".join(hashes).encode()))
    (bundle / MODEL_FILE).write_bytes(other)
    (bundle / CARD_FILE).write_bytes(encode(forged))
    verify_bundle(bundle)
    with pytest.raises(GoldenMismatch, match=r"golden rows get another batch answer, first row 0: margin .* wanted"):
        Scorer(bundle)


def test_one_ulp_of_a_golden_margin_is_too_much(tmp_path: Path) -> None:
    """Golden answers are held to the bit when a bundle is written, and nothing is written when they do not hold."""
    golden, model = rows(), forest_graph()
    answers = GraphScorer(model, WIDTH).score_many(golden)
    margins = answers.margin.copy()
    margins[17] = np.nextafter(margins[17], np.inf)
    with pytest.raises(GoldenMismatch, match="1 of 256 golden rows get another batch answer, first row 17"):
        write_bundle(
            tmp_path / "bundle",
            model,
            card(),
            golden_rows=golden,
            golden_scores=answers.probability,
            golden_margins=margins,
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("golden", "margins", "scores"),
    [
        (np.empty((0, WIDTH), np.float32), np.empty(0), np.empty(0, np.float32)),
        (rows(4), np.zeros(3), np.zeros(4, np.float32)),
        (rows(4), np.zeros(4, np.float32), np.zeros(4, np.float32)),
        (rows(4), np.zeros(4), np.zeros(4)),
    ],
)
def test_golden_answers_must_fit_their_rows(
    tmp_path: Path, golden: NDArray[np.float32], margins: NDArray[np.float64], scores: NDArray[np.float32]
) -> None:
    """No rows, other lengths and other dtypes are refused before anything is written."""
    with pytest.raises(GoldenMismatch, match=r"wanted golden rows \[n >= 1, F\]"):
        write_bundle(
            tmp_path / "bundle",
            forest_graph(),
            card(),
            golden_rows=golden,
            golden_scores=scores,
            golden_margins=margins,
        )
    assert list(tmp_path.iterdir()) == []


def test_a_card_that_cannot_be_true_is_not_written(tmp_path: Path) -> None:
    """A NaN in the card never reaches a file."""
    with pytest.raises(BadCard):
        written(tmp_path / "bundle", parity=Parity(rows=1, margin_mismatches=0, flips=0, max_abs_diff=float("nan")))
    assert list(tmp_path.iterdir()) == []


@given(_ROWS)
def test_margins_are_the_plain_reading_of_the_trees(asked: NDArray[np.float32]) -> None:
    """The graph's double margins equal, to the bit, the leaves summed tree by tree in numpy."""
    forest = Forest.grown()
    found = _forest_scorer().score_many(asked)
    assert found.margin.tobytes() == forest.margins(asked).tobytes()
    assert found.probability.dtype == np.float32


@given(_ROWS)
def test_one_row_is_scored_as_in_a_batch(asked: NDArray[np.float32]) -> None:
    """Single answers are the batch's bits, whatever was scored before."""
    scorer = _forest_scorer()
    found = scorer.score_many(asked)
    assert np.array([scorer.margin(row) for row in asked]).tobytes() == found.margin.tobytes()
    assert [scorer.score(row) for row in asked] == found.probability.tolist()


def test_views_and_readonly_rows_are_scored(scorer: Scorer) -> None:
    """Strided, reversed, Fortran-ordered and readonly inputs give the answers of a plain copy, and stay unchanged."""
    wide = np.repeat(rows(20), 2, axis=1)
    strided = wide[:, ::2]
    wanted = scorer.score_many(strided.copy())
    assert not strided[0].flags.c_contiguous
    assert [scorer.score(row) for row in strided] == wanted.probability.tolist()
    for view in (strided, np.asfortranarray(strided), strided[::-1][::-1]):
        assert scorer.score_many(view).margin.tobytes() == wanted.margin.tobytes()
    frozen = strided.copy()
    frozen.flags.writeable = False
    assert scorer.score(frozen[3]) == wanted.probability[3]
    assert scorer.score_many(frozen).margin.tobytes() == wanted.margin.tobytes()


def test_the_row_may_be_reused_by_the_caller(scorer: Scorer) -> None:
    """Overwriting a row after it was scored changes no later answer."""
    row = rows(1)[0]
    first = scorer.margin(row)
    row[:] = 3.0
    assert scorer.margin(rows(1)[0]) == first


def test_no_rows_have_no_answers(scorer: Scorer) -> None:
    """An empty batch gives empty answers of the right dtype."""
    found = scorer.score_many(np.empty((0, WIDTH), np.float32))
    assert (found.margin.dtype, found.margin.shape) == (np.float64, (0,))
    assert (found.probability.dtype, found.probability.shape) == (np.float32, (0,))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("feature", range(WIDTH))
def test_a_value_that_is_not_finite_is_refused(scorer: Scorer, bad: float, feature: int) -> None:
    """NaN and infinity in any feature are refused by name, alone and in a batch, and the next row is scored as ever."""
    asked = rows(4)
    wanted = scorer.score(asked[1])
    asked[2, feature] = bad
    with pytest.raises(BadRow, match=f"row: {bad} in feature {feature}; only valid rows"):
        scorer.score(asked[2])
    with pytest.raises(BadRow, match=f"rows: {bad} in feature {feature} of row 2"):
        scorer.score_many(asked)
    assert scorer.score(asked[1]) == wanted


def test_the_largest_floats_are_finite(scorer: Scorer) -> None:
    """The check for NaN and infinity does not overflow on rows of the largest float32."""
    largest = np.full(WIDTH, np.finfo(np.float32).max)
    assert 0.0 < scorer.score(largest) < 1.0
    assert scorer.margin(-largest) == scorer.score_many(-largest[None]).margin[0]


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (np.zeros(WIDTH - 1, np.float32), "float32[4]"),
        (np.zeros(WIDTH, np.float64), "float64[5]"),
        (np.zeros((1, WIDTH), np.float32), "float32[1, 5]"),
        (np.zeros((), np.float32), "float32[]"),
        (np.zeros(WIDTH, np.int32), "int32[5]"),
        (np.zeros(WIDTH, ">f4"), ">f4[5]"),
        ([0.0] * WIDTH, "list"),
        (None, "NoneType"),
    ],
)
def test_a_row_of_another_shape_or_type_is_refused(scorer: Scorer, row: object, found: str) -> None:
    """Other widths, dtypes, byte orders, nesting and plain lists are refused, saying what was found."""
    for ask in (scorer.score, scorer.margin):
        with pytest.raises(BadRow, match=r"wanted float32\[5\], found ") as refusal:
            ask(row)  # type: ignore[arg-type]  # the point of the test
        assert str(refusal.value).endswith(found)


@pytest.mark.parametrize("asked", [np.zeros((2, WIDTH + 1), np.float32), np.zeros((2, WIDTH)), np.zeros(WIDTH, "f4")])
def test_rows_of_another_shape_or_type_are_refused(scorer: Scorer, asked: NDArray[np.float32]) -> None:
    """A batch must be float32 of the model's width."""
    with pytest.raises(BadRow, match=r"rows: wanted float32\[n, 5\], found float"):
        scorer.score_many(asked)


def _float_margin() -> bytes:
    return serialized(
        [helper.make_node("ReduceSum", ["features"], ["margin"]), helper.make_node("Neg", ["margin"], ["probability"])],
        outputs=[
            helper.make_tensor_value_info("margin", TensorProto.FLOAT, None),
            helper.make_tensor_value_info("probability", TensorProto.FLOAT, None),
        ],
    )


def _external() -> bytes:
    weights = TensorProto(name="weights", data_type=TensorProto.DOUBLE, dims=[WIDTH, 1])
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="weights.bin")
    cast = helper.make_node("Cast", ["features"], ["wide"], to=TensorProto.DOUBLE)
    return serialized([cast, helper.make_node("MatMul", ["wide", "weights"], ["margin"])], initializer=[weights])


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (_float_margin, r"wanted inputs .* and outputs .*'tensor\(double\)'.* found .*'margin', 'tensor\(float\)'"),
        (_external, "tensor 'weights' lies in another file"),
        (
            lambda: forest_graph(width=WIDTH + 1),
            r"(wanted input shape \[N, 5\]|nodes_featureids runs from 0 to 5, wanted 0 to 4)",
        ),
        (lambda: serialized([helper.make_node("NoSuchOp", ["features"], ["margin"])]), "is none that a scorer uses"),
        (lambda: b"not a model", "not a readable ONNX model"),
        (lambda: b"", "wanted one graph, found 0"),
    ],
)
def test_a_graph_outside_the_contract_is_not_written(tmp_path: Path, model: Callable[[], bytes], said: str) -> None:
    """Float margins, external data, another width, unknown operators and garbage never become a bundle."""
    with pytest.raises(BadGraph, match=said):
        write_bundle(
            tmp_path / "bundle",
            model(),
            card(),
            golden_rows=rows(),
            golden_scores=np.zeros(256, np.float32),
            golden_margins=np.zeros(256),
        )
    assert list(tmp_path.iterdir()) == []


_SCORERS: list[GraphScorer] = []


def _forest_scorer() -> GraphScorer:
    """One session for all examples of a property."""
    if not _SCORERS:
        _SCORERS.append(GraphScorer(forest_graph(Forest.grown()), WIDTH))
    return _SCORERS[0]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
