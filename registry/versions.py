"""What the registry says about a version, and what a run says it learned from: records free of MLflow."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the registered model. `model_id` is the bundle's own id; `tags` holds everything it was given."""

    name: str
    number: int
    model_id: str
    sha256: str
    schema_hash: str
    data_hash: str
    state: str
    run_id: str
    source: str
    created_ns: int
    aliases: tuple[str, ...]
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a run learned from, as MLflow shows and compares it; data_hash is the root over all partitions."""

    name: str
    data_hash: str
    source: str
    rows: int
