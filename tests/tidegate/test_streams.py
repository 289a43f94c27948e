import shutil
from pathlib import Path

import pytest

from bus.server import serve
from tests.live.parts import settings
from tidegate.streams import NoStreams, opened


def test_nothing_is_started_by_looking(tmp_path: Path) -> None:
    """It says what to start instead."""
    with pytest.raises(NoStreams, match="python -m live all"), opened(settings({"paths": {"var": str(tmp_path)}})):
        pass
    assert not (tmp_path / "redis" / "s.sock").exists()


@pytest.mark.skipif(not shutil.which("redis-server"), reason="no redis-server on PATH")
def test_the_server_below_the_var_folder_is_found(tmp_path: Path) -> None:
    """And an address that is given is taken as it is."""
    with serve(tmp_path / "redis") as server:
        with opened(settings({"paths": {"var": str(tmp_path)}})) as bus:
            assert bus.last_id("x") == "0-0"
        with opened(settings(), server.url) as bus:
            assert bus.last_id("x") == "0-0"
