"""The database's schema: what state it is in, and bringing it up to date.

Everything runs in the caller's transaction and nothing is committed here, so that an upgrade that is refused has
changed nothing. `platform_schema` is where the web application's tables live: `db.address().schema`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from ibctl import config, db, resources
from ibctl.admin.database import indexes
from ibctl.errors import ConfigError, RequestError
from ibctl.models import catalogue, ledger

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

OWN = ledger.SCHEMA
OLDEST_SERVER = 14  # the first with CREATE OR REPLACE TRIGGER


class Platform(enum.StrEnum):
    """Whose the web application's tables are."""

    CREATED = "created"  # by this upgrade; there were none
    OURS = "ours"  # created by an earlier upgrade, and migrated by this one
    ADOPTED = "adopted"  # the web application's own, never migrated by ibctl


@dataclass(frozen=True)
class UpgradeResult:
    """What an upgrade found and did: alembic's revisions before and after, and what it put back beside them."""

    platform: Platform
    before: tuple[str, ...]
    after: tuple[str, ...]
    function: bool
    triggers: tuple[Trigger, ...]
    indexes: tuple[indexes.Index, ...]

    @property
    def changed(self) -> bool:
        """Whether anything was changed at all."""
        return self.before != self.after or self.function or bool(self.triggers or self.indexes)


# -------------------------------------------------------------------------------------------------------------- upgrade


def upgrade(connection: sa.Connection, *, platform_schema: str = "public") -> UpgradeResult:
    """Bring the database up to date: ibctl's own schema always, the platform's only where ibctl has created it.

    An empty database gets both. One that the web application made is adopted: nothing is changed in its tables, but for
    the triggers that record ibctl's writes and the indexes that only ibctl needs. Running it again changes nothing.
    Raises RequestError (only some of the platform's tables are there, or a newer ibctl was here) and ConfigError (a
    right is missing).
    """
    _begin(connection, platform_schema)
    _require_rights(connection, OWN)
    before = revisions(connection)
    _require_known(before)
    platform = _find_platform(connection, platform_schema, before)
    if platform is Platform.CREATED:
        _require_rights(connection, platform_schema)
    _migrate(connection, platform_schema, "ibctl@head" if platform is Platform.ADOPTED else "heads")
    function = _restore_capture(connection)
    triggers = _restore_triggers(connection, platform_schema)
    made = indexes.restore(connection, platform_schema)
    return UpgradeResult(platform, before, revisions(connection), function, triggers, made)


def is_current(connection: sa.Connection) -> bool:
    """Say whether ibctl's own schema is the one that this code was written for. Loads no migration."""
    return ledger.LEDGER_REVISION in revisions(connection)


# Not to_regclass, which fails for a user who may not look into the schema.
_HAS_REVISIONS = sa.text(
    """
    SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                   WHERE n.nspname = 'ibctl' AND c.relname = 'alembic_version')
    """
)


def revisions(connection: sa.Connection) -> tuple[str, ...]:
    """Return the migrations that the database has reached, one a branch; none before the first upgrade."""
    if not connection.scalar(_HAS_REVISIONS):
        return ()
    return tuple(connection.scalars(sa.text("SELECT version_num FROM ibctl.alembic_version ORDER BY 1")))


def platform_tables() -> list[str]:
    """Return the names of the web application's tables, sorted."""
    return sorted(table.name for table in catalogue.METADATA.tables.values() if table.schema is None)


def look_at(connection: sa.Connection, platform_schema: str) -> None:
    """Make unqualified names mean the platform's schema, and no other, until the transaction ends."""
    path = sa.text("SELECT set_config('search_path', quote_ident(:name), true)")
    connection.execute(path, {"name": platform_schema})


def _begin(connection: sa.Connection, platform_schema: str) -> None:
    """Refuse what cannot work, then wait for an upgrade that is under way."""
    version = int(connection.execute(sa.text("SHOW server_version_num")).scalar_one()) // 10_000
    if version < OLDEST_SERVER:
        raise ConfigError(f"the database server is PostgreSQL {version}; ibctl needs {OLDEST_SERVER} or newer")
    if platform_schema == OWN:
        raise ConfigError(f"DATABASE_URL says schema={OWN}, which is ibctl's own: name the web application's schema")
    wait = sa.text("SELECT set_config('lock_timeout', :milliseconds, true)")
    connection.execute(wait, {"milliseconds": f"{config.settings().lock_timeout * 1000:.0f}"})
    lock = sa.text("SELECT pg_advisory_xact_lock(:class, hashtext('upgrade'))")
    connection.execute(lock, {"class": db.LOCK_CLASS})
    look_at(connection, platform_schema)


def _require_known(found: Sequence[str]) -> None:
    unknown = newer(found)
    if unknown:
        raise RequestError(
            f"a newer ibctl has upgraded this database ({', '.join(unknown)}), nothing was changed: use that version"
        )


# ------------------------------------------------------------------------------------------------ the platform's tables

_HOLDERS = sa.text(
    """
    SELECT n.nspname, array_agg(c.relname::text) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = ANY(:names) AND c.relkind IN ('r', 'p') GROUP BY 1 ORDER BY 1
    """
)


def _find_platform(connection: sa.Connection, platform_schema: str, found: Sequence[str]) -> Platform:
    names = platform_tables()
    holders = {name: set(tables) for name, tables in connection.execute(_HOLDERS, {"names": names})}
    missing = [name for name in names if name not in holders.get(platform_schema, ())]
    if not missing:
        return Platform.OURS if any(_branch(revision) == "platform" for revision in found) else Platform.ADOPTED
    if len(missing) < len(names):
        raise RequestError(
            f'schema "{platform_schema}" holds the web application\'s tables without {_quoted(missing)}; nothing was '
            "changed: bring the web application's own migrations up to date first"
        )
    _require_virgin(platform_schema, [name for name, tables in holders.items() if len(tables) == len(names)], found)
    return Platform.CREATED


def _require_virgin(platform_schema: str, elsewhere: Sequence[str], found: Sequence[str]) -> None:
    """Refuse to create a second platform where a wrong `?schema=`, or a loss, is what happened."""
    none = f'schema "{platform_schema}" holds none of the web application\'s tables'
    if elsewhere:
        raise RequestError(
            f"{none}, schema {_quoted(elsewhere)} does; nothing was changed: say ?schema= in DATABASE_URL"
        )
    if found:
        raise RequestError(
            f"{none}, though ibctl has worked with them; nothing was changed: restore them, from a backup or with the "
            "web application's own migrations"
        )


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


# --------------------------------------------------------------------------------------------------------------- rights

_RIGHTS = sa.text(
    """
    SELECT current_user, current_database(), to_regnamespace(quote_ident(:name)) IS NOT NULL,
           CASE WHEN to_regnamespace(quote_ident(:name)) IS NULL
                THEN has_database_privilege(current_database(), 'CREATE')
                ELSE has_schema_privilege(:name, 'CREATE') AND has_schema_privilege(:name, 'USAGE') END
    """
)


def _require_rights(connection: sa.Connection, schema: str) -> None:
    """Say which right is missing, and what grants it, where PostgreSQL would only say that it is denied."""
    user, database, exists, allowed = connection.execute(_RIGHTS, {"name": schema}).one()
    if not allowed and exists:
        raise ConfigError(_lacking(user, f'create tables in schema "{schema}"', f'CREATE, USAGE ON SCHEMA "{schema}"'))
    if not allowed:
        raise ConfigError(_lacking(user, f'create schema "{schema}"', f'CREATE ON DATABASE "{database}"'))


def _lacking(user: str, what: str, right: str) -> str:
    return f'the database user "{user}" may not {what}, nothing was changed: as its owner, GRANT {right} TO "{user}"'


# ----------------------------------------------------------------------------------------------------------- migrations


def _migrate(connection: sa.Connection, platform_schema: str, target: str) -> None:
    from alembic import command

    settings = _alembic()
    settings.attributes.update(connection=connection, schema=platform_schema)
    command.upgrade(settings, target)


def _alembic() -> Config:
    from alembic.config import Config

    folder = resources.migrations_dir()
    # What `[tool.alembic]` says in a checkout; an installed ibctl has no pyproject.toml. The parser reads % as its own.
    options = {
        "script_location": str(folder),
        "version_locations": f"{folder / 'platform'}\n{folder / 'ibctl'}",
        "path_separator": "newline",
    }
    settings = Config()
    for name, value in options.items():
        settings.set_main_option(name, value.replace("%", "%%"))
    return settings


@cache
def _scripts() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_alembic())


def _branch(revision: str) -> str:
    (label,) = _scripts().get_revision(revision).branch_labels
    return label


def newer(found: Sequence[str]) -> list[str]:
    """Return those of the revisions found that this code does not know."""
    known = {script.revision for script in _scripts().walk_revisions()}
    return [revision for revision in found if revision not in known]


def pending(found: Sequence[str]) -> list[str]:
    """Return the newest migrations that a database at the revisions `found` has yet to reach."""
    # Without a revision of the platform's branch the tables are the web application's.
    branches = {"ibctl", *(_branch(revision) for revision in found)}
    return [head for head in _scripts().get_heads() if _branch(head) in branches and head not in found]


# ------------------------------------------------------------------------------------------------ the capture of writes


def expected_capture() -> str:
    """Return the statement that creates `ibctl.capture()`: that of the newest migration which has one."""
    return next(
        str(script.module.CAPTURE)
        for script in _scripts().walk_revisions("base", "ibctl@head")
        if hasattr(script.module, "CAPTURE")
    )


def capture_body(connection: sa.Connection) -> str | None:
    """Return the body of `ibctl.capture()` as the database has it, None where there is none."""
    source = sa.text("SELECT prosrc FROM pg_proc WHERE oid = to_regprocedure('ibctl.capture()')")
    body: str | None = connection.scalar(source)
    return body


def expected_capture_body() -> str:
    """Return the body that the migrations give to `ibctl.capture()`."""
    return expected_capture().split("$$")[1]


def _restore_capture(connection: sa.Connection) -> bool:
    if capture_body(connection) == expected_capture_body():
        return False
    _create_or_replace(connection, expected_capture())
    return True


def _create_or_replace(connection: sa.Connection, statement: str) -> None:
    # The driver takes % for a parameter, and a schema's name may hold one.
    connection.exec_driver_sql(statement.replace("CREATE", "CREATE OR REPLACE", 1).replace("%", "%%"))


class Trigger(NamedTuple):
    """A capture trigger that is missing, disabled or not as it should be."""

    table: str
    name: str
    definition: str
    allowed: bool


# The definitions are worded and quoted exactly as pg_get_triggerdef does it, so that equal text means equal trigger.
_BROKEN_TRIGGERS = sa.text(
    """
    WITH expected AS (
        SELECT c.oid AS relation, format('%I.%I', n.nspname, c.relname) AS "table", name,
               format('CREATE TRIGGER %I AFTER %s ON %I.%I REFERENCING %s FOR EACH STATEMENT '
                      'EXECUTE FUNCTION ibctl.capture()', name, event, n.nspname, c.relname, images) AS definition
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
             (VALUES ('ibctl_capture_insert', 'INSERT', 'NEW TABLE AS new_rows'),
                     ('ibctl_capture_update', 'UPDATE', 'OLD TABLE AS old_rows NEW TABLE AS new_rows'),
                     ('ibctl_capture_delete', 'DELETE', 'OLD TABLE AS old_rows')) AS kind (name, event, images)
        WHERE c.relkind IN ('r', 'p')
          AND (n.nspname = :platform AND c.relname = ANY(:shared) OR n.nspname = :own AND c.relname = ANY(:captured))
    )
    SELECT "table", name, definition, has_table_privilege(relation, 'TRIGGER') AS allowed
    FROM expected LEFT JOIN pg_trigger t ON t.tgrelid = relation AND t.tgname = name
    WHERE t.oid IS NULL OR t.tgenabled NOT IN ('O', 'A') OR pg_get_triggerdef(t.oid) <> definition
    ORDER BY 1, 2
    """
)


def broken_triggers(connection: sa.Connection, platform_schema: str) -> tuple[Trigger, ...]:
    """Return the capture triggers that are missing, disabled or other than they should be."""
    tables = {"platform": platform_schema, "shared": platform_tables(), "own": OWN, "captured": list(ledger.CAPTURED)}
    return tuple(Trigger(*row) for row in connection.execute(_BROKEN_TRIGGERS, tables))


def _restore_triggers(connection: sa.Connection, platform_schema: str) -> tuple[Trigger, ...]:
    # Only what is broken: CREATE TRIGGER makes writers of the table wait.
    broken = broken_triggers(connection, platform_schema)
    forbidden = next((trigger for trigger in broken if not trigger.allowed), None)
    if forbidden is not None:
        user = connection.scalar(sa.text("SELECT current_user"))
        right = f'TRIGGER ON ALL TABLES IN SCHEMA "{platform_schema}"'
        raise ConfigError(_lacking(user, f"put a trigger on {forbidden.table}", right))
    for trigger in broken:
        _create_or_replace(connection, trigger.definition)
    return broken
