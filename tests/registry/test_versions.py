"""The registry's records: plain values, the same on the side that never imports MLflow."""

import subprocess
import sys
from dataclasses import FrozenInstanceError, replace

import pytest

from registry.versions import TrainingData, Version
from tests.style_bar import ROOT

VERSION = Version(
    name="signal_scorer",
    number=3,
    model_id="m-20260106-ab",
    sha256="a" * 64,
    schema_hash="b" * 64,
    data_hash="c" * 64,
    state="candidate",
    run_id="run",
    source="mlartifacts/run/bundle",
    created_ns=1_767_700_000_000_000_000,
    aliases=("candidate",),
    tags={"state": "candidate"},
)
DATA = TrainingData("BTCUSDT 2026-01-05 to 2026-01-06", "c" * 64, "data/parquet", 172_000)


@pytest.mark.parametrize("name", ["number", "state", "aliases", "sha256"])
def test_a_version_is_what_the_registry_said(name: str) -> None:
    """Who wants another state asks the store for it; the record cannot be edited into one."""
    with pytest.raises(FrozenInstanceError):
        setattr(VERSION, name, getattr(VERSION, name))


def test_a_version_takes_no_attribute_beside_its_own() -> None:
    """A misspelt field is an error and not a new one."""
    with pytest.raises((AttributeError, TypeError)):
        object.__setattr__(VERSION, "stage", "production")


def test_two_looks_at_one_version_are_equal_until_something_moves() -> None:
    """A poll compares records: an alias that moved is a difference, a second look is none."""
    assert replace(VERSION) == VERSION
    assert replace(VERSION, aliases=()) != VERSION
    assert replace(VERSION, tags={"state": "live"}) != VERSION


def test_training_data_is_compared_by_what_it_holds() -> None:
    """The same rows from the same lake are the same data; one row more is not."""
    assert replace(DATA) == DATA
    assert len({DATA, replace(DATA), replace(DATA, rows=172_001)}) == 2


def test_the_records_come_without_mlflow() -> None:
    """Importing them costs the trading side neither MLflow nor numpy."""
    look = "import sys, registry.versions; print(sorted({'mlflow', 'numpy', 'onnxruntime'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
