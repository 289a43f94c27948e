"""Every service as its own user on a server with TLS and ACL: they trade on paper, and no secret is seen anywhere."""

import urllib.request
from pathlib import Path
from typing import cast

import pytest

from bus import streams
from scripts.control import main as control
from tests.bus.secured import password_of, secured_server
from tests.bus.servers import RealServer
from tests.journeys.live.processes import Process, Site, wait
from tests.journeys.live.scoring import LASTING, PlayedEngine
from tests.journeys.played import bodies, mirror

SERVICES = ("collector", "signal_engine", "ai_scorer", "executor", "risk")
PLANTED = {"EXCHANGE_API_KEY": "pl4nted-venue-k3y", "EXCHANGE_API_SECRET": "pl4nted-venue-s3cret"}


class _Place:
    """What a site asks of its server."""

    def __init__(self, url: str) -> None:
        self.url = url


def pages(place: Site, process: Process) -> str:
    """What a service shows on /metrics, as it is."""
    beat = place.beat(process)
    assert beat is not None
    with urllib.request.urlopen(f"http://127.0.0.1:{beat.metrics_port}/metrics", timeout=10) as page:
        return str(page.read().decode())


@pytest.mark.slow
def test_services_trade_each_as_its_own_user_and_tell_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Orders come of it; logs, metrics, heartbeats, files and an operator's commands hold none of the secrets."""
    mirror(tmp_path).put("active", 1, tau=0.0)
    with secured_server(tmp_path / "redis") as server:
        place = Site(tmp_path, cast(RealServer, _Place(server.url_of("operator"))))
        place.url = server.place
        place.environ |= {
            **server.environ,
            **PLANTED,
            **LASTING,
            "SERVING_LOG_LEVEL": "debug",
        }
        try:
            started = {name: place.start(name, **server.login(name)) for name in reversed(SERVICES)}
            wait(lambda: all(place.is_ready(each) for each in started.values()), "every service")
            assert started["signal_engine"].end() == 0
            engine = PlayedEngine(server.url_of("signal_engine"))
            engine.play(lambda: bool(bodies(place.bus, streams.REPORTS)), "an approval acted on")
            engine.close()
            assert bodies(place.bus, streams.APPROVED)
            shown = "".join(pages(place, started[name]) for name in SERVICES if started[name].is_running)
            beats = b"".join(place.bus.values("hb:").values()).decode()
            stranger = place.start("risk", **server.login("executor"), PATHS_VAR=str(tmp_path / "other"))
            assert stranger.wait() == 1, "risk must not run as the executor's user"
            assert "NOPERM" in stranger.text()
            wrong = place.start(
                "risk",
                PATHS_VAR=str(tmp_path / "other"),
                REDIS_USERNAME="risk",
                REDIS_PASSWORD="wr0ng-" + password_of("risk"),
            )
            assert wrong.wait() == 1 and "does not let us in" in wrong.text()
            for name, value in {**place.environ, **server.login("operator"), "REDIS_URL": server.place}.items():
                monkeypatch.setenv(name, value)
            assert control(["paper", "--by", "test"]) == 0
            for name in (each for each in SERVICES if each != "signal_engine"):
                assert started[name].end() == 0, started[name].text()[-2_000:]
        finally:
            place.close()
    logs = "".join(each.read_text(errors="replace") for each in tmp_path.glob("*.log"))
    files = "".join(each.read_text(errors="replace") for each in (tmp_path / "var").rglob("*") if each.is_file())
    said = "".join(capsys.readouterr())
    assert "NOPERM" not in "".join(started[name].text() for name in SERVICES)
    assert "services_started" in logs and "service_ready" in shown and "executor" in beats and "MODE_SWITCH" in said
    for secret in (*PLANTED.values(), *(password_of(name) for name in (*SERVICES, "operator"))):
        for where, text in {"logs": logs, "metrics": shown, "beats": beats, "files": files, "commands": said}.items():
            assert secret not in text, f"{where} tell {secret}"
