from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ibctl import crypto
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
