"""Alembic's entry: `ibctl db upgrade` runs it on a connection of its own, `alembic` on the configured database.

Two branches share the version table `ibctl.alembic_version`: `platform` (the web application's tables, only where ibctl
created them) and `ibctl` (its own schema). Everything happens in one transaction.
"""

from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.util import CommandError

from ibctl import db
from ibctl.models import catalogue, ledger

OWN = ledger.SCHEMA


def run() -> None:
    """Run on the connection that was handed over, or on one to the configured database."""
    if context.is_offline_mode():
        raise CommandError("the migrations look at the database before they change it, and have no --sql mode")
    attributes = context.config.attributes
    if "connection" in attributes:
        run_on(attributes["connection"], attributes.get("schema", "public"))
    else:
        with db.engine(direct=True).begin() as connection:
            run_on(connection, db.address().schema)


def run_on(connection: sa.Connection, platform_schema: str) -> None:
    """Run in the connection's transaction, which its owner commits."""
    prepare(connection, platform_schema)
    context.configure(
        connection=connection,
        target_metadata=catalogue.METADATA,
        version_table_schema=OWN,
        include_schemas=True,
        include_name=include_name,
        include_object=include_object,
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def prepare(connection: sa.Connection, platform_schema: str) -> None:
    """Create the two schemas where they are missing, and put the platform's first on the search path."""
    for name in (platform_schema, OWN):
        # Not IF NOT EXISTS: that demands the right to create schemas even where there is nothing to create.
        if not connection.scalar(sa.text("SELECT to_regnamespace(quote_ident(:name)) IS NOT NULL"), {"name": name}):
            connection.execute(sa.schema.CreateSchema(name))
    path = sa.text("SELECT set_config('search_path', quote_ident(:name), true)")
    connection.execute(path, {"name": platform_schema})
    # What alembic takes for the models' tables without a schema. Left alone it is `ibctl` for a user of that name.
    connection.dialect.default_schema_name = platform_schema


def include_name(name: str | None, type_: str, parent_names: Any) -> bool:
    """Look only at our schemas (None is the platform's), and there only at the tables that the models know."""
    if type_ == "schema":
        return name in (None, OWN)
    if type_ == "table":
        return any((table.schema, table.name) == (parent_names["schema_name"], name) for table in models())
    return True


def include_object(item: Any, name: str | None, type_: str, reflected: bool, compare_to: Any) -> bool:  # noqa: ARG001 - alembic's signature
    """Leave alone what the web application has in its tables beyond what the models know."""
    unknown = reflected and compare_to is None
    return not unknown or type_ == "table" or item.table.schema == OWN


def models() -> list[sa.Table]:
    """Every table of both schemas."""
    return list(catalogue.METADATA.tables.values())


run()
