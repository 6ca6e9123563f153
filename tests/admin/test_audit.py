"""The record as users read it: which commands wrote something, and what exactly; never a secret."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from ibctl import config, crypto, db
from ibctl.admin.audit import rules, service
from ibctl.errors import UsageError
from ibctl.models.platform import InvestorCredential, Lead, SystemeConfig, User
from tests.conftest import KEY, Result, pressed

Sql = Callable[..., list[tuple[Any, ...]]]
Run = Callable[..., Result]


def write(*statements: str, command: str = "leads edit", reason: str | None = None, undoes: int | None = None) -> int:
    """Run statements as one command of ibctl, and return its change set."""
    config.use_command(command.split())
    with db.transaction(reason=reason, undoes=undoes) as session:
        for statement in statements:
            session.execute(sa.text(statement))
    assert session.written.change_set is not None
    return session.written.change_set


def lead(id_: str) -> str:
    return f"INSERT INTO \"Lead\" (id, email, \"updatedAt\") VALUES ('{id_}', '{id_}@x.com', '2025-10-01')"


def user(id_: str) -> str:
    return f"INSERT INTO \"User\" (id, email, password, \"updatedAt\") VALUES ('{id_}', '{id_}@x.com', 'h', now())"


def listed(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


# ----------------------------------------------------------------------------------------------------------- audit list


def test_the_list_shows_who_did_what_newest_first(sql: Sql, ibctl: Run) -> None:
    first = write(lead("a"), lead("b"), user("u"), command="leads import file.csv", reason="October")
    second = write("UPDATE \"Lead\" SET status = 'x'")
    rows = listed(ibctl("audit", "list", "--format", "json"))
    assert [row["id"] for row in rows] == [second, first]
    assert rows[1] == {
        "id": first, "createdAt": rows[1]["createdAt"], "actor": "tester", "host": rows[1]["host"],
        "command": "ibctl leads import file.csv", "rows": 3, "reason": "October", "undoes": None, "undoneBy": None,
        "counts": {"Lead": {"insert": 2}, "User": {"insert": 1}},
    }  # fmt: skip
    table = ibctl("audit", "list").stdout
    assert "tester" in table
    assert "leads import file.csv" in table
    assert "October" in ibctl("audit", "list", "--columns", "id,reason").stdout
    assert ibctl("audit", "list", "--format", "ids").stdout.split() == [str(second), str(first)]


def test_the_list_can_be_scanned_on_a_small_terminal(sql: Sql, ibctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for number in range(10):
        write(user(f"u{number}"), command="ads accounts connect --user rosa.vidal@example.com --all", reason="a" * 60)
    lines = ibctl("audit", "list").stdout.splitlines()
    assert len(lines) <= 25
    assert max(map(len, lines)) <= 80
    assert "ads accounts connect --user" in lines[3]


def test_the_list_says_which_undo_holds(sql: Sql, ibctl: Run) -> None:
    number = write(lead("a"))
    for target in (number, number + 1, number):
        assert ibctl("undo", target, "--yes").exit_code == 0
    rows = {row["id"]: row for row in listed(ibctl("audit", "list", "--format", "json"))}
    assert {id_: (row["undoes"], row["undoneBy"]) for id_, row in rows.items()} == {
        number: (None, number + 3), number + 1: (number, number + 2), number + 2: (number + 1, None),
        number + 3: (number, None),
    }  # fmt: skip


def test_the_list_can_be_narrowed(sql: Sql, ibctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    leads = write(lead("a"))
    users = write(user("u"))
    monkeypatch.setenv("IBCTL_ACTOR", "Anna")
    config.use_env_file(None)
    both = write('UPDATE "Lead" SET "userId" = \'u\'', "UPDATE \"User\" SET role = 'ADMIN'")
    sql("UPDATE ibctl.change_set SET \"createdAt\" = '2025-10-31 12:00:00' WHERE id = %s", leads)
    sql("UPDATE ibctl.change_set SET \"createdAt\" = '2025-10-31 23:59:59.999' WHERE id = %s", users)

    def found(*options: str) -> list[int]:
        return [row["id"] for row in listed(ibctl("audit", "list", "--format", "json", *options))]

    assert found("--actor", "anna") == [both]
    assert found("--table", "lead") == [both, leads]
    assert found("--row", "a") == [both, leads]
    assert found("--row", "a", "--table", "User") == []
    assert found("--until", "2025-10-31") == [users, leads]
    assert found("--until", "2025-10-31T12:00") == [leads]
    assert found("--since", "2025-10-31 12:00:01", "--until", "2025-10-31") == [users]
    assert found("--since", "2025-11-01") == [both]
    assert found("--actor", "tester", "--table", "User") == [users]


def test_a_list_that_was_cut_or_is_empty_says_so(sql: Sql, ibctl: Run) -> None:
    for id_ in "abc":
        write(lead(id_))
    assert "the newest 2 of 3 change sets; --limit 0 shows all" in ibctl("audit", "list", "--limit", "2").stderr
    nobody = ibctl("audit", "list", "--actor", "nobody")
    assert (nobody.exit_code, nobody.stdout, nobody.stderr.strip()) == (0, "", "no change sets")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--table", "Leeds"], "no table 'Leeds'"),
        (["--since", "31.10.2025"], "--since: '31.10.2025' is no time"),
        (["--until", "2025-10-31T12:00+02:00"], "--until: '2025-10-31T12:00+02:00' has a zone"),
    ],
)
def test_a_filter_that_means_nothing_is_wrong_usage(
    database: str, ibctl: Run, options: list[str], message: str
) -> None:
    result = ibctl("audit", "list", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_ten_thousand_change_sets_are_listed_with_their_undos(sql: Sql, database: str) -> None:
    sql(
        'INSERT INTO ibctl.change_set ("createdAt", actor, host, command, counts, columns, steps, undoes)'
        " SELECT now(), 'a', 'h', 'c',"
        " '{\"Lead\": {\"insert\": 1}}', '{}', 1, CASE WHEN n % 2 = 0 THEN n - 1 END FROM generate_series(1, 10000) n"
    )
    with db.reading() as session:
        rows = list(service.change_sets(session, service.Filter(), limit=50))
        everything = list(service.change_sets(session, service.Filter()))
    assert [row["undoneBy"] for row in rows[:4]] == [None, 10000, None, 9998]
    assert len(everything) == 10000


# ----------------------------------------------------------------------------------------------------------- audit show


def test_a_change_set_is_shown_field_by_field(sql: Sql, ibctl: Run) -> None:
    write(lead("a"), lead("gone"))
    number = write(
        "UPDATE \"Lead\" SET status = 'contacted', \"cpaEarned\" = 12.5 WHERE id = 'a'",
        "DELETE FROM \"Lead\" WHERE id = 'gone'",
        user("u"),
        reason="a call",
    )
    result = ibctl("audit", "show", number)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"change set {number}"
    assert "  command  ibctl leads edit" in lines
    assert "  reason   a call" in lines
    assert "  wrote    1 Lead deleted, 1 Lead updated, 1 User inserted" in lines
    start = lines.index("Lead a updated")
    assert lines[start + 1 : start + 4] == ["  status     captured → contacted", "  cpaEarned  0 → 12.5", ""]
    start = lines.index("Lead gone deleted")
    assert any(line.split() == ["email", "gone@x.com"] for line in lines[start:])
    assert not any(line.startswith("  phone") for line in lines), "a deleted row's empty fields say nothing"
    assert "User u inserted" in lines


def test_json_has_both_images_and_csv_a_line_for_each_field(sql: Sql, ibctl: Run) -> None:
    write(lead("a"))
    number = write("UPDATE \"Lead\" SET status = 'contacted'")
    (item,) = listed(ibctl("audit", "show", number, "--format", "json"))
    assert (item["table"], item["id"], item["operation"], item["step"]) == ("Lead", "a", "update", 1)
    assert item["after"] == {**item["before"], "status": "contacted"}
    (row,) = csv.DictReader(io.StringIO(ibctl("audit", "show", number, "--format", "csv").stdout))
    assert row == {
        "changeSetId": str(number), "step": "1", "table": "Lead", "id": "a", "operation": "update", "field": "status",
        "before": "captured", "after": "contacted",
    }  # fmt: skip


def test_changes_can_be_narrowed_and_say_when_they_were_cut(sql: Sql, ibctl: Run) -> None:
    number = write(*(lead(f"l{n}") for n in range(5)), user("u"))
    assert ibctl("audit", "show", number, "--table", "user", "--format", "ids").stdout.split() == ["u"]
    assert ibctl("audit", "show", number, "--row", "l3", "--format", "ids").stdout.split() == ["l3"]
    cut = ibctl("audit", "show", number, "--limit", "2", "--format", "ids")
    assert cut.stdout.split() == ["l0", "l1"]
    assert "the first 2 of 6 row changes; --limit 0 shows all" in cut.stderr
    assert len(ibctl("audit", "show", number, "--limit", "0", "--format", "ids").stdout.split()) == 6


def test_the_head_says_what_an_undo_undid_and_by_what_it_was_undone(sql: Sql, ibctl: Run) -> None:
    number = write(lead("a"))
    ibctl("undo", number, "--yes")
    assert f"  undone   by change set {number + 1}" in ibctl("audit", "show", number).stdout.splitlines()
    assert f"  undoes   change set {number}" in ibctl("audit", "show", number + 1).stdout.splitlines()


def test_it_can_be_written_to_a_file_and_as_a_plain_table(sql: Sql, ibctl: Run, tmp_path: Any) -> None:
    number = write(lead("a"))
    assert ibctl("audit", "show", number, "--output", tmp_path / "o.txt").stdout == ""
    assert (tmp_path / "o.txt").read_text() == ibctl("audit", "show", number).stdout
    table = ibctl("audit", "show", number, "--columns", "field,after").stdout
    assert table.split()[:2] == ["field", "after"]
    assert "a@x.com" in table


def test_an_unknown_change_set_is_not_found(database: str, process: Run) -> None:
    result = process("audit", "show", "12")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.strip() == "Error: there is no change set 12: nothing has been recorded yet"


def test_what_a_lead_typed_cannot_move_the_terminals_cursor(sql: Sql, ibctl: Run) -> None:
    number = write('INSERT INTO "Lead" (id, "firstName", "updatedAt") VALUES (\'a\', E\'\\x1b[2Jx\', now())')
    shown = ibctl("audit", "show", number).stdout
    assert "\x1b" not in shown
    assert "\\x1b[2Jx" in shown


def test_the_head_of_a_change_set_cannot_be_forged(
    sql: Sql, ibctl: Run, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IBCTL_ACTOR", "eve\n  by       root on db1")
    config.use_env_file(None)
    number = write(lead("a"))
    forged = "ibctl leads add\n  reason   asked for by the owner\u2028  wrote    nothing"
    sql("UPDATE ibctl.change_set SET command = %s", forged)
    shown = ibctl("audit", "show", number).stdout
    assert ibctl("audit", "show", number, "--output", tmp_path / "shown").exit_code == 0
    assert (tmp_path / "shown").read_text() == shown
    lines = shown.splitlines()
    assert r"  by       eve\n  by       root on db1" in lines[1]
    assert [line.split()[0] for line in lines[1:6]] == ["by", "at", "command", "reason", "wrote"]
    assert r"\n  reason   asked for by the owner\u2028  wrote    nothing" in lines[3]


def test_numbers_are_completed_with_their_commands_and_silence_where_nothing_answers(sql: Sql, process: Run) -> None:
    numbers = [write(lead("a"), command="leads import x.csv"), write(lead("b"))]

    def complete(words: str, **env: str) -> Result:
        return process(env={**pressed(words, "zsh"), **env})

    shown = complete("undo ")
    assert all(f'"{number}"' in shown.stdout for number in numbers)
    assert "leads import x.csv" in shown.stdout
    assert complete("audit show 9").stdout.strip() == "_files", "the shell's own completion"
    dead = complete("undo ", DATABASE_URL="postgresql://u:p@127.0.0.1:9/db")
    assert "Error" not in dead.stdout + dead.stderr


def test_a_selection_without_a_row_says_so(sql: Sql, ibctl: Run) -> None:
    number = write(lead("a"))
    result = ibctl("audit", "show", number, "--row", "b", "--format", "json")
    assert (result.stdout, result.stderr.strip()) == ("[]\n", "no row changes")


# -------------------------------------------------------------------------------------------------------------- secrets


def sealed(plaintext: str) -> crypto.Sealed:
    return crypto.Sealed(crypto.encrypt(plaintext, KEY))


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_no_cipher_hash_or_password_is_ever_shown(sql: Sql, ibctl: Run, form: str) -> None:
    old, new, key = sealed("one"), sealed("two"), sealed("key")
    with db.transaction() as session:
        session.add(User(id="u", email="u@x.com", password="$2b$12$hash"))
        session.add(Lead(id="l"))
        session.add(InvestorCredential(id="c", login="1", password=old, server="s"))
        session.add(SystemeConfig(id="s", api_key=key))
        session.execute(
            sa.text(
                'INSERT INTO "AuthProfile" (id, name, "authType", password, config, "updatedAt") VALUES'
                " ('p', 'n', 'basic', 'plain-password', '{\"token\": \"plain-token\"}', now())"
            )
        )
        session.flush()
        session.execute(sa.update(InvestorCredential).values(password=new))
    number = session.written.change_set
    result = ibctl("audit", "show", str(number), "--format", form, "--limit", "0")
    assert result.exit_code == 0
    for secret in (json.loads(old.text)["encrypted"], json.loads(new.text)["tag"], json.loads(key.text)["iv"],
                   "$2b$", "plain-password", "plain-token"):  # fmt: skip
        assert secret not in result.stdout
    assert rules.HIDDEN in result.stdout
    if form == "table":
        assert "  password   (secret) → (secret)" in result.stdout, "that it changed is shown"
        assert "apiKey" in result.stdout


def test_a_missing_secret_is_shown_as_missing(sql: Sql, ibctl: Run) -> None:
    number = write('INSERT INTO "SystemeConfig" (id, "updatedAt") VALUES (\'s\', now())')
    (item,) = listed(ibctl("audit", "show", number, "--format", "json"))
    assert (item["after"]["apiKey"], item["after"]["password"]) == (None, None)


def test_every_sealed_column_and_every_password_is_known_as_a_secret() -> None:
    secrets = service.secret_columns()
    assert {table: set(columns) for table, columns in secrets.items() if columns} == {
        "User": {"password"},
        "FacebookAdAccount": {"accessToken", "pageAccessToken"},
        "InvestorCredential": {"password"},
        "SystemeConfig": {"apiKey", "password"},
        "AuthProfile": {"password", "config"},
        "payee": {"name", "account"},
        "payout_item": {"name", "account"},
        "payout_order_line": {"name", "account"},
    }


# ---------------------------------------------------------------------------------------------------------------- rules


def test_an_undo_that_was_undone_does_not_hold() -> None:
    assert rules.standing_undos([]) == {}
    assert rules.standing_undos([(1, 2)]) == {1: 2}
    assert rules.standing_undos([(1, 2), (2, 3)]) == {2: 3}
    assert rules.standing_undos([(1, 2), (2, 3), (3, 4), (1, 5)]) == {1: 5, 3: 4}
    chain = rules.standing_undos((number, number + 1) for number in range(1, 100_000))
    assert (1 in chain, chain[99_999], len(chain)) == (True, 100_000, 50_000)


@given(st.data())
def test_tables_come_after_what_they_refer_to_even_where_some_refer_in_a_circle(data: st.DataObject) -> None:
    tables = list("abcdef")
    pairs = data.draw(st.lists(st.tuples(st.sampled_from(tables), st.sampled_from(tables)), max_size=12))
    assert sorted(rules.by_dependency(tables, pairs)) == tables
    forward = [(child, parent) for child, parent in pairs if child > parent]
    order = rules.by_dependency(tables, forward)
    assert all(order.index(parent) < order.index(child) for child, parent in forward)


def test_a_day_as_the_end_of_a_span_is_the_whole_day() -> None:
    assert rules.moment("--since", "2025-10-31") == datetime(2025, 10, 31)
    assert rules.moment("--until", "2025-10-31", end=True) == datetime(2025, 10, 31, 23, 59, 59, 999999)
    assert rules.moment("--until", "2025-10-31 08:30Z", end=True) == datetime(2025, 10, 31, 8, 30)
    with pytest.raises(UsageError, match="--since: '2025-10-32' is no time"):
        rules.moment("--since", "2025-10-32")


def test_the_fields_of_a_change_are_those_that_differ() -> None:
    assert rules.differing({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": None}) == ["b"]
    assert rules.differing(None, {"a": 1, "b": None}) == ["a"]
    assert rules.differing({"a": 1}, None) == ["a"]
    assert rules.differing(None, {"a": 1, "b": 1, "y": 1, "c": 1}, ["c", "x", "b"]) == ["c", "b", "a", "y"]


def test_only_keys_are_quoted_from_what_the_database_says() -> None:
    assert "Key (email)" in rules.refusal("23505", "duplicate", "Key (email)=(a@b) already exists.")
    assert rules.refusal("23502", "null value in column", "Failing row contains (secret)") == (
        "the database refuses: null value in column"
    )
