"""Secrets, encrypted exactly as the web application does it.

AES-256-GCM; the key is the 32 characters of `ENCRYPTION_KEY` as UTF-8 bytes; no additional data. What is stored is the
JSON text `{"encrypted":"<hex>","iv":"<hex>","tag":"<hex>"}`. Node writes an iv of 16 bytes, and so does ibctl; ivs of
12 bytes occur too and are read. In memory a stored secret is a `Sealed`, whose text is the cipher, so that no row, log
or traceback can show the plaintext; `reveal` is the one way to it.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import secrets
import string
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect, Text, inspect
from sqlalchemy.types import TypeDecorator

from ibctl import config
from ibctl.errors import ConfigError, RequestError

KEY_LENGTH = 32
IV_LENGTH = 16
TAG_LENGTH = 16
# `bytes.fromhex` alone is laxer than the web application's side: it skips white space, where Node stops reading.
# Written in lower case; Node reads either.
_HEX = re.compile("[0-9A-Fa-f]*")


class SecretError(RequestError):
    """A stored secret cannot be decrypted: the key is another one, or the value was damaged."""


@dataclass(frozen=True)
class Sealed:
    """An encrypted value as it stands in the database. Its `repr` shows nothing of it."""

    text: str

    def __repr__(self) -> str:
        return "Sealed(…)"


class SealedText(TypeDecorator[Sealed]):
    """The column type of an encrypted field: `Sealed` in Python, the web application's JSON text in the database."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Sealed | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Refuse a plain string: only `seal` makes what may be stored."""
        if value is None:
            return None
        if not isinstance(value, Sealed):
            raise TypeError("an encrypted column takes a Sealed value; make one with crypto.seal()")
        return value.text

    def process_result_value(self, value: str | None, dialect: Dialect) -> Sealed | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Keep the cipher closed until somebody asks with `reveal`."""
        return None if value is None else Sealed(value)


def generate_key() -> str:
    """Return a new `ENCRYPTION_KEY`: 32 random letters and digits (190 bits)."""
    alphabet = string.ascii_letters + string.digits
    return "".join(secrets.choice(alphabet) for _ in range(KEY_LENGTH))


def key_bytes(key: str | None) -> bytes:
    """Return the AES key for an `ENCRYPTION_KEY`.

    Raises ConfigError when it is missing or is not 32 bytes long; neither message nor cause holds the key.
    """
    if not key:
        raise ConfigError(
            "ENCRYPTION_KEY is not set: put the web application's key into .env, or make one with "
            "`ibctl secrets generate-key`"
        )
    # A byte of the environment that is not UTF-8 arrives as a lone surrogate: it counts, and never makes a valid key.
    raw = key.encode(errors="replace")
    if len(raw) != KEY_LENGTH or not _is_text(key):
        raise ConfigError(
            f"ENCRYPTION_KEY has {len(key)} characters, {len(raw)} bytes in UTF-8; {KEY_LENGTH} bytes are needed: "
            "use the web application's key unchanged" + _misread(key)
        )
    return raw


def _misread(key: str) -> str:
    # Node's dotenv takes backticks for quotes, and ends an unquoted value at a # without a blank before it.
    return ", in double quotes and without a comment in .env" if "`" in key or "#" in key else ""


def _is_text(value: str) -> bool:
    """Say whether UTF-8 can hold it. A boolean, because the encoder's own exception carries the whole value."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def encrypt(plaintext: str, key: str) -> str:
    """Encrypt `plaintext` (any Unicode text, the empty one too) to the stored JSON text.

    Raises ConfigError for the key, SecretError for a text that is no Unicode (a broken terminal encoding).
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if not _is_text(plaintext):
        raise SecretError("the secret holds bytes that are not UTF-8 text: check the terminal's encoding")
    iv = os.urandom(IV_LENGTH)
    # AESGCM appends the tag to the ciphertext; Node keeps the two apart.
    sealed = AESGCM(key_bytes(key)).encrypt(iv, plaintext.encode(), None)
    parts = {"encrypted": sealed[:-TAG_LENGTH].hex(), "iv": iv.hex(), "tag": sealed[-TAG_LENGTH:].hex()}
    return json.dumps(parts, separators=(",", ":"))


def decrypt(text: str, key: str) -> str:
    """Decrypt the stored JSON text.

    Raises ConfigError for the key, and SecretError, which says what is wrong and never shows the value.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    cipher, iv, tag = _parts(text)
    try:
        plain = AESGCM(key_bytes(key)).decrypt(iv, cipher + tag, None)
    except InvalidTag:
        raise SecretError("encrypted with another ENCRYPTION_KEY, or altered since") from None
    try:
        return plain.decode()
    except UnicodeDecodeError:
        pass
    # Raised out here, so that the decoder's exception, which holds the plaintext, is not kept as its context.
    raise SecretError("decrypts to bytes that are not text")


def _parts(text: str) -> tuple[bytes, bytes, bytes]:
    parts = _json(text)
    if not isinstance(parts, dict):
        raise SecretError(_MALFORMED)
    cipher, iv, tag = (_unhex(parts.get(name)) for name in ("encrypted", "iv", "tag"))
    if len(tag) != TAG_LENGTH or len(iv) not in (12, IV_LENGTH):
        raise SecretError(f"its iv has {len(iv)} bytes (12 or 16 expected), its tag {len(tag)} (16 expected)")
    return cipher, iv, tag


_MALFORMED = 'not JSON {"encrypted","iv","tag"} in lower-case hex'


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        # Nothing of the parser's exception is kept: it quotes the text, which may be a secret stored in the clear.
        return None


def _unhex(value: Any) -> bytes:
    if not isinstance(value, str) or len(value) % 2 or not _HEX.fullmatch(value):
        raise SecretError(_MALFORMED)
    return bytes.fromhex(value)


def seal(plaintext: str) -> Sealed:
    """Encrypt with the configured key, ready to be put into an encrypted column."""
    return Sealed(encrypt(plaintext, config.settings().encryption_key or ""))


def fingerprint(*plaintexts: str) -> str:
    """Return what is the same for the same texts under the same key, and tells nothing of them: HMAC-SHA-256 in hex.

    Raises ConfigError for the key.
    """
    key = key_bytes(config.settings().encryption_key)
    return hmac.new(key, json.dumps(["fingerprint", *plaintexts]).encode(), "sha256").hexdigest()


def reveal(row: Any, attribute: str) -> str | None:
    """Decrypt one encrypted attribute of a model instance; None stays None.

    Raises SecretError naming table, row and column, never the value.
    """
    sealed: Sealed | None = getattr(row, attribute)
    if sealed is None:
        return None
    try:
        return decrypt(sealed.text, config.settings().encryption_key or "")
    except SecretError as exc:
        mapper = inspect(row).mapper
        column = mapper.columns[attribute].name
        raise SecretError(
            f'"{mapper.local_table.name}"."{column}" of row {row.id} cannot be decrypted: {exc}. '
            "`ibctl secrets check` lists every such value"
        ) from None
