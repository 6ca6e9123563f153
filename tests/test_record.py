"""The images of rows in the record of writes: exact whatever they hold, and readable whatever the table is like now."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ibctl import db
from tests.conftest import Result
from tests.writing import run, write

Sql = Callable[..., list[tuple[Any, ...]]]
Run = Callable[..., Result]

# PostgreSQL's text holds no NUL, and UTF-8 no half of a surrogate pair.
TEXTS = st.none() | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.sampled_from('"\\,() ')
)
NAMES = ("firstName", "email", "phone")
LEAD = 'INSERT INTO "Lead" (id, "firstName", email, phone, "updatedAt") VALUES (:id, :firstName, :email, :phone, now())'


def number(written: db.Written) -> int:
    assert written.change_set is not None
    return written.change_set


def lead(*texts: str | None) -> int:
    with db.transaction() as session:
        run(session, 'DELETE FROM "Lead"')
        run(session, LEAD, id="l", **dict(zip(NAMES, texts, strict=True)))
    return number(session.written)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.tuples(TEXTS, TEXTS, TEXTS))
@example((None, "", '""'))
@example(('"', "\\", ","))
@example(('a"b', 'c\\"d\\\\', '",""\\,"'))
@example(("\n", "x\r\ny\tz", " "))
@example(("(a", "b)", "{c},NULL"))
@example(("😀", "עברית", "=cmd|' /C calc'!A0"))
def test_an_image_is_read_as_the_row_itself_is(sql: Sql, texts: tuple[str | None, str | None, str | None]) -> None:
    made = lead(*texts)
    found = sql(
        'SELECT c."after" = l::text, i."after" = to_jsonb(l), i."after" FROM ibctl.change c'
        ' JOIN ibctl.change_image i USING ("changeSetId", step, "rowId") JOIN "Lead" l ON l.id = c."rowId"'
        " WHERE c.\"changeSetId\" = %s AND i.operation = 'insert'",
        made,
    )
    assert [(same, equal) for same, equal, _ in found] == [(True, True)]
    assert tuple(found[0][2][name] for name in NAMES) == texts


ODD = (
    'INSERT INTO "User" (id, email, password, role, "isActive", "failedLoginCount", "lockedUntil", "createdAt",'
    ' "updatedAt") VALUES'
    " ('u', 'a@x.com', '', 'ADMIN', false, -7, '2024-02-29 23:59:59.999', '2024-01-01', '0044-03-15 BC')",
    'INSERT INTO "Lead" (id, "leadCapturedAt", "ftdEarned", "cpaEarned", "totalEarned", "createdAt",'
    ' "updatedAt") VALUES'
    " ('l1', '2025-01-01', 0.1::float8 + 0.2, 1e-300, '-0', '12025-01-01', '2025-10-26 00:30'),"
    " ('l2', '2025-01-01', 'NaN', '-Infinity', 1.7976931348623157e308, 'infinity', '-infinity')",
    'INSERT INTO "LeadActivity" (id, "leadId", "activityType", metadata, "createdAt", "updatedAt") VALUES'
    """ ('a', 'l1', 'call', '{"a\\"b": [1, 2.50, null, true, "x,y", {"": "\\\\"}]}', '2025-01-01', '2025-01-01')""",
    """ UPDATE "LeadActivity" SET metadata = 'null'""",
    'INSERT INTO "AdTemplate" (id, name, category, "templateData", "createdAt", "updatedAt") VALUES'
    " ('t', '', 'c', '\"text\"', '2025-01-01', '2025-01-01')",
    "INSERT INTO ibctl.exchange_rate VALUES ('r', '2025-10-01', 'EUR', 'USD', 1.08500, 'ECB', '2025-10-01 16:00:00.5')",
)  # fmt: skip
ODD_TABLES = ('"User"', '"Lead"', '"LeadActivity"', '"AdTemplate"', "ibctl.exchange_rate")


def rows(sql: Sql, image: str) -> list[tuple[Any, ...]]:
    selects = (f"SELECT id, {image} FROM {table} t" for table in ODD_TABLES)
    return sql(" UNION ALL ".join(selects) + " ORDER BY 1")


def test_the_image_of_every_kind_of_value_is_the_row_as_json(sql: Sql) -> None:
    made = number(write(*ODD))
    last = (
        'SELECT DISTINCT ON ("rowId") "rowId", "after" FROM ibctl.change_image WHERE "changeSetId" = %s'
        ' ORDER BY "rowId", step DESC'
    )
    assert sql(last, made) == rows(sql, "to_jsonb(t)")


def test_every_kind_of_value_is_put_back_byte_for_byte(sql: Sql, ibctl: Run) -> None:
    made = number(write(*ODD))
    before = rows(sql, "t::text")
    assert ibctl("undo", made, "--yes").exit_code == 0
    assert rows(sql, "t::text") == []
    assert ibctl("undo", made + 1, "--yes").exit_code == 0
    assert rows(sql, "t::text") == before


@pytest.mark.parametrize("style", ["German", "SQL, DMY", "Postgres, MDY"])
def test_how_a_server_shows_values_is_nothing_to_the_record(sql: Sql, ibctl: Run, database: str, style: str) -> None:
    name = database.rpartition("/")[2].partition("?")[0]
    made = number(write(*ODD))
    before = sql('SELECT "tableName", "rowId", "after" FROM ibctl.change ORDER BY step, "rowId"')
    for setting in (f"DateStyle = '{style}'", "TimeZone = 'Asia/Tokyo'", "extra_float_digits = -5",
                    "IntervalStyle = 'sql_standard'", "bytea_output = 'escape'"):  # fmt: skip
        sql(f'ALTER DATABASE "{name}" SET {setting}')
    result = ibctl("undo", made, "--yes")
    assert (result.exit_code, sql('SELECT count(*) FROM "Lead"')) == (0, [(0,)]), result.stdout
    again = number(write(*ODD))
    assert sql(
        'SELECT "tableName", "rowId", "after" FROM ibctl.change WHERE "changeSetId" = %s ORDER BY step, "rowId"', again
    ) == before  # fmt: skip
    sql(f'ALTER DATABASE "{name}" RESET ALL')
    assert ibctl("undo", again, "--yes").exit_code == 0


def test_a_transaction_can_read_its_own_images(sql: Sql) -> None:
    sql(LEAD.replace(":id", "'l'").replace(":firstName", "'A'").replace(":email", "NULL").replace(":phone", "''"))
    with db.transaction() as session:
        run(session, 'UPDATE "Lead" SET "firstName" = \'B\'')
        images = sa.text('SELECT operation, "before", "after" FROM ibctl.change_image')
        [(operation, before, after)] = session.execute(images).all()
    assert (operation, before["firstName"], after["firstName"], after["phone"]) == ("update", "A", "B", "")


# ------------------------------------------------------------------------------------- tables that have changed since


def shown(ibctl: Run, made: int) -> dict[str, Any]:
    result = ibctl("audit", "show", str(made), "--format", "json")
    assert result.exit_code == 0, result.stderr
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found[-1]["after"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "migration",
    [
        'ALTER TABLE "Lead" ADD COLUMN notes TEXT, DROP COLUMN broker',
        'ALTER TABLE "Lead" RENAME COLUMN phone TO telephone',
        'ALTER TABLE "Lead" ALTER COLUMN "cpaEarned" DROP DEFAULT, ALTER COLUMN "cpaEarned" TYPE TEXT',
        'DROP TABLE "Lead" CASCADE',
    ],
)
def test_what_was_written_is_shown_as_it_was_though_the_table_has_changed(sql: Sql, ibctl: Run, migration: str) -> None:
    made = lead('say "x", y', None, "")
    before = shown(ibctl, made)
    assert (before["firstName"], before["cpaEarned"], before["broker"]) == ('say "x", y', 0, None)
    sql(migration)
    assert shown(ibctl, made) == before


@pytest.mark.parametrize(
    ("migration", "why"),
    [
        ('ALTER COLUMN "cpaEarned" TYPE numeric', "other type: cpaEarned"),
        ("DROP COLUMN phone, ADD COLUMN phone text", "in another order"),
    ],
)
def test_what_does_not_fit_the_table_any_more_is_not_undone(sql: Sql, ibctl: Run, migration: str, why: str) -> None:
    made = lead(None, None, None)
    sql(f'ALTER TABLE "Lead" {migration}')
    result = ibctl("undo", str(made), "--yes", "--format", "json")
    assert (result.exit_code, sql('SELECT count(*) FROM "Lead"')) == (3, [(1,)])
    assert f"its table has other columns now ({why})" in result.stdout
