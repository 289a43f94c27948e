"""Who vouches for a bundle: an ed25519 signature of its sha256 and id, in a file beside the others.

    model.sig   {"key": "the key's name", "signature": "base64"}

The sha256 in a card says that bytes are whole; only a signature says that whoever holds our key wrote them. The private
key stays where models are trained, live knows the public ones. `cryptography` is imported where a key is used.
"""

# ruff: noqa: PLC0415  # see above

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from registry.card import ModelCard
from registry.errors import BadSignature, FileError
from registry.files import write_file

SIGNATURE_FILE: Final = "model.sig"
_PREFIX: Final = "tidegate bundle 1"
_KEY_BYTES: Final = 32
_ALGORITHM: Final = "ed25519"


class Signature(Struct, frozen=True, forbid_unknown_fields=True):
    """model.sig: `key` names the public key, `signature` is base64."""

    key: str
    signature: str


@dataclass(frozen=True, slots=True)
class Trust:
    """The public keys of those whose bundles are loaded, by name; `where` is the file they came from."""

    keys: Mapping[str, bytes]
    where: str

    @staticmethod
    def read(path: Path) -> "Trust":
        """Read a file of lines `ed25519 BASE64 [whose it is]`; raises FileError naming the line that is none."""
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise FileError(f"{path}: {error}; registry.trusted_keys names a file of public keys") from error
        keys = {}
        for number, line in enumerate(lines, start=1):
            parts = line.split(maxsplit=2)
            if not parts or parts[0].startswith("#"):
                continue
            try:
                found = base64.b64decode(parts[1], validate=True) if len(parts) > 1 else b""
            except (binascii.Error, ValueError):
                found = b""
            if parts[0] != _ALGORITHM or len(found) != _KEY_BYTES:
                raise FileError(f"{path}, line {number}: wanted '{_ALGORITHM} BASE64 NAME' with a public key")
            keys[key_name(found)] = found
        if not keys:
            raise FileError(f"{path}: it holds no key, so no bundle could be loaded; write a line of a public key")
        return Trust(keys, str(path))

    def check(self, folder: Path, card: ModelCard) -> None:
        """Raise BadSignature unless one of the keys signed the bundle in `folder`, whose verified card this is."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        path = folder / SIGNATURE_FILE
        mend = f"sign it with a key of {self.where}, or let registry.signing be none"
        try:
            said = msgspec.json.decode(path.read_bytes()[:4_096], type=Signature)
            signature = base64.b64decode(said.signature, validate=True)
        except FileNotFoundError as error:
            raise BadSignature(f"{folder}: nobody signed it, and registry.signing is required; {mend}") from error
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, binascii.Error, ValueError, RecursionError) as error:
            raise BadSignature(f"{path}: no signature ({error}); {mend}") from error
        if (key := self.keys.get(said.key)) is None:
            raise BadSignature(f"{path}: signed with key {said.key!r:.40}, which is none of {self.where}; {mend}")
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, signed_text(card))
        except InvalidSignature as error:
            raise BadSignature(f"{path}: key {said.key} did not sign {card.id} with this sha256; {mend}") from error


def trust_of(signing: str, trusted_keys: Path | None) -> Trust | None:
    """Return whom to trust by registry.signing and registry.trusted_keys; None is anybody. Raises FileError."""
    return Trust.read(trusted_keys) if signing == "required" and trusted_keys is not None else None


def sign(folder: Path, card: ModelCard, private_key: str) -> str:
    """Sign the verified bundle in `folder` with a private key (PEM) and return the key's name.

    Raises BadSignature, without quoting it, for a text that is no ed25519 private key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(private_key.encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadSignature("REGISTRY_SIGNING_KEY holds no ed25519 private key in PEM; make one: scripts/signing_key.py")
    name = key_name(key.public_key().public_bytes_raw())
    said = Signature(name, base64.b64encode(key.sign(signed_text(card))).decode())
    write_file(folder / SIGNATURE_FILE, msgspec.json.encode(said) + b"\n")
    return name


def new_key() -> tuple[str, str]:
    """Return a fresh private key as PEM, and the line of its public one for the file of trusted keys."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes_raw()
    return pem, f"{_ALGORITHM} {base64.b64encode(public).decode()} {key_name(public)}"


def key_name(public: bytes) -> str:
    """How a public key is called: the first 16 digits of its sha256."""
    return hashlib.sha256(public).hexdigest()[:16]


def signed_text(card: ModelCard) -> bytes:
    """What a signature is of: the version and run of a card come later, what it does and its name do not change."""
    return f"{_PREFIX}\n{card.sha256}\n{card.id}\n".encode()
