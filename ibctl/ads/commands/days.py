"""`ibctl ads spend import|list|export`: what each ad account spent on each day."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from ibctl import db, exports, imports, options, output, tabular
from ibctl.ads.commands import arguments
from ibctl.ads.spend import service
from ibctl.output import Column

app = typer.Typer()

COLUMNS = [
    Column("id", brief=False),
    Column("date", "date"),
    Column("userId", brief=False),
    Column("email"),
    Column("adAccountId", brief=False),
    Column("adAccountName"),
    Column("dailySpend", "money"),
    Column("currency", "flag"),
    Column("impressions", "number", brief=False),
    Column("clicks", "number", brief=False),
    Column("leads", "number"),
    Column("conversions", "number", brief=False),
    Column("ctr", "rate", brief=False),
    Column("cpc", "money", brief=False),
    Column("cpl", "money", brief=False),
    Column("cumulativeSpend", "money", brief=False),
    Column("cumulativeLeads", "number", brief=False),
    # Whether Facebook may still tell it otherwise: provisional or final.
    Column("quality", "flag", brief=False),
    Column("createdAt", "time", brief=False),
    Column("updatedAt", "time", brief=False),
]

EPILOG = (
    "Codes of refused rows: cells (too many or too few), account_missing, account_unknown, account_ambiguous, "
    "date_invalid, date_future, amount_invalid, count_invalid, currency_mismatch, duplicate (of an earlier row)."
)


@app.command("import", epilog=EPILOG)
def import_(
    file: Annotated[Path, typer.Argument(help=imports.FORMATS, show_default=False)],
    rejects: imports.RejectsOption = None,
    encoding: imports.EncodingOption = None,
    delimiter: imports.DelimiterOption = None,
    sheet: imports.SheetOption = None,
    format: output.SummaryFormatOption = "table",
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Import daily ad spend from a file, your own or Facebook's export.

    It needs the account (its id, act_…, or name), the day, and the amount
    spent in the account's currency. Impressions, clicks, leads and
    conversions are taken where the file has them; an empty cell is 0. An
    export from Facebook that is broken down by day will do as it is.

    A day that is stored already is updated; one that says the same is left
    alone, so a file can be imported again. Rows that cannot be taken go to
    a file of their own, to mend and import.

    Example: ibctl ads spend import october.csv --dry-run
    """
    with ExitStack() as stack:
        opened = stack.enter_context(tabular.open_table(file, encoding=encoding, delimiter=delimiter, sheet=sheet))
        read = stack.enter_context(output.progress(f"Reading {opened.path.name}", opened.size))
        session = stack.enter_context(db.transaction(dry_run=dry_run, reason=reason))
        # Complete before the commit: nothing may be imported whose refused rows are lost.
        refused = stack.enter_context(tabular.RejectFile(rejects or tabular.rejects_path(opened.path), opened))
        result = service.import_spend(session, opened, refused, on_bytes=read)
    counts = {"added": result.added, "changed": result.changed, "unchanged": result.unchanged}
    output.show(imports.outcome(counts, result.refused), imports.COLUMNS, output.Listing(output.Format(format)))
    if result.rows:
        session.written.announce(_summary(result))
    _tell_consequences(result)
    imports.finish(refused, result.rows)


def _summary(result: service.SpendImport) -> str:
    written = f"spend days written: {result.added + result.changed:,}"
    return f"{written}, others with new running totals: {result.rederived:,}" if result.rederived else written


def _tell_consequences(result: service.SpendImport) -> None:
    for month in result.settled:
        output.warn(
            f"{month.month} is {month.status} for {output.some(month.ibs)}: those commissions stay as they are, "
            f"though this month's spend has changed (days: {month.days:,})"
        )
    if result.of_former_owners:
        output.note(
            "days that stay with the IB they were booked for, though the account now belongs to another: "
            f"{result.of_former_owners:,}"
        )


@app.command("list")
@options.spread
def list_(
    which: arguments.Which,
    limit: output.LimitOption = 50,
    format: output.FormatOption = output.Format.table,
    output_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """List spend by account and day, newest first.

    Example: ibctl ads spend list --ib anna@example.com --month 2025-10
    """
    asked = service.Filter(which.account, which.ib, *which.span())
    with db.reading() as session:
        rows, total = service.listing(session, asked, limit=limit)
    output.show(rows, COLUMNS, output.Listing(format, output_file, columns))
    output.cut_note(len(rows), limit, total, "spend days")


@app.command()
@options.spread
def export(
    which: arguments.Which,
    limit: output.LimitOption = 0,
    format: output.FormatOption = output.Format.csv,
    output_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Write all spend days with all columns, as CSV that can be imported.

    Example: ibctl ads spend export --month 2025-10 --output october.csv
    """
    asked = service.Filter(which.account, which.ib, *which.span())
    with db.reading() as session:
        query = service.export(session, asked, limit=limit)
        exports.write(session, query, COLUMNS, output.Listing(format, output_file, columns))
