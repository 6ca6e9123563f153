from __future__ import annotations

import json
import os
import shutil
import subprocess
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import StatementError

from ibctl import config, crypto, db
from ibctl.crypto import Sealed, SealedText, SecretError
from ibctl.errors import ConfigError
from ibctl.models.platform import InvestorCredential, SystemeConfig

DATA = Path(__file__).parent / "data" / "node_crypto_vectors.json"
VECTORS = json.loads(DATA.read_text(encoding="utf-8"))
KEY: str = VECTORS["key"]
OTHER_KEY = KEY[::-1]
PLAIN = "hunter2-investor-password"
STORED = crypto.encrypt(PLAIN, KEY)
PARTS: dict[str, str] = json.loads(STORED)


def stored(**changed: object) -> str:
    return json.dumps(PARTS | changed)


def flip(text: str, position: int) -> str:
    """Flip the lowest bit of one hex digit."""
    return text[:position] + f"{int(text[position], 16) ^ 1:x}" + text[position + 1 :]


def everything_in(exc: BaseException) -> str:
    """What could reach a log: the message, the traceback, and whatever the chain of causes and contexts holds."""
    texts = ["".join(traceback.format_exception(exc))]
    link: BaseException | None = exc
    while link is not None:
        texts += [
            repr(link),
            repr(vars(link)),
            repr(link.args),
            repr(getattr(link, "object", "")),
            repr(getattr(link, "doc", "")),
        ]
        link = link.__cause__ or link.__context__
    return "\n".join(texts)


# ------------------------------------------------------------------------------------------- the web application's way


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: repr(vector["plain"][:12]))
def test_what_node_encrypted_is_decrypted(vector: dict[str, str]) -> None:
    assert crypto.decrypt(vector["stored"], KEY) == vector["plain"]


def test_the_vectors_hold_both_lengths_of_iv_an_empty_text_and_unicode() -> None:
    plains = [vector["plain"] for vector in VECTORS["vectors"]]
    ivs = {len(json.loads(vector["stored"])["iv"]) // 2 for vector in VECTORS["vectors"]}
    assert ivs == {12, 16}
    assert "" in plains
    assert any(not plain.isascii() for plain in plains)


def read_by_other_python(text: str) -> str:
    """Decrypt with another interface of the library, one that keeps the tag apart, as Node does."""
    cipher, iv, tag = (bytes.fromhex(json.loads(text)[name]) for name in ("encrypted", "iv", "tag"))
    decryptor = Cipher(algorithms.AES(KEY.encode()), modes.GCM(iv, tag)).decryptor()
    return (decryptor.update(cipher) + decryptor.finalize()).decode()


NODE = """
const {encrypted, iv, tag} = JSON.parse(require("fs").readFileSync(0, "utf8"));
const key = Buffer.from(process.env.ENCRYPTION_KEY, "utf8");
const opener = require("crypto").createDecipheriv("aes-256-gcm", key, Buffer.from(iv, "hex"));
opener.setAuthTag(Buffer.from(tag, "hex"));
process.stdout.write(opener.update(encrypted, "hex", "utf8") + opener.final("utf8"));
"""


def read_by_node(text: str) -> str:
    env = {**os.environ, "ENCRYPTION_KEY": KEY}
    return subprocess.run(
        ["node", "-e", NODE], input=text, env=env, capture_output=True, encoding="utf-8", check=True
    ).stdout


# Without Node there is one reader less, not a test that says it passed.
READERS = [read_by_other_python, *([read_by_node] if shutil.which("node") else [])]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("plain", ["EAAG-token", "", "Pässwörd ✓ 密码 🎉", 'quote " and \\ and \n', "x" * 5_000])
def test_what_ibctl_encrypts_others_decrypt(read: Callable[[str], str], plain: str) -> None:
    assert read(crypto.encrypt(plain, KEY)) == plain


def test_the_stored_text_looks_as_the_web_application_writes_it() -> None:
    text = crypto.encrypt("abc", KEY)
    parts = json.loads(text)
    assert list(parts) == ["encrypted", "iv", "tag"]
    assert [len(value) for value in parts.values()] == [6, 32, 32]
    assert text == text.lower() == json.dumps(parts, separators=(",", ":"))


def test_the_same_text_never_looks_the_same_twice() -> None:
    assert len({crypto.encrypt("abc", KEY) for _ in range(50)}) == 50


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back_as_it_was(plain: str) -> None:
    assert crypto.decrypt(crypto.encrypt(plain, KEY), KEY) == plain


# ----------------------------------------------------------------------------------------------------- what is refused

MALFORMED = {
    "nothing": "",
    "not JSON": PLAIN,
    "half of it": STORED[:-10],
    "a JSON list": json.dumps(list(PARTS.values())),
    "a JSON string": json.dumps(PLAIN),
    "JSON null": "null",
    "JSON beyond any depth": "[" * 200_000,
    "a number beyond any length": "1" * 10_000,
    "a part missing": json.dumps({"encrypted": PARTS["encrypted"], "iv": PARTS["iv"]}),
    "a number for a part": stored(tag=17),
    "null for a part": stored(iv=None),
    "white space in the hex": stored(encrypted=" ".join(PARTS["encrypted"])),
    "an odd number of digits": stored(encrypted=PARTS["encrypted"][:-1]),
    "no hex": stored(encrypted="zz" + PARTS["encrypted"][2:]),
    "digits of another script": stored(encrypted="٤٢" + PARTS["encrypted"][2:]),
    "an iv of 15 bytes": stored(iv=PARTS["iv"][:-2]),
    "an iv of 17 bytes": stored(iv=PARTS["iv"] + "00"),
    "no iv": stored(iv=""),
    "a tag of 12 bytes": stored(tag=PARTS["tag"][:24]),
    "a tag of 17 bytes": stored(tag=PARTS["tag"] + "00"),
    "no tag": stored(tag=""),
}
ALTERED = {
    **{f"a bit of {name}": stored(**{name: flip(PARTS[name], 0)}) for name in PARTS},
    **{f"the last bit of {name}": stored(**{name: flip(PARTS[name], len(PARTS[name]) - 1)}) for name in PARTS},
    "a shorter cipher": stored(encrypted=PARTS["encrypted"][:-2]),
    "an empty cipher": stored(encrypted=""),
    "the iv cut to the other legal length": stored(iv=PARTS["iv"][:24]),
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in (MALFORMED | ALTERED).items()])
def test_a_damaged_value_is_refused_and_nothing_of_it_is_told(text: str) -> None:
    with pytest.raises(SecretError) as caught:
        crypto.decrypt(text, KEY)
    told = everything_in(caught.value)
    assert PLAIN not in told
    assert not any(value in told for value in PARTS.values())


def test_upper_case_hex_is_read_as_node_reads_it() -> None:
    assert crypto.decrypt(json.dumps({name: part.upper() for name, part in PARTS.items()}), KEY) == PLAIN


def encrypted_elsewhere(plain: bytes, *, iv: bytes) -> str:
    encryptor = Cipher(algorithms.AES(KEY.encode()), modes.GCM(iv)).encryptor()
    cipher = encryptor.update(plain) + encryptor.finalize()
    return json.dumps({"encrypted": cipher.hex(), "iv": iv.hex(), "tag": encryptor.tag.hex()})


@pytest.mark.parametrize("length", [8, 11, 13, 15, 17, 32])
def test_a_sound_cipher_with_an_iv_that_the_web_application_never_makes_is_refused(length: int) -> None:
    with pytest.raises(SecretError, match=f"its iv has {length} bytes"):
        crypto.decrypt(encrypted_elsewhere(PLAIN.encode(), iv=bytes(length)), KEY)


def test_a_tag_cut_short_is_refused_although_node_would_take_it() -> None:
    with pytest.raises(SecretError, match="its tag 12"):
        crypto.decrypt(MALFORMED["a tag of 12 bytes"], KEY)


def test_another_key_is_refused_and_neither_key_nor_value_is_told() -> None:
    with pytest.raises(SecretError, match="another ENCRYPTION_KEY") as caught:
        crypto.decrypt(STORED, OTHER_KEY)
    told = everything_in(caught.value)
    assert not any(secret in told for secret in (PLAIN, OTHER_KEY, KEY, *PARTS.values()))


def test_bytes_that_are_no_text_are_refused_without_being_told() -> None:
    text = encrypted_elsewhere(b"hunter2\xff", iv=bytes(16))
    with pytest.raises(SecretError, match="not text") as caught:
        crypto.decrypt(text, KEY)
    assert "hunter2" not in everything_in(caught.value)


def test_a_secret_from_a_broken_terminal_encoding_is_refused_without_being_told() -> None:
    broken = "hunter2\udcff"
    with pytest.raises(SecretError, match="UTF-8") as caught:
        crypto.encrypt(broken, KEY)
    assert "hunter2" not in everything_in(caught.value)


# ------------------------------------------------------------------------------------------------------------- the key


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (None, "not set"),
        ("", "not set"),
        (KEY[:31], "31 characters, 31 bytes"),
        (KEY + "x", "33 characters, 33 bytes"),
        # As python-dotenv reads a key that Node's dotenv reads right.
        (f"`{KEY}`", "unchanged, in double quotes and without a comment in .env"),
        (f"{KEY}#main", "unchanged, in double quotes and without a comment in .env"),
        ("ü" + KEY[1:], "32 characters, 33 bytes"),
        (KEY[:31] + "\udcff", "32 characters, 32 bytes"),
        (KEY[:30] + "\ud800é", "32 characters, 33 bytes"),
    ],
)
def test_a_key_that_is_not_32_bytes_of_text_is_a_wrong_setting(key: str | None, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        crypto.key_bytes(key)
    assert KEY[1:31] not in everything_in(caught.value)


def test_a_key_of_16_two_byte_characters_is_good_because_node_takes_it() -> None:
    assert crypto.decrypt(crypto.encrypt(PLAIN, "ü" * 16), "ü" * 16) == PLAIN


def test_a_generated_key_is_one() -> None:
    keys = {crypto.generate_key() for _ in range(50)}
    assert len(keys) == 50
    assert all(len(crypto.key_bytes(key)) == 32 and key.isalnum() and key.isascii() for key in keys)


# ----------------------------------------------------------------------------------------------- columns and instances


def credential(password: Sealed) -> InvestorCredential:
    return InvestorCredential(id="cred1", login="12345678", server="X-Live", password=password)


def test_nothing_shows_a_sealed_value() -> None:
    sealed = crypto.seal(PLAIN)
    row = credential(sealed)
    shown = [f"{sealed!r}", f"{sealed!s}", f"{sealed}", "%s" % sealed, f"{row!r}", f"{row!s}", f"{[sealed]}"]  # noqa: UP031
    cipher = json.loads(sealed.text)["encrypted"]
    assert "Sealed(…)" in f"{row!r}"
    assert not any(PLAIN in text or cipher in text for text in shown)


def test_reveal_gives_the_plaintext_back_and_none_for_none() -> None:
    assert crypto.reveal(credential(crypto.seal(PLAIN)), "password") == PLAIN
    assert crypto.reveal(SystemeConfig(api_key=None), "api_key") is None


def test_a_secret_that_cannot_be_revealed_names_table_row_and_column_only(monkeypatch: pytest.MonkeyPatch) -> None:
    row = SystemeConfig(id="conf7", api_key=Sealed(STORED))
    monkeypatch.setenv("ENCRYPTION_KEY", OTHER_KEY)
    config.settings.cache_clear()
    with pytest.raises(SecretError, match=r'"SystemeConfig"\."apiKey" of row conf7') as caught:
        crypto.reveal(row, "api_key")
    told = everything_in(caught.value)
    assert not any(secret in told for secret in (PLAIN, KEY, OTHER_KEY, *PARTS.values()))


def test_a_secret_is_stored_encrypted_and_comes_back_sealed(
    database: str, sql: Callable[..., list[tuple[Any, ...]]]
) -> None:
    with db.transaction() as session:
        session.add(credential(crypto.seal(PLAIN)))
    ((text,),) = sql('SELECT password FROM "InvestorCredential"')
    assert crypto.decrypt(text, KEY) == PLAIN
    with db.reading() as session:
        found = session.get_one(InvestorCredential, "cred1")
        assert found.password == Sealed(text)
        assert crypto.reveal(found, "password") == PLAIN


def test_a_plain_string_is_not_stored_and_its_refusal_does_not_show_it(
    database: str, sql: Callable[..., list[tuple[Any, ...]]]
) -> None:
    def store() -> None:
        with db.transaction() as session:
            session.add(credential(PLAIN))  # type: ignore[arg-type]

    with pytest.raises(StatementError, match=r"crypto\.seal") as caught:
        store()
    assert PLAIN not in "".join(traceback.format_exception(caught.value))
    assert sql('SELECT count(*) FROM "InvestorCredential"') == [(0,)]


def test_null_stays_null_in_an_encrypted_column() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    assert SealedText().process_bind_param(None, dialect) is None
    assert SealedText().process_result_value(None, dialect) is None
