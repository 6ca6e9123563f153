"""The checks of `ibctl doctor`. Each answers by itself: one that fails does not keep the next from being made."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import sqlalchemy as sa

from ibctl import __version__, clock, config, crypto, db, sealing
from ibctl.admin.database import comparison, rights, schema
from ibctl.ads.accounts import checks as account_checks
from ibctl.commissions.payouts import checks as payout_checks
from ibctl.errors import IbctlError
from ibctl.users import service as users

# A clock that is off by more puts leads into the wrong day long before anybody notices.
CLOCK_TOLERANCE = timedelta(seconds=30)
OLDEST_SERVER = 12


@dataclass(frozen=True)
class Finding:
    """One line of the check-up. `remedy` says what to do, where something is wrong."""

    check: str
    state: Literal["ok", "warning", "problem"]
    value: str
    remedy: str | None = None


def examine() -> Iterator[Finding]:
    """Make every check that can be made; what depends on a failed one is left out."""
    yield Finding("ibctl", "ok", f"{__version__} on Python {sys.version.split()[0]}")
    try:
        found = config.inspect()
    except IbctlError as exc:
        yield Finding("env file", "problem", str(exc))
        return
    yield from map(_setting, found)
    yield from _env_file()
    yield from _key()
    if not any(one.problem for one in found):
        yield from _database()


def _setting(found: config.Found) -> Finding:
    if found.problem is not None:
        return Finding(found.name, "problem", found.value or "", found.problem)
    if found.value is None:
        return Finding(found.name, "ok", f"not set: {config.SETTINGS[found.name]}")
    return Finding(found.name, "ok", f"{found.value}, from {found.source}")


def _env_file() -> Iterator[Finding]:
    path = config.settings_file()
    # A pipe is gone when somebody else could read it.
    if path is None or not path.is_file() or sys.platform == "win32":
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        yield Finding("env file", "warning", f"{path} can be read by others (mode {mode:03o})", f"chmod 600 {path}")


def _key() -> Iterator[Finding]:
    try:
        crypto.key_bytes(config.encryption_key())
    except IbctlError as exc:
        # Only what is encrypted needs the key, so a platform without secrets works without one.
        state: Literal["warning", "problem"] = "problem" if config.encryption_key() else "warning"
        yield Finding("encryption key", state, "unusable", str(exc))


def _database() -> Iterator[Finding]:
    settings = config.settings()
    if settings.database is None:
        yield Finding("database", "ok", f"no DATABASE_URL: the embedded server in {settings.data_dir / 'postgres'}")
    else:
        if settings.database.ignored:
            yield Finding("DATABASE_URL", "ok", f"Prisma's own, left out: {', '.join(settings.database.ignored)}")
        if settings.database.pgbouncer and settings.direct is None:
            yield Finding(
                "DIRECT_URL", "warning", "not set, and DATABASE_URL goes through a pooler (pgbouncer=true)",
                "set DIRECT_URL to the server itself, for `ibctl db upgrade`",
            )  # fmt: skip
    for direct in (False, True) if settings.direct is not None else (False,):
        yield from _connection(direct=direct)


def _connection(*, direct: bool) -> Iterator[Finding]:
    name = "DIRECT_URL answers" if direct else "database answers"
    try:
        with db.translated(), db.engine(direct=direct).connect() as connection:
            yield Finding(name, "ok", _server(connection))
            connection.rollback()
            if not direct:
                yield from _ready(connection)
    except IbctlError as exc:
        yield Finding(name, "problem", "no", str(exc))


def _server(connection: sa.Connection) -> str:
    query = "SELECT current_setting('server_version'), current_database(), current_user"
    version, database, user = connection.execute(sa.text(query)).one()
    return f"PostgreSQL {version}, database {database} as {user}"


def _ready(connection: sa.Connection) -> Iterator[Finding]:
    checks: tuple[Callable[[sa.Connection], Iterator[Finding]], ...] = (
        _age,
        _clock,
        _models,
        _secrets,
        _payouts,
        _ad_accounts,
        _administrators,
        _rights,
    )
    for check in checks:
        try:
            with db.translated():
                connection.execute(sa.text("SELECT set_config('search_path', :path, true)"), {"path": db.search_path()})
                found = list(check(connection))
        except IbctlError as exc:
            found = [Finding(check.__name__.strip("_"), "problem", "cannot be checked", str(exc))]
        yield from found
        connection.rollback()
        if any(one.state == "problem" for one in found):
            return  # the next one would only say the same in other words


def _age(connection: sa.Connection) -> Iterator[Finding]:
    version = connection.execute(sa.text("SELECT current_setting('server_version_num')::int / 10000")).scalar_one()
    if version < OLDEST_SERVER:
        yield Finding("server version", "problem", str(version), f"PostgreSQL {OLDEST_SERVER} or newer is needed")


def _clock(connection: sa.Connection) -> Iterator[Finding]:
    there = connection.execute(sa.text("SELECT clock_timestamp() AT TIME ZONE 'UTC'")).scalar_one()
    off = abs(there - clock.now())
    state: Literal["ok", "warning"] = "ok" if off < CLOCK_TOLERANCE else "warning"
    remedy = None if state == "ok" else "set the clock of this machine or of the server (NTP)"
    yield Finding("clocks", state, f"{off.total_seconds():.1f} s apart", remedy)


def _models(connection: sa.Connection) -> Iterator[Finding]:
    if newer := schema.newer(schema.revisions(connection)):
        value = f"upgraded by a newer ibctl ({', '.join(newer)})"
        yield Finding("schema", "problem", value, "use that version of ibctl")
        return
    if not schema.is_current(connection):
        yield Finding("schema", "problem", "not prepared for this version of ibctl", "run `ibctl db upgrade`")
        return
    found = comparison.differences(connection, platform_schema=db.address().schema)
    errors = [one for one in found if one.severity == "error"]
    if errors:
        yield Finding("schema", "problem", f"{len(errors)} difference(s) that matter", "`ibctl db check` names them")
    else:
        yield Finding("schema", "ok", "as ibctl expects")


def _secrets(connection: sa.Connection) -> Iterator[Finding]:
    """Try the key on a few values of each encrypted field; all of them is `ibctl secrets check`."""
    stored = list(sealing.samples(connection))
    if not stored:
        return
    failed = sum(not sealing.opens(text) for text in stored)
    if failed:
        yield Finding(
            "encryption key", "problem", f"{failed} of {len(stored)} sampled secrets do not decrypt with it",
            "use the web application's ENCRYPTION_KEY; `ibctl secrets check` lists every such value",
        )  # fmt: skip
    else:
        yield Finding("encryption key", "ok", f"decrypts {len(stored)} sampled secret(s)")


def _administrators(connection: sa.Connection) -> Iterator[Finding]:
    if users.lacks_administrator(connection):
        yield Finding(
            "administrators", "warning", "there are accounts, but no active administrator",
            "`ibctl users set-role USER --role ADMIN`, or `ibctl users activate` one",
        )  # fmt: skip


def _payouts(connection: sa.Connection) -> Iterator[Finding]:
    for value, remedy in payout_checks.problems(connection):
        yield Finding("payouts", "warning", value, remedy)


def _ad_accounts(connection: sa.Connection) -> Iterator[Finding]:
    for value, remedy in account_checks.problems(connection):
        yield Finding("Facebook", "warning", value, remedy)


def _rights(connection: sa.Connection) -> Iterator[Finding]:
    for value, remedy in rights.problems(connection, db.address().schema):
        yield Finding("rights", "problem", value, remedy)
