"""What the compose file and the Dockerfile ask for, read by `docker-compose config` and from the Dockerfile's lines."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.live.parts import ROOT

_SECONDS = re.compile(r"(?:(\d+)m)?(?:(\d+)s)?")


@dataclass(frozen=True, slots=True)
class Health:
    """A health check: its command, and the times in seconds."""

    command: list[str]
    interval: float
    timeout: float
    retries: int
    start_period: float


@dataclass(frozen=True, slots=True)
class Service:
    """One service as the compose file, and for our own images the Dockerfile, has it."""

    name: str
    image: str
    target: str
    command: list[str]
    environment: Mapping[str, str]
    user: str
    workdir: str
    read_only: bool
    mounts: list[tuple[str, str, bool]]
    """(source, place inside, read-only); a source without a slash is a named volume."""
    tmpfs: list[str]
    secrets: Mapping[str, str]
    """Files by their names below /run/secrets."""
    depends_on: Mapping[str, str]
    health: Health | None
    is_one_shot: bool
    copied: list[tuple[str, str]]
    """(path in the repository, place inside) that the image's last stage copies."""
    made: list[str]
    """Folders that the image makes, for its user."""


def config(profile: str, *, environ: Mapping[str, str] | None = None, file: Path | None = None) -> dict[str, Any]:
    """The compose file as the Debian package's docker-compose, 1.29 or 2, resolves it for a profile."""
    command = ["docker-compose", *(["-f", str(file)] if file else []), "--profile", profile, "config"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(yaml.safe_load(done.stdout))


def services(profile: str, environ: Mapping[str, str] | None = None) -> dict[str, Service]:
    """The services of one profile, by name."""
    found = config(profile, environ=environ)
    files = {name: each["file"] for name, each in found["secrets"].items()}
    stages = dockerfile_stages()
    chosen = {name: each for name, each in found["services"].items() if profile in each["profiles"]}
    return {name: _service(name, each, files, stages) for name, each in chosen.items()}


@dataclass(frozen=True, slots=True)
class Stage:
    """What a stage of the Dockerfile sets: environment, working directory, user, what it copies from here and makes."""

    environment: dict[str, str]
    workdir: str
    user: str
    copied: list[tuple[str, str]]
    made: list[str]


def dockerfile_stages(text: str | None = None) -> dict[str, Stage]:
    """The stages by name, each with what it inherits from the one it begins with."""
    text = text if text is not None else (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n\s*", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.M)).splitlines()
    stages: dict[str, Stage] = {}
    now = Stage({}, "/", "0:0", [], [])
    for line in lines:
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            parent, _, name = rest.partition(" AS ")
            base = stages.get(parent.strip(), Stage({}, "/", "0:0", [], []))
            environment, copied, made = {**base.environment}, [*base.copied], [*base.made]
            now = stages[name.strip()] = Stage(environment, base.workdir, base.user, copied, made)
            continue
        name = next(reversed(stages), "")
        if word == "ENV":
            now.environment.update(dict(part.split("=", 1) for part in rest.split()))
        elif word in ("WORKDIR", "USER"):
            fields = {"workdir": now.workdir, "user": now.user, {"WORKDIR": "workdir", "USER": "user"}[word]: rest}
            now = stages[name] = Stage(now.environment, fields["workdir"], fields["user"], now.copied, now.made)
        elif word == "RUN" and (found := re.search(r"install -d (?:-\w \S+ )*([^&]+)", rest)):
            now.made.extend(found[1].split())
        elif word == "COPY" and not rest.startswith("--from"):
            *sources, place = rest.split()
            into = [
                f"{now.workdir}/{Path(s).name}" if place.endswith("/") else f"{now.workdir}/{place}" for s in sources
            ]
            now.copied.extend(zip(sources, into, strict=True))
    return stages


def _service(name: str, each: Mapping[str, Any], files: Mapping[str, str], stages: Mapping[str, Stage]) -> Service:
    target = each.get("build", {}).get("target", "")
    stage = stages[target] if target else Stage({}, "/", "0:0", [], [])
    inside = {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin", **stage.environment}
    given = {key: str(value if value is not None else "") for key, value in each.get("environment", {}).items()}
    inside = {key: value.replace("${GIT_COMMIT}", "unknown") for key, value in inside.items()}
    return Service(
        name=name,
        image=each.get("image", ""),
        target=target,
        command=[str(part).replace("$$", "$") for part in each.get("command", [])],
        environment={**inside, **given},
        user=each.get("user", stage.user),
        workdir=stage.workdir,
        read_only=bool(each.get("read_only")),
        mounts=[mount_of(given) for given in each.get("volumes", [])],
        tmpfs=[str(text).split(":")[0] for text in each.get("tmpfs", [])],
        secrets={secret["source"]: files[secret["source"]] for secret in each.get("secrets", [])},
        depends_on={other: how["condition"] for other, how in each.get("depends_on", {}).items()},
        health=_health(each["healthcheck"]) if "healthcheck" in each else None,
        is_one_shot=each.get("restart") == "no",
        copied=stage.copied,
        made=stage.made,
    )


def mount_of(given: str | Mapping[str, Any]) -> tuple[str, str, bool]:
    """(source, place inside, read-only) of a mount: Compose 1 resolves it to one text, Compose 2 to its parts."""
    if isinstance(given, Mapping):
        return given["source"], given["target"], bool(given.get("read_only"))
    source, inside, *mode = given.split(":")
    return source, inside, mode == ["ro"]


def _health(each: Mapping[str, Any]) -> Health:
    kind, *rest = [str(part).replace("$$", "$") for part in each["test"]]
    command = ["/bin/sh", "-c", *rest] if kind == "CMD-SHELL" else rest
    times = [_seconds(str(each[name])) for name in ("interval", "timeout", "start_period")]
    return Health(command, times[0], times[1], int(each["retries"]), times[2])


def _seconds(text: str) -> float:
    found = _SECONDS.fullmatch(text)
    assert found, f"{text!r} is no span of time"
    return int(found[1] or 0) * 60 + int(found[2] or 0)
