from __future__ import annotations

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ibctl import dsn
from ibctl.errors import ConfigError


def test_prismas_own_parameters_never_reach_libpq() -> None:
    url = (
        "postgresql://u:p%40ss@h:6543/app?schema=shop&pgbouncer=true&connection_limit=5&pool_timeout=3"
        "&socket_timeout=9&statement_cache_size=0&sslmode=require&connect_timeout=7"
    )
    found = dsn.parse(url)
    assert found.schema == "shop"
    assert found.pgbouncer
    assert found.ignored == ("connection_limit", "pool_timeout", "socket_timeout", "statement_cache_size")
    known = psycopg.conninfo.conninfo_to_dict(found.url)
    assert known["password"] == "p@ss"
    assert (known["sslmode"], known["connect_timeout"]) == ("require", "7")


def test_prismas_tls_words_are_translated() -> None:
    strict = psycopg.conninfo.conninfo_to_dict(dsn.parse("postgres://h/d?sslaccept=strict&sslcert=ca.pem").url)
    assert (strict["sslmode"], strict["sslrootcert"]) == ("verify-full", "ca.pem")


def test_without_parameters_the_schema_is_public_and_there_is_no_pooler() -> None:
    found = dsn.parse("postgresql://u@h/d")
    assert (found.schema, found.pgbouncer, found.ignored) == ("public", False, ())


@pytest.mark.parametrize(
    "url", ["mysql://u:hunter2@h/d", "h/d", "postgresql://u:hunter2@h:abc/d", "prisma://x?api_key=hunter2"]
)
def test_what_is_no_postgresql_url_is_refused_without_showing_a_secret(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        dsn.parse(url)
    assert "DATABASE_URL" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2@h/d",
        "postgresql://u:hunter2@h/d?sslpassword=hunter2&sslmode=require",
        "postgresql://h/d?password=hunter2",
    ],
)
def test_a_masked_url_shows_no_password(url: str) -> None:
    assert "hunter2" not in dsn.mask(url)
    assert "hunter2" not in repr(dsn.parse(url))
    assert "***" in dsn.mask(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://bob:hunter2%zz@127.0.0.1:1/x", "postgresql:bob:hunter2@127.0.0.1/x",
        "postgresql://bob:12?hunter2@127.0.0.1:1/x", "postgresql://bob:12/hunter2@127.0.0.1:1/x",
        "postgresql://bob:12#hunter2@127.0.0.1:1/x", "postgresql://bob:12@hunter2@127.0.0.1:1/x",
        "postgresql://h/x?hunter2=bar", "postgresql://h/x?connect_timeout=hunter2", "postgresql://h/x?password=hunter2%00q",
        "postgresql://127.0.0.1:1/x;password=hunter2@", "postgresql://bob:hunter2/pw@h/x", "host=h password=hunter2",
        "hunter2", "postgresql://u:${hunter2}@h/d", "postgresql://u:a\thunter2@h/d", "postgresql://u:\udcffhunter2@h/d",
        "postgresql://[hunter2", "",
    ],
)  # fmt: skip
def test_what_libpq_would_not_take_or_take_otherwise_is_refused_without_a_part_of_it(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        dsn.parse(url, "DIRECT_URL")
    assert str(caught.value).startswith("DIRECT_URL ")
    assert "hunter2" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql:///db?host=/run/x&user=u", {"dbname": "db", "host": "/run/x", "user": "u"}),
        (" postgresql://u:p@[::1]:6/db\n", {"host": "::1", "port": "6", "password": "p", "dbname": "db", "user": "u"}),
        ("postgresql://u%40x:a%2Fb%40%23%3F@h", {"user": "u@x", "password": "a/b@#?", "host": "h"}),
        ("postgresql://u:a:b@h", {"user": "u", "password": "a:b", "host": "h"}),
    ],
)
def test_libpq_gets_what_was_written(url: str, expected: dict[str, str]) -> None:
    assert psycopg.conninfo.conninfo_to_dict(dsn.parse(url).url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://bob:12/hunter2@127.0.0.1:1/x", "postgresql://bob:hunter2/pw@h/x", "postgresql://bob:/hunter2@h/x",
        "host=h password=hunter2", "hunter2", "postgresql:bob:hunter2@h", "postgresql://h:1/x;password=hunter2",
        "postgresql://h:1/x#password=hunter2", "postgresql://h/x?pass%77ord=hunter2", "postgresql://bob:1?hunter2@h",
        "postgresql://bob:1#hunter2@h", "postgresql://bob/hunter2@h", "https://bob:1/hunter2@h", "https://bob/a:hunter2@h",
        "postgresql://bob:12@hunter2@h",
    ],
)  # fmt: skip
def test_where_it_is_not_certain_what_the_password_is_nothing_is_shown(url: str) -> None:
    assert dsn.mask(url) == dsn.MASK


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgresql://u:p:q@h:5/d?sslmode=require", "postgresql://u:***@h:5/d?sslmode=require"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgresql:///d?host=/run/x", "postgresql:///d?host=/run/x"),
        ("postgresql://h/d?a=b&sslpassword=a&b=c#d", "postgresql://h/d?a=b&sslpassword=***"),
        ("https://t.me/@broker#top", "https://t.me/@broker#top"),
    ],
)
def test_of_a_url_that_is_clear_only_the_password_is_hidden(url: str, masked: str) -> None:
    assert dsn.mask(url) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("--url=postgresql://u:hunter2@h/d", "--url=postgresql://u:***@h/d"),
        ("booked as of https://wiki/page, see there", "booked as of https://wiki/page, see there"),
        ("from https://a/b to postgresql://u:hunter2@h/d", "from ***"),
        ("no address at all", "no address at all"),
    ],
)
def test_a_url_in_a_text_loses_its_password(text: str, masked: str) -> None:
    assert dsn.masked_in(text) == masked


FORMS = [
    "postgresql://bob:{}@127.0.0.1:1/x", "postgres://{}@h", "postgresql:bob:{}@h/x", "bob:{}@h/x", "{}",
    "host=h password={}", "postgresql://h/x?password={}", "postgresql://h/x?sslmode=require&sslpassword={}",
    "postgresql://h/x;password={}",    "postgresql://u:p@h/x#password={}", "mysql://bob:{}@h/x",
]  # fmt: skip


@given(st.sampled_from(FORMS), st.text(max_size=6), st.text(max_size=6))
@example(FORMS[0], "12/", "")
@example(FORMS[0], "12?", "")
@example(FORMS[0], "12#", "")
@example(FORMS[0], "12@", "")
@example(FORMS[0], "", "\0")
@example(FORMS[6], "a&", "")
@example(FORMS[6], "a#b?", "=")
def test_no_password_is_ever_shown_whatever_its_characters(form: str, before: str, after: str) -> None:
    # A user's name may be shown, which is what stands before the @ where nothing else does.
    password = f"{'' if form != FORMS[1] else ':'}{before}hunter2{after}"
    url = form.format(password)
    assert "hunter2" not in dsn.mask(url)
    told = _told(url)
    assert "hunter2" not in told


def _told(url: str) -> str:
    """All that is said of a URL: the error, or what is shown of it and of what libpq makes of it."""
    try:
        found = dsn.parse(url)
    except ConfigError as exc:
        return str(exc)
    known = psycopg.conninfo.conninfo_to_dict(found.url)
    return f"{found!r} {[value for key, value in known.items() if 'password' not in key]}"
