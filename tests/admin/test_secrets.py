from __future__ import annotations

import csv
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ibctl import crypto, db, sealing
from ibctl.admin.secrets import service

Sql = Callable[..., list[tuple[Any, ...]]]
Run = Callable[..., Any]
KEY = "0123456789abcdefghijklmnopqrstuv"
OTHER_KEY = KEY[::-1]
PLAIN = "hunter2-investor"


@pytest.fixture
def fields(sql: Sql) -> None:
    """A value in each of the five encrypted columns, and a row with nothing but NULLs where it may have them."""
    insert_user(sql)
    sql(
        'INSERT INTO "FacebookAdAccount" (id, "userId", "accessToken", "pageAccessToken", "updatedAt") '
        "VALUES ('fb1', 'u1', %s, %s, now()), ('fb2', 'u1', NULL, NULL, now())",
        crypto.encrypt("EAAG-user", KEY), crypto.encrypt("EAAG-page", KEY),
    )  # fmt: skip
    insert_credential(sql, "mt1", crypto.encrypt(PLAIN, KEY))
    sql(
        'INSERT INTO "SystemeConfig" (id, "apiKey", password, "updatedAt") VALUES (\'sy1\', %s, %s, now())',
        crypto.encrypt("api", KEY), crypto.encrypt("", KEY),
    )  # fmt: skip


def insert_user(sql: Sql) -> None:
    sql("INSERT INTO \"User\" (id, email, password, \"updatedAt\") VALUES ('u1', 'ib@x.org', '$2b$', now())")


def insert_credential(sql: Sql, row_id: str, stored: str) -> None:
    sql(
        'INSERT INTO "InvestorCredential" (id, login, password, server, "updatedAt") '
        "VALUES (%s, '1', %s, 'X', now())",
        row_id, stored,
    )  # fmt: skip


def test_a_generated_key_alone_is_on_stdout(ibctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENCRYPTION_KEY")
    monkeypatch.setenv("DATABASE_URL", "mysql://a-setting-that-would-stop-any-other-command")
    results = [ibctl("secrets", "generate-key") for _ in range(2)]
    keys = {result.stdout for result in results}
    assert len(keys) == 2
    assert all(len(key) == 33 and key.endswith("\n") and len(crypto.key_bytes(key.strip())) == 32 for key in keys)
    assert ".env as ENCRYPTION_KEY" in results[0].stderr
    assert "never replace a key that is in use" in results[0].stderr


def test_the_encrypted_columns_are_those_of_the_platforms_document_and_of_payees() -> None:
    assert {(column.table.name, column.name) for column in sealing.columns()} == {
        ("FacebookAdAccount", "accessToken"),
        ("FacebookAdAccount", "pageAccessToken"),
        ("InvestorCredential", "password"),
        ("SystemeConfig", "apiKey"),
        ("SystemeConfig", "password"),
        *((table, column) for table in ("payee", "payout_item", "payout_order_line") for column in ("name", "account")),
    }


def test_a_database_whose_secrets_all_open_passes(fields: None, ibctl: Run) -> None:
    result = ibctl("secrets", "check")
    assert (result.exit_code, result.stdout) == (0, "")
    assert sorted(result.stderr.splitlines()) == [
        "FacebookAdAccount.accessToken: 1 checked",
        "FacebookAdAccount.pageAccessToken: 1 checked",
        "InvestorCredential.password: 1 checked",
        "SystemeConfig.apiKey: 1 checked",
        "SystemeConfig.password: 1 checked",
        "all 5 encrypted values can be decrypted",
        *(
            f"{table}.{column}: 0 checked"
            for table in ("payee", "payout_item", "payout_order_line")
            for column in ("account", "name")
        ),
    ]


def test_an_empty_database_passes(database: str, ibctl: Run) -> None:
    result = ibctl("secrets", "check", "--format", "json")
    assert (result.exit_code, result.stdout) == (0, "[]\n")
    assert "all 0 encrypted values can be decrypted" in result.stderr


def test_each_field_that_does_not_open_is_listed_and_never_shown(fields: None, ibctl: Run, sql: Sql) -> None:
    insert_credential(sql, "mt2", PLAIN)
    insert_credential(sql, "mt3", crypto.encrypt(PLAIN, OTHER_KEY))
    sql('UPDATE "SystemeConfig" SET "apiKey" = \'\'')
    result = ibctl("secrets", "check", "--format", "json")
    assert result.exit_code == 7
    malformed = 'not JSON {"encrypted","iv","tag"} in lower-case hex'
    assert json.loads(result.stdout) == [
        {
            "table": "InvestorCredential",
            "column": "password",
            "id": "mt3",
            "problem": "encrypted with another ENCRYPTION_KEY, or altered since",
        },
        {"table": "InvestorCredential", "column": "password", "id": "mt2", "problem": malformed},
        {"table": "SystemeConfig", "column": "apiKey", "id": "sy1", "problem": malformed},
    ]
    assert "InvestorCredential.password: 3 checked, 2 failed" in result.stderr
    assert "3 of 7 encrypted values cannot be decrypted" in result.stderr
    assert PLAIN not in result.stdout + result.stderr


def test_a_list_of_failures_is_cut_but_all_are_counted(database: str, ibctl: Run, sql: Sql) -> None:
    for number in range(5):
        insert_credential(sql, f"mt{number}", PLAIN)
    insert_credential(sql, "good", crypto.encrypt(PLAIN, KEY))
    result = ibctl("secrets", "check", "--limit", "2", "--format", "ids")
    assert (result.exit_code, result.stdout) == (7, "mt4\nmt3\n")
    assert "5 of 6 encrypted values cannot be decrypted" in result.stderr
    assert "the newest 2 of 5 failures; --limit 0 shows all" in result.stderr
    assert len(ibctl("secrets", "check", "--limit", "0", "--format", "ids").stdout.split()) == 5


def test_failures_fit_into_80_columns_with_their_whole_id(
    database: str, ibctl: Run, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_user(sql)
    long_id = "cmwtddwn2lflrnz7dsby4wm25"
    sql(
        'INSERT INTO "FacebookAdAccount" (id, "userId", "pageAccessToken", "updatedAt") VALUES (%s, \'u1\', %s, now())',
        long_id, crypto.encrypt("EAAG", OTHER_KEY),
    )  # fmt: skip
    monkeypatch.setenv("COLUMNS", "80")
    lines = ibctl("secrets", "check").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert any("FacebookAdAccount" in line and "pageAccessToken" in line and long_id in line for line in lines)


def test_a_wrong_key_is_called_the_likeliest_cause(
    fields: None, process: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    result = process("secrets", "check", "--format", "csv", "--output", "bad.csv", env={"ENCRYPTION_KEY": OTHER_KEY})
    assert (result.exit_code, result.stdout) == (7, "")
    assert "none of 5 encrypted values can be decrypted: ENCRYPTION_KEY is probably another one" in result.stderr
    assert OTHER_KEY not in result.stderr
    with (tmp_path / "bad.csv").open(newline="") as file:
        assert {row["id"] for row in csv.DictReader(file)} == {"fb1", "mt1", "sy1"}


@pytest.mark.parametrize(
    ("key", "problem"),
    [("", "ENCRYPTION_KEY is not set"), (KEY[:31], "31 characters"), ("ü" + KEY[1:], "33 bytes")],
)
def test_a_missing_or_short_key_is_a_wrong_setting_before_any_work(
    ibctl: Run, monkeypatch: pytest.MonkeyPatch, key: str, problem: str
) -> None:
    monkeypatch.setenv("ENCRYPTION_KEY", key)
    # Nobody answers there: reaching for the database would be another failure.
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/nowhere")
    result = ibctl("secrets", "check")
    assert (result.exit_code, result.stdout) == (4, "")
    assert problem in result.stderr
    assert not key or key not in result.stderr


def test_the_check_holds_one_batch_in_memory_however_many_rows_fail(database: str) -> None:
    stored = crypto.encrypt(PLAIN, OTHER_KEY)
    rows = 10 * service.BATCH
    with psycopg.connect(database) as connection:
        connection.execute(
            'INSERT INTO "InvestorCredential" (id, login, password, server, "updatedAt") '
            "SELECT 'c' || n, '1', %s, 'X', now() FROM generate_series(1, %s) n",
            (stored, rows),
        )
    run = service.Check()
    done: list[int] = []
    with db.reading() as session:
        failures = run.failures(session, progress=done.append)
        next(failures)
        tracemalloc.start()
        count = 1 + sum(1 for _ in failures)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert count == run.failed == rows
    assert done == list(range(service.BATCH, rows + 1, service.BATCH))
    # A row takes about 1 kB in Python; all of them would take 20 MB.
    assert peak < 8_000_000
