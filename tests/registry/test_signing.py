"""A bundle is loaded by those who trust the key that signed it, and by nobody else."""

import base64
from pathlib import Path

import pytest

from config.settings import Settings
from live.errors import ModelRefused
from live.model_slots import Engine, load
from market.feature_spec import schema_hash
from registry.bundle import copy_bundle, verify_bundle
from registry.errors import BadSignature, FileError
from registry.manifest import Cause, Mirror
from registry.signing import SIGNATURE_FILE, Trust, new_key, sign, trust_of
from scripts.signing_key import main as make_key
from tests.live.mirrors import registered

_SHORT = base64.b64encode(b"x" * 31).decode()
_CAUSE = Cause(at="2026-01-07T00:00:00Z", by="test", reason="test")


def _trusting(folder: Path, *lines: str) -> Trust:
    path = folder / "trusted_keys"
    path.write_text("\n".join(["# whose models we run", "", *lines]) + "\n")
    return Trust.read(path)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle without a signature."""
    folder = tmp_path_factory.mktemp("bundle") / "made"
    registered(folder, 1)
    return folder


def _copy(bundle: Path, folder: Path) -> Path:
    copy_bundle(bundle, folder)
    return folder


def test_a_signed_bundle_is_trusted_by_its_key_alone(bundle: Path, tmp_path: Path) -> None:
    """And its signature travels with every copy."""
    private, public = new_key()
    signed = _copy(bundle, tmp_path / "signed")
    sign(signed, verify_bundle(signed), private)
    again = _copy(signed, tmp_path / "again")
    _trusting(tmp_path, new_key()[1], public).check(again, verify_bundle(again))
    with pytest.raises(BadSignature, match="which is none of"):
        _trusting(tmp_path, new_key()[1]).check(again, verify_bundle(again))
    assert private.splitlines()[1] not in (again / SIGNATURE_FILE).read_text()


def test_an_unsigned_or_tampered_bundle_is_refused(bundle: Path, tmp_path: Path) -> None:
    """Nobody's, a torn file, somebody else's signature under a trusted name, another bundle's signature."""
    (private, public), (other, _) = new_key(), new_key()
    trust = _trusting(tmp_path, public)
    plain = _copy(bundle, tmp_path / "plain")
    card = verify_bundle(plain)
    with pytest.raises(BadSignature, match="nobody signed it"):
        trust.check(plain, card)
    sign(plain, card, other)
    forged = (plain / SIGNATURE_FILE).read_text()
    name = next(iter(trust.keys))
    (plain / SIGNATURE_FILE).write_text(forged.replace(forged.split('"')[3], name))
    with pytest.raises(BadSignature, match="did not sign"):
        trust.check(plain, card)
    for content in (b"", b"{}", b'{"key":1}', b"\xff" * 10, b"x" * 10_000):
        (plain / SIGNATURE_FILE).write_bytes(content)
        with pytest.raises(BadSignature, match="no signature"):
            trust.check(plain, card)
    sign(plain, card, private)
    trust.check(plain, card)


def test_live_refuses_a_model_nobody_it_trusts_signed(bundle: Path, tmp_path: Path) -> None:
    """The scorer says why, and takes it once it is signed."""
    private, public = new_key()
    settings = Settings()
    made_for = (schema_hash(), settings.candidate.rule(), settings.label.rule())
    engine = Engine(*made_for, _trusting(tmp_path, public))
    plain = _copy(bundle, tmp_path / "plain")
    card = verify_bundle(plain)
    mirror = Mirror(tmp_path / "mirror")
    mirror.fill("active", plain, _CAUSE, card.sha256)
    load(tmp_path / "mirror", "active", Engine(*made_for))
    with pytest.raises(ModelRefused, match="nobody signed it") as refused:
        load(tmp_path / "mirror", "active", engine)
    assert refused.value.reason == "signature"
    sign((tmp_path / "mirror" / "active").resolve(), card, private)
    assert load(tmp_path / "mirror", "active", engine).version == 1


@pytest.mark.parametrize("line", ["ed25519", "rsa AAAA", "ed25519 !!!", f"ed25519 {_SHORT}"])
def test_a_key_that_is_none_is_named_by_its_line(tmp_path: Path, line: str) -> None:
    """A typo must not leave a host without trust in silence."""
    with pytest.raises(FileError, match="line 3: wanted 'ed25519 BASE64 NAME'"):
        _trusting(tmp_path, line)


def test_no_key_at_all_is_refused(tmp_path: Path) -> None:
    """Nothing could be loaded then; and without `required` nobody is asked."""
    with pytest.raises(FileError, match="it holds no key"):
        _trusting(tmp_path)
    with pytest.raises(FileError, match="trusted_keys"):
        trust_of("required", tmp_path / "missing")
    assert trust_of("none", tmp_path / "missing") is None


def test_a_private_key_that_is_none_is_refused_and_not_quoted(bundle: Path, tmp_path: Path) -> None:
    """It might be another secret, given in its place."""
    folder = _copy(bundle, tmp_path / "made")
    with pytest.raises(BadSignature) as refused:
        sign(folder, verify_bundle(folder), "pl4nted-s3cret")
    assert "pl4nted" not in str(refused.value)


def test_the_script_keeps_the_private_key_to_us(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that only we can read, never written over; the public line can be pasted."""
    path = tmp_path / "signing.pem"
    assert make_key([str(path)]) == 0
    line = capsys.readouterr().out.strip()
    assert path.stat().st_mode & 0o777 == 0o600 and "PRIVATE" in path.read_text() and "PRIVATE" not in line
    _trusting(tmp_path, line)
    assert make_key([str(path)]) == 1
