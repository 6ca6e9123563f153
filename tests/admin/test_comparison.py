from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel

from ibctl.admin.database import comparison, schema
from ibctl.admin.database.comparison import Difference
from ibctl.models import ledger

PRISMA = (Path(__file__).parents[1] / "data/schema.sql").read_text()
UPGRADE = "run `ibctl db upgrade`"


def engine_for(url: str) -> sa.Engine:
    return sa.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=sa.pool.NullPool)


def differences(url: str) -> list[Difference]:
    with engine_for(url).begin() as connection:
        return comparison.differences(connection)


def run(url: str, statements: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statements.encode())


def test_a_migrated_database_has_no_difference(database: str) -> None:
    assert differences(database) == []


# What is done to the database, and the one difference that it makes: severity, object, expected, found.
SABOTAGE = {
    "a table is missing": (
        'DROP TABLE "AdSpendHistory"',
        ("error", '"AdSpendHistory"', "a table", "missing"),
    ),
    "a table is a view": (
        'DROP TABLE "AdSpendHistory"; CREATE VIEW "AdSpendHistory" AS SELECT 1',
        ("error", '"AdSpendHistory"', "a table", "missing"),
    ),
    "a column is missing": (
        'ALTER TABLE "Lead" DROP COLUMN phone',
        ("error", '"Lead"."phone"', "text", "missing"),
    ),
    "a type is another": (
        'ALTER TABLE "IbCommission" ALTER COLUMN "totalPayout" TYPE numeric(65,30)',
        ("error", '"IbCommission"."totalPayout"', "double precision", "numeric(65,30)"),
    ),
    "a time has a zone": (
        'ALTER TABLE "Lead" ALTER COLUMN "qualifiedAt" TYPE timestamptz(3)',
        ("error", '"Lead"."qualifiedAt"', "timestamp(3) without time zone", "timestamp(3) with time zone"),
    ),
    "an optional column is required": (
        'ALTER TABLE "Lead" ALTER COLUMN phone SET NOT NULL',
        ("error", '"Lead"."phone"', "NULL allowed", "NOT NULL"),
    ),
    "a required column is optional": (
        'ALTER TABLE "Lead" ALTER COLUMN status DROP NOT NULL',
        ("error", '"Lead"."status"', "NOT NULL", "NULL allowed"),
    ),
    "a default is missing": (
        'ALTER TABLE "Lead" ALTER COLUMN status DROP DEFAULT',
        ("error", '"Lead"."status"', "default 'captured'", "no default"),
    ),
    "a default is another": (
        "ALTER TABLE \"Lead\" ALTER COLUMN status SET DEFAULT 'new'",
        ("note", '"Lead"."status"', "default 'captured'", "default 'new'::text"),
    ),
    "the default of a number is another": (
        'ALTER TABLE "Lead" ALTER COLUMN "ftdEarned" SET DEFAULT 10',
        ("note", '"Lead"."ftdEarned"', "default 0", "default 10"),
    ),
    "a unique index is missing": (
        'DROP INDEX "AdSpendHistory_adAccountId_date_key"',
        ("error", '"AdSpendHistory" ("adAccountId", "date")', "a unique index", "none"),
    ),
    "a unique index is no longer unique": (
        'DROP INDEX "User_email_key"; CREATE INDEX "User_email_key" ON "User" (email)',
        ("error", '"User"."email"', "a unique index", "none"),
    ),
    "a unique index is partial": (
        'DROP INDEX "User_email_key"; CREATE UNIQUE INDEX "User_email_key" ON "User" (email) WHERE "isActive"',
        ("error", '"User"."email"', "a unique index", "none"),
    ),
    "a unique index is on an expression": (
        'DROP INDEX "User_email_key"; CREATE UNIQUE INDEX "User_email_key" ON "User" (lower(email))',
        ("error", '"User"."email"', "a unique index", "none"),
    ),
    "a unique constraint cannot serve ON CONFLICT": (
        'DROP INDEX "User_email_key"; ALTER TABLE "User" ADD UNIQUE (email) DEFERRABLE',
        ("error", '"User"."email"', "a unique index", "none"),
    ),
    "a primary key is missing": (
        'ALTER TABLE "Trade" DROP CONSTRAINT "Trade_pkey"',
        ("error", '"Trade"."id"', "a unique index", "none"),
    ),
    "a column is unique beyond the schema": (
        'CREATE UNIQUE INDEX ON "InvestorCredential" (server, login)',
        ("note", '"InvestorCredential" ("login", "server")', "rows may repeat it", "a unique index"),
    ),
    "an index is missing": (
        'DROP INDEX "AdCampaign_status_idx"',
        ("note", '"AdCampaign"."status"', "an index", "none"),
    ),
    "a foreign key is missing": (
        'ALTER TABLE "Lead" DROP CONSTRAINT "Lead_userId_fkey"',
        ("error", '"Lead"."userId"', 'a foreign key to "User"', "none"),
    ),
    "a foreign key has another target": (
        'ALTER TABLE "Lead" DROP CONSTRAINT "Lead_userId_fkey", ADD FOREIGN KEY ("userId") REFERENCES "Workflow"',
        ("error", '"Lead"."userId"', 'a foreign key to "User"', "none"),
    ),
    "a foreign key has other rules": (
        'ALTER TABLE "Trade" DROP CONSTRAINT "Trade_credentialId_fkey", '
        'ADD FOREIGN KEY ("credentialId") REFERENCES "InvestorCredential" ON DELETE CASCADE ON UPDATE CASCADE',
        (
            "note",
            '"Trade"."credentialId"',
            "ON DELETE RESTRICT ON UPDATE CASCADE",
            "ON DELETE CASCADE ON UPDATE CASCADE",
        ),
    ),
    "an enum has a further label": (
        "ALTER TYPE \"Role\" ADD VALUE 'MANAGER'",
        ("error", 'type "Role"', "IB, ADMIN", "IB, ADMIN, MANAGER"),
    ),
    "an enum lacks a label": (
        "ALTER TYPE \"Role\" RENAME VALUE 'ADMIN' TO 'ROOT'",
        ("error", 'type "Role"', "IB, ADMIN", "IB, ROOT"),
    ),
    "an enum is text": (
        'ALTER TABLE "User" ALTER COLUMN role DROP DEFAULT, ALTER COLUMN role TYPE text, '
        "ALTER COLUMN role SET DEFAULT 'IB'",
        ("error", '"User"."role"', '"Role"', "text"),
    ),
    "an unknown column must be given": (
        'ALTER TABLE "Lead" ADD COLUMN tenant integer NOT NULL',
        ("error", '"Lead"."tenant"', "no such column", "integer NOT NULL without a default"),
    ),
    "an unknown column may be given": (
        'ALTER TABLE "Lead" ADD COLUMN tenant integer',
        ("note", '"Lead"."tenant"', "no such column", "integer"),
    ),
    "an unknown column has a default": (
        'ALTER TABLE "Lead" ADD COLUMN tenant integer NOT NULL DEFAULT 1',
        ("note", '"Lead"."tenant"', "no such column", "integer"),
    ),
    "an unknown column numbers the rows": (
        'ALTER TABLE "Lead" ADD COLUMN number integer GENERATED ALWAYS AS IDENTITY',
        ("note", '"Lead"."number"', "no such column", "integer"),
    ),
    "a trigger is missing": (
        'DROP TRIGGER ibctl_capture_update ON "Lead"',
        ("error", 'public."Lead"', "triggers that record writes", "missing or altered: update"),
    ),
    "triggers are disabled": (
        "ALTER TABLE ibctl.exchange_rate DISABLE TRIGGER ALL",
        ("error", "ibctl.exchange_rate", "triggers that record writes", "missing or altered: delete, insert, update"),
    ),
    "the capture function is another": (
        "CREATE OR REPLACE FUNCTION ibctl.capture() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        ("error", "ibctl.capture()", "the function that records writes", "another function"),
    ),
    "a table of ibctl's is missing": (
        "DROP TABLE ibctl.lead_import",
        ("error", "ibctl.lead_import", "a table", "missing"),
    ),
    "a column of ibctl's is missing": (
        "ALTER TABLE ibctl.change_set DROP COLUMN reason",
        ("error", "ibctl.change_set.\"reason\"", "text", "missing"),
    ),
    "a column of ibctl's no longer numbers itself": (
        "ALTER TABLE ibctl.change_set ALTER COLUMN id DROP IDENTITY",
        ("error", 'ibctl.change_set."id"', "default identity", "no default"),
    ),
    "a key of ibctl's is missing": (
        "ALTER TABLE ibctl.exchange_rate DROP CONSTRAINT exchange_rate_date_currency_key",
        ("error", 'ibctl.exchange_rate ("date", "currency", "baseCurrency")', "a unique index", "none"),
    ),
    "ibctl was never here": (
        "DROP SCHEMA ibctl CASCADE",
        ("error", "schema ibctl", "ibctl_0002", "never upgraded"),
    ),
    "ibctl's schema is older": (
        "DELETE FROM ibctl.alembic_version WHERE version_num = 'ibctl_0002'",
        ("error", "schema ibctl", "ibctl_0002", "platform_0001"),
    ),
    "ibctl's schema is newer": (
        "UPDATE ibctl.alembic_version SET version_num = 'ibctl_0777' WHERE version_num = 'ibctl_0002'",
        ("error", "schema ibctl", "ibctl_0002", "ibctl_0777"),
    ),
    "one of ibctl's own indexes": (
        "DROP INDEX ibctl_credential_lead",
        ("note", 'public."InvestorCredential"', "index ibctl_credential_lead", "missing or altered: deleting is slow"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "expected"), SABOTAGE.values(), ids=SABOTAGE.keys())
def test_each_difference_is_found_and_nothing_else(
    database: str, damage: str, expected: tuple[str, str, str, str]
) -> None:
    run(database, damage)
    [found] = differences(database)
    assert (found.severity, found.object, found.expected, found.found) == expected
    assert found.remedy
    assert "\n" not in found.remedy


def test_rows_that_the_user_may_not_see_are_an_error(database: str) -> None:
    run(database, 'ALTER TABLE "IbCommission" ENABLE ROW LEVEL SECURITY')
    # The owner sees everything; another user sees nothing, without any error.
    assert differences(database) == []
    with engine_for(database).begin() as connection:
        connection.execute(sa.text("CREATE ROLE onlooker"))
        connection.execute(sa.text("GRANT USAGE ON SCHEMA ibctl TO onlooker"))
        connection.execute(sa.text("GRANT SELECT ON ALL TABLES IN SCHEMA ibctl TO onlooker"))
        connection.execute(sa.text("SET LOCAL ROLE onlooker"))
        [found] = comparison.differences(connection)
        connection.rollback()
    assert (found.severity, found.object, found.found) == ("error", '"IbCommission"', "row-level security")


@pytest.mark.parametrize(
    "change",
    [
        'CREATE TABLE "Coupon" (id text NOT NULL)',
        'CREATE INDEX ON "Lead" (email)',
        'CREATE INDEX ON "Lead" ("leadCapturedAt" DESC, (1))',
        'CREATE UNIQUE INDEX ON "Lead" (lower(email))',
        'CREATE VIEW leads AS SELECT * FROM "Lead"',
        # The same defaults, as other tools write them.
        'ALTER TABLE "Lead" ALTER COLUMN "ftdEarned" SET DEFAULT 0.0, ALTER COLUMN "createdAt" SET DEFAULT now()',
        'ALTER TABLE "Lead" ALTER COLUMN "ftdEarned" SET DEFAULT \'0\'::double precision',
        'ALTER TABLE "User" ALTER COLUMN role SET DEFAULT CAST(\'IB\' AS "Role")',
        # The same columns, by other names or in a constraint; a longer index serves for a shorter one.
        'ALTER INDEX "User_email_key" RENAME TO user_email_unique',
        'DROP INDEX "User_email_key"; ALTER TABLE "User" ADD UNIQUE (email)',
        'DROP INDEX "Lead_userId_idx"; CREATE INDEX ON "Lead" ("userId", "leadCapturedAt")',
        'ALTER TABLE "Lead" RENAME CONSTRAINT "Lead_userId_fkey" TO lead_owner',
        'CREATE TRIGGER own BEFORE UPDATE ON "Lead" FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
        "CREATE TABLE ibctl.procrastinate_jobs (id bigint NOT NULL)",
    ],
)
def test_what_does_not_matter_is_not_reported(database: str, change: str) -> None:
    run(database, change)
    assert differences(database) == []


def test_an_empty_database_is_one_difference_for_each_schema(empty_database: str) -> None:
    platform, own = differences(empty_database)
    assert (platform.expected, platform.found) == ("17 tables", "none of them")
    assert UPGRADE in platform.remedy
    assert (own.found, own.remedy) == ("never upgraded", UPGRADE)


def test_a_schema_of_ibctls_without_its_tables_is_one_difference(database: str) -> None:
    names = [f"{table.schema}.{table.name}" for table in SQLModel.metadata.tables.values() if table.schema]
    run(database, f"DROP TABLE {', '.join(names)} CASCADE")
    [found] = differences(database)
    assert (found.object, found.found) == ("schema ibctl", "none of them")
    assert "backup" in found.remedy


def test_a_database_that_was_only_adopted_lacks_the_upgrade_alone(empty_database: str) -> None:
    run(empty_database, PRISMA)
    [found] = differences(empty_database)
    assert (found.object, found.remedy) == ("schema ibctl", UPGRADE)


def test_what_upgrade_is_named_for_it_mends(database: str) -> None:
    run(database, 'DROP FUNCTION ibctl.capture() CASCADE; ALTER TABLE "User" DISABLE TRIGGER USER')
    found = differences(database)
    assert {difference.remedy for difference in found} == {UPGRADE}
    assert len(found) == 1 + 17 + len(ledger.CAPTURED)
    with engine_for(database).begin() as connection:
        schema.upgrade(connection)
    assert differences(database) == []


def test_looking_changes_nothing(database: str) -> None:
    with engine_for(database).begin() as connection:
        connection.execute(sa.text("SET TRANSACTION READ ONLY"))
        assert comparison.differences(connection) == []
