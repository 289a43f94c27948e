"""What of an address may be shown."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.masking import HIDDEN, holds_password, masked, scrubbed, written

_SECRET = st.text("abcdefgh0123456789@:/%!+", min_size=8, max_size=20).map(lambda text: f"s3cr{text}3t")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://me:pw@host:6379/0", "redis://***@host:6379/0"),
        ("postgresql+psycopg2://me:p@w@db/mlflow is away", "postgresql+psycopg2://***@db/mlflow is away"),
        ("rediss://h/1?password=pw&ssl_ca_certs=/ca.pem", "rediss://h/1?password=***&ssl_ca_certs=/ca.pem"),
        ("sqlite:////srv/var/mlflow.db", "sqlite:////srv/var/mlflow.db"),
        ("s3://bucket/lake", "s3://bucket/lake"),
        ("tgram://123:abc/456", "tgram://***"),
        ("mailto://me:pw@mail.example", "mailto://***"),
        ("json://127.0.0.1:8080/hook", "json://127.0.0.1:8080/hook"),
        ("no address at all, user:pw@host", "no address at all, user:pw@host"),
    ],
)
def test_an_address_keeps_its_place_and_loses_the_rest(text: str, shown: str) -> None:
    """Where something is may be told; who we are there may not."""
    assert masked(text) == shown
    assert holds_password(text) == (shown != text)


@given(st.sampled_from(["redis", "rediss", "postgresql", "https", "tgram", "mailto"]), _SECRET)
def test_no_password_comes_through(scheme: str, secret: str) -> None:
    """Whatever signs it is made of, quoted or not."""
    assert secret not in masked(f"cannot open '{scheme}://me:{secret}@host:1/x': refused")


@given(st.text(max_size=200))
def test_masking_twice_is_masking_once(text: str) -> None:
    """What is shown can be shown on."""
    once = masked(text)
    assert masked(once) == once or HIDDEN in once


def test_known_values_go_wherever_they_stand() -> None:
    """A venue's library may quote a key in an error; a word of three letters is no secret."""
    assert scrubbed("GET /order?sig=topsecret&x=1 abc", ["topsecret", "abc", ""]) == f"GET /order?sig={HIDDEN}&x=1 abc"


@given(st.text("ab\"\\\n'é@/ ", min_size=8, max_size=20).map(lambda text: f"s3cr{text}3t"))
def test_a_secret_goes_however_a_line_writes_it(secret: str) -> None:
    """A log line is JSON, where a quote or a line's end is escaped; an error quotes by repr, an address by percent."""
    forms = written(secret)
    for line in (secret, json.dumps({"text": secret}), repr({"text": secret}), f"AUTH {quote(secret, safe='')} failed"):
        assert HIDDEN in scrubbed(line, forms)
        assert "s3cr" not in scrubbed(line, forms)
