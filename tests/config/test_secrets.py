"""Secrets come out of the environment or out of files, and are refused and never shown anywhere else."""

import re
import traceback
from pathlib import Path

import pytest

from config.errors import SettingsError, shown
from config.secrets import MAX_BYTES, REDIS_PASSWORD, SECRETS, known_values, read_secret
from config.settings import explain, load
from scripts.validate_config import main as validate_config

PLANTED = "pl4nted-s3cret"


def _written(folder: Path, text: str) -> Path:
    file = folder / "config" / "app.yml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def _refusal(folder: Path, text: str, environ: dict[str, str] | None = None) -> str:
    """What is said, with everything a traceback would show."""
    with pytest.raises(SettingsError) as refused:
        load(_written(folder, text), environ or {})
    whole = "".join(traceback.format_exception(refused.value))
    assert PLANTED not in whole
    return str(refused.value)


def test_a_secret_is_the_variable_or_the_file_it_names(tmp_path: Path) -> None:
    """A line end is no part of it, blank counts as unset."""
    (tmp_path / "password").write_text(f"{PLANTED}\n")
    assert read_secret(REDIS_PASSWORD, {}) == ""
    assert read_secret(REDIS_PASSWORD, {"REDIS_PASSWORD": " ", "REDIS_PASSWORD_FILE": ""}) == ""
    assert read_secret(REDIS_PASSWORD, {"REDIS_PASSWORD": f" {PLANTED} "}) == PLANTED
    assert read_secret(REDIS_PASSWORD, {"REDIS_PASSWORD_FILE": str(tmp_path / "password")}) == PLANTED


@pytest.mark.parametrize("content", [None, b"", b"  \n", b"\xff\xfe", b"x" * (MAX_BYTES + 1)])
def test_a_file_that_gives_no_secret_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """Missing, empty, not text, too large: named with its path, never quoted."""
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"environment REDIS_PASSWORD_FILE: .*password"):
        read_secret(REDIS_PASSWORD, {"REDIS_PASSWORD_FILE": str(path)})


def test_two_sources_of_one_secret_are_refused(tmp_path: Path) -> None:
    """Nobody can tell which one was meant."""
    (tmp_path / "password").write_text(PLANTED)
    environ = {"REDIS_PASSWORD": PLANTED, "REDIS_PASSWORD_FILE": str(tmp_path / "password")}
    assert "REDIS_PASSWORD is given too; keep one" in _refusal(tmp_path, "", environ)


def test_every_knob_may_come_from_a_file(tmp_path: Path) -> None:
    """An address may hold a password; so may a list of targets."""
    (tmp_path / "url").write_text(f"postgresql://me:{PLANTED}@db/mlflow\n")
    (tmp_path / "targets").write_text(f"log, tgram://{PLANTED}/1\n")
    environ = {
        "REGISTRY_TRACKING_URI_FILE": str(tmp_path / "url"),
        "RELEASE_NOTIFY_FILE": str(tmp_path / "targets"),
    }
    found = explain(_written(tmp_path, ""), environ)
    assert found.settings.registry.tracking_uri == f"postgresql://me:{PLANTED}@db/mlflow"
    assert found.settings.release.notify == ("log", f"tgram://{PLANTED}/1")
    assert found.origins["release.notify"] == "environment RELEASE_NOTIFY_FILE"
    assert shown(found.value("registry.tracking_uri")) == "postgresql://***@db/mlflow"
    assert shown(found.value("release.notify")) == "log, tgram://***"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"redis: {{password: {PLANTED}}}", "redis.password would be a secret.*REDIS_PASSWORD_FILE"),
        (f"exchange: {{api_key: {PLANTED}}}", "exchange.api_key would be a secret.*EXCHANGE_API_KEY"),
        (f"exchange: {{api_secret: {PLANTED}}}", "exchange.api_secret would be a secret"),
        (f"redis: {{url: 'redis://me:{PLANTED}@host:1'}}", "redis.url is an address with a secret.*REDIS_URL_FILE"),
        (f"registry: {{tracking_uri: 'postgresql://m:{PLANTED}@db/x'}}", "registry.tracking_uri is an address with"),
        (f"release: {{notify: [log, 'tgram://{PLANTED}/1']}}", "release.notify is an address with a secret"),
        (f"release: {{notify: ['mailto://me:{PLANTED}@mail.example']}}", "release.notify is an address with a secret"),
    ],
)
def test_a_secret_in_the_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """The file is copied and committed: the message says where else, and does not repeat it."""
    found = _refusal(tmp_path, text)
    assert re.search(said, found), found


def test_a_value_that_is_refused_is_not_quoted_with_its_password(tmp_path: Path) -> None:
    """The schema says what it found: without the password, in the sentence and in the traceback."""
    environ = {"REGISTRY_TRACKING_URI": f"mysql://me:{PLANTED}@db/x", "REDIS_URL": f"rediss://:{PLANTED}@h"}
    found = _refusal(tmp_path, f"redis: 'redis://:{PLANTED}@host'\n", {})
    assert "redis must be a mapping of keys to values" in found
    found = _refusal(tmp_path, "", environ)
    assert "registry.tracking_uri must be a text that matches" in found and "mysql://***@db/x" in found


def test_plain_places_may_stand_in_the_file(tmp_path: Path) -> None:
    """An address without a password, and a webhook on our own machine, give nothing away."""
    text = "redis: {url: 'redis://host:6379/0'}\nrelease: {notify: [log, 'json://127.0.0.1:9/hook']}\n"
    assert load(_written(tmp_path, text), {}).redis.url == "redis://host:6379/0"


def test_the_password_of_the_streams_is_laid_into_their_address(tmp_path: Path) -> None:
    """Quoted, with the certificates behind it; an address that names a user, and a socket, are left alone."""
    environ = {
        "REDIS_URL": "rediss://host:6380/0",
        "REDIS_USERNAME": "risk",
        "REDIS_PASSWORD": "a/b@c:d",
        "REDIS_CA_FILE": "/etc/ca.pem",
        "REDIS_CERT_FILE": "/etc/own.pem",
        "REDIS_KEY_FILE": "/etc/own.key",
    }
    file = _written(tmp_path, "")
    assert load(file, environ).redis.url == (
        "rediss://risk:a%2Fb%40c%3Ad@host:6380/0"
        "?ssl_ca_certs=%2Fetc%2Fca.pem&ssl_certfile=%2Fetc%2Fown.pem&ssl_keyfile=%2Fetc%2Fown.key"
    )
    markets = load(file, environ | {"REDIS_MARKET_URLS": "redis://a:1, redis://b:2"}).redis.market_urls
    assert markets == ("redis://risk:a%2Fb%40c%3Ad@a:1", "redis://risk:a%2Fb%40c%3Ad@b:2")
    named = {"REDIS_URL": "redis://other:pw@host:1", "REDIS_USERNAME": "risk", "REDIS_PASSWORD": "x-y-z"}
    assert load(file, named).redis.url == "redis://other:pw@host:1"
    assert load(file, named | {"REDIS_URL": "unix:///run/s.sock"}).redis.url == "unix:///run/s.sock"
    assert load(file, named | {"REDIS_URL": ""}).redis.url == ""


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"REDIS_CERT_FILE": "/a", "REDIS_URL": "rediss://h"}, "redis.cert_file and redis.key_file belong together"),
        ({"REDIS_CA_FILE": "/a", "REDIS_URL": "redis://h"}, "redis.ca_file is for TLS"),
        ({"REDIS_USERNAME": "risk", "REDIS_URL": "redis://h"}, "there is no password; set REDIS_PASSWORD"),
        ({"REDIS_PASWORD": "x"}, "did you mean REDIS_PASSWORD?"),
    ],
)
def test_half_of_tls_and_a_slip_of_the_keys_are_refused(tmp_path: Path, environ: dict[str, str], said: str) -> None:
    """A certificate without its key, TLS without TLS, a secret misspelt."""
    assert said in _refusal(tmp_path, "", environ)


def test_what_is_in_force_is_shown_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`validate_config.py --show` may be pasted into a ticket."""
    monkeypatch.setenv("REDIS_URL", "redis://host:6379/0")
    monkeypatch.setenv("REDIS_PASSWORD", PLANTED)
    monkeypatch.setenv("RELEASE_NOTIFY", f"tgram://{PLANTED}/1")
    assert validate_config([str(_written(tmp_path, "")), "--show"]) == 0
    said = capsys.readouterr().out
    assert "redis://***@host:6379/0" in said and "tgram://***" in said and PLANTED not in said


def test_known_values_are_those_given(tmp_path: Path) -> None:
    """Longest first, so that one that holds another is hidden whole; a file that cannot be read hides nothing."""
    (tmp_path / "key").write_text("longer-than-the-other\n")
    environ = {
        "EXCHANGE_API_KEY_FILE": str(tmp_path / "key"),
        "REDIS_PASSWORD": "other",
        "EXCHANGE_API_SECRET_FILE": "/",
        "MLFLOW_TRACKING_USERNAME": "reader",  # an ordinary word, which would be gone from every line
    }
    assert known_values(environ) == ("longer-than-the-other", "other")
    assert len({each.variable for each in SECRETS}) == len(SECRETS)
