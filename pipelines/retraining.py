"""The proof that a version can be made again: the same partitions, parameters and seed, and not one bit of it other.

The version is trained again from what its run kept (`Recipe`): as it was, on two threads, and with its files read in
another order and their rows shuffled. Each has to give the same model text and the same ONNX graph. Where one does
not, the first differing tree is named, and the partitions that changed since.
"""

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from archive.layout import FEATURES, LABELS
from archive.store import Lake
from pipelines.artifacts import TrainedModel, TrainingSet
from pipelines.code_version import code_version
from pipelines.dataset import Candidates, join, load, load_cell
from pipelines.errors import BadLineage
from pipelines.estimator import TrainingRule, canonical, fit
from pipelines.learning import purged
from pipelines.lineage import Difference, Recorded, compare, leaf, merkle_root
from pipelines.onnx_export import export
from pipelines.partitions import Cell
from pipelines.workspace import Workspace
from registry.errors import RegistryError
from registry.versions import Version

RECIPE_FILE, MODEL_FILE = "retrain/recipe.json", "retrain/model.txt"
"""Where a version's run keeps how it was made, and LightGBM's own text of it."""


class Recipe(msgspec.Struct, frozen=True):
    """How a version was made and what came of it: sha256 of the canonical model text and of the ONNX graph."""

    training_set: TrainingSet
    parameters: dict[str, str | int | float | bool]
    seed: int
    horizon_ns: int
    code_version: str
    model_sha256: str
    graph_sha256: str

    @property
    def rule(self) -> TrainingRule:
        """The parameters as the trainer takes them."""
        return msgspec.convert(self.parameters, TrainingRule)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One training anew. `difference` names the first tree that is another; empty where everything is equal."""

    name: str
    model_sha256: str
    graph_sha256: str
    difference: str


@dataclass(frozen=True, slots=True)
class Verification:
    """All attempts at one version, what changed in its partitions since, and the code it was made by and is now."""

    version: int
    recipe: Recipe
    attempts: tuple[Attempt, ...]
    data: Difference
    code_now: str

    @property
    def is_equal(self) -> bool:
        """Whether every attempt gave the version, bit for bit."""
        return not any(attempt.difference for attempt in self.attempts)


def recipe_files(model: TrainedModel, horizon_ns: int, onnx_bytes: bytes) -> dict[str, bytes | str]:
    """What a version's run keeps so that it can be made again: artifacts by their place in the run."""
    recipe = Recipe(
        training_set=model.training_set,
        parameters=model.parameters,
        seed=model.seed,
        horizon_ns=horizon_ns,
        code_version=code_version(),
        model_sha256=model.fitted_sha256,
        graph_sha256=hashlib.sha256(onnx_bytes).hexdigest(),
    )
    return {RECIPE_FILE: msgspec.json.format(msgspec.json.encode(recipe)), MODEL_FILE: model.model_text}


def verify(workspace: Workspace, version: Version, seed: int | None = None) -> Verification:
    """Train a version again in three ways and hold each against it; another `seed` shows that a difference is found.

    Raises:
        RegistryError: the registry cannot be reached, or the version's run keeps no recipe.
        BadLineage: the kept recipe or text is not that of the version.
        ArchiveError: a partition that it learned from is gone.
    """
    recipe, text = _kept(workspace, version)
    asked = recipe if seed is None else msgspec.structs.replace(recipe, seed=seed)
    now = _now(workspace.lake, recipe.training_set)
    recorded = Recorded(f"version {version.number}", recipe.training_set.data_hash, recipe.training_set.leaves)
    cells = recipe.training_set.train_cells
    shuffled = np.random.default_rng(recipe.seed).permutation(len(cells))
    ways = (
        ("1 thread", 1, cells, False),
        ("2 threads", 2, cells, False),
        ("1 thread, files and rows shuffled", 1, [cells[place] for place in shuffled], True),
    )
    attempts = []
    for number, (name, threads, order, by_chance) in enumerate(ways):
        workspace.progress.step("retrain", number, len(ways), name)
        attempts.append(_attempt(workspace.lake, asked, text, name, threads, order, shuffle_rows=by_chance))
    workspace.progress.step("retrain", len(ways), len(ways))
    return Verification(version.number, recipe, tuple(attempts), compare(recorded, now), code_version())


def first_difference(before: str, after: str) -> str:
    """Name the first tree in which two canonical model texts differ, and the line; empty when they are equal."""
    if before == after:
        return ""
    (head, *trees), (other_head, *other_trees) = _parts(before), _parts(after)
    for number, (tree, other) in enumerate(zip(trees, other_trees, strict=False)):
        if tree != other:
            return f"tree {number} of {len(trees)} differs first: {_line(tree, other)}"
    if len(trees) != len(other_trees):
        fewer = min(len(trees), len(other_trees))
        return f"tree {fewer} differs first: {len(other_trees)} trees instead of {len(trees)}, those before are equal"
    return f"no tree differs, the head does: {_line(head, other_head)}"


def _kept(workspace: Workspace, version: Version) -> tuple[Recipe, str]:
    with tempfile.TemporaryDirectory(prefix="tidegate-recipe-") as folder:
        into = Path(folder)
        try:
            content = workspace.store.run_artifact(version.run_id, RECIPE_FILE, into).read_bytes()
            text = workspace.store.run_artifact(version.run_id, MODEL_FILE, into).read_text()
        except RegistryError as error:
            raise RegistryError(
                f"version {version.number} cannot be made again, its run keeps no recipe: {error}"
            ) from error
    recipe = msgspec.json.decode(content, type=Recipe)
    if recipe.training_set.data_hash != version.data_hash:
        raise BadLineage(
            f"version {version.number}: {RECIPE_FILE} of run {version.run_id} learned from "
            f"{recipe.training_set.data_hash[:16]}, the version from {version.data_hash[:16]}; restore the artifact"
        )
    if hashlib.sha256(canonical(text).encode()).hexdigest() != recipe.model_sha256:
        raise BadLineage(
            f"version {version.number}: {MODEL_FILE} of run {version.run_id} is not the text whose sha256 is "
            f"{recipe.model_sha256[:16]}; restore the artifact"
        )
    return recipe, text


def _now(lake: Lake, training_set: TrainingSet) -> Recorded:
    """The leaves of the same partitions as the lake holds them now."""
    cells = [*training_set.train_cells, *training_set.test_cells]
    leaves = {
        str(each.key): leaf(lake.info(FEATURES, each.symbol, each.day), lake.info(LABELS, each.symbol, each.day))
        for each in cells
    }
    return Recorded("the lake", merkle_root(leaves), leaves)


def _attempt(
    lake: Lake, recipe: Recipe, text: str, name: str, threads: int, order: Sequence[Cell], *, shuffle_rows: bool
) -> Attempt:
    test = load(lake, recipe.training_set.test_cells)
    known = purged(join([load_cell(lake, each) for each in order]), test, recipe.horizon_ns)
    if shuffle_rows:
        known = _shuffled(known, recipe.seed)
    rows, won, t_ns = known.both_sides()
    rule = replace(recipe.rule, num_threads=threads)
    fitted = fit(rows, won, t_ns, horizon_ns=recipe.horizon_ns, rule=rule, seed=recipe.seed)
    graph = hashlib.sha256(export(fitted.model_text, fitted.calibrator)).hexdigest()
    difference = first_difference(canonical(text), fitted.model_text)
    if not difference and graph != recipe.graph_sha256:
        difference = "no tree differs, the calibrator or the exporter does: the ONNX graph is another"
    return Attempt(name, fitted.model_sha256, graph, difference)


def _shuffled(known: Candidates, seed: int) -> Candidates:
    order = np.random.default_rng(seed).permutation(len(known))
    return known.where(order)


def _parts(text: str) -> list[str]:
    """The head with the parameters behind the trees, and each tree."""
    head, *trees = text.split("\nTree=")
    if not trees:
        return [head]
    last, _, tail = trees[-1].partition("\nend of trees")
    return [head + tail, *trees[:-1], last]


def _line(before: str, after: str) -> str:
    for was, now in zip(before.splitlines(), after.splitlines(), strict=False):
        if was != now:
            name, _, old = was.partition("=")
            return f"{name} {_first_values(old, now.partition('=')[2])}"
    return "one ends before the other"


def _first_values(before: str, after: str) -> str:
    pairs = list(zip(before.split(" "), after.split(" "), strict=False))
    place = next((n for n, (old, new) in enumerate(pairs) if old != new), len(pairs) - 1)
    return f"{pairs[place][0]} -> {pairs[place][1]} (value {place})"
