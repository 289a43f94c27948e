"""The passwords of a stack: made once, readable by containers, shown to nobody, and the same that Redis is told."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.make_secrets import main
from tests.live.parts import ROOT


def test_every_secret_is_made_once_and_renewed_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """None is shown."""
    assert main(["--into", str(tmp_path / "s")]) == 0
    before = {file.name: file.read_text() for file in (tmp_path / "s").iterdir() if file.is_file()}
    assert main(["--into", str(tmp_path / "s")]) == 0
    assert "0 of them new" in capsys.readouterr().out.splitlines()[-1]
    assert main(["--into", str(tmp_path / "s"), "--renew", "redis_risk"]) == 0
    after = {file.name: file.read_text() for file in (tmp_path / "s").iterdir() if file.is_file()}
    assert {name for name in before if before[name] != after[name]} == {"redis_risk", "redis_users"}
    assert len({*before.values()}) == len(before)
    assert not [text for text in before.values() if text in capsys.readouterr().out]


def test_redis_is_told_digests_alone(tmp_path: Path) -> None:
    """Of the passwords that the services send."""
    main(["--into", str(tmp_path)])
    users = (tmp_path / "redis_users").read_text()
    digest = hashlib.sha256((tmp_path / "redis_risk").read_bytes()).hexdigest()
    assert f"user risk on #{digest} " in users
    assert "@risk@" not in users
    assert (tmp_path / "redis_risk").read_text() not in users


def test_the_folder_is_ours_and_the_files_can_be_read_in_containers(tmp_path: Path) -> None:
    """Compose mounts files with the mode they have outside."""
    main(["--into", str(tmp_path / "s")])
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o700
    modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "s").iterdir() if file.is_file()}
    assert modes.pop("alert_webhook") == 0o644
    assert {*modes.values()} == {0o444}


def test_where_alerts_go_is_a_persons_to_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A default before, which leads out of the container; afterwards it is left alone."""
    main(["--into", str(tmp_path)])
    assert (tmp_path / "alert_webhook").read_text() == "http://host.docker.internal:9095/alerts\n"
    (tmp_path / "alert_webhook").write_text("https://pager.example/token")
    main(["--into", str(tmp_path)])
    assert (tmp_path / "alert_webhook").read_text() == "https://pager.example/token"
    assert main(["--into", str(tmp_path), "--renew", "alert_webhook"]) == 1
    assert "no password is called alert_webhook" in capsys.readouterr().err


def test_a_name_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With those there are."""
    assert main(["--into", str(tmp_path), "--renew", "nosuch"]) == 1
    assert "no password is called nosuch; there are grafana_admin" in capsys.readouterr().err


def test_a_host_that_has_nothing_of_ours_installed_can_run_it(tmp_path: Path) -> None:
    """By a Python without any package, from anywhere; into a folder that is a file it says why not."""
    script = [sys.executable, "-I", "-S", str(ROOT / "scripts" / "make_secrets.py"), "--into"]
    done = subprocess.run([*script, str(tmp_path / "s")], cwd="/", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "file").touch()
    done = subprocess.run([*script, str(tmp_path / "file")], cwd="/", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
