"""A LightGBM model read from its own text form, as arrays: what the exporter and the parity proof both walk over.

The text form prints every threshold and leaf with 17 digits, so the doubles read here are the booster's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ExportError

_CATEGORICAL = 1
_DEFAULT_LEFT = 2
_MISSING_TYPE_SHIFT = 2
_MISSING_IS_ZERO = 1
_MISSING_IS_NAN = 2


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree of m splits: children are node numbers when >= 0, else leaf number -child - 1."""

    features: NDArray[np.int64]
    thresholds: NDArray[np.float64]
    missing_goes_left: NDArray[np.bool_]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    leaves: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ensemble:
    """All trees of a binary model, in the order in which LightGBM sums them."""

    feature_names: tuple[str, ...]
    trees: tuple[Tree, ...]

    @property
    def features(self) -> NDArray[np.int64]:
        """Return the feature number of every split of every tree, int64[splits]."""
        return np.concatenate([np.empty(0, np.int64), *(tree.features for tree in self.trees)])

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """Return the threshold of every split of every tree, float64[splits], in the order of `features`."""
        return np.concatenate([np.empty(0, np.float64), *(tree.thresholds for tree in self.trees)])


def read(model_text: str) -> Ensemble:
    """Read `Booster.model_to_string()`.

    Raises ExportError for what the exact graph cannot carry: an objective other than binary, averaged (random
    forest) output, linear leaves, categorical splits, zero read as missing.
    """
    header, *sections = _sections(model_text)
    _check_header(header)
    names = tuple(header["feature_names"].split(" "))
    return Ensemble(names, tuple(_tree(section, number, names) for number, section in enumerate(sections)))


def _sections(model_text: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = [{}]
    for line in model_text.splitlines():
        if line == "end of trees":
            return found
        if line.startswith("Tree="):
            found.append({})
        key, _, value = line.partition("=")
        found[-1][key] = value
    raise ExportError(
        f"LightGBM model text: no 'end of trees' in {len(model_text)} characters; it is cut short, save it again"
    )


def _check_header(header: Mapping[str, str]) -> None:
    objective = header.get("objective", "missing")
    if objective != "binary sigmoid:1" or header.get("num_class") != "1":
        raise ExportError(
            f"LightGBM model: objective {objective!r} with num_class {header.get('num_class')}; "
            "only 'binary sigmoid:1' with one class can be exported exactly, so train with objective=binary"
        )
    if "average_output" in header:
        raise ExportError(
            "LightGBM model: average_output is set (boosting=rf); the graph sums its trees, so train with boosting=gbdt"
        )


def _tree(section: Mapping[str, str], number: int, names: Sequence[str]) -> Tree:
    if section.get("is_linear", "0") != "0":
        raise ExportError(f"LightGBM model: tree {number} has linear leaves; train with linear_tree=false")
    features = _integers(section, "split_feature")
    thresholds = _doubles(section, "threshold")
    decisions = _integers(section, "decision_type")
    _check_decisions(decisions, features, number, names)
    # A booster trained without NaN reads a NaN as zero; one trained with NaN learned a side for it.
    learned = (decisions >> _MISSING_TYPE_SHIFT) & 3 == _MISSING_IS_NAN
    missing_goes_left = np.where(learned, decisions & _DEFAULT_LEFT != 0, thresholds >= 0.0)
    left, right = _integers(section, "left_child"), _integers(section, "right_child")
    return Tree(features, thresholds, missing_goes_left, left, right, _doubles(section, "leaf_value"))


def _check_decisions(
    decisions: NDArray[np.int64], features: NDArray[np.int64], number: int, names: Sequence[str]
) -> None:
    for feature, decision in zip(features, decisions, strict=True):
        if decision & _CATEGORICAL:
            raise ExportError(
                f"LightGBM model: tree {number} splits {names[feature]} as a category; "
                "encode it as numbers and train without categorical_feature"
            )
        if (decision >> _MISSING_TYPE_SHIFT) & 3 == _MISSING_IS_ZERO:
            raise ExportError(
                f"LightGBM model: tree {number} reads zero as missing in {names[feature]}; "
                "train with zero_as_missing=false"
            )


def _integers(section: Mapping[str, str], key: str) -> NDArray[np.int64]:
    return np.array(section.get(key, "").split(), dtype=np.int64)


def _doubles(section: Mapping[str, str], key: str) -> NDArray[np.float64]:
    return np.array(section.get(key, "").split(), dtype=np.float64)
