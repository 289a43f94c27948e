import pytest

from archive.layout import BOOK, LABELS
from pipelines.errors import DamagedPartition
from pipelines.labels import labels
from tests.pipelines.days import CELLS, MIDDLE, Bench, Context, bench, described, file_of, passed, truncate


def test_each_day_is_written_with_the_rule_it_was_judged_by(own: Bench) -> None:
    """Made again, a day has the bits it had; its metadata tells the share of every outcome."""
    before = own.lake.info(LABELS, MIDDLE.symbol, MIDDLE.day)
    file_of(own, LABELS, MIDDLE).unlink()
    context = Context([MIDDLE])
    assert passed(labels(context, own)) == {"label_balance": True}  # type: ignore[arg-type]
    held = own.lake.info(LABELS, MIDDLE.symbol, MIDDLE.day)
    assert (held.content_sha256, held.source) == (before.content_sha256, own.barrier_rule.id)
    told = context.of_partition[str(MIDDLE.key)]
    assert {"tp_long", "sl_long", "timeout_long", "unresolved_long", "rows", "sha256"} < set(told)


def test_a_damaged_day_is_refused_even_when_labels_run_alone(own: Bench) -> None:
    """The scan is asked again, whatever another run's checks said; the old rows stay."""
    truncate(own, BOOK, MIDDLE)
    before = file_of(own, LABELS, MIDDLE).read_bytes()
    with pytest.raises(DamagedPartition, match=r"2026-01-06\|BTCUSDT.*corrupt"):
        labels(Context(CELLS), own)  # type: ignore[arg-type]
    assert file_of(own, LABELS, MIDDLE).read_bytes() == before


def test_a_day_without_a_single_win_fails_the_check_that_blocks(own: Bench) -> None:
    """Barriers that no price reaches leave every label alike."""
    root = file_of(own, BOOK, MIDDLE).parents[4]
    unreachable = bench(root, label={"tp_pct": 0.9, "sl_pct": 0.9, "horizon_seconds": 60})
    result = labels(Context([MIDDLE]), unreachable)  # type: ignore[arg-type]
    assert passed(result) == {"label_balance": False}
    assert "rarest class 0.0000" in described(result, "label_balance")
