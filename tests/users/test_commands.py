from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from ibctl import embedded
from tests.conftest import pressed

Sql = Callable[..., list[tuple[Any, ...]]]
Run = Callable[..., Any]
PASSWORD = "correct horse battery"
HASH = "$2b$04$sRoydu031V88oVc3CNyme.q1Fkt5EuAjuVUJcb/2JaWlaw6NMnSiC"


@pytest.fixture
def accounts(sql: Sql) -> None:
    """An administrator and two IBs, one of them locked, as the web application would have them."""
    for number, (email, role) in enumerate(
        [("boss@x.org", "ADMIN"), ("Anna@x.org", "IB"), ("bob@x.org", "IB")], start=1
    ):
        sql(
            'INSERT INTO "User" (id, email, password, role, "createdAt", "updatedAt") '
            "VALUES (%s, %s, %s, %s, %s, '2025-01-01')",
            f"c{number}", email, HASH, role, f"2025-01-0{number}",
        )  # fmt: skip
    sql('UPDATE "User" SET "lockedUntil" = \'2199-01-01\', "failedLoginCount" = 5 WHERE id = \'c3\'')


def value(sql: Sql, column: str, email: str) -> object:
    return sql(f'SELECT "{column}" FROM "User" WHERE lower(email) = %s', email)[0][0]


def test_an_added_account_can_sign_in_with_the_password_from_stdin(database: str, ibctl: Run, sql: Sql) -> None:
    before = datetime.now(UTC).replace(tzinfo=None)
    result = ibctl(
        "users", "add", "Anna@X.org", "--role", "admin", "--verified", "--reason", "new", input=PASSWORD + "\r\n"
    )
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    ((stored, role, verified, created),) = sql('SELECT password, role, "emailVerified", "createdAt" FROM "User"')
    assert bcrypt.checkpw(PASSWORD.encode(), stored.encode())
    assert (role, verified) == ("ADMIN", True)
    assert abs((created - before).total_seconds()) < 60
    assert sql("SELECT actor, reason, command, counts FROM ibctl.change_set") == [
        ("tester", "new", "ibctl users add Anna@X.org --role admin --verified --reason new", {"User": {"insert": 1}})
    ]
    assert "added ADMIN anna@x.org with id c" in result.stderr
    assert "ibctl undo 1" in result.stderr


def test_a_dry_run_adds_nobody_and_says_so(database: str, ibctl: Run, sql: Sql) -> None:
    result = ibctl("users", "add", "anna@x.org", "--dry-run", input=PASSWORD)
    assert result.exit_code == 0, result.stderr
    assert "dry run: nothing was written" in result.stderr
    assert sql('SELECT (SELECT count(*) FROM "User"), (SELECT count(*) FROM ibctl.change_set)') == [(0, 0)]


REFUSED: list[tuple[list[str], str, int, str]] = [
    (["add", "anna@y.org"], "", 2, "Password: expected it as one line on stdin"),
    (["add", "anna@y.org"], "short\n", 2, "5 characters"),
    (["add", "anna"], PASSWORD, 2, "'anna' is not an email address"),
    (["add", "anna@y.org", "--role", "ROOT"], PASSWORD, 2, "ROOT"),
    (["add", "anna@y.org", "--password", "x"], "", 2, "--password"),
    (
        ["add", "ANNA@x.org"],
        PASSWORD,
        3,
        "the email anna@x.org belongs to another account (c2, written Anna@x.org)",
    ),
    (["show", "ana@x.org"], "", 3, "there is no user 'ana@x.org': did you mean Anna@x.org?"),
    (["set-password", "nobody@x.org"], PASSWORD, 3, "there is no user 'nobody@x.org'"),
    (["set-password", "anna@x.org"], "", 2, "New password: expected it as one line on stdin"),
    (["edit", "anna@x.org"], "", 2, "nothing to change"),
    (["edit", "anna@x.org", "--email", "BOB@x.org"], "", 3, "belongs to another account"),
    (["unlock"], "", 2, "USER"),
    (["unlock", "bob@x.org", "nobody@x.org"], "", 3, "there is no user 'nobody@x.org'"),
    (["deactivate", "anna@x.org"], "", 2, "pass --yes"),
    (["deactivate", "boss@x.org", "--yes"], "", 3, "no active administrator would be left"),
    (["set-role", "boss@x.org", "--role", "IB"], "", 3, "no active administrator would be left"),
    (["list", "--columns", "email,password"], "", 2, "no column 'password'"),
    (["show", "anna@x.org", "--columns", "password"], "", 2, "no column 'password'"),
]


def test_a_command_that_cannot_be_carried_out_says_why_and_writes_nothing(accounts: None, ibctl: Run, sql: Sql) -> None:
    before = sql('SELECT * FROM "User" ORDER BY id')
    for arguments, stdin, code, told in REFUSED:
        result = ibctl("users", *arguments, input=stdin)
        assert (result.exit_code, result.stdout) == (code, ""), arguments
        assert told in " ".join(result.stderr.split()), arguments
    assert sql('SELECT * FROM "User" ORDER BY id') == before
    assert sql("SELECT count(*) FROM ibctl.change_set") == [(0,)]


def test_a_listing_shows_the_documents_names_and_times_and_never_a_hash(accounts: None, ibctl: Run) -> None:
    rows = json.loads(ibctl("users", "list", "--format", "json").stdout)
    assert [row["id"] for row in rows] == ["c3", "c2", "c1"]
    assert rows[0] == {
        "id": "c3",
        "email": "bob@x.org",
        "role": "IB",
        "isActive": True,
        "emailVerified": False,
        "failedLoginCount": 5,
        "lockedUntil": "2199-01-01T00:00:00.000Z",
        "createdAt": "2025-01-03T00:00:00.000Z",
        "updatedAt": "2025-01-01T00:00:00.000Z",
    }


@pytest.mark.parametrize("form", ["table", "json", "csv", "ids"])
def test_no_output_holds_a_password_hash(accounts: None, ibctl: Run, form: str) -> None:
    for arguments in (["list"], ["show", "anna@x.org"]):
        result = ibctl("users", *arguments, "--format", form)
        assert result.exit_code == 0
        assert "c2" in result.stdout or form == "table"
        assert "password" not in result.stdout
        assert "$2b$" not in result.stdout + result.stderr


def test_a_dash_is_standard_output(accounts: None, ibctl: Run) -> None:
    listed = ibctl("users", "list", "--format", "csv", "--output", "-")
    assert listed.stdout.startswith("id,email,")
    assert not Path("-").exists()


def test_a_listing_that_is_cut_or_empty_says_so_on_stderr(accounts: None, ibctl: Run) -> None:
    cut = ibctl("users", "list", "--limit", "1", "--format", "ids")
    assert (cut.stdout, cut.exit_code) == ("c3\n", 0)
    assert "the newest 1 of 3 users" in cut.stderr
    empty = ibctl("users", "list", "--inactive")
    assert (empty.stdout, empty.stderr) == ("", "no users\n")


def test_a_listing_fits_into_80_columns(accounts: None, ibctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = ibctl("users", "list").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert any("Anna@x.org" in line and "2199-01-01" not in line for line in lines)
    assert any("bob@x.org" in line and "2199-01-01 00:00" in line for line in lines)


def test_accounts_found_by_a_listing_can_be_unlocked_together(accounts: None, ibctl: Run, sql: Sql) -> None:
    ids = ibctl("users", "list", "--locked", "--format", "ids").stdout.split()
    assert ids == ["c3"]
    result = ibctl("users", "unlock", *ids, "anna@x.org")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "unlocked bob@x.org; change set" in result.stderr
    assert (value(sql, "lockedUntil", "bob@x.org"), value(sql, "failedLoginCount", "bob@x.org")) == (None, 0)
    again = ibctl("users", "unlock", *ids)
    assert (again.exit_code, again.stderr) == (0, "nothing to do: not locked, no failed sign-ins\n")


def test_a_deactivation_names_what_stays_and_is_taken_back_by_activation(accounts: None, ibctl: Run, sql: Sql) -> None:
    sql('INSERT INTO "Lead" (id, "userId", "updatedAt") VALUES (\'l1\', \'c2\', now())')
    asked = ibctl("users", "deactivate", "anna@x.org")
    assert "Anna@x.org can no longer sign in; 1 lead and 0 unpaid commissions (0.00 USD) stay" in asked.stderr
    tried = ibctl("users", "deactivate", "anna@x.org", "--dry-run")
    assert (tried.exit_code, value(sql, "isActive", "anna@x.org")) == (0, True)
    assert "deactivated Anna@x.org; dry run: nothing was written" in tried.stderr
    assert ibctl("users", "deactivate", "anna@x.org", "--yes").exit_code == 0
    assert value(sql, "isActive", "anna@x.org") is False
    assert sql('SELECT "userId" FROM "Lead"') == [("c2",)]
    assert ibctl("users", "activate", "anna@x.org").exit_code == 0
    assert value(sql, "isActive", "anna@x.org") is True


def test_a_deactivation_asks_about_those_that_are_active_each_once(accounts: None, ibctl: Run, sql: Sql) -> None:
    twice = ibctl("users", "deactivate", "bob@x.org", "BOB@x.org")
    assert (twice.exit_code, "Error: bob@x.org can no longer sign in" in twice.stderr) == (2, True), twice.stderr
    sql('UPDATE "User" SET "isActive" = false WHERE email = \'bob@x.org\'')
    one = ibctl("users", "deactivate", "bob@x.org", "anna@x.org")
    assert (one.exit_code, "Anna@x.org can no longer sign in" in one.stderr) == (2, True), one.stderr
    none = ibctl("users", "deactivate", "bob@x.org")
    assert (none.exit_code, none.stderr) == (0, "nothing to do: inactive already\n")


def test_an_address_is_found_whichever_way_its_accents_are_written(database: str, ibctl: Run) -> None:
    apart = unicodedata.normalize("NFD", "zoë@x.org")
    assert ibctl("users", "add", apart, "--role", "IB", input=f"{PASSWORD}\n").exit_code == 0
    for written in (apart, apart.upper(), "zoë@x.org"):
        assert ibctl("users", "show", written).exit_code == 0
        assert len(ibctl("users", "list", "--search", written, "--format", "ids").stdout.split()) == 1
    assert ibctl("leads", "add", "--email", apart, "--ib", apart).exit_code == 0
    for written in (apart, apart.upper(), "zoë@x.org"):
        assert ibctl("leads", "show", written).exit_code == 0
        assert len(ibctl("leads", "list", "--search", written, "--format", "ids").stdout.split()) == 1
        assert len(ibctl("leads", "export", "--search", written, "--format", "csv").stdout.splitlines()) == 2
    assigned = ibctl("leads", "assign", apart, "zoë@x.org", "--unassign", "--yes")
    assert (assigned.exit_code, assigned.stderr.startswith("unassigned: zoë@x.org (")) == (0, True), assigned.stderr


def test_an_ib_with_leads_becomes_an_administrator_only_when_confirmed(accounts: None, ibctl: Run, sql: Sql) -> None:
    sql('INSERT INTO "Lead" (id, "userId", "updatedAt") VALUES (\'l1\', \'c2\', now())')
    asked = ibctl("users", "set-role", "anna@x.org", "--role", "ADMIN")
    assert asked.exit_code == 2
    assert "becomes an ADMIN and earns no more commissions; 1 lead" in asked.stderr
    assert ibctl("users", "set-role", "anna@x.org", "--role", "ADMIN", "--yes").exit_code == 0
    assert value(sql, "role", "anna@x.org") == "ADMIN"
    assert ibctl("users", "set-role", "bob@x.org", "--role", "admin").exit_code == 0
    assert ibctl("users", "set-role", "boss@x.org", "--role", "IB").exit_code == 0
    same = ibctl("users", "set-role", "boss@x.org", "--role", "IB")
    assert same.stderr == "nothing to do: boss@x.org is IB\n"


def test_a_new_password_replaces_the_old_and_a_lock_is_mentioned(accounts: None, ibctl: Run, sql: Sql) -> None:
    result = ibctl("users", "set-password", "bob@x.org", input=PASSWORD + "\n")
    assert (result.exit_code, result.stdout) == (0, "")
    assert bcrypt.checkpw(PASSWORD.encode(), str(value(sql, "password", "bob@x.org")).encode())
    assert "it stays locked until 2199-01-01 00:00 UTC" in result.stderr
    assert PASSWORD not in result.stderr
    assert "locked" not in ibctl("users", "set-password", "anna@x.org", input=PASSWORD).stderr


def test_a_password_is_nowhere_in_the_audit_record(accounts: None, ibctl: Run, sql: Sql) -> None:
    ibctl("users", "set-password", "bob@x.org", input=PASSWORD + "\n")
    ((texts,),) = sql(
        "SELECT string_agg(s::text || coalesce(c::text, ''), ' ') FROM ibctl.change_set s, ibctl.change c"
    )
    assert "bob@x.org" in texts
    assert PASSWORD not in texts


def test_an_edit_moves_an_account_to_another_email(accounts: None, ibctl: Run, sql: Sql) -> None:
    sql('UPDATE "User" SET "emailVerified" = true')
    result = ibctl("users", "edit", "c2", "--email", " Anna@Y.org ")
    assert result.exit_code == 0
    assert "c2 has the email anna@y.org, unverified; change set" in result.stderr
    assert value(sql, "emailVerified", "anna@y.org") is False
    again = ibctl("users", "edit", "c2", "--email", "anna@y.org", "--unverified")
    assert again.stderr == "nothing to do: c2 has the email anna@y.org, unverified\n"


def test_show_tells_what_hangs_on_an_account_and_who_changed_it_last(
    accounts: None, ibctl: Run, tmp_path: Path
) -> None:
    before = ibctl("users", "show", "anna@x.org").stdout
    assert "changedWith       –" in before
    ibctl("users", "edit", "anna@x.org", "--verified")
    lines = ibctl("users", "show", "anna@x.org").stdout.splitlines()
    assert "emailVerified     yes" in lines
    assert "leads             0" in lines
    assert "changedBy         tester" in lines
    assert "changedWith       ibctl users edit anna@x.org --verified" in lines
    assert ibctl("users", "show", "anna@x.org", "--output", "anna.txt").stdout == ""
    assert (tmp_path / "anna.txt").read_text().splitlines() == lines
    (row,) = json.loads(ibctl("users", "show", "anna@x.org", "--format", "json").stdout)
    assert row["changeSet"] == 1


# --------------------------------------------------------------------------------------------- in a process of its own


def test_failures_end_a_real_process_with_their_exit_code(accounts: None, process: Run, sql: Sql) -> None:
    runs = {
        2: process("users", "add", "zoe@x.org"),
        3: process("users", "deactivate", "boss@x.org", "--yes"),
        4: process("users", "list", env={"DATABASE_URL": "postgresql://127.0.0.1:1/nowhere"}),
        0: process("users", "add", "zoe@x.org", input=PASSWORD),
    }
    assert {expected: run.exit_code for expected, run in runs.items()} == {2: 2, 3: 3, 4: 4, 0: 0}
    assert all("Traceback" not in run.stderr and run.stdout == "" for run in runs.values())
    assert value(sql, "role", "zoe@x.org") == "IB"


def test_of_two_processes_that_demote_each_others_administrator_one_fails(
    accounts: None, process: Run, sql: Sql
) -> None:
    sql("UPDATE \"User\" SET role = 'ADMIN' WHERE id = 'c2'")
    with ThreadPoolExecutor(2) as pool:
        runs = pool.map(lambda who: process("users", "set-role", who, "--role", "IB"), ["boss@x.org", "anna@x.org"])
        codes = sorted(run.exit_code for run in runs)
    assert codes == [0, 3]
    assert sql("SELECT count(*) FROM \"User\" WHERE role = 'ADMIN'") == [(1,)]


def complete(process: Run, words: str, **env: str) -> list[str]:
    """Press Tab after `words`, as bash does."""
    result = process(env={**pressed(words), **env}, timeout=30)
    assert result.stderr == ""
    return str(result.stdout).split()


def test_emails_are_completed_from_the_database(accounts: None, process: Run, tmp_path: Path, database: str) -> None:
    assert complete(process, "users show b") == ["bob@x.org", "boss@x.org"]
    assert complete(process, "commissions explain b") == ["bob@x.org"]  # an IB, not the administrator
    (tmp_path / "other.env").write_text(f"DATABASE_URL={database}\n")
    named = "--env-file other.env users show A"
    assert complete(process, named, DATABASE_URL="") == ["Anna@x.org"]


@pytest.fixture
def reachable_folder() -> Iterator[Path]:
    """A folder in which an embedded server could be made, by root too: pytest's own are closed to other users."""
    folder = Path(tempfile.mkdtemp(prefix="ibctl-test-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder
    embedded.remove(folder / "data" / "postgres")
    shutil.rmtree(folder)


def test_completion_starts_no_embedded_server(process: Run, reachable_folder: Path) -> None:
    data = reachable_folder / "data"
    assert complete(process, "users show b", IBCTL_DATA_DIR=str(data)) == []
    assert not data.exists()


@pytest.mark.parametrize("url", ["postgresql://127.0.0.1:1/nowhere", "mysql://nowhere"])
def test_completion_is_silent_where_the_database_cannot_be_reached(process: Run, url: str) -> None:
    assert complete(process, "users show b", DATABASE_URL=url) == []


def test_completion_brings_nothing_heavy_into_the_process_before_a_word_is_completed() -> None:
    heavy = ("sqlmodel", "sqlalchemy", "psycopg", "cryptography")
    probe = f"import sys, ibctl.users.completion; print([name for name in {heavy} if name in sys.modules])"
    root = Path(__file__).parents[2]
    shown = subprocess.run([sys.executable, "-c", probe], cwd=root, capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"
