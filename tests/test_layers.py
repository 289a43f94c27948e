"""The import contracts cover every package, and catch what they forbid."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from tests.style_bar import ROOT

_NO_PACKAGES = {"tests", "benchmarks", "scripts"}

# A statement that must not be written in a package, and the import that the report has to name for it.
_BREACHES = {
    "market": ("import archive.store", "market.planted -> archive.store"),
    "evaluation": ("import pandas", "evaluation.planted -> pandas"),
    "archive": ("import redis", "archive.planted -> redis"),
    "registry": ("import bus", "registry.planted -> bus"),
    "bus": ("import pyarrow", "bus.planted -> pyarrow"),
    "config": ("import pipelines", "config.planted -> pipelines"),
    "live": ("import registry.store", "live.planted -> registry.store"),
    "pipelines": ("import mlflow", "pipelines.planted -> mlflow"),
    "monitoring": ("import dagster", "monitoring.planted -> dagster"),
    "tidegate": ("import prometheus_client", "tidegate.planted -> prometheus_client"),
}


def _linter_settings() -> dict[str, Any]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return dict(settings["tool"]["importlinter"])


def test_the_contracts_name_every_package_there_is() -> None:
    """A new top-level package is under the layers from its first day, or this fails."""
    settings = _linter_settings()
    there = {place.parent.name for place in ROOT.glob("*/*.py")} - _NO_PACKAGES
    layers = settings["contracts"][0]["layers"]
    in_layers = {name.strip() for layer in layers for name in layer.split("|")}
    assert there == set(settings["root_packages"]) == in_layers


def test_each_planted_breach_is_caught(tmp_path: Path) -> None:
    """Ten packages, one forbidden import in each, and the report names all ten."""
    settings = _linter_settings()
    for package in settings["root_packages"]:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    for contract in settings["contracts"]:
        for module in (*contract.get("source_modules", ()), *contract.get("forbidden_modules", ())):
            package, _, name = module.partition(".")
            if name:
                (tmp_path / package / f"{name}.py").touch()
    (tmp_path / "archive" / "store.py").touch()
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text(encoding="utf-8"), encoding="utf-8")
    assert set(_BREACHES) == set(settings["root_packages"])
    assert _lint(tmp_path).returncode == 0
    for package, (statement, _) in _BREACHES.items():
        (tmp_path / package / "planted.py").write_text(statement + "\n", encoding="utf-8")
    report = _lint(tmp_path)
    assert report.returncode == 1
    assert [found for _, found in _BREACHES.values() if found not in report.stdout] == []


def test_the_trading_side_imports_with_the_live_extra_alone() -> None:
    """Every module live may use loads where Dagster, MLflow and the trainer were never installed."""
    trainers = ("dagster", "mlflow", "lightgbm", "onnx", "skl2onnx", "sklearn", "pandas", "evidently", "matplotlib")
    rooms = ("market", "evaluation", "monitoring", "bus", "archive", "registry", "config", "live")
    program = f"""
import importlib, pkgutil, sys
sys.modules.update(dict.fromkeys({trainers}))
for room in {rooms}:
    package = importlib.import_module(room)
    for module in pkgutil.walk_packages(package.__path__, room + "."):
        if module.name != "registry.store" and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
