"""docs/runbook.md holds what it says: metrics, keys, reasons, streams, paths and commands are real, and each section
has a drill that types the very commands it names."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import pytest
import yaml

from bus import streams
from config.settings import all_knobs
from live.wiring import SERVICES
from monitoring import metrics
from monitoring.reference import declared
from monitoring.runbook import OF_METRIC, OF_REASON, PAGE, SECTIONS
from pipelines.definitions import defs
from tests.style_bar import ROOT
from tidegate.__main__ import app
from tidegate.drills.catalog import DRILLS
from tidegate.runbook import Section, metric_of, page

METRICS = {each.name: each for each in declared()}
KEYS = {each.key for each in all_knobs()}
REASONS = {*metrics.FAIL_SAFE_REASONS, *metrics.ROLLBACK_REASONS}
WORDS = {
    *REASONS, *metrics.GATES, *metrics.MODES, *streams.DURABLE, *metrics.DROP_MODES,
    "disabled", "risk", "parity", "onnx_bundle", "release_move", "<MODEL_ID>", "/metrics",
}  # fmt: skip
"""What stands as code on the page and is neither metric, key, command nor path."""
MADE_BY_RUNNING = ("models/registry/", "data/parquet")
"""Paths that are there once something ran."""


def unknown(section: Section) -> Iterator[str]:
    """Names of a section that nothing goes by."""
    for name in section.names:
        bare = name.removeprefix("XLEN ").removesuffix("_*")
        if bare in KEYS or bare in WORDS or is_path(bare) or is_metric(bare):
            continue
        yield name


def is_metric(name: str) -> bool:
    """Whether a name, with its labels, is a metric as it is declared; a value, where one is given, one it can have."""
    read = metric_of(name)
    if read is None or read[0] not in METRICS:
        return False
    given = {label: value for label, value in read[1].items() if value}
    return set(read[1]) <= set(METRICS[read[0]].labels) and all(
        value in WORDS or value in metrics.ORDER_STATES for value in given.values()
    )


def is_path(name: str) -> bool:
    """Whether a name is a file of the checkout, or of what a run makes."""
    return "/" in name and ((ROOT / name).exists() or name.startswith(MADE_BY_RUNNING))


def test_every_section_is_there_in_its_order() -> None:
    """The table that alerts link by is the page's own headings."""
    assert {anchor: each.title for anchor, each in page().items()} == dict(SECTIONS)
    assert list(page()) == list(SECTIONS)


@pytest.mark.parametrize("anchor", SECTIONS)
def test_every_name_is_real(anchor: str) -> None:
    """A metric that is renamed, a key that goes, a file that moves: the page that names it is wrong."""
    assert list(unknown(page()[anchor])) == []


def test_a_metric_that_is_deleted_turns_the_page_red(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check itself is no stub."""
    for name in ("rollback_total", "psi_feature", "warmup_drop_total"):
        monkeypatch.delitem(METRICS, name)
    found = [name for each in page().values() for name in unknown(each)]
    assert 'rollback_total{reason="onnx_parity_fail"}' in found
    assert "warmup_drop_total{symbol}" in found
    assert "psi_feature{feature}" in found


def test_every_reason_links_to_a_section_that_explains_it() -> None:
    """Of halts and of rollbacks; no reason is in the table that is none."""
    assert set(OF_REASON) == REASONS
    for reason, anchor in OF_REASON.items():
        text = page()[anchor].text
        assert f"`{reason}`" in text or f"`{reason}_*`" in text, f"{PAGE}#{anchor} does not say what {reason} is"


def test_every_metric_that_alerts_watch_is_looked_at_in_its_section() -> None:
    """Whoever follows an alert finds the number it was about."""
    for name, anchor in OF_METRIC.items():
        assert name in METRICS
        assert re.search(rf"`{name}[`{{]", page()[anchor].text), f"{PAGE}#{anchor} does not look at {name}"


def test_every_section_has_a_drill_and_names_it() -> None:
    """One at least, and no drill is about nothing."""
    assert {drill.section for drill in DRILLS.values()} == set(SECTIONS)
    for name, drill in DRILLS.items():
        assert f"`python -m tidegate drill {name}`" in page()[drill.section].text


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
@pytest.mark.parametrize("command", sorted({line for each in page().values() for line in each.commands}))
def test_every_command_is_one_that_can_be_typed(command: str) -> None:
    """The program is there and takes the options; that it does what is said is for the drills."""
    words = [word for word in shlex.split(command) if not re.match(r"^[A-Z_]+=", word)]
    match words:
        case ["python", "-m", "tidegate", *rest]:
            assert known_verb(rest)
        case ["python", "-m", "dagster", "job", "execute", "-m", "pipelines.definitions", "-j", job, *_]:
            assert defs.resolve_job_def(job).name == job
        case ["python", "-m", "dagster", "run", "list", *_]:
            pass
        case ["python", script, *options] if script.startswith("scripts/"):
            assert set(flags(options)) <= set(flags(shlex.split(help_of([sys.executable, script]))))
        case ["bash", script, *options]:
            assert set(flags(options)) <= set(
                flags((ROOT / script).read_text().replace(")", " ").replace("=*", "").split())
            )
        case ["python", "-m", "live", *services]:
            assert set(services) <= {*SERVICES, "all"}
        case ["docker", "compose", "--profile", profile, "up", "-d", *services]:
            assert profile in profiles_of(services)
        case _:
            pytest.fail(f"nobody knows how to check {command}")


def profiles_of(names: list[str]) -> set[str]:
    """The profiles that every one of these services of docker-compose.yml has. Raises KeyError for a strange one."""
    known = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    return set.intersection(*(set(known[name]["profiles"]) for name in names))


def flags(words: list[str]) -> list[str]:
    """The options among words."""
    return [found[0] for word in words if (found := re.match(r"--[a-z-]+", word.strip("[],.;|()")))]


def help_of(command: list[str]) -> str:
    """What a script says of itself."""
    done = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.replace("'", " ").replace('"', " ")


def known_verb(words: list[str]) -> bool:
    """Whether the operator's command has this verb, or verb of verbs, and it can be called so."""
    from typer.main import get_command  # noqa: PLC0415

    found = get_command(app)
    for word in words:
        inner = getattr(found, "commands", {}).get(word)
        if inner is None:
            break
        found = inner
    options = {name for each in found.params for name in each.opts}
    return found is not get_command(app) and set(flags(words)) <= options
