"""Ways to a database, and the ways in which it can be unwell: one line on what to do, never a password."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlmodel import Session, select

from ibctl import config, db, ids
from ibctl.admin.database import schema
from ibctl.errors import ConfigError, IbctlError
from ibctl.models.platform import Lead, User
from tests.conftest import Server
from tests.writing import NEW_LEADS, NEW_USER, connect_to, run, write

Sql = Callable[..., list[tuple[Any, ...]]]


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
    assert f"1 of the {db.CAPTURE_TRIGGERS} triggers that record changes are missing, nothing was written" in str(error)
    assert sql('SELECT count(*) FROM "User"') == [(0,)]


@pytest.mark.parametrize(
    ("branch", "revision", "words"),
    [
        ("ibctl", "ibctl_0099", "upgraded by a newer ibctl (ibctl_0099), nothing was written: use that version"),
        ("platform", "platform_0099", "upgraded by a newer ibctl (platform_0099), nothing was written"),
        ("ibctl", "ibctl_0001", "of an older ibctl, nothing was written: run `ibctl db upgrade`"),
    ],
)
def test_a_database_of_another_ibctl_is_not_written_to(sql: Sql, branch: str, revision: str, words: str) -> None:
    sql("UPDATE ibctl.alembic_version SET version_num = %s WHERE version_num LIKE %s", revision, f"{branch}%")
    error = failure()
    assert (error.exit_code, words in str(error)) == (4, True), error
    assert sql('SELECT count(*) FROM "User"') == [(0,)]


def test_whether_a_database_may_be_written_to_is_one_question(database: str) -> None:
    asked: list[str] = []
    sa.event.listen(db.engine(), "before_cursor_execute", lambda *seen: asked.append(seen[2]))
    with db.transaction() as session:
        before = len(asked)
        db._require_upgraded(session)
        assert len(asked) == before + 1


def test_a_server_that_takes_no_writes_says_where_to_look(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connect_to(monkeypatch, f"{database}&options=-c%20default_transaction_read_only%3Don")
    error = failure()
    assert error.exit_code == 4
    assert "the database is read-only (cannot execute " in str(error)
    assert "`ibctl doctor` says why" in str(error)


def test_triggers_that_the_web_applications_reset_took_are_missed(sql: Sql) -> None:
    sql('DROP TABLE "SystemeConfig"')
    sql('CREATE TABLE "SystemeConfig" (id text PRIMARY KEY)')
    assert f"3 of the {db.CAPTURE_TRIGGERS} triggers" in str(failure())


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
        assert "the database user lacks a right (permission denied" in str(error)
        assert "`ibctl doctor` says what to GRANT" in str(error)
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
