"""ibctl's own indexes on the web application's tables: each for a statement that would hardly end without it.

Partial ones, or on an expression: those Prisma leaves alone, where it silently drops a plain one.
"""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

# {name: (table, columns and condition)}, worded as pg_get_indexdef does it, so that equal text means equal index.
INDEXES = {
    # For each lead that is deleted, the foreign key would look through all MT5 accounts.
    "ibctl_credential_lead": ("InvestorCredential", '("leadId") WHERE ("leadId" IS NOT NULL)'),
}


class Index(NamedTuple):
    """An index that is missing, unfinished or not as it should be; only the table's owner may make it."""

    table: str
    name: str
    definition: str
    allowed: bool
    there: bool


_BROKEN = sa.text(
    """
    WITH expected AS (
        SELECT c.oid AS relation, n.oid AS namespace, format('%I.%I', n.nspname, c.relname) AS "table", x.name,
               format('CREATE INDEX %I ON %I.%I USING btree %s', x.name, n.nspname, c.relname, x.what) AS definition,
               pg_has_role(c.relowner, 'USAGE') AS allowed
        FROM unnest(CAST(:names AS text[]), CAST(:tables AS text[]), CAST(:whats AS text[])) x (name, "table", what)
        JOIN pg_class c ON c.relname = x."table" AND c.relkind IN ('r', 'p')
        JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = :platform
    )
    SELECT "table", name, definition, allowed, there.oid IS NOT NULL AS there
    FROM expected LEFT JOIN pg_class there ON there.relname = name AND there.relnamespace = namespace
    LEFT JOIN pg_index i ON i.indexrelid = there.oid
    WHERE i.indexrelid IS NULL OR NOT i.indisvalid OR pg_get_indexdef(i.indexrelid) <> definition
    ORDER BY 1, 2
    """
)


def broken(connection: sa.Connection, platform_schema: str) -> tuple[Index, ...]:
    """Return ibctl's own indexes that are missing, unfinished or other than they should be."""
    tables, whats = zip(*INDEXES.values(), strict=True)
    values = {"names": list(INDEXES), "tables": list(tables), "whats": list(whats), "platform": platform_schema}
    return tuple(Index(*row) for row in connection.execute(_BROKEN, values))


def restore(connection: sa.Connection, platform_schema: str) -> tuple[Index, ...]:
    """Make what is broken, where the database user may; return what was made. Writers of the table wait for it."""
    made = tuple(index for index in broken(connection, platform_schema) if index.allowed)
    for index in made:
        if index.there:
            drop = sa.text("SELECT format('DROP INDEX %I.%I', CAST(:schema AS text), CAST(:name AS text))")
            _execute(connection, connection.execute(drop, {"schema": platform_schema, "name": index.name}).scalar_one())
        _execute(connection, index.definition)
    return made


def _execute(connection: sa.Connection, statement: str) -> None:
    # The driver takes % for a parameter, and a schema's name may hold one.
    connection.exec_driver_sql(statement.replace("%", "%%"))
