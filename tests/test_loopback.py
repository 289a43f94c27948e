"""Nothing is shown to the network unless somebody asks for it."""

import ast
from pathlib import Path

import pytest
import yaml

from config.settings import Settings
from tests.style_bar import ROOT
from tidegate.up import pages_of

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - what must not stand anywhere
_PACKAGES = (
    "archive",
    "bus",
    "config",
    "evaluation",
    "live",
    "market",
    "monitoring",
    "pipelines",
    "registry",
    "tidegate",
)


def _texts(path: Path) -> set[str]:
    return {
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_metrics_listen_on_loopback_by_default() -> None:
    """And a person has to write down any other address."""
    assert Settings().serving.host == "127.0.0.1"


def test_pages_are_opened_on_loopback() -> None:
    """Dagster's and MLflow's, as `make up` starts them."""
    for page in pages_of("sqlite:///x.db", "artifacts", 3000, 5000):
        command = [str(each) for each in page.command]
        assert "127.0.0.1" in command


@pytest.mark.parametrize("package", _PACKAGES)
def test_no_module_listens_everywhere(package: str) -> None:
    """Not by a default that was left in code."""
    found = {path.name for path in (ROOT / package).rglob("*.py") if _texts(path) & set(_EVERYWHERE)}
    assert found <= {"health.py"}  # it asks such a service on loopback


def test_compose_publishes_on_loopback() -> None:
    """Every port of docker-compose.yml that reaches the host."""
    path = ROOT / "docker-compose.yml"
    if not path.exists():
        pytest.skip("there is no docker-compose.yml")
    services = yaml.safe_load(path.read_text())["services"].values()
    ports = [str(port) for service in services for port in service.get("ports", [])]
    assert ports
    assert [each for each in ports if not each.startswith("127.0.0.1:")] == []
