"""The one transaction of a command and the record of what it wrote; the ways in which a database can be unwell."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlmodel import Session, select

from ibctl import clock, config, db, ids
from ibctl.admin.database import schema
from ibctl.errors import ConfigError, IbctlError, RequestError
from ibctl.models.platform import Lead, User
from tests.conftest import Server

Sql = Callable[..., list[tuple[Any, ...]]]

NEW_USER = "INSERT INTO \"User\" (id, email, password, \"updatedAt\") VALUES ('u', 'ib@x.com', 'x', '2025-10-01')"
NEW_LEADS = (
    'INSERT INTO "Lead" (id, "userId", "updatedAt")'
    " SELECT 'l' || n, 'u', '2025-10-01' FROM generate_series(1, {}) AS n"
)


def run(session: Session, statement: str, **values: Any) -> None:
    session.execute(sa.text(statement), values)


def write(*statements: str) -> db.Written:
    with db.transaction() as session:
        for statement in statements:
            run(session, statement)
    return session.written


def recorded(sql: Sql, change_set: int | None) -> list[tuple[Any, ...]]:
    return sql(
        'SELECT step, "tableName", "rowId", "before", "after" FROM ibctl.change WHERE "changeSetId" = %s'
        ' ORDER BY step, "rowId"',
        change_set,
    )


def connect_to(monkeypatch: pytest.MonkeyPatch, url: str, **settings: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    config.use_env_file(None)
    db.forget()


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
        db.copy(session, columns, ((id_, clock.now()) for id_ in ids.cuids(3000)))
    assert session.written.counts == {"Lead": {"insert": 3000}}
    assert sql('SELECT count(*) FROM ibctl.change c JOIN "Lead" l ON l.id = c."rowId" AND to_jsonb(l) = c."after"') == [
        (3000,)
    ]


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
        "INSERT INTO ibctl.lead_import VALUES (DEFAULT, now(), 1, 'f', 'h', '{}', 0, 0, 0, 0)",
    )
    assert written.counts == {"commission_state": {"insert": 1}, "exchange_rate": {"insert": 1}}
    assert sql("SELECT \"after\"->>'rate' FROM ibctl.change WHERE \"tableName\" = 'exchange_rate'") == [("1.0850",)]


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


# ------------------------------------------------------------------------------------------------- a database unwell


def failure() -> IbctlError:
    """The error that a writing command would end with."""
    with pytest.raises(IbctlError) as caught:
        write(NEW_USER)
    # Neither the message nor what Python would print as its cause may tell a password.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    connect_to(monkeypatch, f"postgresql://u:geheim@127.0.0.1:{port}/db?connection_limit=5")
    error = failure()
    assert error.exit_code == 4
    assert f"cannot connect to postgresql://u:***@127.0.0.1:{port}/db: " in str(error)
    assert "refused" in str(error)
    assert "geheim" not in str(error)
    with pytest.raises(ConfigError, match="cannot connect"), db.reading():
        pass


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        port = mute.getsockname()[1]
        connect_to(monkeypatch, f"postgresql://u:geheim@127.0.0.1:{port}/db?connect_timeout=2")
        error = failure()
    assert error.exit_code == 4
    assert "timeout" in str(error)


def test_a_wrong_password(server: Server, template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = server.url(template)
    good = url.partition("://")[2].partition("@")[0]
    connect_to(monkeypatch, url.replace(good, f"{good.partition(':')[0]}:geheim"))
    error = failure()
    assert error.exit_code == 4
    assert "password authentication failed" in str(error)
    assert "geheim" not in str(error)


def test_a_missing_database(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    connect_to(monkeypatch, server.url("nothing_here"))
    error = failure()
    assert error.exit_code == 4
    assert 'database "nothing_here" does not exist' in str(error)


def test_a_database_that_ibctl_was_never_on(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connect_to(monkeypatch, empty_database)
    assert "has not been prepared for ibctl: run `ibctl db upgrade` once" in str(failure())
    with pytest.raises(ConfigError, match=r"not what ibctl expects .*`ibctl db check`"), db.reading() as session:
        session.exec(select(User)).all()


@pytest.mark.parametrize(
    "damage",
    ['DROP TRIGGER ibctl_capture_delete ON "Lead"', 'ALTER TABLE "Lead" DISABLE TRIGGER ibctl_capture_delete'],
)
def test_a_database_that_would_not_record_everything_is_not_written_to(sql: Sql, damage: str) -> None:
    sql(damage)
    error = failure()
    assert error.exit_code == 4
    assert "1 of the 63 triggers that record changes are missing, nothing was written" in str(error)
    assert sql('SELECT count(*) FROM "User"') == [(0,)]


def test_triggers_that_the_web_applications_reset_took_are_missed(sql: Sql) -> None:
    sql('DROP TABLE "SystemeConfig"')
    sql('CREATE TABLE "SystemeConfig" (id text PRIMARY KEY)')
    assert "3 of the 63 triggers" in str(failure())


def test_a_connection_lost_midway(sql: Sql) -> None:
    def lose() -> None:
        with db.transaction() as session:
            run(session, NEW_USER)
            process = session.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
            sql("SELECT pg_terminate_backend(%s)", process)
            run(session, NEW_LEADS.format(1))

    with pytest.raises(ConfigError) as caught:
        lose()
    assert str(caught.value).startswith("the connection to postgresql://")
    assert "was lost, nothing was written" in str(caught.value)
    assert sql('SELECT count(*) FROM "User"') == [(0,)]


def test_a_row_in_conflict_names_its_key(sql: Sql) -> None:
    sql(NEW_USER)
    error = failure()
    assert error.exit_code == 3
    assert str(error) == "in conflict with a row that is there already: Key (id)=(u) already exists."


def test_a_user_without_rights(sql: Sql, server: Server, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"reader_{ids.cuid()}"
    sql(f"CREATE ROLE \"{name}\" LOGIN PASSWORD 'geheim'")
    try:
        sql(f'GRANT USAGE ON SCHEMA ibctl, public TO "{name}"')
        good = database.partition("://")[2].partition("@")[0]
        connect_to(monkeypatch, database.replace(good, f"{name}:geheim"))
        error = failure()
        assert error.exit_code == 4
        assert "the database user lacks a right: permission denied" in str(error)
    finally:
        sql(f'DROP OWNED BY "{name}"')
        server.execute(f'DROP ROLE "{name}"')


def test_a_statement_that_the_server_cancels(sql: Sql, database: str) -> None:
    name = database.rpartition("/")[2].partition("?")[0]
    sql(f'ALTER DATABASE "{name}" SET statement_timeout = 200')
    with pytest.raises(ConfigError, match=r"cancelled a statement, nothing was written \(.*\): raise this user's"):
        write(NEW_USER, "SELECT pg_sleep(2)")
    assert sql('SELECT count(*) FROM "User"') == [(0,)]


def test_an_error_that_only_a_bug_can_cause_is_not_dressed_up(database: str) -> None:
    with pytest.raises(sa.exc.ProgrammingError):
        write("SELEKT 1")


# --------------------------------------------------------------------------------------------- the ways of a Prisma URL


def test_schema_in_the_url_is_where_the_platforms_tables_are(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_to(monkeypatch, f"{empty_database}{'&' if '?' in empty_database else '?'}schema=Web%20%22App%22")
    with db.engine().begin() as connection:
        schema.upgrade(connection, platform_schema=db.address().schema)
    written = write(NEW_USER, NEW_LEADS.format(2))
    assert written.counts == {"Lead": {"insert": 2}, "User": {"insert": 1}}
    with psycopg.connect(empty_database) as connection:
        found = connection.execute('SELECT count(*) FROM "Web ""App"""."Lead"').fetchall()
        assert found == [(2,)]
        assert connection.execute("SELECT to_regclass('public.\"Lead\"')").fetchall() == [(None,)]
    with db.reading() as session:
        assert session.exec(select(sa.func.count()).select_from(Lead)).one() == 2


def after_commit(session: Session, look: Callable[[Any], None]) -> None:
    """Look at the server process that served a transaction right after it: a pooler hands it to somebody else then."""
    connection = session.connection().connection.driver_connection
    sa.event.listen(session, "after_commit", lambda _: look(connection))


@pytest.mark.parametrize(("parameter", "prepares"), [("", True), ("pgbouncer=true", False)])
def test_behind_a_pooler_nothing_is_prepared(
    sql: Sql, database: str, monkeypatch: pytest.MonkeyPatch, parameter: str, prepares: bool
) -> None:
    connect_to(monkeypatch, f"{database}{'&' if '?' in database else '?'}{parameter}".rstrip("&?"))
    with db.transaction() as session:
        for number in range(10):
            run(session, "SELECT CAST(:n AS integer)", n=number)
        prepared = session.execute(sa.text("SELECT count(*) FROM pg_prepared_statements")).scalar_one()
    assert (prepared > 0) == prepares


def test_nothing_of_a_transaction_stays_with_the_pooled_server_process(sql: Sql, database: str) -> None:
    seen: dict[str, Any] = {}

    def look(connection: Any) -> None:
        names = ("ibctl.change_set", "ibctl.step", "search_path", "lock_timeout")
        for name in names:
            seen[name] = connection.execute("SELECT current_setting(%s, true)", (name,)).fetchone()[0]
        # What the next client of this server process writes is not ibctl's.
        connection.execute(NEW_LEADS.format(1))
        connection.execute("SELECT pg_advisory_unlock_all()")
        seen["locks"] = connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()[0]
        connection.commit()

    with db.transaction() as session:
        db.lock(session, "something")
        run(session, NEW_USER)
        after_commit(session, look)
    assert seen == {
        "ibctl.change_set": "", "ibctl.step": "", "search_path": '"$user", public', "lock_timeout": "0", "locks": 0,
    }  # fmt: skip
    assert sql('SELECT count(*) FROM "Lead"') == [(1,)]
    assert sql('SELECT count(*), max("tableName") FROM ibctl.change') == [(1, "User")]


def test_the_server_shows_which_command_of_whom_is_at_work(sql: Sql) -> None:
    config.use_command(["leads", "import", "file.csv", "--dry-run"])
    db.forget()
    with db.reading() as session:
        process = session.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
        (name,) = sql("SELECT application_name FROM pg_stat_activity WHERE pid = %s", process)[0]
    assert name.startswith("ibctl leads import file.csv by tester@")
    assert json.dumps(name).isascii()
