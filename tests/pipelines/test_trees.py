"""Reading LightGBM's text form: the same splits as LightGBM's own JSON dump, and what is refused."""

from typing import Any

import lightgbm as lgb
import numpy as np
import pytest

from pipelines import trees
from pipelines.errors import ExportError
from tests.pipelines.exported import sample, trained

_QUIET = {"objective": "binary", "num_threads": 1, "verbosity": -1, "min_data_in_leaf": 20, "num_leaves": 7}


def _text(rows: np.ndarray | None = None, **parameters: Any) -> str:
    data = sample(1_000, 4)
    names = parameters.pop("categorical_feature", "auto")
    y = parameters.pop("y", data.y)
    train = lgb.Dataset(data.rows if rows is None else rows, y.astype(np.float32), categorical_feature=names)
    return str(lgb.train(_QUIET | parameters, train, 3).model_to_string())


def _dumped(node: dict[str, Any]) -> list[tuple[int, float]]:
    if "leaf_value" in node:
        return []
    here = (node["split_feature"], node["threshold"])
    return [here, *_dumped(node["left_child"]), *_dumped(node["right_child"])]


def test_the_splits_are_those_of_the_json_dump() -> None:
    """Features and thresholds of every tree, to the last bit."""
    fitted = trained()
    ensemble = trees.read(fitted.model_text)
    dump = fitted.booster.dump_model()
    assert ensemble.feature_names == tuple(dump["feature_names"])
    assert len(ensemble.trees) == len(dump["tree_info"])
    for tree, told in zip(ensemble.trees, dump["tree_info"], strict=True):
        splits = list(zip(tree.features.tolist(), tree.thresholds.tolist(), strict=True))
        assert sorted(splits) == sorted(_dumped(told["tree_structure"]))
        assert tree.leaves.size == told["num_leaves"]
    assert ensemble.features.size == ensemble.thresholds.size == sum(t.features.size for t in ensemble.trees)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"objective": "regression"}, "objective 'regression'"),
        ({"objective": "multiclass", "num_class": 3, "y": np.arange(1_000) % 3}, "num_class 3"),
        ({"sigmoid": 2.0}, "objective 'binary sigmoid:2'"),
        ({"linear_tree": True}, "tree 0 has linear leaves"),
        ({"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, "boosting=rf"),
        ({"zero_as_missing": True}, "reads zero as missing in Column_"),
    ],
)
def test_a_model_the_graph_cannot_carry_is_refused(parameters: dict[str, Any], message: str) -> None:
    """The message says what was found and how to train instead."""
    with pytest.raises(ExportError, match=message):
        trees.read(_text(**parameters))


def test_categorical_splits_are_refused_by_name() -> None:
    """A split on a set of categories has no threshold."""
    rows = sample(1_000, 4).rows.copy()
    rows[:, 1] = np.arange(1_000) % 8
    y = (np.arange(1_000) % 8) % 3 == 0
    with pytest.raises(ExportError, match="splits Column_1 as a category"):
        trees.read(_text(rows, y=y, categorical_feature=[1]))


def test_a_text_cut_short_is_refused() -> None:
    """Half a file is not half a model."""
    text = trained().model_text
    with pytest.raises(ExportError, match="it is cut short"):
        trees.read(text[: text.index("end of trees")])
