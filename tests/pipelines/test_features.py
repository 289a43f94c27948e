import pytest

from archive.layout import BOOK, FEATURES
from market.features import TAIL_NS, WARMUP_NS, schema_hash
from pipelines.errors import DamagedPartition
from pipelines.features import features
from tests.pipelines.days import CELLS, MIDDLE, Bench, Context, bench, described, file_of, passed, same_bits, truncate


def test_each_day_is_written_with_the_hash_of_its_kernel(own: Bench) -> None:
    """Made again, a day has the bits it had; its metadata names rows and content."""
    before = own.lake.info(FEATURES, MIDDLE.symbol, MIDDLE.day)
    file_of(own, FEATURES, MIDDLE).unlink()
    context = Context([MIDDLE])
    result = features(context, own)  # type: ignore[arg-type]
    held = own.lake.info(FEATURES, MIDDLE.symbol, MIDDLE.day)
    assert passed(result) == {"feature_rows": True, "features_finite": True}
    assert (held.content_sha256, held.schema_hash) == (before.content_sha256, schema_hash())
    assert context.of_partition[str(MIDDLE.key)] == {"rows": held.rows, "sha256": held.content_sha256}


def test_a_damaged_day_is_refused_even_when_features_run_alone(own: Bench) -> None:
    """A blocking check guards only its own run, so the asset asks the scan itself; the old rows stay."""
    truncate(own, BOOK, MIDDLE)
    before = file_of(own, FEATURES, MIDDLE).read_bytes()
    with pytest.raises(DamagedPartition, match=r"2026-01-06\|BTCUSDT.*corrupt"):
        features(Context(CELLS), own)  # type: ignore[arg-type]
    assert file_of(own, FEATURES, MIDDLE).read_bytes() == before


def test_a_day_with_too_few_candidates_fails_the_check_that_blocks(own: Bench) -> None:
    """The limit is evaluation.min_candidates_per_day."""
    strict = bench(file_of(own, BOOK, MIDDLE).parents[4], evaluation={"min_candidates_per_day": 100_000})
    result = features(Context([MIDDLE]), strict)  # type: ignore[arg-type]
    assert not passed(result)["feature_rows"]
    assert "2026-01-06|BTCUSDT" in described(result, "feature_rows")


def test_a_missing_day_before_only_shortens_the_day(own: Bench) -> None:
    """The first two minutes have no rows; every later row is the same as with that day, once the tail is forgotten."""
    before = own.lake.read(FEATURES, MIDDLE.symbol, MIDDLE.day)
    file_of(own, BOOK, MIDDLE.shifted(-1)).unlink()
    features(Context([MIDDLE]), own)  # type: ignore[arg-type]
    after = own.lake.read(FEATURES, MIDDLE.symbol, MIDDLE.day)
    assert after["t_ns"][0] >= MIDDLE.start_ns + WARMUP_NS > before["t_ns"][0]
    settled = MIDDLE.start_ns + TAIL_NS
    kept = {name: column[before["t_ns"] >= settled] for name, column in before.items()}
    again = {name: column[after["t_ns"] >= settled] for name, column in after.items()}
    assert same_bits(kept, again)


def test_many_cells_are_made_in_one_run_and_none_depends_on_another(own: Bench) -> None:
    """Asked for together or one by one, a day has the same bits."""
    hashes = {each: own.lake.info(FEATURES, each.symbol, each.day).content_sha256 for each in CELLS}
    context = Context(CELLS)
    features(context, own)  # type: ignore[arg-type]
    assert {each: context.of_partition[str(each.key)]["sha256"] for each in CELLS} == hashes
