"""The files for Kubernetes say what our programs understand: knobs, services, Dagster's own schema."""

from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._config import process_config
from dagster_k8s import K8sRunLauncher

from bus.streams import shard_of
from config.settings import all_knobs, load
from live.shards import SHARED
from monitoring.processes import SERVICES
from pipelines.definitions import GRID_ASSETS, build
from pipelines.workspace import Workspace
from tests.live.parts import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
FOREIGN = {"AWS_DEFAULT_REGION", "REDIS_PASSWORD_FILE"}
"""Variables that are no knobs of ours."""


def documents(name: str) -> list[dict[str, Any]]:
    """The documents of a file."""
    return list(yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")))


def containers() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Each container of live.yaml with its StatefulSet, by the service it runs."""
    sets = [each for each in documents("live.yaml") if each["kind"] == "StatefulSet"]
    return {held["args"][-1]: (held, each) for each in sets for held in each["spec"]["template"]["spec"]["containers"]}


def knobs() -> dict[str, str]:
    """Everything the ConfigMaps set."""
    maps = [each for name in ("live.yaml", "pipelines-knobs.yaml") for each in documents(name)]
    return {key: value for each in maps if each["kind"] == "ConfigMap" for key, value in each["data"].items()}


def test_every_service_runs_once_and_those_that_share_the_market_once_a_share() -> None:
    """A second executor would be fenced, a missing share would be a market nobody sees."""
    found = containers()
    assert set(found) == set(SERVICES)
    for service, (held, owner) in found.items():
        is_shared = service in SHARED
        assert owner["spec"]["replicas"] == (int(knobs()["SHARD_COUNT"]) if is_shared else 1)
        names = {each["name"]: each for each in held["env"]}
        assert ("SHARD_INDEX" in names) is is_shared
        assert names["REDIS_USERNAME"]["value"] == service
        assert held["args"] == ["python", "-m", "live", service]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert held[probe]["exec"]["command"][:4] == ["python", "-m", "live.health", service]
        assert held["securityContext"]["readOnlyRootFilesystem"]


def test_every_variable_is_a_knob_and_none_is_a_secret() -> None:
    """And the configuration that follows from them is one we accept."""
    named = set(knobs()) | {each["name"] for held, _ in containers().values() for each in held["env"]}
    assert named - {each.variable for each in all_knobs()} == FOREIGN
    settings = load(environ={**knobs(), "SHARD_INDEX": "1"})
    assert len(settings.redis.market_urls) == 2
    assert {shard_of(symbol, settings.shard.count) for symbol in settings.market.symbols} == {0, 1}
    text = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.yaml"))
    assert "password:" not in text.lower()


def test_dagsters_launcher_understands_its_part() -> None:
    """The chart turns these values into the launcher's configuration, by other names."""
    values = documents("dagster-values.yaml")[0]["runLauncher"]
    assert values["type"] == K8sRunLauncher.__name__
    told = values["config"]["k8sRunLauncher"]
    config = {
        "service_account_name": "dagster", "instance_config_map": "dagster-instance",
        "image_pull_policy": told["imagePullPolicy"], "resources": told["resources"],
        "env_config_maps": [each["name"] for each in told["envConfigMaps"]],
        "env_secrets": [each["name"] for each in told["envSecrets"]],
        "run_k8s_config": {
            "pod_spec_config": told["runK8sConfig"]["podSpecConfig"],
            "job_spec_config": told["runK8sConfig"]["jobSpecConfig"],
        },
    }  # fmt: skip
    checked = process_config(K8sRunLauncher.config_type(), config)
    assert checked.success, checked.errors


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
@pytest.mark.parametrize("most", [0, 1, 7])
def test_a_backfill_is_cut_into_runs_of_so_many_partitions(most: int, tmp_path: Path) -> None:
    """One run for all, or a pod for each."""
    environ = {
        "SCALE_PARTITIONS_PER_RUN": str(most), "PATHS_VAR": str(tmp_path / "var"), "PATHS_LAKE": str(tmp_path / "lake")
    }  # fmt: skip
    definitions = build(Workspace(load(environ=environ), date(2026, 2, 1)))
    wanted = dg.BackfillPolicy.multi_run(most) if most else dg.BackfillPolicy.single_run()
    graph = definitions.resolve_asset_graph()
    assert {graph.get(dg.AssetKey(name)).backfill_policy for name in GRID_ASSETS} == {wanted}
