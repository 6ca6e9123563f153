"""The database: one engine, one transaction for each command, and the record of what it wrote.

`transaction()` is the only way to write. It gives the transaction a change set, so that the triggers record every row,
and it is the one place that commits. Everything it sets is local to the transaction: that holds behind a pooler, too.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from ibctl import clock, config, dsn, output
from ibctl.errors import ConfigError, IbctlError, RequestError

CONNECT_TIMEOUT = 10  # seconds; libpq's own default is to wait for ever
HASTY_TIMEOUT = 2  # seconds; the least that every libpq takes as it is
# The first half of every advisory lock's key, so that ibctl's locks never meet another program's.
LOCK_CLASS = 0x1BC71
# Insert, update and delete on the 17 platform tables and on ibctl's own that are recorded (`ledger.CAPTURED`).
CAPTURE_TRIGGERS = 3 * (17 + 23)
# The migrations that this code knows; ibctl's own tables are to be at the last.
REVISIONS = ("platform_0001", "ibctl_0001", "ibctl_0002")


@dataclass(frozen=True)
class Written:
    """What a transaction wrote: `{"Lead": {"insert": 10}}` under the number that `ibctl undo` takes."""

    change_set: int | None
    counts: Mapping[str, Mapping[str, int]]
    dry_run: bool

    @property
    def nothing(self) -> bool:
        """Whether no row was inserted, updated or deleted."""
        return not self.counts

    def announce(self, message: str, *, back: str | None = None) -> None:
        """Say on stderr what was done, and how to take it back; a dry run says that it wrote nothing.

        `back` is the command that does so where `ibctl undo` does not.
        """
        if self.dry_run:
            output.note(f"{message}; dry run: nothing was written")
        elif self.change_set is None:
            output.note(message)
        else:
            taker = back or f"ibctl undo {self.change_set}"
            output.note(f"{message}; change set {self.change_set}, `{taker}` takes it back")


class Transaction(Session):
    """A session inside the one transaction of a command. `written` is known once it has ended."""

    # 0 in a dry run.
    change_set_id: int = 0
    # Of the change set, before this transaction's own.
    first_step: int = 0
    written: Written


# ----------------------------------------------------------------------------------------------------------- connecting


def address(*, direct: bool = False) -> dsn.Dsn:
    """Return the database's address; starts the embedded server when no DATABASE_URL is set.

    `direct` prefers DIRECT_URL, the way past a pooler. Raises ConfigError.
    """
    settings = config.settings()
    if settings.database is None:
        return _embedded()
    if direct and settings.direct is not None:
        return settings.direct
    return settings.database


@cache
def _embedded() -> dsn.Dsn:
    from ibctl import embedded

    return dsn.parse(embedded.start(config.settings().data_dir / "postgres"), "the embedded server's address")


@cache
def engine(*, direct: bool = False) -> sa.Engine:
    """Return the process's engine; nothing is connected yet. Raises ConfigError."""
    return _engine(address(direct=direct), poolclass=sa.pool.NullPool)


def _engine(target: dsn.Dsn, **pool: Any) -> sa.Engine:
    def connect() -> psycopg.Connection[Any]:
        return psycopg.connect(
            target.url,
            # A transaction pooler hands each transaction another connection: nothing prepared would be there.
            prepare_threshold=None if target.pgbouncer else 5,
            **_defaults(target.url),
        )

    return sa.create_engine("postgresql+psycopg://", creator=connect, hide_parameters=True, **pool)


def _defaults(url: str) -> dict[str, Any]:
    given = psycopg.conninfo.conninfo_to_dict(url)
    # 63 bytes is what PostgreSQL keeps; another run that has to wait shows this.
    name = f"ibctl {config.command().split(' --')[0]} by {config.settings().actor}@{socket.gethostname()}"
    wanted = {"connect_timeout": CONNECT_TIMEOUT, "application_name": name[:63], "client_encoding": "utf8"}
    hurried = {"connect_timeout": HASTY_TIMEOUT} if _hasty else {}
    return {key: value for key, value in wanted.items() if key not in given} | hurried


_hasty = False


def hurry() -> None:
    """Give up connecting after two seconds: a shell waits for this process to complete a word."""
    global _hasty
    _hasty = True


def forget() -> None:
    """Drop the cached engine and address, when settings have changed (the demo's own server, tests)."""
    engine.cache_clear()
    _embedded.cache_clear()


# --------------------------------------------------------------------------------------------------------- transactions


@contextmanager
def reading() -> Iterator[Session]:
    """Open a read-only transaction, one consistent view for all of its statements.

    Raises ConfigError when the database cannot be reached or lacks what is read.
    """
    with translated(), Session(engine(), autoflush=False) as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        session.execute(sa.text("SET TRANSACTION READ ONLY"))
        _prepare(session, change_set_id=None)
        yield session
        # What was read is shown afterwards; a rollback would expire it.
        session.expunge_all()
        session.rollback()


@contextmanager
def transaction(
    *, dry_run: bool = False, reason: str | None = None, undoes: int | None = None, continues: int | None = None
) -> Iterator[Transaction]:
    """Open the one transaction of a command that writes; commit at the end, or roll back after an error or dry run.

    Every row written is recorded under a new change set, with `reason`, or under the one that it `continues` (an import
    by chunks). A transaction that wrote nothing leaves no change set. Raises ConfigError (unreachable, not upgraded)
    and RequestError (in conflict with another write).
    """
    with translated(), Transaction(_pooled or engine(), expire_on_commit=False) as session:
        _begin(session, dry_run=dry_run, continues=continues)
        yield session
        session.flush()
        session.written = _record(session, dry_run=dry_run, reason=reason, undoes=undoes)
        if dry_run:
            session.expunge_all()  # shown afterwards as the dry run left it
            session.rollback()
        else:
            session.commit()


_pooled: sa.Engine | None = None


@contextmanager
def pooled(connections: int) -> Iterator[None]:
    """Let the transactions inside, of any thread, share so many connections: many small ones then cost far less."""
    global _pooled
    _pooled = _engine(address(), poolclass=sa.pool.QueuePool, pool_size=connections, max_overflow=0)
    try:
        yield
    finally:
        _pooled.dispose()
        _pooled = None


_USE = """
    SELECT x.number FROM (SELECT {}::bigint AS number) x,
      LATERAL (SELECT set_config('ibctl.change_set', x.number::text, true), set_config('ibctl.step', '0', true),
        set_config('ibctl.counts', '{{}}', true)) used
"""
_CHANGE_SET = sa.text(_USE.format("nextval(pg_get_serial_sequence('ibctl.change_set', 'id'))"))
_DRY_CHANGE_SET = sa.text(_USE.format("0"))
_LAST_STEP = sa.text("SELECT coalesce((SELECT steps FROM ibctl.change_set WHERE id = :id), 0)")


def _begin(session: Transaction, *, dry_run: bool, continues: int | None) -> None:
    _prepare(session, change_set_id=None)
    _require_upgraded(session)
    if continues is None:
        # A dry run must not even move a sequence.
        session.change_set_id = session.execute(_DRY_CHANGE_SET if dry_run else _CHANGE_SET).scalar_one()
        return
    session.change_set_id = continues
    session.first_step = session.execute(_LAST_STEP, {"id": continues}).scalar_one()
    own = {"ibctl.change_set": str(continues), "ibctl.step": str(session.first_step), "ibctl.counts": "{}"}
    _set_local(session, own)


def _prepare(session: Session, *, change_set_id: int | None) -> None:
    _set_local(
        session,
        {
            # Temporary tables come first by themselves.
            "search_path": search_path(),
            # Naive UTC is what the shared tables hold, whatever the server's own zone.
            "TimeZone": "UTC",
            # How a row writes itself, so that a recorded image is exact and equal to that of any other transaction.
            # Here, not in the trigger's function, which the web application's writes call, too.
            "DateStyle": "ISO, YMD",
            "IntervalStyle": "postgres",
            "extra_float_digits": "1",
            "bytea_output": "hex",
            "lock_timeout": f"{config.settings().lock_timeout * 1000:.0f}",
            "ibctl.change_set": "" if change_set_id is None else str(change_set_id),
        },
    )


def search_path() -> str:
    """Return the `search_path` that finds the platform's tables: the URL's `?schema=`, quoted."""
    return '"' + address().schema.replace('"', '""') + '"'


def _set_local(session: Session, values: Mapping[str, str]) -> None:
    calls = ", ".join(f"set_config('{name}', :v{number}, true)" for number, name in enumerate(values))
    session.execute(sa.text(f"SELECT {calls}"), {f"v{n}": value for n, value in enumerate(values.values())})


_STATE = sa.text(
    """
    SELECT array(SELECT version_num FROM ibctl.alembic_version), count(*)
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE t.tgname LIKE 'ibctl\\_capture\\_%' AND t.tgenabled <> 'D' AND n.nspname IN ('ibctl', current_schema())
    """
)


def _require_upgraded(session: Session) -> None:
    """Refuse to write where writes would go unrecorded, or where a newer ibctl may have made other tables."""
    revisions, triggers = _state(session)
    if newer := sorted(set(revisions) - set(REVISIONS)):
        raise ConfigError(
            f"this database has been upgraded by a newer ibctl ({', '.join(newer)}), nothing was written: "
            "use that version"
        )
    if REVISIONS[-1] not in revisions:
        raise ConfigError("this database is of an older ibctl, nothing was written: run `ibctl db upgrade`")
    if triggers < CAPTURE_TRIGGERS:
        raise ConfigError(
            f"{CAPTURE_TRIGGERS - triggers} of the {CAPTURE_TRIGGERS} triggers that record changes are missing, "
            "nothing was written: `ibctl db check` names them, `ibctl db upgrade` puts them back"
        )


def _state(session: Session) -> tuple[list[str], int]:
    """Return the migrations that the database has reached, and how many triggers record writes: in one question."""
    try:
        revisions, triggers = session.execute(_STATE).one()
    except DBAPIError as exc:
        if _sqlstate(exc) not in ("42P01", "3F000"):
            raise
        raise ConfigError("this database has not been prepared for ibctl: run `ibctl db upgrade` once") from None
    return revisions, triggers


_COUNTS = sa.text("SELECT CAST(current_setting('ibctl.counts') AS jsonb)")
_INSERT_CHANGE_SET = sa.text(
    """
    INSERT INTO ibctl.change_set (id, "createdAt", actor, host, command, reason, counts, columns, steps, undoes)
    SELECT :id, :created_at, :actor, :host, :command, :reason, CAST(:counts AS jsonb),
      jsonb_object_agg(t."tableName", t.columns), CAST(current_setting('ibctl.step') AS bigint), CAST(:undoes AS bigint)
    FROM ibctl.table_columns t WHERE t."tableName" = ANY(:tables)
    ON CONFLICT (id) DO UPDATE SET counts = excluded.counts, columns = change_set.columns || excluded.columns,
      steps = excluded.steps
    WHERE change_set.columns || excluded.columns = excluded.columns || change_set.columns
    """
)


def _record(session: Transaction, *, dry_run: bool, reason: str | None, undoes: int | None) -> Written:
    counts: dict[str, dict[str, int]] = session.execute(_COUNTS).scalar_one()
    if dry_run or not counts:
        return Written(None, counts, dry_run)
    values = {
        "id": session.change_set_id,
        "created_at": clock.now(),
        "actor": config.settings().actor,
        "host": socket.gethostname(),
        "command": f"ibctl {config.command()}".rstrip(),
        "reason": reason,
        "counts": json.dumps(_with_earlier(session, counts)),
        "tables": list(counts),
        "undoes": undoes,
    }
    if not session.execute(_INSERT_CHANGE_SET, values).rowcount:  # type: ignore[attr-defined] # a CursorResult
        raise RequestError(
            f"a table has other columns than when change set {session.change_set_id} was begun, nothing more was "
            f"written: `ibctl undo {session.change_set_id}`, or begin anew with what is left"
        )
    return Written(session.change_set_id, counts, dry_run)


def _with_earlier(session: Transaction, counts: Mapping[str, Mapping[str, int]]) -> Mapping[str, Mapping[str, int]]:
    """Add what the change set counted before this transaction."""
    if not session.first_step:
        return counts
    found = sa.text("SELECT counts FROM ibctl.change_set WHERE id = :id FOR UPDATE")
    before = session.execute(found, {"id": session.change_set_id}).scalar_one()
    return {
        table: {
            kind: before.get(table, {}).get(kind, 0) + counts.get(table, {}).get(kind, 0)
            for kind in {**before.get(table, {}), **counts.get(table, {})}
        }
        for table in {**before, **counts}
    }


# ---------------------------------------------------------------------------------------------------------------- locks

_HOLDER = sa.text(
    r"""
    SELECT a.application_name, a.pid, to_char(a.xact_start AT TIME ZONE 'UTC', 'HH24\:MI\:SS') FROM pg_locks l
    JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'advisory' AND l.granted AND l.classid::bigint = :class
      AND l.objid::bigint = hashtext(:name)::oid::bigint
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """
)


def lock(session: Session, name: str, *, shared: bool = False) -> None:
    """Make sure that no other transaction holds the lock `name`, until this one ends; `shared`: unless shared as well.

    Says on stderr for whom it waits; after `IBCTL_LOCK_TIMEOUT` seconds raises RequestError, which says so too.
    """
    arguments, how = {"class": LOCK_CLASS, "name": name}, "_shared" if shared else ""
    if session.execute(
        sa.text(f"SELECT pg_try_advisory_xact_lock{how}(:class, hashtext(:name))"), arguments
    ).scalar_one():
        return
    holder = session.execute(_HOLDER, arguments).first()
    running = f"{holder[0]} (since {holder[2]} UTC, server process {holder[1]})" if holder else "another run"
    output.note(f"waiting for {running}")
    try:
        session.execute(sa.text(f"SELECT pg_advisory_xact_lock{how}(:class, hashtext(:name))"), arguments)
    except DBAPIError as exc:
        if _sqlstate(exc) != "55P03":
            raise
        raise RequestError(
            f"{running} is still at work after {config.settings().lock_timeout:g} s: try again later"
        ) from None


# --------------------------------------------------------------------------------------------------------------- errors


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors into ibctl's, at the one edge where they appear."""
    try:
        yield
    except DBAPIError as exc:
        cause = exc.orig if isinstance(exc.orig, psycopg.Error) else None
        known = explain(cause) if cause is not None else None
        if known is None:
            raise
        raise known from None
    except psycopg.Error as exc:  # COPY goes past SQLAlchemy
        known = explain(exc)
        if known is None:
            raise
        raise known from None


def _sqlstate(exc: DBAPIError) -> str | None:
    return getattr(exc.orig, "sqlstate", None)


def explain(exc: psycopg.Error) -> IbctlError | None:
    """Say in one line what a driver error means and what to do; None for one that can only be a bug."""
    state = exc.sqlstate or ""
    first_line = next(iter(str(exc).strip().splitlines()), exc.__class__.__name__)
    if state in _CONFLICTS:
        return RequestError(f"{_CONFLICTS[state]}, nothing was written: run it again")
    if state == "23505":
        return RequestError(f"in conflict with a row that is there already: {exc.diag.message_detail or first_line}")
    if state in ("42P01", "42703", "3F000", "42883"):
        return ConfigError(
            f"the database is not what ibctl expects ({first_line}): "
            "a new one needs `ibctl db upgrade`, and `ibctl db check` names what is missing"
        )
    if state == "42501":
        return ConfigError(f"the database user lacks a right ({first_line}): `ibctl doctor` says what to GRANT")
    if state == "25006":
        return ConfigError(f"the database is read-only ({first_line}): `ibctl doctor` says why")
    if state == "57014":
        return ConfigError(
            f"the database server cancelled a statement, nothing was written ({first_line}): raise this user's "
            "statement_timeout"
        )
    if state.startswith("53"):
        return ConfigError(f"the database server is out of resources, nothing was written: {first_line}")
    if isinstance(exc, psycopg.OperationalError):
        return _unreachable(exc, state)
    return None


_CONFLICTS = {
    "40001": "another transaction changed the same rows",
    "40P01": "two transactions waited for each other",
    "55P03": "another transaction holds the rows and did not let go in time",
}


def _unreachable(exc: psycopg.Error, state: str) -> ConfigError:
    settings = config.settings()
    where = settings.database.masked if settings.database else "the embedded server"
    # libpq tries every address of a host, with TLS and without: the last try decided. Its questions are indented, and
    # psycopg's list of all tries comes after.
    told = str(exc).strip().partition("\nMultiple connection attempts failed")[0].splitlines()
    last = [line for line in told if not line.startswith("\t")][-1]
    reason = last.removeprefix("connection failed: ").removeprefix("connection is bad: ").strip()
    if state.startswith(("57P0", "08")) or "server closed the connection" in str(exc):
        return ConfigError(f"the connection to {where} was lost, nothing was written ({reason}): run it again")
    return ConfigError(f"cannot connect to {where}: {reason}. `ibctl doctor` checks the settings")
