"""Whether this database user may write at all: what stands in its way, and what takes that out of it."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from ibctl.admin.database import schema

_READ_ONLY = sa.text(
    """
    SELECT current_setting('transaction_read_only')::bool AS read_only, pg_is_in_recovery() AS standby,
      current_user AS user, current_database() AS database
    """
)
# Of the migrations reached, only an upgrade writes them.
_LACKING = sa.text(
    """
    SELECT format('%I.%I', n.nspname, c.relname) AS "table", string_agg(wanted, ', ' ORDER BY wanted) AS rights
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
      unnest(CASE c.relkind WHEN 'S' THEN ARRAY['USAGE'] ELSE ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'] END) wanted
    WHERE (n.nspname = :platform AND c.relname = ANY(:shared) AND c.relkind IN ('r', 'p')
        OR n.nspname = :own AND c.relkind IN ('r', 'p', 'S') AND (c.relname <> 'alembic_version' OR wanted = 'SELECT'))
      AND NOT CASE c.relkind WHEN 'S' THEN has_sequence_privilege(c.oid, wanted)
        ELSE has_table_privilege(c.oid, wanted) END
    GROUP BY 1 ORDER BY 1
    """
)


def problems(connection: sa.Connection, platform_schema: str) -> Iterator[tuple[str, str]]:
    """Yield what keeps this user from writing, each with its remedy; nothing where everything may be written."""
    found = connection.execute(_READ_ONLY).one()
    if found.standby:
        yield "the server is a standby, which takes no writes", "let DATABASE_URL lead to the primary server"
    elif found.read_only:
        yield (
            "transactions are read-only (default_transaction_read_only = on)",
            f'ALTER ROLE "{found.user}" SET default_transaction_read_only = off; or where else it is set: on the '
            "database, the server, or in DATABASE_URL's options",
        )
    names = {"platform": platform_schema, "shared": schema.platform_tables(), "own": schema.OWN}
    lacking = connection.execute(_LACKING, names).all()
    if lacking:
        first, rest = lacking[0], len(lacking) - 1
        more = f" and {rest} more" if rest else ""
        yield (
            f'the database user "{found.user}" lacks {first.rights} on {first.table}{more}',
            _grants(found.user, platform_schema),
        )


def _grants(user: str, platform_schema: str) -> str:
    tables = (
        f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "{platform_schema}", {schema.OWN} TO "{user}"'
    )
    return f'as their owner, {tables}; GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema.OWN} TO "{user}"'
