import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from archive.layout import LABELS
from pipelines.errors import BadLineage
from pipelines.retraining import RECIPE_FILE, first_difference, verify
from registry.errors import RegistryError
from tests.pipelines.conftest import Release
from tests.pipelines.days import MIDDLE, bench

HEAD = "tree\nversion=v4\n"
TREES = ("0\nnum_leaves=2\nthreshold=0.5 1.5\n", "1\nnum_leaves=2\nthreshold=2.5\n")
TAIL = "end of trees\n\nparameters:\n[seed: 7]\n"


def text(*trees: str, tail: str = TAIL) -> str:
    """A model text of these trees."""
    return HEAD + "".join(f"\nTree={tree}" for tree in trees) + f"\n{tail}"


def test_the_first_tree_that_differs_is_named_with_its_first_value() -> None:
    """Not the second; equal texts have no difference."""
    other = TREES[0].replace("1.5", "1.75")
    assert first_difference(text(*TREES), text(*TREES)) == ""
    assert first_difference(text(*TREES), text(other, "1\nanother")) == (
        "tree 0 of 2 differs first: threshold 1.5 -> 1.75 (value 1)"
    )
    assert first_difference(text(*TREES), text(TREES[0], TREES[1].replace("2.5", "3"))).startswith("tree 1 of 2 ")


def test_trees_that_end_early_and_parameters_alone_are_told_apart() -> None:
    """A tree fewer is a difference at that tree; other parameters with equal trees are the head's."""
    assert first_difference(text(*TREES), text(TREES[0])) == (
        "tree 1 differs first: 1 trees instead of 2, those before are equal"
    )
    reseeded = first_difference(text(*TREES), text(*TREES, tail=TAIL.replace("7", "8")))
    assert reseeded.startswith("no tree differs, the head does: ")


def test_a_version_is_made_again_bit_for_bit(first: Release) -> None:
    """On one thread and on two, and with its files read in another order and their rows shuffled."""
    found = verify(first.workspace, first.version)
    assert [attempt.name for attempt in found.attempts] == [
        "1 thread", "2 threads", "1 thread, files and rows shuffled"
    ]  # fmt: skip
    assert found.is_equal
    assert {attempt.model_sha256 for attempt in found.attempts} == {first.model.fitted_sha256}
    assert {attempt.graph_sha256 for attempt in found.attempts} == {found.recipe.graph_sha256}
    assert found.data.changes == ()
    assert found.recipe.code_version == found.code_now


def test_another_seed_names_the_first_differing_tree(first: Release) -> None:
    """In every attempt the same one, since each is the same training."""
    found = verify(first.workspace, first.version, seed=8)
    assert not found.is_equal
    (difference,) = {attempt.difference for attempt in found.attempts}
    assert difference.startswith("tree 0 of ")


def test_one_changed_row_names_its_partition_and_the_first_differing_tree(first: Release, tmp_path: Path) -> None:
    """One label turned round in one of the partitions that were learned from."""
    paths = first.workspace.settings.paths
    shutil.copytree(paths.lake, tmp_path / "lake")
    changed = bench(Path(paths.var).parent, paths={"lake": str(tmp_path / "lake")})
    cell = first.training_set.train_cells[0]
    assert cell != MIDDLE
    rows = changed.lake.read(LABELS, cell.symbol, cell.day)
    place = int(np.flatnonzero(np.abs(rows["outcome_long"]) == 1)[0])
    rows["outcome_long"][place] *= -1
    changed.lake.write(LABELS, cell.symbol, cell.day, rows, source="a hand")
    found = verify(changed, first.version)
    assert [(change.partition, change.tables) for change in found.data.changes] == [(str(cell.key), (LABELS,))]
    assert all(attempt.difference.startswith("tree ") for attempt in found.attempts)


def test_a_run_without_a_recipe_is_refused(first: Release) -> None:
    """As one that was recorded by a release before recipes were kept."""
    stranger = replace(first.version, run_id="0" * 32)
    with pytest.raises(RegistryError, match=r"version 1 cannot be made again, its run keeps no recipe"):
        verify(first.workspace, stranger)


def test_a_recipe_of_other_data_is_refused(first: Release) -> None:
    """The registry knows the root that the version was registered with."""
    with pytest.raises(BadLineage, match=rf"{RECIPE_FILE} of run .* restore the artifact"):
        verify(first.workspace, replace(first.version, data_hash="00" * 32))
