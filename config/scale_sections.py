"""The sections of app.yml that spread work over machines: every knob, its default, unit, bounds and what it does."""

from typing import Self

from pydantic import model_validator

from config.knobs import Section, knob


class Shard(Section):
    """Which symbols a collector and a signal engine take: those whose name hashes to their share."""

    index: int = knob(0, "Our share, from 0; every instance has its own, by SHARD_INDEX.", ge=0, le=255)
    count: int = knob(1, "Shares the symbols are cut into; the same in every process of a stack.", ge=1, le=256)

    @model_validator(mode="after")
    def _a_share_is_one_of_them(self) -> Self:
        if self.index >= self.count:
            raise ValueError(f"shard.index must be below shard.count {self.count}, was {self.index}")
        return self


class Scale(Section):
    """How backfills are cut into runs, and the cluster that training runs on when training.engine is dask."""

    partitions_per_run: int = knob(
        0,
        "Partitions a run of a backfill takes at most; 0 takes all of them in one run.",
        "partitions",
        ge=0,
        le=10_000,
    )
    dask_address: str = knob(
        "",
        "Scheduler of a Dask cluster (tcp://host:8786); empty starts workers on this machine.",
        pattern=r"^(|.+://.+)$",
    )
    dask_workers: int = knob(2, "Workers started on this machine when dask_address is empty.", "workers", ge=1, le=256)
    dask_timeout_seconds: float = knob(
        60.0, "How long the cluster may take to answer, and its workers to come.", "seconds", gt=0, le=3_600
    )
