from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel

from ibctl import config, resources
from ibctl.admin.database import comparison, indexes, schema, service
from ibctl.admin.database.schema import Platform
from ibctl.errors import ConfigError, RequestError
from ibctl.models import ledger

PRISMA = (Path(__file__).parents[1] / "data/schema.sql").read_text()
ROWS = """
    INSERT INTO "User" (id, email, password, "updatedAt") VALUES ('u1', 'ib@x.y', 'hash', '2025-10-01');
    INSERT INTO "Lead" (id, "userId", email, "updatedAt") VALUES ('l1', 'u1', 'lead@x.y', '2025-10-02');
"""
CAPTURED = 17 + len(ledger.CAPTURED)
# ibctl's own tables, and alembic's.
OWN = 1 + sum(table.schema == ledger.SCHEMA for table in SQLModel.metadata.tables.values())


def engine_for(url: str) -> sa.Engine:
    return sa.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=sa.pool.NullPool)


def run(url: str, statements: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statements.encode())


def upgrade(url: str, platform_schema: str = "public") -> schema.UpgradeResult:
    with engine_for(url).begin() as connection:
        return schema.upgrade(connection, platform_schema=platform_schema)


def schemas(url: str) -> dict[str, int]:
    """How many tables each schema holds."""
    counts = """
        SELECT n.nspname, count(c.oid)
        FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind = 'r'
        WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' GROUP BY 1
    """
    with psycopg.connect(url) as connection:
        return dict(connection.execute(counts.encode()).fetchall())


@pytest.fixture
def adopted(empty_database: str) -> str:
    """A database that the web application made, with rows in it."""
    run(empty_database, PRISMA + ROWS)
    return empty_database


# ---------------------------------------------------------------------------------------------------------- the states


def test_an_empty_database_gets_both_schemas(empty_database: str) -> None:
    result = upgrade(empty_database)
    assert result.platform is Platform.CREATED
    assert (result.before, result.after) == ((), ("ibctl_0002", "platform_0001"))
    assert len(result.triggers) == 3 * CAPTURED
    assert schemas(empty_database) == {"public": 17, "ibctl": OWN}


def test_upgrading_again_changes_nothing(empty_database: str) -> None:
    upgrade(empty_database)
    result = upgrade(empty_database)
    assert result.platform is Platform.OURS
    assert not result.changed


def test_the_web_applications_database_is_adopted_and_its_rows_are_kept(adopted: str) -> None:
    result = upgrade(adopted)
    assert result.platform is Platform.ADOPTED
    # Never stamped, so never migrated.
    assert result.after == ("ibctl_0002",)
    assert not upgrade(adopted).changed
    assert upgrade(adopted).platform is Platform.ADOPTED
    with psycopg.connect(adopted) as connection:
        assert connection.execute('SELECT id, "userId", email FROM "Lead"').fetchall() == [("l1", "u1", "lead@x.y")]
        assert connection.execute('SELECT email, role::text FROM "User"').fetchall() == [("ib@x.y", "IB")]
    with engine_for(adopted).begin() as connection:
        assert comparison.differences(connection) == []


def test_more_tables_of_the_web_applications_do_not_matter(adopted: str) -> None:
    run(adopted, 'CREATE TABLE "Coupon" (id text); CREATE TABLE _prisma_migrations (id text)')
    assert upgrade(adopted).platform is Platform.ADOPTED


def test_half_a_platform_is_refused_and_nothing_changed(adopted: str) -> None:
    run(adopted, 'DROP TABLE "Trade", "Position"; DROP TABLE "AdSpendHistory"; CREATE VIEW "Trade" AS SELECT 1')
    with pytest.raises(RequestError, match='without "AdSpendHistory", "Position", "Trade"; nothing was changed'):
        upgrade(adopted)
    assert schemas(adopted) == {"public": 14}


@pytest.mark.parametrize("name", ["app", 'My "app": 100%s'])
def test_the_platform_may_live_in_another_schema(empty_database: str, name: str) -> None:
    assert upgrade(empty_database, name).platform is Platform.CREATED
    assert schemas(empty_database) == {"public": 0, "ibctl": OWN, name: 17}
    assert not upgrade(empty_database, name).changed
    with engine_for(empty_database).begin() as connection:
        assert comparison.differences(connection, platform_schema=name) == []


def test_a_platform_in_another_schema_is_adopted_there(empty_database: str) -> None:
    run(empty_database, PRISMA.replace('"public"', '"app"').replace("-- CreateEnum", "SET search_path = app;", 1))
    assert upgrade(empty_database, "app").platform is Platform.ADOPTED
    assert schemas(empty_database) == {"public": 0, "ibctl": OWN, "app": 17}


def test_no_second_platform_is_created_beside_the_first(adopted: str) -> None:
    with pytest.raises(RequestError, match=r'schema "app" holds none .* schema "public" does; .* \?schema='):
        upgrade(adopted, "app")
    assert schemas(adopted) == {"public": 17}


def test_no_empty_platform_replaces_one_that_was_lost(adopted: str) -> None:
    upgrade(adopted)
    run(adopted, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    with pytest.raises(RequestError, match="though ibctl has worked with them; nothing was changed: restore them"):
        upgrade(adopted)


def test_ibctls_own_schema_cannot_be_the_platforms(empty_database: str) -> None:
    with pytest.raises(ConfigError, match="schema=ibctl"):
        upgrade(empty_database, "ibctl")


def test_a_newer_ibctls_database_is_refused(database: str) -> None:
    run(database, "UPDATE ibctl.alembic_version SET version_num = 'ibctl_9999' WHERE version_num = 'ibctl_0002'")
    with pytest.raises(RequestError, match=r"a newer ibctl has upgraded this database \(ibctl_9999\)"):
        upgrade(database)


def test_an_old_server_is_refused(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "OLDEST_SERVER", 99)
    with pytest.raises(ConfigError, match=r"PostgreSQL \d\d; ibctl needs 99"):
        upgrade(empty_database)


def test_two_upgrades_at_once_are_one_upgrade(empty_database: str) -> None:
    start = threading.Barrier(2)

    def one(_: int) -> schema.UpgradeResult:
        with engine_for(empty_database).begin() as connection:
            connection.execute(sa.text("SELECT 1"))
            start.wait()
            return schema.upgrade(connection)

    with ThreadPoolExecutor(2) as pool:
        results = sorted(pool.map(one, range(2)), key=lambda result: result.before)
    assert [(result.platform, result.changed) for result in results] == [
        (Platform.CREATED, True),
        (Platform.OURS, False),
    ]


def test_an_upgrade_waits_for_another_only_so_long(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IBCTL_LOCK_TIMEOUT", "0.2")
    config.settings.cache_clear()
    with engine_for(empty_database).begin() as connection:
        schema.upgrade(connection)
        with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
            upgrade(empty_database)


def test_it_works_from_an_installed_package(
    empty_database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "100% site packages:1" / "ibctl"
    shutil.copytree(resources.migrations_dir(), package / "_migrations")
    monkeypatch.setattr(resources, "PACKAGE", package)
    schema._scripts.cache_clear()
    try:
        assert upgrade(empty_database).changed
        assert Path(schema._scripts().dir) == package / "_migrations"
    finally:
        schema._scripts.cache_clear()


def test_a_checkout_has_its_folders_beside_the_package() -> None:
    assert (resources.migrations_dir() / "env.py").is_file()
    assert resources.examples_dir() == resources.migrations_dir().parent / "examples"


# -------------------------------------------------------------------------------------------------------------- rights


@pytest.fixture
def role(empty_database: str) -> Iterator[str]:
    """A user without any right but to connect."""
    name = f"role {empty_database.partition('/t_')[2][:8]}"
    run(empty_database, f'CREATE ROLE "{name}"')
    yield name
    run(empty_database, f'DROP OWNED BY "{name}" CASCADE; DROP ROLE "{name}"')


@pytest.mark.parametrize(
    ("prepared", "rights"),
    [
        ("", ["CREATE ON DATABASE", 'CREATE, USAGE ON SCHEMA "public"']),
        (PRISMA, ["CREATE ON DATABASE", "TRIGGER ON ALL TABLES"]),
        ("CREATE SCHEMA ibctl", ['CREATE, USAGE ON SCHEMA "ibctl"', 'CREATE, USAGE ON SCHEMA "public"']),
    ],
)
def test_a_missing_right_is_named_with_the_grant_that_gives_it(
    empty_database: str, role: str, prepared: str, rights: list[str]
) -> None:
    run(empty_database, f"SELECT 1; {prepared}")
    asked: list[str] = []
    while error := refusal(empty_database, role):
        assert len(asked) < 2, error
        assert f'the database user "{role}" may not' in error
        asked += re.findall("GRANT .*", error)
        run(empty_database, asked[-1])
    assert [right in said for right, said in zip(rights, asked, strict=True)] == [True, True]
    assert schemas(empty_database) == {"public": 17, "ibctl": OWN}


def refusal(url: str, role: str) -> str | None:
    """What an upgrade as `role` says that it lacks."""
    try:
        with engine_for(url).begin() as connection:
            connection.execute(sa.text(f'SET LOCAL ROLE "{role}"'))
            schema.upgrade(connection)
    except ConfigError as error:
        return str(error)
    return None


def test_the_web_application_needs_no_right_in_ibctls_schema(empty_database: str, role: str) -> None:
    upgrade(empty_database)
    run(empty_database, f'GRANT INSERT, SELECT, UPDATE, DELETE ON "User" TO "{role}"')
    row = ROWS.strip().splitlines()[0]
    run(empty_database, f'SET ROLE "{role}"; {row} UPDATE "User" SET email = id; DELETE FROM "User"')


# ----------------------------------------------------------------------------------------------- the capture of writes


def test_writes_under_a_change_set_are_recorded_on_every_table(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(ROWS.encode())
        connection.execute("SET LOCAL ibctl.change_set = '7'")
        for table in schema.platform_tables():
            connection.execute(f'UPDATE "{table}" SET "updatedAt" = "updatedAt" + interval \'1 day\''.encode())
        connection.execute('DELETE FROM "Lead"')
        connection.execute("INSERT INTO ibctl.commission_state VALUES ('c1', 's1')")
        found = connection.execute(
            'SELECT "tableName", "rowId", "before" IS NULL, "after" IS NULL FROM ibctl.change ORDER BY step'
        ).fetchall()
    assert sorted(found) == [
        ("Lead", "l1", False, False),
        ("Lead", "l1", False, True),
        ("User", "u1", False, False),
        ("commission_state", "c1", True, False),
    ]


@pytest.mark.parametrize(
    "damage",
    [
        'DROP TRIGGER ibctl_capture_insert ON "Lead"',
        'ALTER TABLE "Lead" DISABLE TRIGGER ibctl_capture_insert',
        'ALTER TABLE "Lead" ENABLE REPLICA TRIGGER ibctl_capture_insert',
        """
        CREATE OR REPLACE TRIGGER ibctl_capture_insert AFTER INSERT ON "Lead" REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT WHEN (false) EXECUTE FUNCTION ibctl.capture()
        """,
    ],
)
def test_a_broken_trigger_is_put_back_and_only_that_one(database: str, damage: str) -> None:
    run(database, damage)
    result = upgrade(database)
    assert [(trigger.table, trigger.name) for trigger in result.triggers] == [('public."Lead"', "ibctl_capture_insert")]
    assert result.changed
    assert not upgrade(database).changed


@pytest.mark.parametrize(
    "damage",
    [
        "DROP FUNCTION ibctl.capture() CASCADE",
        "CREATE OR REPLACE FUNCTION ibctl.capture() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    ],
)
def test_the_capture_function_is_put_back(database: str, damage: str) -> None:
    run(database, damage)
    result = upgrade(database)
    assert result.function
    assert result.changed
    assert not upgrade(database).changed
    test_writes_under_a_change_set_are_recorded_on_every_table(database)


# ------------------------------------------------------------------------------------------------------ ibctl's indexes

INDEX = 'CREATE INDEX ibctl_credential_lead ON "InvestorCredential"'


@pytest.mark.parametrize("damage", ["", f'; {INDEX} ("leadId")', f'; {INDEX} (id) WHERE "leadId" IS NOT NULL'])
def test_an_index_of_ibctls_own_is_put_back(database: str, damage: str) -> None:
    run(database, f"DROP INDEX ibctl_credential_lead{damage}")
    result = upgrade(database)
    assert [(index.table, index.name) for index in result.indexes] == [
        ('public."InvestorCredential"', "ibctl_credential_lead")
    ]
    assert "; index ibctl_credential_lead made" in service.describe(result)
    assert not upgrade(database).changed


def test_the_foreign_key_finds_a_leads_accounts_by_the_index(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("SET enable_seqscan = off")
        # What PostgreSQL runs for each lead that is deleted.
        update = """UPDATE ONLY "InvestorCredential" SET "leadId" = NULL WHERE 'l' OPERATOR(pg_catalog.=) "leadId\""""
        plan = connection.execute(f"EXPLAIN {update}".encode()).fetchall()
    assert "ibctl_credential_lead" in str(plan)


def test_who_does_not_own_the_table_does_without_the_index(empty_database: str, role: str) -> None:
    upgrade(empty_database)
    run(empty_database, "DROP INDEX ibctl_credential_lead")
    with engine_for(empty_database).connect() as connection:
        connection.execute(sa.text(f'GRANT USAGE ON SCHEMA ibctl TO "{role}"'))
        connection.execute(sa.text(f'GRANT SELECT ON ALL TABLES IN SCHEMA ibctl, public TO "{role}"'))
        connection.execute(sa.text(f'SET LOCAL ROLE "{role}"'))
        assert indexes.restore(connection, "public") == ()
        [found] = comparison.differences(connection)
    assert found.severity == "note"
    assert found.remedy.startswith("as the table's owner, CREATE INDEX ibctl_credential_lead ON public.")


# ------------------------------------------------------------------------------------------------------- being current


def test_current_is_what_this_code_was_written_for(database: str, empty_database: str) -> None:
    def current(url: str) -> bool:
        with engine_for(url).begin() as connection:
            return schema.is_current(connection)

    assert current(database)
    assert not current(empty_database)
    for revision in ("ibctl_0000", "ibctl_9999"):
        run(database, f"UPDATE ibctl.alembic_version SET version_num = '{revision}' WHERE version_num LIKE 'ibctl%'")
        assert not current(database)


def test_being_current_loads_no_migration(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded() -> Any:
        raise AssertionError("alembic was loaded")

    monkeypatch.setattr(schema, "_alembic", loaded)
    monkeypatch.setattr(schema, "_scripts", loaded)
    with engine_for(database).begin() as connection:
        assert schema.is_current(connection)


def test_a_downgrade_takes_everything_back(empty_database: str) -> None:
    from alembic import command

    upgrade(empty_database)
    with engine_for(empty_database).begin() as connection:
        settings = schema._alembic()
        settings.attributes.update(connection=connection)
        command.downgrade(settings, "ibctl@base")
        command.downgrade(settings, "platform@base")
    assert schemas(empty_database) == {"public": 0, "ibctl": 1}
    run(empty_database, 'DROP TABLE ibctl.alembic_version; CREATE TYPE "Role" AS ENUM ()')
