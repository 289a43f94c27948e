"""The drills themselves, each as `python -m tidegate drill NAME` runs it, on one small model trained for all."""

from pathlib import Path

import pytest

from tests.bus.servers import needs_redis
from tidegate.drills.catalog import DRILLS
from tidegate.drills.running import one
from tidegate.drills.training import Trained, trained


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the drills of this session have their folders."""
    return tmp_path_factory.mktemp("drills")


@pytest.fixture(scope="session")
def stage(root: Path) -> Trained:
    """Trained once."""
    return trained(root)


@pytest.mark.slow
@needs_redis
@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
@pytest.mark.parametrize("name", DRILLS)
def test_the_runbook_holds(name: str, root: Path, stage: Trained) -> None:
    """The trouble is caused, everything promised is seen, and the runbook's commands bring it back."""
    told: list[str] = []
    result = one(DRILLS[name], root, stage, told.append)
    assert result.passed, "\n".join(told)
