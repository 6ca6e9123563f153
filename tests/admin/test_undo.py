"""Taking back what one command wrote, on the real database: what is restored, what is left and why."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from ibctl import config, db
from ibctl.admin.audit import undo as undoing
from ibctl.admin.database import schema
from ibctl.errors import RequestError
from ibctl.leads import importing
from tests.conftest import Result, command

Sql = Callable[..., list[tuple[Any, ...]]]
Run = Callable[..., Result]

TABLES = (
    '"User"',
    '"Lead"',
    '"LeadActivity"',
    '"InvestorCredential"',
    '"AdTemplate"',
    "ibctl.exchange_rate",
    "ibctl.lead_transfer",
)
USER = "INSERT INTO \"User\" (id, email, password, \"updatedAt\") VALUES (:id, :email, 'x', '2025-10-01')"
LEAD = (
    'INSERT INTO "Lead" (id, "userId", "trackingToken", "leadCapturedAt", "updatedAt")'
    " VALUES (:id, :user, :token, '2025-10-05 12:00', '2025-10-01')"
)


def write(*statements: str | tuple[str, dict[str, Any]], undoes: int | None = None) -> int:
    """Run statements as one command of ibctl, and return its change set."""
    with db.transaction(undoes=undoes) as session:
        for statement in statements:
            text, values = (statement, {}) if isinstance(statement, str) else statement
            session.execute(sa.text(text), values)
    assert session.written.change_set is not None
    return session.written.change_set


def lead(id_: str, user: str | None = None, token: str | None = None) -> tuple[str, dict[str, Any]]:
    return LEAD, {"id": id_, "user": user, "token": token}


def user(id_: str, email: str | None = None) -> tuple[str, dict[str, Any]]:
    return USER, {"id": id_, "email": email or f"{id_}@x.com"}


def state(sql: Sql, tables: Sequence[str] = TABLES) -> list[tuple[Any, ...]]:
    """Every row of the tables, in the database's own words."""
    selects = (f"SELECT '{table}' AS t, id, t::text AS row, to_jsonb(t) FROM {table} t" for table in tables)
    return sql(" UNION ALL ".join(selects) + " ORDER BY 1, 2")


def take_back(number: int) -> tuple[undoing.Outcome, int | None]:
    with db.transaction(undoes=number) as session:
        outcome = undoing.undo(session, number)
    return outcome, session.written.change_set


def listed(result: Result) -> dict[str, dict[str, str]]:
    return {row["id"]: row for row in json.loads(result.stdout)}


# ---------------------------------------------------------------------------------------------------- the whole circle


def test_new_rows_are_deleted_changed_ones_set_back_deleted_ones_put_back(sql: Sql, ibctl: Run) -> None:
    write(lead("changed", token="old"), lead("deleted", token="gone"))
    before = state(sql)
    number = write(
        lead("new"),
        "UPDATE \"Lead\" SET \"trackingToken\" = 'new', \"updatedAt\" = '2025-10-09' WHERE id = 'changed'",
        "DELETE FROM \"Lead\" WHERE id = 'deleted'",
    )
    result = ibctl("undo", number, "--yes")
    assert result.exit_code == 0, result.stderr
    assert state(sql) == before
    assert f"took back change set {number}: 1 Lead deleted, 1 Lead put back, 1 Lead set back" in result.stderr
    assert f"`ibctl undo {number + 1}` takes it back" in result.stderr


def test_every_column_type_comes_back_byte_for_byte(sql: Sql, ibctl: Run) -> None:
    sql(
        'INSERT INTO "User" (id, email, password, role, "isActive", "failedLoginCount", "lockedUntil", "createdAt",'
        " \"updatedAt\") VALUES ('u', 'zoë@x.com', '$2b$12$hash', 'ADMIN', false, 7, '2025-10-26 00:30:00.123',"
        " '2024-02-29 23:59:59.999', '2025-01-01 00:00:00.001')"
    )
    sql(
        'INSERT INTO "Lead" (id, "userId", "firstName", "ftdEarned", "cpaEarned", "totalEarned", "updatedAt") VALUES'
        " ('l', 'u', E'O\\'Neil \"x\" \\\\ \\n 😀', 0.1::float8 + 0.2::float8, 1e-300, 123456789.01, '2025-01-01')"
    )
    sql(
        'INSERT INTO "AdTemplate" (id, name, category, "templateData", "updatedAt") VALUES'
        " ('t1', 'a', 'c', '{\"a\": [1, 2.50, null, \"x\"]}', '2025-01-01'), ('t2', 'b', 'c', 'null', '2025-01-01')"
    )
    sql(
        "INSERT INTO ibctl.exchange_rate VALUES"
        " ('r', '2025-10-01', 'EUR', 'USD', 1.08500, 'ECB', '2025-10-01 16:00:00.5')"
    )
    before = state(sql)
    changed = write(
        'UPDATE "User" SET role = \'IB\', "isActive" = true, "lockedUntil" = NULL, password = \'other\','
        " \"updatedAt\" = '2025-11-01'",
        'UPDATE "Lead" SET "firstName" = NULL, "ftdEarned" = 1, "cpaEarned" = 2, "totalEarned" = 3',
        "UPDATE \"AdTemplate\" SET name = name || 'x', \"templateData\" = '{}' WHERE id = 't1'",
        "UPDATE \"AdTemplate\" SET name = 'y' WHERE id = 't2'",
        "UPDATE ibctl.exchange_rate SET rate = 2",
    )
    assert state(sql) != before
    assert ibctl("undo", changed, "--yes").exit_code == 0
    assert state(sql) == before
    deleted = write(*(f"DELETE FROM {table}" for table in ('"Lead"', '"User"', '"AdTemplate"', "ibctl.exchange_rate")))
    assert ibctl("undo", deleted, "--yes").exit_code == 0
    assert state(sql) == before


def test_undoing_an_undo_brings_everything_back(sql: Sql, ibctl: Run) -> None:
    number = write(user("u"), lead("l", "u", "t"), "UPDATE \"Lead\" SET status = 'contacted'")
    after = state(sql)
    assert ibctl("undo", number, "--yes").exit_code == 0
    assert ibctl("undo", number + 1, "--yes").exit_code == 0
    assert state(sql) == after
    assert ibctl("undo", number, "--yes").exit_code == 0
    assert sql('SELECT count(*) FROM "Lead"') == [(0,)]


def test_a_row_written_and_taken_away_by_the_same_command_is_nothing_to_undo(sql: Sql, ibctl: Run) -> None:
    number = write(lead("l"), 'DELETE FROM "Lead"')
    result = ibctl("undo", number, "--yes")
    assert result.exit_code == 3
    assert f"change set {number} left nothing behind" in result.stderr
    back_and_forth = write(lead("l"))
    same = write("UPDATE \"Lead\" SET status = 'x'", "UPDATE \"Lead\" SET status = 'captured'")
    assert ibctl("undo", same, "--yes").exit_code == 3
    assert ibctl("undo", back_and_forth, "--yes").exit_code == 0


IDS = {"User": ["u1", "u2"], "Lead": ["l1", "l2", "l3"], "LeadActivity": ["a1", "a2"], "InvestorCredential": ["c1"]}
WORDS = st.sampled_from(["x", "y", "z"])
OPTIONAL_LEAD = st.sampled_from([None, *IDS["Lead"]])
ROWS = {
    "User": st.fixed_dictionaries({"email": WORDS, "role": st.sampled_from(["IB", "ADMIN"])}),
    "Lead": st.fixed_dictionaries(
        {
            "userId": st.sampled_from([None, *IDS["User"]]),
            "trackingToken": st.none() | WORDS,
            # jsonb, in which the images are kept, has no negative zero: it comes back as zero.
            "cpaEarned": st.floats(allow_nan=False, allow_infinity=False).map(lambda amount: amount + 0.0),
        }
    ),
    "LeadActivity": st.fixed_dictionaries(
        {
            "leadId": st.sampled_from(IDS["Lead"]),
            "metadata": st.none() | st.dictionaries(WORDS, st.none() | st.integers() | WORDS, max_size=2),
        }
    ),
    "InvestorCredential": st.fixed_dictionaries({"leadId": OPTIONAL_LEAD, "login": WORDS}),
}
FIXED = {
    "User": {"password": "hash"},
    "Lead": {},
    "LeadActivity": {"activityType": "call"},
    "InvestorCredential": {"password": "{}", "server": "s"},
}
OPERATION = st.sampled_from(list(ROWS)).flatmap(
    lambda table: st.tuples(
        st.sampled_from(["insert", "update", "delete"]), st.just(table), st.sampled_from(IDS[table]), ROWS[table]
    )
)
OPERATIONS = st.lists(OPERATION, max_size=12)


def apply(session: Any, operation: tuple[str, str, str, dict[str, Any]]) -> None:
    """Carry out one random operation; the database may refuse it, as it may refuse a command's."""
    kind, table, row, values = operation
    values = {**FIXED[table], **values, "id": row}
    if "metadata" in values:
        values["metadata"] = None if values["metadata"] is None else json.dumps(values["metadata"])
    names = list(values)
    if kind == "insert":
        columns = ", ".join(f'"{name}"' for name in names)
        text = f'INSERT INTO "{table}" ({columns}, "updatedAt") VALUES ({", ".join(":" + n for n in names)}, now())'
    elif kind == "update":
        text = f'UPDATE "{table}" SET {", ".join(f""""{n}" = :{n}""" for n in names if n != "id")} WHERE id = :id'
    else:
        text = f'DELETE FROM "{table}" WHERE id = :id'
    try:
        with session.begin_nested():
            session.execute(sa.text(text), values)
    except IntegrityError:
        pass


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=OPERATIONS, operations=OPERATIONS)
def test_any_sequence_of_writes_is_taken_back_exactly_and_brought_back_exactly(
    sql: Sql, before: list[Any], operations: list[Any]
) -> None:
    sql("; ".join(f'DELETE FROM "{table}"' for table in reversed(ROWS)))
    with db.transaction() as session:
        for operation in before:
            apply(session, operation)
    start = state(sql)
    with db.transaction() as session:
        for operation in operations:
            apply(session, operation)
    number, end = session.written.change_set, state(sql)
    if start == end:
        return
    assert number is not None
    outcome, undo = take_back(number)
    assert (outcome.left, state(sql)) == (0, start)
    assert undo is not None
    outcome, _ = take_back(undo)
    assert (outcome.left, state(sql)) == (0, end)


# ------------------------------------------------------------------------------------------- what frees what, in order


def test_a_merge_is_undone_though_the_unique_token_must_come_free_first(sql: Sql, ibctl: Run) -> None:
    write(lead("keep"), lead("other", token="t"))
    before = state(sql)
    number = write(
        "DELETE FROM \"Lead\" WHERE id = 'other'", "UPDATE \"Lead\" SET \"trackingToken\" = 't' WHERE id = 'keep'"
    )
    assert ibctl("undo", number, "--yes").exit_code == 0
    assert state(sql) == before


def test_two_rows_that_swapped_a_unique_value_swap_back(sql: Sql, ibctl: Run) -> None:
    write(user("u1", "a@x.com"), user("u2", "b@x.com"))
    before = state(sql)
    number = write(
        "UPDATE \"User\" SET email = '' WHERE id = 'u1'",
        "UPDATE \"User\" SET email = 'a@x.com' WHERE id = 'u2'",
        "UPDATE \"User\" SET email = 'b@x.com' WHERE id = 'u1'",
    )
    assert ibctl("undo", number, "--yes").exit_code == 0
    assert state(sql) == before


def replace_lead() -> int:
    """A new lead takes the place of another one: its token, its activity, and then the other one is deleted."""
    return write(
        'UPDATE "Lead" SET "trackingToken" = NULL WHERE id = \'other\'',
        lead("new", token="t"),
        'UPDATE "LeadActivity" SET "leadId" = \'new\'',
        "DELETE FROM \"Lead\" WHERE id = 'other'",
    )


ACTIVITY = (
    'INSERT INTO "LeadActivity" (id, "leadId", "activityType", "updatedAt") VALUES (\'a\', \'other\', \'call\', now())'
)


def test_a_circle_of_rows_that_wait_for_each_other_is_gone_back_step_by_step(sql: Sql, ibctl: Run) -> None:
    write(lead("other", token="t"), ACTIVITY)
    before = state(sql)
    number = replace_lead()
    result = ibctl("undo", number, "--yes")
    assert result.exit_code == 0, result.stdout
    assert state(sql) == before


def test_going_back_step_by_step_cuts_nobody_off(sql: Sql, ibctl: Run) -> None:
    write(lead("other", token="t"), ACTIVITY)
    number = replace_lead()
    sql(
        'INSERT INTO "InvestorCredential" (id, "leadId", login, password, server, "updatedAt")'
        " VALUES ('c', 'new', '1', '{}', 's', now())"
    )
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 3
    assert {row["id"]: row["result"] for row in listed(result).values()} == {
        "other": "failed", "a": "failed", "new": "kept",
    }  # fmt: skip
    assert sql('SELECT "leadId" FROM "InvestorCredential"') == [("new",)]


def test_a_deleted_user_comes_back_with_the_leads_that_the_database_cut_off(sql: Sql, ibctl: Run) -> None:
    write(user("u"), lead("l1", "u"), lead("l2", "u"))
    before = state(sql)
    number = write('DELETE FROM "User"')
    assert sql('SELECT DISTINCT "userId" FROM "Lead"') == [(None,)]
    assert ibctl("undo", number, "--yes").exit_code == 0
    assert state(sql) == before


# -------------------------------------------------------------------------------------------------------- what is kept


def test_a_row_edited_since_by_ibctl_is_kept_and_the_later_command_named(sql: Sql, ibctl: Run) -> None:
    number = write(lead("edited"), lead("plain"))
    later = write("UPDATE \"Lead\" SET status = 'contacted' WHERE id = 'edited'")
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 6
    rows = listed(result)
    assert list(rows) == ["edited"]
    assert rows["edited"]["result"] == "kept"
    assert rows["edited"]["why"].startswith(f"edited since by change set {later} (tester: ibctl")
    assert "1 Lead deleted; 1 kept" in result.stderr
    assert sql('SELECT id, status FROM "Lead"') == [("edited", "contacted")]


def test_a_row_edited_since_by_the_web_application_is_kept_with_its_time(sql: Sql, ibctl: Run) -> None:
    number = write(lead("l"))
    sql("UPDATE \"Lead\" SET status = 'contacted', \"updatedAt\" = '2025-11-05 10:00:00.25'")
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 3
    assert listed(result)["l"]["why"] == "edited since outside ibctl (updatedAt 2025-11-05T10:00:00.25)"
    assert f"nothing of change set {number} could be taken back: 1 kept" in result.stderr
    assert sql("SELECT count(*) FROM ibctl.change_set WHERE undoes IS NOT NULL") == [(0,)]


def test_the_web_application_having_the_last_word_is_not_put_down_to_ibctl(sql: Sql, ibctl: Run) -> None:
    number = write(lead("l"))
    write("UPDATE \"Lead\" SET status = 'contacted'")
    sql("UPDATE \"Lead\" SET status = 'rejected'")
    assert "edited since outside ibctl" in ibctl("undo", number, "--yes").stdout


def test_a_row_deleted_since_is_named_with_who_deleted_it(sql: Sql, ibctl: Run) -> None:
    number = write(lead("by-ibctl"), lead("by-app"), lead("there"))
    later = write("DELETE FROM \"Lead\" WHERE id = 'by-ibctl'")
    sql("DELETE FROM \"Lead\" WHERE id = 'by-app'")
    rows = listed(ibctl("undo", number, "--yes", "--format", "json"))
    assert rows["by-ibctl"]["why"].startswith(f"deleted since by change set {later} (")
    assert rows["by-app"]["why"] == "deleted since outside ibctl"


def test_a_deleted_row_made_again_since_is_kept(sql: Sql, ibctl: Run) -> None:
    write(lead("l", token="old"))
    number = write('DELETE FROM "Lead"')
    sql('INSERT INTO "Lead" (id, "trackingToken", "updatedAt") VALUES (\'l\', \'new\', now())')
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert (result.exit_code, listed(result)["l"]["why"]) == (3, "made again since outside ibctl")
    assert sql('SELECT "trackingToken" FROM "Lead"') == [("new",)]


def test_a_change_that_somebody_set_back_by_hand_needs_no_undo(sql: Sql, ibctl: Run) -> None:
    write(lead("l"), lead("other"))
    number = write("UPDATE \"Lead\" SET status = 'contacted'")
    sql("UPDATE \"Lead\" SET status = 'captured' WHERE id = 'l'")
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 0
    assert listed(result)["l"] == {
        "result": "already", "table": "Lead", "id": "l", "why": "is as it was before already",
    }  # fmt: skip
    assert "1 already back" in result.stderr


def test_a_second_undo_says_that_it_is_done_and_by_what(sql: Sql, ibctl: Run) -> None:
    number = write(lead("l"))
    assert ibctl("undo", number, "--yes").exit_code == 0
    again = ibctl("undo", number, "--yes")
    assert again.exit_code == 3
    assert (
        f"change set {number} has been taken back already by change set {number + 1} (tester: ibctl undo"
        in again.stderr
    )
    assert f"`ibctl undo {number + 1}` would bring it back" in again.stderr


def test_what_an_undo_had_to_keep_can_be_taken_back_once_it_is_free(sql: Sql, ibctl: Run) -> None:
    number = write(lead("l1"), lead("l2"))
    sql("UPDATE \"Lead\" SET status = 'contacted' WHERE id = 'l1'")
    assert ibctl("undo", number, "--yes").exit_code == 6
    sql("UPDATE \"Lead\" SET status = 'captured' WHERE id = 'l1'")
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 0
    assert listed(result)["l2"]["why"].startswith("taken back already by change set")
    assert sql('SELECT count(*) FROM "Lead"') == [(0,)]


def test_a_new_row_that_others_point_at_since_is_kept_lest_they_lose_it(sql: Sql, ibctl: Run) -> None:
    number = write(user("ib"))
    sql('INSERT INTO "Lead" (id, "userId", "updatedAt") VALUES (\'l\', \'ib\', now())')
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 3
    assert listed(result)["ib"] == {
        "result": "kept", "table": "User", "id": "ib", "why": "1 row of Lead refers to it and would be cut off",
    }  # fmt: skip
    assert sql('SELECT "userId" FROM "Lead"') == [("ib",)]


def test_a_transfer_does_not_come_back_without_its_lead(sql: Sql, ibctl: Run) -> None:
    write(user("u1"), user("u2"), lead("a", "u1"))
    number = write(
        'UPDATE "Lead" SET "userId" = \'u2\'',
        'INSERT INTO ibctl.lead_transfer (id, "leadId", "toUserId", "effectiveAt", "createdAt")'
        " VALUES ('ta', 'a', 'u2', now(), now())",
    )
    assert ibctl("undo", number, "--yes").exit_code == 0
    sql("DELETE FROM \"User\" WHERE id = 'u2'")
    result = ibctl("undo", number + 1, "--yes", "--format", "json")
    assert result.exit_code == 3
    assert {row["id"]: row["result"] for row in listed(result).values()} == {"a": "failed", "ta": "kept"}
    assert sql("SELECT id FROM ibctl.lead_transfer") == []


@pytest.mark.parametrize("reason", ["edited", "refused"])
def test_a_transfer_of_a_lead_is_taken_back_only_together_with_the_lead(sql: Sql, ibctl: Run, reason: str) -> None:
    write(user("u1"), user("u2"), lead("a", "u1"), lead("b"))
    before = state(sql)
    number = write(
        'UPDATE "Lead" SET "userId" = \'u2\'',
        'INSERT INTO ibctl.lead_transfer (id, "leadId", "toUserId", "effectiveAt", "createdAt")'
        " VALUES ('ta', 'a', 'u2', now(), now()), ('tb', 'b', 'u2', now(), now())",
    )
    after = state(sql)
    if reason == "edited":
        sql("UPDATE \"Lead\" SET status = 'contacted' WHERE id = 'a'")
    else:
        sql("DELETE FROM \"User\" WHERE id = 'u1'")
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 6
    assert set(listed(result)) == {"a", "ta"}
    assert listed(result)["ta"]["why"] == "goes with Lead a, which stays as it is"
    assert sql("SELECT id FROM ibctl.lead_transfer") == [("ta",)]
    assert ibctl("undo", number + 1, "--yes").exit_code == 0
    if reason == "edited":
        sql("UPDATE \"Lead\" SET status = 'captured' WHERE id = 'a'")
        assert state(sql) == after
        assert ibctl("undo", number, "--yes").exit_code == 0
        assert state(sql) == before


# ------------------------------------------------------------------------------------------- what the database refuses


def test_a_lead_with_activities_since_stays_and_the_others_go(sql: Sql, ibctl: Run) -> None:
    number = write(*(lead(f"l{n}") for n in range(20)))
    sql(
        'INSERT INTO "LeadActivity" (id, "leadId", "activityType", "updatedAt")'
        " VALUES ('a', 'l7', 'call', now()), ('b', 'l7', 'call', now())"
    )
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 6
    assert listed(result) == {
        "l7": {
            "result": "failed", "table": "Lead", "id": "l7",
            "why": "2 rows of LeadActivity refer to it: delete those first",
        }
    }  # fmt: skip
    assert sql('SELECT id FROM "Lead"') == [("l7",)]


def test_a_unique_value_that_somebody_took_since_fails_that_row_only(sql: Sql, ibctl: Run) -> None:
    write(*(lead(f"l{n}", token=f"t{n}") for n in range(9)))
    number = write('UPDATE "Lead" SET "trackingToken" = NULL')
    sql('INSERT INTO "Lead" (id, "trackingToken", "updatedAt") VALUES (\'thief\', \'t4\', now())')
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 6
    assert list(listed(result)) == ["l4"]
    assert (
        listed(result)["l4"]["why"] == 'another row has what must be unique: Key ("trackingToken")=(t4) already exists.'
    )
    assert sql(
        'SELECT count(*) FROM "Lead" WHERE "trackingToken" LIKE \'t%%\'',
    ) == [(9,)]


def test_a_row_whose_owner_is_gone_cannot_be_set_back_to_it(sql: Sql, ibctl: Run) -> None:
    write(user("u"), lead("l", "u"), lead("m"))
    number = write('UPDATE "Lead" SET "userId" = NULL, status = \'x\'')
    sql('DELETE FROM "User"')
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 6
    assert "(u) is not present in table" in listed(result)["l"]["why"]


def test_an_error_that_is_no_refusal_ends_the_undo(sql: Sql, database: str, ibctl: Run) -> None:
    number = write(lead("l"))
    sql("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(3); RETURN OLD; END'")
    sql('CREATE TRIGGER slow BEFORE DELETE ON "Lead" FOR EACH ROW EXECUTE FUNCTION slow()')
    sql(f'ALTER DATABASE "{database.rpartition("/")[2].partition("?")[0]}" SET statement_timeout = 500')
    result = ibctl("undo", number, "--yes")
    assert (result.exit_code, result.stdout) == (4, "")
    assert "cancelled a statement, nothing was written" in result.stderr
    assert sql('SELECT count(*) FROM "Lead"') == [(1,)]


def test_a_refusal_never_shows_the_row_that_was_refused(sql: Sql, ibctl: Run) -> None:
    write(user("u"))
    number = write("UPDATE \"User\" SET password = '$2b$12$secret-hash' WHERE id = 'u'", 'DELETE FROM "User"')
    sql('ALTER TABLE "User" ADD CONSTRAINT "no_x" CHECK (password <> \'x\')')
    result = ibctl("undo", number, "--yes")
    assert result.exit_code == 3
    assert 'violates check constraint "no_x"' in result.stdout
    assert "2b" not in result.stdout + result.stderr
    assert "Failing row" not in result.stdout + result.stderr


def test_a_table_that_is_gone_is_a_message_and_the_rest_is_undone(sql: Sql, ibctl: Run) -> None:
    template = (
        'INSERT INTO "Workflow" (id, name, "updatedAt") VALUES (:id, \'w\', now())', {"id": "w"},
    )  # fmt: skip
    number = write(template, lead("l"))
    sql('DROP TABLE "Workflow" CASCADE')
    sql(  # as `db upgrade` would find it: the triggers' number is part of what every write checks
        'CREATE TABLE "Dummy" (id text)'
    )
    for kind in ("INSERT", "UPDATE", "DELETE"):
        sql(
            f'CREATE TRIGGER ibctl_capture_{kind.lower()} AFTER {kind} ON "Dummy" FOR EACH STATEMENT'
            " WHEN (false) EXECUTE FUNCTION ibctl.capture()"
        )
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 6
    assert listed(result)["w"]["why"] == "its table does not exist any more"


def test_columns_that_came_or_went_since_are_a_message(sql: Sql, ibctl: Run) -> None:
    number = write(user("u"), lead("l"))
    sql('ALTER TABLE "Lead" ADD COLUMN notes text')
    sql('ALTER TABLE "Lead" DROP COLUMN broker CASCADE')
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 6
    assert listed(result)["l"]["why"] == "its table has other columns now (new: notes; gone: broker)"
    assert sql('SELECT count(*) FROM "User"') == [(0,)]


def test_tables_in_a_schema_of_any_name_are_undone(
    empty_database: str, ibctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"{empty_database}{'&' if '?' in empty_database else '?'}schema=a%3Ab%25%22c")
    config.use_env_file(None)
    db.forget()
    with db.engine().begin() as connection:
        schema.upgrade(connection, platform_schema=db.address().schema)
    first = write(user("u"), lead("l", "u"))
    number = write("UPDATE \"Lead\" SET status = 'x'", 'DELETE FROM "User"')
    for target in (number, first, number + 2, number + 1):
        result = ibctl("undo", target, "--yes")
        assert (result.exit_code, result.stdout) == (0, ""), result.stderr


# ---------------------------------------------------------------------------------------------- what was paid for


def commission(sql: Sql, user_id: str, month: str, status: str, inputs: dict[str, Any] | None) -> str:
    """A commission with (ibctl's own) or without (the web application's) a snapshot."""
    year, number = map(int, month.split("-"))
    id_ = f"k-{user_id}-{month}"
    sql(
        'INSERT INTO "IbCommission" (id, "userId", month, year, "paymentStatus", "updatedAt")'
        " VALUES (%s, %s, %s, %s, %s, now())",
        id_, user_id, number, year, status,
    )  # fmt: skip
    if inputs is not None:
        for version in ("old", "new"):
            # Only the current snapshot counts; the old one names every row there is.
            held = inputs if version == "new" else {"leads": [{"id": "not-counted"}], "spend": []}
            sql(
                "INSERT INTO ibctl.commission_snapshot VALUES (%s, %s, %s, %s, %s, now(), 0, '{}', %s, '{}', 'd')",
                f"{version}-{id_}", id_, user_id, year, number, json.dumps(held),
            )  # fmt: skip
        sql("INSERT INTO ibctl.commission_state VALUES (%s, %s)", id_, f"new-{id_}")
    return id_


@pytest.mark.parametrize(
    ("status", "goes"), [("PROCESSING", False), ("PAID", False), ("PENDING", True), ("HELD", True)]
)
def test_a_lead_in_the_snapshot_of_a_paid_month_is_blocked(sql: Sql, ibctl: Run, status: str, goes: bool) -> None:
    write(user("ib", "ib@x.com"))
    number = write(lead("counted", "ib"), lead("not-counted", "ib"))
    commission(sql, "ib", "2025-10", status, {"leads": [{"id": "counted"}], "spend": []})
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == (0 if goes else 6)
    if not goes:
        assert listed(result) == {
            "counted": {
                "result": "blocked", "table": "Lead", "id": "counted",
                "why": f"counted in the commission of ib@x.com for 2025-10, which is {status}",
            }
        }  # fmt: skip
    assert sql('SELECT id FROM "Lead"') == ([] if goes else [("counted",)])


def test_a_lead_that_was_moved_away_is_blocked_by_its_former_owners_payment(sql: Sql, ibctl: Run) -> None:
    write(user("ib"), user("other"), lead("l", "ib"))
    number = write('UPDATE "Lead" SET "userId" = \'other\'')
    commission(sql, "ib", "2025-10", "PAID", {"leads": [{"id": "l"}], "spend": []})
    assert ibctl("undo", number, "--yes").exit_code == 3
    assert sql('SELECT "userId" FROM "Lead"') == [("other",)]


def test_a_deleted_lead_that_was_paid_for_may_come_back(sql: Sql, ibctl: Run) -> None:
    write(user("ib"), lead("gone", "ib"), lead("changed", "ib"))
    number = write("DELETE FROM \"Lead\" WHERE id = 'gone'", "UPDATE \"Lead\" SET status = 'x'")
    commission(sql, "ib", "2025-10", "PAID", {"leads": [{"id": "gone"}, {"id": "changed"}], "spend": []})
    result = ibctl("undo", number, "--yes", "--all", "--format", "json")
    assert result.exit_code == 6
    assert {row["id"]: row["result"] for row in listed(result).values()} == {"gone": "reversed", "changed": "blocked"}


def test_without_a_snapshot_every_lead_of_the_month_counts(
    sql: Sql, ibctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IBCTL_TIMEZONE", "Asia/Dubai")  # the month begins at 20:00 UTC of the day before
    write(user("ib"), user("other"))
    dates = {
        "captured": ("2025-09-30 20:00", None), "before": ("2025-09-30 19:59:59.999", None),
        "qualified": ("2025-08-01", "2025-10-31 19:59:59.999"), "after": ("2025-10-31 20:00", None),
    }  # fmt: skip
    insert = (
        'INSERT INTO "Lead" (id, "userId", "leadCapturedAt", "qualifiedAt", "updatedAt") VALUES (:i, :u, :c, :q, now())'
    )
    number = write(
        *((insert, {"i": i, "u": "ib", "c": c, "q": q}) for i, (c, q) in dates.items()),
        (insert, {"i": "others", "u": "other", "c": "2025-10-10", "q": None}),
    )
    commission(sql, "ib", "2025-10", "PAID", None)
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 6
    assert set(listed(result)) == {"captured", "qualified"}
    assert {row["result"] for row in listed(result).values()} == {"blocked"}


def test_a_spend_day_and_its_rate_are_blocked_by_the_month_that_paid_them(sql: Sql, ibctl: Run) -> None:
    write(user("ib"), user("app"))
    sql(
        'INSERT INTO "FacebookAdAccount" (id, "userId", "updatedAt")'
        " VALUES ('acc', 'ib', now()), ('acc2', 'app', now())"
    )
    day = (
        'INSERT INTO "AdSpendHistory" (id, "userId", "adAccountId", date, "dailySpend", "updatedAt")'
        " VALUES (:id, :user, :account, :date, 10, now())"
    )
    rate = "INSERT INTO ibctl.exchange_rate VALUES (:id, :date, 'EUR', 'USD', 1.1, 'ECB', now())"
    number = write(
        (day, {"id": "s1", "user": "ib", "account": "acc", "date": "2025-10-01"}),
        (day, {"id": "s2", "user": "ib", "account": "acc", "date": "2025-10-02"}),
        (day, {"id": "w1", "user": "app", "account": "acc2", "date": "2025-10-31"}),
        (day, {"id": "w2", "user": "app", "account": "acc2", "date": "2025-11-01"}),
        (rate, {"id": "r1", "date": "2025-10-01"}),
        (rate, {"id": "r2", "date": "2025-10-02"}),
    )
    spend = [{"id": "s1", "rateId": "r1"}, {"id": "elsewhere", "rateId": None}]
    commission(sql, "ib", "2025-10", "PROCESSING", {"leads": [], "spend": spend})
    commission(sql, "app", "2025-10", "PAID", None)
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 6
    assert {row["id"]: row["result"] for row in listed(result).values()} == dict.fromkeys(("s1", "w1", "r1"), "blocked")


def test_a_commission_that_is_paid_now_is_blocked_with_its_snapshot(sql: Sql, ibctl: Run) -> None:
    write(user("ib"), user("ib2"))
    insert = 'INSERT INTO "IbCommission" (id, "userId", month, year, "updatedAt") VALUES (:id, :user, 10, 2025, now())'
    number = write(
        (insert, {"id": "k1", "user": "ib"}), (insert, {"id": "k2", "user": "ib2"}),
        "INSERT INTO ibctl.commission_state VALUES ('k1', 's1'), ('k2', 's2')",
    )  # fmt: skip
    later = write("UPDATE \"IbCommission\" SET \"paymentStatus\" = 'PROCESSING' WHERE id = 'k1'")
    result = ibctl("undo", later, "--yes", "--format", "json")
    assert (result.exit_code, listed(result)["k1"]["result"]) == (3, "blocked")
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 6
    assert [(row["table"], row["result"]) for row in json.loads(result.stdout)] == [
        ("commission_state", "blocked"), ("IbCommission", "kept"),
    ]  # fmt: skip
    assert sql("SELECT id FROM ibctl.commission_state") == [("k1",)]


# ------------------------------------------------------------------------------------------------------- the command


def test_an_unknown_change_set_is_not_found(database: str, process: Run, ibctl: Run) -> None:
    result = process("undo", "999", "--yes")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "there is no change set 999: nothing has been recorded yet" in result.stderr
    number = write(user("u"))
    assert f"the newest is {number}" in ibctl("undo", "999", "--yes").stderr
    assert ibctl("undo", "99999999999999999999", "--yes").exit_code == 3
    assert ibctl("undo", "abc", "--yes").exit_code == 2


def test_without_a_terminal_it_names_the_effect_and_the_flag(sql: Sql, process: Run) -> None:
    number = write(lead("l1"), lead("l2"))
    before = state(sql)
    result = process("undo", str(number))
    assert result.exit_code == 2
    assert f"take back change set {number} (tester, " in result.stderr
    assert "2 Lead deleted: nobody is here to confirm; pass --yes" in result.stderr
    assert state(sql) == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
@pytest.mark.parametrize(("answer", "exit_code", "left"), [("n", 3, 2), ("y", 0, 0)])
def test_at_a_terminal_it_asks_and_takes_no_for_an_answer(sql: Sql, answer: str, exit_code: int, left: int) -> None:
    import pty

    number = write(lead("l1"), lead("l2"))
    ours, theirs = pty.openpty()
    with subprocess.Popen(command(["undo", str(number)]), stdin=theirs, stdout=theirs, stderr=theirs) as asking:
        os.close(theirs)
        shown = ""
        while "[y/N]" not in shown:
            shown += os.read(ours, 1000).decode()
        os.write(ours, f"{answer}\n".encode())
        with contextlib.suppress(OSError):  # Linux's way of saying that the other side has gone
            while more := os.read(ours, 1000).decode():
                shown += more
    os.close(ours)
    assert asking.returncode == exit_code, shown
    assert "2 Lead deleted. Go on?" in " ".join(shown.split())
    assert sql('SELECT count(*) FROM "Lead"') == [(left,)]


def test_a_dry_run_does_the_real_work_and_leaves_no_trace(sql: Sql, ibctl: Run) -> None:
    number = write(lead("l1"), lead("l2"))
    sql("UPDATE \"Lead\" SET status = 'contacted' WHERE id = 'l1'")
    traces = (
        "SELECT (SELECT count(*) FROM ibctl.change), (SELECT count(*) FROM ibctl.change_set), last_value"
        " FROM ibctl.change_set_id_seq"
    )
    before, recorded = state(sql), sql(traces)
    result = ibctl("undo", number, "--dry-run", "--all", "--format", "json")
    assert result.exit_code == 6
    assert {row["id"]: row["result"] for row in json.loads(result.stdout)} == {"l1": "kept", "l2": "reversed"}
    assert "would take back" in result.stderr
    assert "nothing was written" in result.stderr
    assert (state(sql), sql(traces)) == (before, recorded)


def test_the_reason_and_what_was_undone_are_recorded(sql: Sql, ibctl: Run) -> None:
    number = write(lead("l"))
    ibctl("undo", number, "--yes", "--reason", "wrong file")
    assert sql("SELECT undoes, reason, counts FROM ibctl.change_set ORDER BY id DESC LIMIT 1") == [
        (number, "wrong file", {"Lead": {"delete": 1}})
    ]


def test_a_long_list_is_cut_and_says_how_to_see_all(sql: Sql, ibctl: Run) -> None:
    number = write(*(lead(f"l{n}") for n in range(5)))
    sql("UPDATE \"Lead\" SET status = 'contacted' WHERE id <> 'l0'")
    result = ibctl("undo", number, "--yes", "--limit", "2", "--format", "ids")
    assert result.stdout.split() == ["l1", "l2"]
    assert f"2 of 4 rows are listed; `ibctl undo {number} --dry-run --limit 0` lists all" in result.stderr


def test_it_says_what_was_done_also_when_nobody_reads_the_list(sql: Sql) -> None:
    number = write(*(lead(f"l{n}") for n in range(3000)))
    arguments = command(["undo", str(number), "--yes", "--all", "--limit", "0", "--format", "csv"])
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.readline()
        running.stdout.close()
        assert f"took back change set {number}: 3,000 Lead deleted; change set {number + 1}" in running.stderr.read()
    assert sql('SELECT count(*) FROM "Lead"') == [(0,)]


@pytest.mark.parametrize("statement", [lead("new"), "DELETE FROM \"Lead\" WHERE id = 'l'"])
def test_two_undos_at_once_one_works_and_the_other_finds_it_done(sql: Sql, statement: Any) -> None:
    write(lead("l"))
    number = write(statement)
    started = threading.Event()
    outcomes: list[Any] = []

    def second() -> None:
        started.wait()
        try:
            outcomes.append(take_back(number))
        except RequestError as exc:
            outcomes.append(exc)

    thread = threading.Thread(target=second)
    thread.start()
    with db.transaction(undoes=number) as session:
        assert undoing.undo(session, number).left == 0
        started.set()
        time.sleep(0.5)
        assert not outcomes
    thread.join(10)
    assert "has been taken back already by change set" in str(outcomes[0])
    assert sql("SELECT count(*) FROM ibctl.change_set WHERE undoes = %s", number) == [(1,)]


def test_a_row_that_the_web_application_is_just_editing_is_waited_for_and_kept(sql: Sql, database: str) -> None:
    number = write(lead("l"), lead("m"))
    outcomes: list[undoing.Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(take_back(number)[0]))
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE \"Lead\" SET status = 'contacted' WHERE id = 'l'")
        thread.start()
        time.sleep(0.5)
        assert not outcomes
    thread.join(10)
    assert (outcomes[0].kept, outcomes[0].reversed) == (1, {"Lead": {"delete": 1}})
    assert sql('SELECT id, status FROM "Lead"') == [("l", "contacted")]


def test_many_rows_go_by_sets_and_halves(sql: Sql) -> None:
    with db.transaction() as session:
        session.execute(
            sa.text(
                'INSERT INTO "Lead" (id, "trackingToken", "updatedAt")'
                " SELECT 'l' || n, 't' || n, now() FROM generate_series(1, 6000) n"
            )
        )
    before = state(sql, ['"Lead"'])
    number = write('UPDATE "Lead" SET "trackingToken" = NULL, status = \'x\'')
    sql('INSERT INTO "Lead" (id, "trackingToken", "updatedAt") VALUES (\'thief\', \'t77\', now())')
    outcome, _ = take_back(number)
    assert (outcome.failed, outcome.reversed) == (1, {"Lead": {"update": 5999}})
    sql("DELETE FROM \"Lead\" WHERE id = 'thief'")
    assert take_back(number)[0].left == 0
    assert state(sql, ['"Lead"']) == before


@pytest.mark.parametrize("lock", ["commissions run", importing.LOCK])
def test_an_undo_of_leads_waits_for_a_run_that_counts_or_imports_leads(
    sql: Sql, monkeypatch: pytest.MonkeyPatch, lock: str
) -> None:
    number = write(lead("l"))
    monkeypatch.setenv("IBCTL_LOCK_TIMEOUT", "0.2")
    config.use_env_file(None)
    with db.transaction() as other:
        db.lock(other, lock)
        with pytest.raises(RequestError, match="is still at work after"):
            take_back(number)
    assert take_back(number)[0].left == 0
