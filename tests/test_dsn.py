from __future__ import annotations

import psycopg
import pytest

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
        "postgresql://u:hunter2@h/d?sslpassword=hunter2&a=b",
        "postgresql://h/d?password=hunter2",
    ],
)
def test_a_masked_url_shows_no_password(url: str) -> None:
    assert "hunter2" not in dsn.mask(url)
    assert "hunter2" not in repr(dsn.parse(url))
    assert "***" in dsn.mask(url)
