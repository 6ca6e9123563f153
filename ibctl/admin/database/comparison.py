"""Where the live database is not what the models say, and what that means for ibctl.

An adopted database may hold more than the models know: further tables, columns and indexes are the web application's
business. What counts is what ibctl reads and writes, and what its statements rely on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby
from typing import Any, Literal

import sqlalchemy as sa

from ibctl.admin.database import indexes, schema
from ibctl.models import catalogue, ledger

UPGRADE = "run `ibctl db upgrade`"


@dataclass(frozen=True)
class Difference:
    """One thing that is not as expected. An `error` makes ibctl fail or reckon wrongly; a `note` is good to know."""

    severity: Literal["error", "note"]
    object: str
    expected: str
    found: str
    remedy: str


def differences(connection: sa.Connection, *, platform_schema: str = "public") -> list[Difference]:
    """Compare the database with the models, the platform's tables first; nothing found means that all is well."""
    schema.look_at(connection, platform_schema)
    live = _read(connection, platform_schema)
    found = [*_compare_tables(connection, live, None), *_compare_labels(connection, live, platform_schema)]
    own = list(_compare_revisions(connection))
    # Of an ibctl schema of another version there is nothing else to say.
    own = own or [
        *_compare_tables(connection, live, ledger.SCHEMA),
        *_compare_capture(connection, platform_schema),
        *_compare_own_indexes(connection, platform_schema),
    ]
    return found + own


# ---------------------------------------------------------------------------------------------------- the live database

# The columns of a foreign key, the table that it points to, and the columns there.
Reference = tuple[tuple[str, ...], str, tuple[str, ...]]


@dataclass(frozen=True)
class LiveColumn:
    """A column as the database has it; `automatic` is an identity or a generated column."""

    type: str
    required: bool
    default: str | None
    automatic: bool

    @property
    def must_be_given(self) -> bool:
        """Whether an insert that leaves it out fails."""
        return self.required and self.default is None and not self.automatic


@dataclass
class LiveTable:
    """A table as the database has it."""

    # None is the platform's, as in the models.
    schema: str | None
    name: str
    # Whether row-level security hides rows from this user.
    hidden: bool
    columns: dict[str, LiveColumn] = field(default_factory=dict)
    # The columns of those that ON CONFLICT can name, and of all in their order.
    uniques: set[frozenset[str]] = field(default_factory=set)
    indexes: list[list[str]] = field(default_factory=list)
    # {reference: (ON DELETE, ON UPDATE)}
    references: dict[Reference, tuple[str, str]] = field(default_factory=dict)

    def add_index(self, columns: list[str], *, unique: bool) -> None:
        """Add an index on `columns`, in their order."""
        self.indexes.append(columns)
        if unique:
            self.uniques.add(frozenset(columns))


# By schema and name.
Live = Mapping[tuple[str | None, str], LiveTable]

_TABLES = sa.text(
    """
    SELECT c.oid, nullif(n.nspname, :platform), c.relname, row_security_active(c.oid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relname = ANY(:names) AND n.nspname IN (:platform, :own)
    """
)
_COLUMNS = sa.text(
    """
    SELECT a.attrelid, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           pg_get_expr(d.adbin, d.adrelid), a.attidentity <> '' OR a.attgenerated <> ''
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = ANY(:tables) AND a.attnum > 0 AND NOT a.attisdropped
    """
)
# Partial indexes, those on expressions, and what a failed CREATE INDEX CONCURRENTLY left behind serve nobody here.
_INDEXES = sa.text(
    """
    SELECT indrelid, indisunique AND indimmediate, (indkey::int2[])[0:indnkeyatts - 1] FROM pg_index
    WHERE indrelid = ANY(:tables) AND indisvalid AND indpred IS NULL AND indexprs IS NULL
    """
)
_REFERENCES = sa.text(
    """
    SELECT conrelid, conkey, confrelid, confkey, confdeltype, confupdtype FROM pg_constraint
    WHERE contype = 'f' AND conrelid = ANY(:tables) AND confrelid = ANY(:tables)
    """
)
_RULES = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


def _read(connection: sa.Connection, platform_schema: str) -> Live:
    """Read four catalogues whole; table by table it would be hundreds of queries."""
    wanted = [table.name for table in catalogue.METADATA.tables.values()]
    found = connection.execute(_TABLES, {"platform": platform_schema, "own": ledger.SCHEMA, "names": wanted})
    tables = {oid: LiveTable(*rest) for oid, *rest in found}
    oids = {"tables": list(tables)}
    columns: dict[tuple[int, int], str] = {}
    for oid, number, name, *rest in connection.execute(_COLUMNS, oids):
        columns[oid, number] = name
        tables[oid].columns[name] = LiveColumn(*rest)
    for oid, unique, numbers in connection.execute(_INDEXES, oids):
        tables[oid].add_index([columns[oid, number] for number in numbers], unique=unique)
    for oid, numbers, target, target_numbers, deleted, updated in connection.execute(_REFERENCES, oids):
        names = tuple(columns[oid, number] for number in numbers)
        target_names = tuple(columns[target, number] for number in target_numbers)
        tables[oid].references[names, tables[target].name, target_names] = _RULES[deleted], _RULES[updated]
    return {(table.schema, table.name): table for table in tables.values()}


# --------------------------------------------------------------------------------------------------------------- tables


def _compare_tables(connection: sa.Connection, live: Live, schema_name: str | None) -> Iterator[Difference]:
    tables = sorted(
        (table for table in catalogue.METADATA.tables.values() if table.schema == schema_name),
        key=lambda table: table.name,
    )
    if not any((table.schema, table.name) in live for table in tables):
        yield _nothing(tables[0])
        return
    for table in tables:
        there = live.get((table.schema, table.name))
        if there is None:
            yield Difference("error", _name(table), "a table", "missing", _mend(table, "create it"))
            continue
        if there.hidden:
            policy = "let ibctl's database user bypass row-level security"
            yield Difference("error", _name(table), "every row visible", "row-level security", policy)
        for column in table.columns:
            yield from _compare_column(column, there.columns.get(column.name), _type(connection, column))
        yield from _unknown_columns(table, there)
        yield from _compare_uniques(table, there)
        yield from _compare_indexes(table, there)
        yield from _compare_references(table, there)


def _nothing(table: sa.Table) -> Difference:
    if table.schema:
        return Difference("error", f"schema {table.schema}", "ibctl's tables", "none of them", _mend(table, ""))
    remedy = f"{UPGRADE}, which creates them; or say in DATABASE_URL with ?schema= where they are"
    return Difference(
        "error", "the web application's tables", f"{len(schema.platform_tables())} tables", "none of them", remedy
    )


def _name(table: sa.Table, *columns: str) -> str:
    quoted = ", ".join(f'"{column}"' for column in columns)
    name = f"{table.schema}.{table.name}" if table.schema else f'"{table.name}"'
    return f"{name}.{quoted}" if len(columns) == 1 else f"{name} ({quoted})" if columns else name


def _mend(table: sa.Table, prisma: str) -> str:
    """Say who can mend it: the web application's developers, or for ibctl's own tables a backup."""
    if table.schema:
        return "restore ibctl's schema from a backup"
    return f"{prisma} with the web application's migrations"


def _type(connection: sa.Connection, column: sa.Column[Any]) -> str:
    name = column.type.compile(connection.dialect)
    # Format as PostgreSQL does: only a name in quotes has capitals.
    return name if name.startswith('"') else name.lower()


def _compare_column(column: sa.Column[Any], live: LiveColumn | None, type_: str) -> Iterator[Difference]:
    name = _name(column.table, column.name)
    if live is None:
        yield Difference("error", name, type_, "missing", _mend(column.table, "add it"))
        return
    if live.type != type_:
        yield Difference("error", name, type_, live.type, _mend(column.table, "change its type"))
    if live.required == column.nullable:
        words = ["NULL allowed", "NOT NULL"]
        remedy = _mend(column.table, f"make it {'optional' if column.nullable else 'required'}")
        yield Difference("error", name, words[not column.nullable], words[live.required], remedy)
    yield from _compare_default(column, live, name)


def _compare_default(column: sa.Column[Any], live: LiveColumn, name: str) -> Iterator[Difference]:
    if column.server_default is None:
        return
    expected = str(column.server_default.arg) if isinstance(column.server_default, sa.DefaultClause) else "identity"
    if live.default is None and not live.automatic:
        yield Difference("error", name, f"default {expected}", "no default", _mend(column.table, "give it the default"))
    elif live.default is not None and _plain(live.default) != _plain(expected):
        yield Difference("note", name, f"default {expected}", f"default {live.default}", "ibctl's rows get its own")


def _plain(default: str) -> str:
    """Bring a default to one form: `'0'::double precision` and `0.0` are 0, `now()` is CURRENT_TIMESTAMP."""
    value = re.sub(r"::[^']*$", "", default.strip()).strip("'")
    if value.lower() == "now()":
        return "CURRENT_TIMESTAMP"
    return str(Decimal(value).normalize()) if re.fullmatch(r"-?\d+(\.\d+)?", value) else value


def _unknown_columns(table: sa.Table, live: LiveTable) -> Iterator[Difference]:
    for name in sorted(live.columns.keys() - table.columns.keys()):
        column = live.columns[name]
        found = f"{column.type}{' NOT NULL without a default' * column.must_be_given}"
        severity: Literal["error", "note"] = "error" if column.must_be_given else "note"
        remedy = "give it a default: ibctl's inserts fail without" if column.must_be_given else "ibctl leaves it alone"
        yield Difference(severity, _name(table, name), "no such column", found, remedy)


# ----------------------------------------------------------------------------------------------------- keys and indexes


def _compare_uniques(table: sa.Table, live: LiveTable) -> Iterator[Difference]:
    expected = sorted(_uniques(table))
    for columns in expected:
        if frozenset(columns) not in live.uniques:
            remedy = _mend(table, "add it")
            yield Difference("error", _name(table, *columns), "a unique index", "none", remedy)
    for extra in sorted(map(sorted, live.uniques - set(map(frozenset, expected)))):
        remedy = "ibctl's inserts of a second such row are refused"
        yield Difference("note", _name(table, *extra), "rows may repeat it", "a unique index", remedy)


def _uniques(table: sa.Table) -> Iterator[tuple[str, ...]]:
    keys = [key for key in table.constraints if isinstance(key, sa.PrimaryKeyConstraint | sa.UniqueConstraint)]
    for key in [*keys, *(index for index in table.indexes if index.unique)]:
        # A table without a primary key has an empty one.
        if columns := tuple(column.name for column in key.columns):
            yield columns


def _compare_indexes(table: sa.Table, live: LiveTable) -> Iterator[Difference]:
    for columns in sorted([column.name for column in index.columns] for index in table.indexes if not index.unique):
        # A longer index that begins with them serves as well.
        if not any(found[: len(columns)] == columns for found in live.indexes):
            yield Difference("note", _name(table, *columns), "an index", "none", "add it: queries are slower without")


def _compare_references(table: sa.Table, live: LiveTable) -> Iterator[Difference]:
    for key in sorted(table.foreign_key_constraints, key=lambda key: str(key.name)):
        columns = tuple(column.name for column in key.columns)
        target = key.referred_table
        expected = str(key.ondelete), str(key.onupdate)
        found = live.references.get((columns, target.name, tuple(e.column.name for e in key.elements)))
        wanted = f"a foreign key to {_name(target)}"
        if found is None:
            yield Difference("error", _name(table, *columns), wanted, "none", _mend(table, "add it"))
        elif found != expected:
            remedy = "mind it when you remove or merge rows"
            yield Difference("note", _name(table, *columns), _rules(*expected), _rules(*found), remedy)


def _rules(deleted: str, updated: str) -> str:
    return f"ON DELETE {deleted} ON UPDATE {updated}"


# ------------------------------------------------------------------------------------------- enums, revisions, triggers

_LABELS = sa.text(
    """
    SELECT e.enumlabel FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid
    JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE n.nspname = :platform AND t.typname = :name ORDER BY e.enumsortorder
    """
)


def _compare_labels(connection: sa.Connection, live: Live, platform_schema: str) -> Iterator[Difference]:
    tables = [table for table in catalogue.METADATA.tables.values() if (table.schema, table.name) in live]
    columns = [column for table in tables for column in table.columns]
    for kind in [column.type for column in columns if isinstance(column.type, sa.Enum)]:
        found = list(connection.scalars(_LABELS, {"platform": platform_schema, "name": kind.name}))
        if set(found) != set(kind.enums):
            labels = ", ".join(found) or "missing"
            remedy = "bring its labels in line: neither side can read a row with one that it does not know"
            yield Difference("error", f'type "{kind.name}"', ", ".join(kind.enums), labels, remedy)


def _compare_revisions(connection: sa.Connection) -> Iterator[Difference]:
    found = schema.revisions(connection)
    where = f"schema {ledger.SCHEMA}"
    if newer := schema.newer(found):
        remedy = "install the newer ibctl that made it so"
        yield Difference("error", where, ledger.LEDGER_REVISION, ", ".join(newer), remedy)
    elif pending := schema.pending(found):
        yield Difference("error", where, ", ".join(pending), ", ".join(found) or "never upgraded", UPGRADE)


def _compare_capture(connection: sa.Connection, platform_schema: str) -> Iterator[Difference]:
    body = schema.capture_body(connection)
    if body != schema.expected_capture_body():
        found = "missing" if body is None else "another function"
        yield Difference("error", "ibctl.capture()", "the function that records writes", found, UPGRADE)
    broken = schema.broken_triggers(connection, platform_schema)
    for table, triggers in groupby(broken, key=lambda trigger: trigger.table):
        found = ", ".join(trigger.name.removeprefix("ibctl_capture_") for trigger in triggers)
        yield Difference("error", table, "triggers that record writes", f"missing or altered: {found}", UPGRADE)


def _compare_own_indexes(connection: sa.Connection, platform_schema: str) -> Iterator[Difference]:
    for index in indexes.broken(connection, platform_schema):
        found = "missing or altered: deleting is slow"
        remedy = UPGRADE if index.allowed else f"as the table's owner, {index.definition}"
        yield Difference("note", index.table, f"index {index.name}", found, remedy)
