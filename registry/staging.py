"""What is laid out before it goes into a run: artifacts as files, metrics that are numbers. Free of MLflow."""

import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote

from monitoring.masking import masked
from registry.errors import RegistryError

_LOCAL = ("", "file")
_SERVER_S = "mlflow-artifacts"


def check_metrics(metrics: Mapping[str, float]) -> None:
    """Raise RegistryError naming a metric that is not finite: MLflow would keep it, and no page could compare it."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise RegistryError(f"metric {name} is {value}; leave out what could not be measured")


def check_source(source: str, artifact_root: str) -> None:
    """Refuse a bundle's place that the registry made up: a local one outside our artifacts, one that climbs out, or one
    of another kind than registry.artifacts is.

    What MLflow's server keeps is asked of that server alone. Raises RegistryError. What lies there is proven by its
    sha256 later; a place is not asked for that is not ours.
    """
    scheme, root_scheme = _scheme(source), _scheme(artifact_root)
    if not source or ".." in unquote(source).split("/") or "\0" in source:
        raise RegistryError(
            f"bundle at {masked(source)!r:.120}: no place of an artifact; look at the version in MLflow"
        )
    if scheme in _LOCAL:
        is_ours = root_scheme in _LOCAL and _path(source).is_relative_to(_path(artifact_root))
    elif scheme == _SERVER_S:
        is_ours = not source.startswith(f"{_SERVER_S}://") or source.startswith(f"{_SERVER_S}:///")
    else:
        is_ours = scheme == root_scheme
    if not is_ours:
        raise RegistryError(
            f"bundle at {masked(source)!r:.120} lies outside registry.artifacts {masked(artifact_root)}; register it "
            "there again"
        )


def _scheme(place: str) -> str:
    """What stands before `:/`, in small letters; empty for a path."""
    head, colon, _ = place.partition(":/")
    return head.lower() if colon and "/" not in head else ""


def _path(place: str) -> Path:
    """The local path that a path or a file: URL names."""
    rest = place.partition(":")[2].removeprefix("//") if _scheme(place) else place
    return Path(unquote(rest)).resolve()


def stage(artifacts: Mapping[str, Path | bytes | str], folder: Path) -> None:
    """Lay the artifacts out below a folder as they shall stand in the run: bytes, text, or a file or folder to copy.

    Raises RegistryError for a key that points outside the run, and for a file that is missing.
    """
    for key, content in artifacts.items():
        target = (folder / key).resolve()
        if not target.is_relative_to(folder.resolve()) or target == folder.resolve():
            raise RegistryError(f"artifact {key!r} does not name a place inside the run; use a relative path")
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            if not content.exists():
                raise RegistryError(f"artifact {key!r}: {content} does not exist; materialize what makes it first")
            copy: Callable[[Path, Path], object] = shutil.copytree if content.is_dir() else shutil.copyfile
            copy(content, target)
        else:
            target.write_bytes(content.encode() if isinstance(content, str) else content)
