import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from bus.server import serve
from tests.tidegate.live_side import NOW_NS
from tidegate.doctor.finding import Finding
from tidegate.doctor.visit import findings, plain, run, show

FOUND = [
    Finding("python", "ok", "3.11"),
    Finding("disk", "warn", "4 GB", "make room"),
    Finding("mirror", "fail", "another", "sync"),
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout in which nothing ever ran."""
    for name in ("DO_NOT_TRACK", "OMP_NUM_THREADS", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION"):
        monkeypatch.setenv(name, "1")
    for name, folder in (("PATHS_VAR", "var"), ("PATHS_LAKE", "lake"), ("REGISTRY_MIRROR", "mirror")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setenv("REGISTRY_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("SERVING_METRICS_PORT", "0")
    return tmp_path


def test_where_nothing_ran_yet_nothing_must_be_mended(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0 unless the machine itself is unfit; every thing has a line, and looking made nothing."""
    code = run(as_json=True)
    told = json.loads(capsys.readouterr().out)
    by_name = {each["name"]: each for each in told["findings"]}
    assert set(by_name) >= {
        "python", "packages", "disk", "memory", "clock", "tools", "configuration", "ports", "lake", "redis", "mode",
        "registry", "sensors",
    }  # fmt: skip
    assert told["well"] is (code == 0)
    assert by_name["redis"]["level"] == by_name["lake"]["level"] == by_name["registry"]["level"] == "warn"
    assert list(place.iterdir()) == []


def test_a_wrong_configuration_is_a_finding_of_its_own(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong, and what shows it; the machine is still looked at."""
    monkeypatch.setenv("LABEL_HORIZON_SECONDS", "-1")
    found = list(findings({"LABEL_HORIZON_SECONDS": "-1"}, NOW_NS))
    assert found[0].name == "python"
    assert (found[-1].name, found[-1].level) == ("configuration", "fail")
    assert "LABEL_HORIZON_SECONDS" in found[-1].says


def test_streams_without_services_are_seen(place: Path) -> None:
    """The server is well, and each service has a line."""
    environ = {"PATHS_VAR": str(place / "var"), "REGISTRY_MIRROR": str(place / "m"), "SERVING_METRICS_PORT": "0"}
    with serve(place / "var" / "redis"):
        found = [(each.name, each.level) for each in findings(environ, NOW_NS)]
    assert ("redis", "ok") in found
    assert ("services", "warn") in found


@pytest.mark.parametrize(("brief", "lines"), [(True, ["disk", "mirror"]), (False, ["python", "disk", "mirror"])])
def test_brief_leaves_out_what_is_ok(brief: bool, lines: list[str]) -> None:
    """The count tells of all."""
    screen = io.StringIO()
    show(Console(file=screen, width=100, color_system=None), FOUND, brief=brief)
    told = screen.getvalue()
    assert [name for name in ("python", "disk", "mirror") if name in told] == lines
    assert "→ make room" in told
    assert "1 ok, 1 to know of, 1 to mend" in told


def test_as_plain_values_it_says_whether_all_is_well() -> None:
    """A warning leaves it so."""
    assert plain(FOUND)["well"] is False
    assert plain(FOUND[:2])["well"] is True
