"""The one transaction of a command and the record of what it wrote; the ways in which a database can be unwell."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlmodel import select

from ibctl import bulk, clock, config, db, ids
from ibctl.errors import ConfigError, RequestError
from ibctl.models.platform import Lead, User
from tests.writing import NEW_LEADS, NEW_USER, connect_to, run, write

Sql = Callable[..., list[tuple[Any, ...]]]


def recorded(sql: Sql, change_set: int | None) -> list[tuple[Any, ...]]:
    return sql(
        'SELECT step, "tableName", "rowId", "before", "after" FROM ibctl.change_image WHERE "changeSetId" = %s'
        ' ORDER BY step, "rowId"',
        change_set,
    )


# ----------------------------------------------------------------------------------------------------- what is recorded


def test_an_insert_an_update_and_a_delete_are_recorded_with_their_images(sql: Sql) -> None:
    written = write(
        NEW_USER,
        "UPDATE \"User\" SET email = 'new@x.com', \"updatedAt\" = '2025-10-02'",
        'DELETE FROM "User"',
    )
    first, second, third = recorded(sql, written.change_set)
    assert [row[:3] for row in (first, second, third)] == [(1, "User", "u"), (2, "User", "u"), (3, "User", "u")]
    assert first[3] is None
    assert first[4]["email"] == "ib@x.com"
    assert first[4]["updatedAt"] == "2025-10-01T00:00:00"
    assert (second[3], second[4]) == (first[4], {**first[4], "email": "new@x.com", "updatedAt": "2025-10-02T00:00:00"})
    assert (third[3], third[4]) == (second[4], None)
    assert written.counts == {"User": {"insert": 1, "update": 1, "delete": 1}}


def test_what_the_orm_writes_is_recorded_like_any_sql(sql: Sql) -> None:
    with db.transaction() as session:
        session.add(User(email="a@x.com", password="x"))
        session.flush()
        user = session.exec(select(User)).one()
        user.is_active = False
    assert [row[1] for row in recorded(sql, session.written.change_set)] == ["User", "User"]
    assert session.written.counts == {"User": {"insert": 1, "update": 1}}


def test_a_thousand_rows_are_one_step(sql: Sql) -> None:
    written = write(NEW_USER, NEW_LEADS.format(1000), "UPDATE \"Lead\" SET status = 'x'")
    steps = sql(
        'SELECT step, count(*) FROM ibctl.change WHERE "changeSetId" = %s GROUP BY 1 ORDER BY 1', written.change_set
    )
    assert steps == [(1, 1), (2, 1000), (3, 1000)]


def test_rows_that_come_by_copy_are_recorded(sql: Sql) -> None:
    columns = 'COPY "Lead" (id, "updatedAt") FROM STDIN'
    with db.transaction() as session:
        bulk.copy(session, columns, ((id_, clock.now()) for id_ in ids.cuids(3000)))
    assert session.written.counts == {"Lead": {"insert": 3000}}
    for record, image in (("change", "l::text"), ("change_image", "to_jsonb(l)")):
        same = f'JOIN "Lead" l ON l.id = c."rowId" AND {image} = c."after"'
        assert sql(f"SELECT count(*) FROM ibctl.{record} c {same}") == [(3000,)]


def test_a_stream_that_is_left_half_way_takes_back_to_the_savepoint_around_it(sql: Sql) -> None:
    numbers = sa.text("SELECT n FROM generate_series(CAST(:first AS int), 100000) n")
    with db.reading() as session:
        savepoint = session.begin_nested()
        with bulk.streamed(session, numbers, {"first": 3, "other": 1}) as rows:
            assert next(rows) == {"n": 3}
        savepoint.rollback()
        with bulk.streamed(session, numbers, {"first": 99_999}) as rows:
            assert list(rows) == [{"n": 99_999}, {"n": 100_000}]
        assert session.execute(sa.text("SELECT 1")).scalar_one() == 1


def test_an_upsert_is_recorded_as_what_it_did_to_each_row(sql: Sql) -> None:
    write(NEW_USER)
    written = write(
        'INSERT INTO "User" (id, email, password, "updatedAt") VALUES'
        " ('u', 'ib@x.com', 'y', now()), ('v', 'v@x.com', 'y', now())"
        " ON CONFLICT (email) DO UPDATE SET password = excluded.password"
    )
    assert written.counts == {"User": {"insert": 1, "update": 1}}


def test_rows_that_a_foreign_key_changes_are_recorded_too(sql: Sql) -> None:
    write(NEW_USER, NEW_LEADS.format(2))
    written = write('DELETE FROM "User"')
    assert written.counts == {"Lead": {"update": 2}, "User": {"delete": 1}}
    changes = [(table, row, before["userId"], after["userId"]) for _, table, row, before, after in
               recorded(sql, written.change_set) if table == "Lead"]  # fmt: skip
    assert changes == [("Lead", "l1", "u", None), ("Lead", "l2", "u", None)]


def test_an_update_that_changes_nothing_is_not_recorded(sql: Sql) -> None:
    write(NEW_USER, NEW_LEADS.format(3))
    same = write('UPDATE "Lead" SET status = status')
    assert (same.nothing, same.change_set) == (True, None)
    one = write("UPDATE \"Lead\" SET status = CASE id WHEN 'l2' THEN 'contacted' ELSE status END")
    assert [row[2] for row in recorded(sql, one.change_set)] == ["l2"]


def test_ibctls_own_rates_and_commission_states_are_recorded(sql: Sql) -> None:
    written = write(
        "INSERT INTO ibctl.exchange_rate VALUES ('r', '2025-10-01', 'EUR', 'USD', 1.0850, 'ECB', now())",
        "INSERT INTO ibctl.commission_state VALUES ('k', 's')",
        "INSERT INTO ibctl.lead_import VALUES (DEFAULT, now(), NULL, 1, 'f', 'h', '[]', '{}', '{}', 0, 0, 0, 0, 0, 0)",
    )
    assert written.counts == {"commission_state": {"insert": 1}, "exchange_rate": {"insert": 1}}
    assert sql("SELECT \"after\"->>'rate' FROM ibctl.change_image WHERE \"tableName\" = 'exchange_rate'") == [
        ("1.0850",)
    ]


def test_what_the_web_application_writes_is_not_recorded(sql: Sql) -> None:
    sql(NEW_USER)
    sql(NEW_LEADS.format(2))
    sql("UPDATE \"Lead\" SET status = 'x'")
    sql('DELETE FROM "User"')
    assert sql("SELECT count(*) FROM ibctl.change") == [(0,)]
    assert sql('SELECT "userId" FROM "Lead"') == [(None,), (None,)]


def test_a_double_is_recorded_to_its_last_digit_whatever_the_server_shows(sql: Sql, database: str) -> None:
    name = database.rpartition("/")[2].partition("?")[0]
    sql(f'ALTER DATABASE "{name}" SET extra_float_digits = -3')
    written = write(
        NEW_USER, 'INSERT INTO "Lead" (id, "cpaEarned", "updatedAt") VALUES (\'l\', 0.1::float8 + 0.2, now())'
    )
    image = recorded(sql, written.change_set)[1][4]
    assert image["cpaEarned"] == 0.1 + 0.2


def test_a_change_set_says_who_where_how_and_why(sql: Sql) -> None:
    config.use_command(["users", "add", "--note", "postgresql://u:geheim@h/db", "a b"])
    with db.transaction(reason="test of the record", undoes=7) as session:
        run(session, NEW_USER)
    row = sql('SELECT id, actor, host, command, reason, counts, undoes, "createdAt" FROM ibctl.change_set')[0]
    number, actor, host, command, reason, counts, undoes, created = row
    assert (number, actor, host) == (session.written.change_set, "tester", socket.gethostname())
    assert command == "ibctl users add --note 'postgresql://u:***@h/db' 'a b'"
    assert (reason, counts, undoes) == ("test of the record", {"User": {"insert": 1}}, 7)
    assert abs((clock.now() - created).total_seconds()) < 60


def go_on(number: int | None, *statements: str) -> db.Written:
    with db.transaction(continues=number) as session:
        for statement in statements:
            run(session, statement)
    return session.written


def test_a_change_set_goes_on_in_another_transaction(sql: Sql) -> None:
    first = write(NEW_USER, NEW_LEADS.format(2))
    second = go_on(first.change_set, "UPDATE \"Lead\" SET status = 'x'", 'DELETE FROM "Lead"')
    assert (second.change_set, second.counts) == (first.change_set, {"Lead": {"update": 2, "delete": 2}})
    counts = {"Lead": {"insert": 2, "update": 2, "delete": 2}, "User": {"insert": 1}}
    assert sql("SELECT counts FROM ibctl.change_set") == [(counts,)]
    assert [step for step, *_ in recorded(sql, first.change_set)] == [1, 2, 2, 3, 3, 4, 4]


def test_a_change_set_does_not_go_on_where_the_tables_have_other_columns(sql: Sql) -> None:
    first = write(NEW_USER, NEW_LEADS.format(2))
    sql('ALTER TABLE "User" ADD COLUMN nick text')
    go_on(first.change_set, "UPDATE \"Lead\" SET status = 'x'")
    before = sql("SELECT to_jsonb(s) FROM ibctl.change_set s")
    with pytest.raises(RequestError, match="other columns than when change set 1 was begun, nothing more was written"):
        go_on(first.change_set, "UPDATE \"User\" SET email = 'y'")
    assert (sql("SELECT to_jsonb(s) FROM ibctl.change_set s"), sql('SELECT email FROM "User"')) == (
        before,
        [("ib@x.com",)],
    )


def test_a_transaction_that_writes_nothing_leaves_no_change_set(sql: Sql) -> None:
    with db.transaction() as session:
        run(session, "SELECT 1")
    assert (session.written.nothing, session.written.change_set) == (True, None)
    assert sql("SELECT count(*) FROM ibctl.change_set") == [(0,)]


def test_an_error_takes_everything_back(sql: Sql) -> None:
    with pytest.raises(RequestError, match="in conflict"):
        write(NEW_USER, NEW_LEADS.format(2), NEW_USER)
    for table in ('"User"', "ibctl.change", "ibctl.change_set"):
        assert sql(f"SELECT count(*) FROM {table}") == [(0,)]


def test_what_a_savepoint_takes_back_is_not_in_the_record(sql: Sql) -> None:
    with db.transaction() as session:
        run(session, NEW_USER)
        with session.begin_nested() as savepoint:
            run(session, NEW_LEADS.format(5))
            savepoint.rollback()
        run(session, NEW_LEADS.format(1))
    assert session.written.counts == {"Lead": {"insert": 1}, "User": {"insert": 1}}
    assert [row[0] for row in recorded(sql, session.written.change_set)] == [1, 2]


def test_a_dry_run_leaves_no_trace_not_even_in_the_sequence(sql: Sql) -> None:
    write(NEW_USER)
    sequence = "SELECT last_value, is_called FROM ibctl.change_set_id_seq"
    before = sql(sequence)
    with db.transaction(dry_run=True) as session:
        run(session, NEW_LEADS.format(4))
        assert session.exec(select(sa.func.count()).select_from(Lead)).one() == 4
    assert (session.written.counts, session.written.change_set) == ({"Lead": {"insert": 4}}, None)
    assert sql('SELECT count(*) FROM "Lead"') == [(0,)]
    assert sql("SELECT count(*) FROM ibctl.change") == [(1,)]
    assert sql(sequence) == before


def test_announcements_name_the_undo_or_say_that_nothing_was_written(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    written = write(NEW_USER)
    written.announce("added ib@x.com")
    db.Written(None, written.counts, dry_run=True).announce("would add")
    db.Written(None, {}, dry_run=False).announce("nothing to do")
    assert capsys.readouterr().err.splitlines() == [
        f"added ib@x.com; change set {written.change_set}, `ibctl undo {written.change_set}` takes it back",
        "would add; dry run: nothing was written",
        "nothing to do",
    ]


# -------------------------------------------------------------------------------------------------------------- reading


def test_reading_cannot_write(sql: Sql) -> None:
    with pytest.raises(ConfigError, match="read-only"), db.reading() as session:
        run(session, NEW_USER)
    assert sql('SELECT count(*) FROM "User"') == [(0,)]


def test_reading_sees_one_state_of_the_database(sql: Sql) -> None:
    with db.reading() as session:
        assert session.exec(select(sa.func.count()).select_from(User)).one() == 0
        sql(NEW_USER)
        assert session.exec(select(sa.func.count()).select_from(User)).one() == 0
    with db.reading() as session:
        assert session.exec(select(sa.func.count()).select_from(User)).one() == 1


# ---------------------------------------------------------------------------------------------------------------- locks


@contextmanager
def in_another_run(name: str, seconds: float) -> Iterator[None]:
    """Another run that holds the lock for a while."""
    held = threading.Event()

    def hold() -> None:
        with db.transaction() as session:
            db.lock(session, name)
            held.set()
            time.sleep(seconds)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    try:
        yield
    finally:
        thread.join()


def test_a_second_run_waits_for_the_first_and_says_so(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    config.use_command(["commissions", "run"])
    started = time.monotonic()
    with in_another_run("commissions run", 1), db.transaction() as session:
        db.lock(session, "commissions run")
    assert time.monotonic() - started > 0.9
    waiting = capsys.readouterr().err
    assert waiting.startswith("waiting for ibctl commissions run by tester@")
    assert "UTC, server process" in waiting


def test_a_run_that_waits_too_long_gives_up_and_names_the_holder(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_to(monkeypatch, database, IBCTL_LOCK_TIMEOUT="0.3")
    config.use_command(["leads", "import"])
    with (
        in_another_run("leads import", 2),
        pytest.raises(RequestError, match=r"^ibctl leads import by tester@.* is still at work after 0\.3 s: try again"),
        db.transaction() as session,
    ):
        db.lock(session, "leads import")


def test_different_locks_do_not_wait_for_each_other(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    with in_another_run("one", 0.5), db.transaction() as session:
        db.lock(session, "another")
        db.lock(session, "another")  # its own lock is no obstacle
    assert capsys.readouterr().err == ""


def test_a_lock_ends_with_its_transaction_also_after_an_error(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        with db.transaction() as session:
            db.lock(session, "x")
            run(session, "SELECT 1/0")

    with pytest.raises(sa.exc.DBAPIError):
        fail()
    with db.transaction() as session:
        db.lock(session, "x")
    assert capsys.readouterr().err == ""


def test_a_row_that_another_transaction_holds_is_a_request_error(
    sql: Sql, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql(NEW_USER)
    connect_to(monkeypatch, database, IBCTL_LOCK_TIMEOUT="0.3")
    with psycopg.connect(database) as other:
        other.execute("UPDATE \"User\" SET password = 'y'")
        with pytest.raises(RequestError, match="another transaction holds the rows"):
            write("UPDATE \"User\" SET password = 'z'")


def test_two_transactions_that_wait_for_each_other_are_a_request_error(sql: Sql, database: str) -> None:
    sql(NEW_USER)
    sql("INSERT INTO \"User\" (id, email, password, \"updatedAt\") VALUES ('v', 'v@x.com', 'x', now())")
    update = "UPDATE \"User\" SET password = 'z' WHERE id = '{}'"
    with psycopg.connect(database) as other:
        # The other one is patient: PostgreSQL breaks the circle on our side.
        other.execute("SET deadlock_timeout = '60s'")
        other.execute(update.format("u"))
        waiting = threading.Thread(target=lambda: other.execute(update.format("v")))

        def cross() -> None:
            with db.transaction() as session:
                run(session, update.format("v"))
                waiting.start()
                time.sleep(0.3)
                run(session, update.format("u"))

        with pytest.raises(RequestError, match="two transactions waited for each other, nothing was written"):
            cross()
        waiting.join()
