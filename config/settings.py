"""The effective configuration: app.yml, checked against its schema, with the environment's overrides laid over it.

`label.tp_pct` in the file is LABEL_TP_PCT in the environment, and so for every knob. Only entry points call `load`;
everything else is handed the section it needs. Secrets have no key here (`config.secrets`): the password of the streams
is laid into redis.url, every other one is read where it is used.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from config.alerting_sections import Alerting
from config.errors import SettingsError, problems_in
from config.knobs import Knob, Section, knobs_of
from config.live_sections import (
    Backpressure,
    Exchange,
    FailSafe,
    Feed,
    Gates,
    Ladder,
    ModelSync,
    Paper,
    Recorder,
    Redis,
    Risk,
    Rollout,
    Serving,
    Signals,
    Sizing,
    Warmup,
)
from config.loading import Tree, read, shown_path
from config.release_sections import Release
from config.scale_sections import Scale, Shard
from config.secrets import REDIS_PASSWORD, read_secret
from config.sections import (
    Backfill,
    Candidate,
    Evaluation,
    Ingest,
    Label,
    Market,
    Parity,
    Paths,
    Registry,
    Schedule,
    Simulator,
    Source,
    Training,
)

APP_YML = Path(__file__).with_name("app.yml")


class Settings(Section):
    """Every section of app.yml, frozen."""

    paths: Paths = Field(default_factory=Paths)
    source: Source = Field(default_factory=Source)
    backfill: Backfill = Field(default_factory=Backfill)
    simulator: Simulator = Field(default_factory=Simulator)
    market: Market = Field(default_factory=Market)
    ingest: Ingest = Field(default_factory=Ingest)
    candidate: Candidate = Field(default_factory=Candidate)
    label: Label = Field(default_factory=Label)
    training: Training = Field(default_factory=Training)
    evaluation: Evaluation = Field(default_factory=Evaluation)
    parity: Parity = Field(default_factory=Parity)
    registry: Registry = Field(default_factory=Registry)
    schedule: Schedule = Field(default_factory=Schedule)
    exchange: Exchange = Field(default_factory=Exchange)
    paper: Paper = Field(default_factory=Paper)
    feed: Feed = Field(default_factory=Feed)
    redis: Redis = Field(default_factory=Redis)
    recorder: Recorder = Field(default_factory=Recorder)
    signals: Signals = Field(default_factory=Signals)
    rollout: Rollout = Field(default_factory=Rollout)
    release: Release = Field(default_factory=Release)
    model_sync: ModelSync = Field(default_factory=ModelSync)
    warmup: Warmup = Field(default_factory=Warmup)
    gates: Gates = Field(default_factory=Gates)
    sizing: Sizing = Field(default_factory=Sizing)
    ladder: Ladder = Field(default_factory=Ladder)
    backpressure: Backpressure = Field(default_factory=Backpressure)
    fail_safe: FailSafe = Field(default_factory=FailSafe)
    risk: Risk = Field(default_factory=Risk)
    serving: Serving = Field(default_factory=Serving)
    alerting: Alerting = Field(default_factory=Alerting)
    shard: Shard = Field(default_factory=Shard)
    scale: Scale = Field(default_factory=Scale)

    @property
    def backfill_source(self) -> Source | None:
        """The second source as a Source, or None when a backfill asks the first one again."""
        if self.backfill.kind == "same":
            return None
        return Source(kind=self.backfill.kind, path=self.backfill.path)


@dataclass(frozen=True, slots=True)
class Effective:
    """Settings with the origin of each knob: a file, `environment NAME`, or `default`."""

    settings: Settings
    origins: Mapping[str, str]

    def value(self, key: str) -> Any:
        """Return what a dotted key is set to."""
        found: Any = self.settings
        for name in key.split("."):
            found = getattr(found, name)
        return found


def load(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the configuration (config/app.yml when no path is given) and return it checked and frozen.

    Relative paths in it come out absolute, counted from the folder above the one the file lies in.
    Raises SettingsError naming file or variable, key, value and bound of everything that is wrong.
    """
    return explain(path, environ).settings


def explain(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Effective:
    """Do what `load` does, and tell where each value came from."""
    file = (path or APP_YML).resolve()
    knobs = all_knobs()
    raw = read(file, environ, knobs)
    try:
        # Every section is named, so that the defaults below it are validated, and their paths anchored, too.
        tree: Tree = {name: {} for name in Settings.model_fields} | raw.tree
        settings = Settings.model_validate(tree, context={"root": file.parent.parent})
    except ValidationError as error:
        raise SettingsError(
            problems_in(error, raw.origins, shown_path(file), [*Settings.model_fields, *(each.key for each in knobs)])
        ) from error
    settings = _with_password(settings, environ)
    return Effective(settings, {each.key: raw.origins.get(each.key, "default") for each in knobs})


def _with_password(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Complete the addresses of the streams: whoever opens one needs nothing else. Raises SettingsError."""
    password, redis = read_secret(REDIS_PASSWORD, environ), settings.redis
    if redis.username and redis.url and not password:
        raise SettingsError(
            [f"redis.username is {redis.username}, but there is no password; set REDIS_PASSWORD or REDIS_PASSWORD_FILE"]
        )
    url = redis.completed(redis.url, password)
    market_urls = tuple(redis.completed(each, password) for each in redis.market_urls)
    if (url, market_urls) == (redis.url, redis.market_urls):
        return settings
    completed = redis.model_copy(update={"url": url, "market_urls": market_urls})
    return settings.model_copy(update={"redis": completed})


@cache
def all_knobs() -> tuple[Knob, ...]:
    """Return every knob there is, in the order of app.yml."""
    return tuple(knobs_of(Settings))
