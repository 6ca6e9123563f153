from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ibctl import crypto, ids
from tests.conftest import KEY, Result, Server

Run = Callable[..., Result]


def findings(result: Result) -> dict[str, tuple[str, str, str | None]]:
    return {one["check"]: (one["state"], one["value"], one["remedy"]) for one in json.loads(result.stdout)}


def test_all_is_well_on_a_prepared_database(database: str, ibctl: Run) -> None:
    ended = ibctl("doctor", "-f", "json")
    assert (ended.exit_code, ended.stderr) == (0, "all is well\n")
    assert findings(ended)["schema"] == ("ok", "as ibctl expects", None)


def test_each_setting_is_shown_with_its_source_and_no_secret(
    database: str, process: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ENCRYPTION_KEY")
    monkeypatch.delenv("DATABASE_URL")
    (tmp_path / ".env").write_text(
        f'DATABASE_URL="{database}&pgbouncer=true&connection_limit=5"\nENCRYPTION_KEY={KEY}\nIBCTL_TIMEZONE=Europe/Berlin\n'
    )
    (tmp_path / ".env").chmod(0o644)
    ended = process("doctor")
    assert ended.exit_code == 0
    text = ended.stdout + ended.stderr
    assert KEY not in text
    assert database.split(":")[2].split("@")[0] not in text
    assert f"IBCTL_TIMEZONE: Europe/Berlin, from {tmp_path}/.env" in text
    assert "*** (32 bytes)" in text
    assert "Prisma's own, left out: connection_limit" in text
    assert "set DIRECT_URL to the server itself" in text
    assert f"chmod 600 {tmp_path}/.env" in text
    assert "works, with warnings" in ended.stderr


def test_every_wrong_setting_is_named_and_not_only_the_first(process: Run) -> None:
    ended = process(
        "doctor", env={"IBCTL_TIMEZONE": "Mars", "IBCTL_BASE_CURRENCY": "EURO", "DATABASE_URL": "mysql://x"}
    )
    assert ended.exit_code == 7
    for name in (
        "IBCTL_TIMEZONE is 'Mars'",
        "IBCTL_BASE_CURRENCY is 'EURO'",
        "DATABASE_URL does not begin with 'postgresql://'",
    ):
        assert name in ended.stdout


def test_a_database_that_does_not_answer_or_is_not_prepared_is_a_problem(
    server: Server, empty_database: str, process: Run
) -> None:
    gone = process("doctor", "-f", "json", env={"DATABASE_URL": server.url("nowhere")})
    assert gone.exit_code == 7
    assert "does not exist" in str(findings(gone)["database answers"])
    new = process("doctor", "-f", "json", env={"DATABASE_URL": empty_database})
    assert (new.exit_code, findings(new)["schema"][2]) == (7, "run `ibctl db upgrade`")


def test_a_newer_ibctls_database_asks_for_that_version(database: str, sql: Callable[..., object], ibctl: Run) -> None:
    sql("UPDATE ibctl.alembic_version SET version_num = 'ibctl_0099' WHERE version_num = 'ibctl_0002'")
    examined = ibctl("doctor", "-f", "json")
    assert examined.exit_code == 7
    told = ("problem", "upgraded by a newer ibctl (ibctl_0099)", "use that version of ibctl")
    assert findings(examined)["schema"] == told


def test_a_user_who_may_only_read_is_told_what_to_grant(
    database: str, sql: Callable[..., object], server: Server, process: Run
) -> None:
    name = f"reader {ids.cuid()}"
    sql(f"CREATE ROLE \"{name}\" LOGIN PASSWORD 'geheim'")
    try:
        for schema in ("public", "ibctl"):
            sql(f'GRANT USAGE ON SCHEMA {schema} TO "{name}"')
            sql(f'GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO "{name}"')
        url = database.replace(database.partition("://")[2].partition("@")[0], f"{name.replace(' ', '%20')}:geheim")
        examined = process("doctor", "-f", "json", env={"DATABASE_URL": url})
        state, value, remedy = findings(examined)["rights"]
        assert (examined.exit_code, state) == (7, "problem")
        assert value.startswith(f'the database user "{name}" lacks DELETE, INSERT, UPDATE on ibctl.')
        for grant in (remedy or "").removeprefix("as their owner, ").split("; "):
            sql(grant)
        assert process("doctor", env={"DATABASE_URL": url}).stderr == "all is well\n"
        added = process("leads", "add", "--email", "a@example.com", env={"DATABASE_URL": url})
        assert added.exit_code == 0, added.stderr
    finally:
        sql(f'DROP OWNED BY "{name}"')
        server.execute(f'DROP ROLE "{name}"')


def test_where_every_transaction_is_read_only_no_write_can_work(database: str, process: Run) -> None:
    url = f"{database}&options=-c%20default_transaction_read_only%3Don"
    examined = process("doctor", "-f", "json", env={"DATABASE_URL": url})
    assert examined.exit_code == 7
    _, value, remedy = findings(examined)["rights"]
    assert value == "transactions are read-only (default_transaction_read_only = on)"
    assert "SET default_transaction_read_only = off" in (remedy or "")


def test_a_platform_without_an_active_administrator_is_warned_of(
    database: str, sql: Callable[..., object], ibctl: Run
) -> None:
    sql(
        'INSERT INTO "User" (id, email, password, role, "isActive", "updatedAt")'
        " VALUES ('a', 'boss@x.y', 'x', 'ADMIN', true, now()), ('b', 'ib@x.y', 'x', 'IB', true, now())"
    )
    assert "administrators" not in findings(ibctl("doctor", "-f", "json"))
    sql('UPDATE "User" SET "isActive" = false WHERE id = \'a\'')
    ended = ibctl("doctor", "-f", "json")
    assert (ended.stderr, findings(ended)["administrators"][0]) == ("works, with warnings\n", "warning")


def test_a_key_that_opens_nothing_is_a_problem(database: str, sql: Callable[..., object], process: Run) -> None:
    sql(
        'INSERT INTO "SystemeConfig" (id, "apiKey", "updatedAt") VALUES (%s, %s, now())',
        "s1", crypto.encrypt("secret", "another-key-another-key-another-"),
    )  # fmt: skip
    ended = process("doctor", "-f", "json")
    assert ended.exit_code == 7
    assert findings(ended)["encryption key"][0] == "problem"
    assert "secret check" not in ended.stdout
