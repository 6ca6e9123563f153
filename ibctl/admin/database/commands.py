"""`ibctl db …`."""

from __future__ import annotations

from pathlib import Path

import typer

from ibctl import config, db, embedded, errors, output
from ibctl.admin.database import comparison, schema, service
from ibctl.errors import RequestError
from ibctl.output import Column, Format, Listing

app = typer.Typer(no_args_is_help=True, help="The database: embedded server, migrations, checks.")

STATUS_COLUMNS = [
    Column("state"),
    Column("version"),
    Column("pid", "text"),
    Column("address"),
    Column("startedAt", "time"),
    Column("sizeBytes", "number"),
    Column("dataDir"),
    Column("log"),
]
INFO_COLUMNS = [
    Column("address"),
    Column("schema"),
    Column("pooler", "flag"),
    Column("server"),
    Column("database"),
    Column("user"),
    Column("sizeBytes", "number"),
    Column("revision"),
    Column("madeBy"),
    Column("triggers", "number"),
    Column("changeSets", "number"),
]
DIFFERENCE_COLUMNS = [
    Column("severity"),
    Column("object"),
    Column("expected"),
    Column("found"),
    Column("remedy"),
]


def _data_dir() -> Path:
    settings = config.settings()
    if settings.database is not None:
        raise RequestError(
            f"DATABASE_URL is set ({settings.sources['DATABASE_URL']}), so ibctl uses that server; "
            "the embedded one serves only without it"
        )
    return settings.data_dir / "postgres"


@app.command()
def start() -> None:
    """Start the embedded server, and create it first where there is none."""
    folder = _data_dir()
    embedded.start(folder)
    found = embedded.status(folder)
    output.note(f"the embedded server runs: PostgreSQL {found.version}, {found.address}")


@app.command()
def stop() -> None:
    """Stop the embedded server; its data stay."""
    stopped = embedded.stop(_data_dir())
    output.note("the embedded server has stopped" if stopped else "the embedded server was not running")


@app.command()
def status(form: output.SummaryFormatOption = "table") -> None:
    """Show whether the embedded server runs, and where its data are."""
    found = embedded.status(_data_dir())
    row = {
        "state": found.state, "version": found.version, "pid": found.pid, "address": found.address,
        "startedAt": found.started_at, "sizeBytes": found.size, "dataDir": str(found.data_dir), "log": str(found.log),
    }  # fmt: skip
    output.show_record(row, STATUS_COLUMNS, Listing(Format(form)))


@app.command()
def info(form: output.SummaryFormatOption = "table") -> None:
    """Show which database this is: address, server, size, revision."""
    with db.reading() as session:
        row = service.info(session)
    output.show_record(row, INFO_COLUMNS, Listing(Format(form)))


@app.command()
def upgrade() -> None:
    """Bring the database up to this version of ibctl; safe to repeat.

    An empty database gets the platform's tables. One that the web
    application made is adopted: only the schema `ibctl`, the triggers that
    record changes and an index are added; none of its tables is changed.
    """
    with db.translated(), db.engine(direct=True).begin() as connection:
        result = schema.upgrade(connection, platform_schema=db.address().schema)
    output.note(service.describe(result))


@app.command()
def check(form: output.SummaryFormatOption = "table") -> None:
    """Compare the live database with what ibctl expects; exit code 7 when a difference matters."""
    with db.translated(), db.engine(direct=True).connect() as connection:
        found = comparison.differences(connection, platform_schema=db.address().schema)
    rows = [
        {"severity": one.severity, "object": one.object, "expected": one.expected, "found": one.found,
         "remedy": one.remedy}
        for one in found
    ]  # fmt: skip
    output.show(rows, DIFFERENCE_COLUMNS, Listing(Format(form)))
    matter = sum(one.severity == "error" for one in found)
    if matter:
        output.note(f"{matter} difference(s) that matter")
        raise typer.Exit(errors.FINDINGS)
    output.note("the database is what ibctl expects")
