"""Taking back what one command wrote, on the real database: what comes back, and in which order."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from ibctl import db
from tests.admin.undo_cases import Run, Sql, lead, listed, state, take_back, user, write

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
            "cpaEarned": st.floats(),
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
    # One who stays: no undo leaves a platform without an administrator.
    sql("INSERT INTO \"User\" (id, email, password, role, \"updatedAt\") VALUES ('a', 'a@x.y', 'x', 'ADMIN', now())")
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
