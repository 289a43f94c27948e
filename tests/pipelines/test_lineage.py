import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import cast

import dagster as dg
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.layout import FEATURES, LABELS, TABLES, day_bounds_ns
from archive.store import Lake
from pipelines.errors import BadLineage
from pipelines.lineage import (
    LAKE,
    LEAVES_FILE,
    Change,
    Recorded,
    Versions,
    compare,
    merkle_root,
    of_lake,
    why_changed,
)
from registry.errors import UnknownVersion
from registry.store import ModelStore
from registry.versions import Version

_LEAVES = st.dictionaries(st.text(max_size=8), st.text("0123456789abcdef", max_size=8), min_size=1, max_size=20)


@given(_LEAVES, st.data())
def test_the_root_changes_with_any_single_leaf(leaves: dict[str, str], data: st.DataObject) -> None:
    """Another content, another name or a leaf less: another root."""
    name = data.draw(st.sampled_from(sorted(leaves)))
    without = {other: value for other, value in leaves.items() if other != name}
    root = merkle_root(leaves)
    assert merkle_root(leaves | {name: leaves[name] + "0"}) != root
    assert merkle_root(without) != root
    assert merkle_root(without | {name + "'": leaves[name]}) != root or name + "'" in without


@given(_LEAVES, st.randoms(use_true_random=False))
def test_the_root_does_not_depend_on_the_order(leaves: dict[str, str], random: Random) -> None:
    """The order in which partitions were written says nothing about the data."""
    names = list(leaves)
    random.shuffle(names)
    assert merkle_root({name: leaves[name] for name in names}) == merkle_root(leaves)


def test_the_tree_is_the_one_of_rfc_6962() -> None:
    """Three leaves: two are paired, the odd one is carried up."""
    a, b, c = (hashlib.sha256(b"\x00" + leaf).digest() for leaf in (b"a=1", b"b=2", b"c=3"))
    pair = hashlib.sha256(b"\x01" + a + b).digest()
    assert merkle_root({"b": "2", "a": "1", "c": "3"}) == hashlib.sha256(b"\x01" + pair + c).hexdigest()


def test_no_leaf_gives_the_hash_of_nothing() -> None:
    """As RFC 6962 says."""
    assert merkle_root({}) == hashlib.sha256(b"").hexdigest()


@dataclass
class Registered:
    """A registry of one version, which counts how often it was opened."""

    leaves: dict[str, str]
    data_hash: str = ""
    opened: int = 0

    def __call__(self) -> ModelStore:
        self.opened += 1
        return cast("ModelStore", self)

    def version(self, number: int) -> Version:
        """As the store."""
        if number != 7:
            raise UnknownVersion(f"signal_scorer has no version {number}; the newest is 7")
        data_hash = self.data_hash or merkle_root(self.leaves)
        return Version("signal_scorer", 7, "model-a", "", "", data_hash, "", "run7", "", 0, ("candidate",), {})

    def by_alias(self, alias: str) -> Version | None:
        """As the store."""
        return self.version(7) if alias == "candidate" else None

    def by_model_id(self, model_id: str) -> Version:
        """As the store."""
        if model_id != "model-a":
            raise UnknownVersion(f"signal_scorer has no version with id {model_id!r}; newest ids: model-a")
        return self.version(7)

    def run_artifact(self, run_id: str, path: str, into: Path) -> Path:
        """As the store."""
        assert (run_id, path) == ("run7", LEAVES_FILE)
        (into / "leaves.json").write_bytes(msgspec.json.encode(self.leaves))
        return into / "leaves.json"


def versions(folder: Path, registry: Registered) -> Versions:
    """The versions of that registry."""
    return Versions(folder / "lineage", folder / "mirror", registry)


def write_cell(lake: Lake, symbol: str, day: date, bump: int = 0) -> None:
    """One row of features and labels; `bump` moves one value of the features."""
    t_ns = np.array([day_bounds_ns(day)[0]], np.int64)
    zeros = {name: np.zeros(1, dtype) for name, dtype in TABLES[FEATURES].columns.items()}
    lake.write(FEATURES, symbol, day, zeros | {"t_ns": t_ns, "ask_ticks": np.array([bump], np.int32)}, source="test")
    zeros = {name: np.zeros(1, dtype) for name, dtype in TABLES[LABELS].columns.items()}
    lake.write(LABELS, symbol, day, zeros | {"t_ns": t_ns}, source="test")


def test_of_240_partitions_exactly_the_changed_one_is_named(tmp_path: Path) -> None:
    """A month of eight symbols, one value of one partition made anew: that partition, its table, and nothing else."""
    lake, days = Lake.create(tmp_path / "lake"), [date(2026, 1, 1) + timedelta(days=n) for n in range(30)]
    for day in days:
        for symbol in (f"S{n}USDT" for n in range(8)):
            write_cell(lake, symbol, day)
    before = of_lake(lake)
    assert len(before.leaves) == 240
    kept = versions(tmp_path, Registered({}))
    kept.keep(1, before.leaves)
    assert why_changed(lake, kept, "1", LAKE).changes == ()
    write_cell(lake, "S3USDT", days[11], bump=1)
    kept.keep(2, of_lake(lake).leaves)
    found = why_changed(lake, kept, "1", "2")
    assert found.changes == (Change("2026-01-12|S3USDT", "changed", (FEATURES,)),)
    assert found.before.data_hash != found.after.data_hash
    assert str(found).startswith("version 1 -> version 2: 1 of 240 partitions differ, root ")


@given(_LEAVES, _LEAVES)
def test_a_comparison_names_what_differs_and_no_more(first: dict[str, str], second: dict[str, str]) -> None:
    """Changed, added and removed partitions together lead from one training set to the other."""
    before, after = (Recorded(name, merkle_root(leaves), leaves) for name, leaves in (("a", first), ("b", second)))
    found = {change.partition: change.what for change in compare(before, after).changes}
    led = {key: value for key, value in first.items() if found.get(key) != "removed"}
    led |= {key: second[key] for key, what in found.items() if what != "removed"}
    assert led == second
    assert all((key in first) == (what != "added") for key, what in found.items())
    assert ("equal, " in str(compare(before, after))) == (first == second)


def test_leaves_are_kept_so_that_the_registry_is_asked_once(tmp_path: Path) -> None:
    """By number, by model id or by alias; opening MLflow alone takes longer than the answer may."""
    registry = Registered({"2026-01-01|BTCUSDT": "aa.bb"})
    kept = versions(tmp_path, registry)
    assert kept.of("7").leaves == kept.of("v7").leaves == registry.leaves
    assert registry.opened == 1
    assert kept.of("model-a").name == kept.of("candidate").name == "version 7"
    with pytest.raises(UnknownVersion, match=r"'strange' is no version number, alias or model id"):
        kept.of("strange")
    with pytest.raises(UnknownVersion, match=r"has no version 8"):
        kept.of("8")


def test_an_alias_is_looked_up_in_the_mirror_first(tmp_path: Path) -> None:
    """The link says which version stands there; MLflow is not asked."""
    registry = Registered({})
    kept = versions(tmp_path, registry)
    kept.keep(3, {"2026-01-01|BTCUSDT": "aa.bb"})
    folder = tmp_path / "mirror" / "bundles" / "v3-0123456789ab"
    folder.mkdir(parents=True)
    (tmp_path / "mirror" / "active").symlink_to(folder)
    assert kept.of("active").name == "version 3"
    assert registry.opened == 0


def test_a_kept_file_that_was_damaged_is_fetched_again(tmp_path: Path) -> None:
    """Its root gives it away."""
    registry = Registered({"2026-01-01|BTCUSDT": "aa.bb"})
    kept = versions(tmp_path, registry)
    kept.of("7")
    path = tmp_path / "lineage" / "v7.json"
    path.write_bytes(path.read_bytes().replace(b"aa.bb", b"aa.bc"))
    assert kept.of("7").leaves == registry.leaves
    path.write_bytes(b"{")
    assert kept.of("7").leaves == registry.leaves
    assert registry.opened == 3


def test_leaves_that_are_not_the_registered_ones_are_refused(tmp_path: Path) -> None:
    """Somebody changed the run's artifact."""
    registry = Registered({"2026-01-01|BTCUSDT": "aa.bb"}, data_hash="cd" * 32)
    with pytest.raises(BadLineage, match=r"the version was registered with cdcdcdcdcdcdcdcd; the artifact was changed"):
        versions(tmp_path, registry).of("7")


@pytest.mark.parametrize(("partitions", "notices"), [(99, True), (100, False), (240, False)])
def test_dagsters_own_tag_does_not_notice_from_100_partitions_on(partitions: int, notices: bool) -> None:
    """Why the root is ours: an old partition changes, and the model's recorded input version moves, or does not.

    Should this fail because Dagster notices, `why-changed` may ask Dagster.
    """
    keys = [f"p{n:03}" for n in range(partitions)]
    day = dg.AssetSpec("day", partitions_def=dg.StaticPartitionsDefinition(keys))

    @dg.asset(deps=[dg.AssetDep("day", partition_mapping=dg.AllPartitionMapping())])
    def model() -> None: ...

    def materialized(key: str, version: str) -> dg.AssetMaterialization:
        return dg.AssetMaterialization("day", partition=key, tags={"dagster/data_version": version})

    with dg.DagsterInstance.ephemeral() as instance:

        def recorded() -> str:
            assert dg.materialize([day, model], selection=["model"], instance=instance).success
            event = instance.get_latest_materialization_event(dg.AssetKey("model"))
            assert event is not None
            assert event.asset_materialization is not None
            return (event.asset_materialization.tags or {})["dagster/input_data_version/day"]

        for key in keys:
            instance.report_runless_asset_event(materialized(key, "one"))
        before = recorded()
        instance.report_runless_asset_event(materialized(keys[3], "another"))
        instance.report_runless_asset_event(materialized(keys[-1], "one"))
        assert (recorded() != before) == notices
