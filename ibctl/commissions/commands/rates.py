"""`ibctl commissions rates`: what other currencies were worth in the base currency."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ibctl import days, db, imports, output, tabular
from ibctl.commissions import rates
from ibctl.output import Column

rates_app = typer.Typer(no_args_is_help=True, help="Exchange rates into the base currency, day by day.")

COLUMNS = [
    Column("id", brief=False),
    Column("date", "date"),
    Column("currency", "flag"),
    Column("rate", "rate"),
    Column("baseCurrency", "flag"),
    Column("source"),
    Column("createdAt", "time", brief=False),
]
EPILOG = (
    "Codes of refused rows: cells (too many or too few), date_invalid, date_future, currency_invalid, rate_invalid, "
    "source_invalid, duplicate (of an earlier row)."
)


@rates_app.command("import", epilog=EPILOG)
def import_(
    file: Annotated[Path, typer.Argument(help=imports.FORMATS, show_default=False)],
    source: Annotated[
        str | None, typer.Option(help="Who says so, like ECB, where the file does not.", show_default=False)
    ] = None,
    rejects: imports.RejectsOption = None,
    encoding: imports.EncodingOption = None,
    delimiter: imports.DelimiterOption = None,
    sheet: imports.SheetOption = None,
    format: output.SummaryFormatOption = "table",
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Import exchange rates from a file: date, currency, rate, source.

    A rate says how many units of the base currency one unit of another was
    worth on a day: EUR 1.0842 where the base is USD. A stored rate is
    replaced; one that is the same is left alone. Rows that cannot be taken
    go to a file of their own, to mend and import.

    Example: ibctl commissions rates import rates.csv --source ECB
    """
    with (
        tabular.open_table(file, encoding=encoding, delimiter=delimiter, sheet=sheet) as opened,
        db.transaction(dry_run=dry_run, reason=reason) as session,
        # Complete before the commit: nothing may be imported whose refused rows are lost.
        tabular.RejectFile(rejects or tabular.rejects_path(opened.path), opened) as refused,
    ):
        result = rates.import_rates(session, opened, refused, source=source)
    counts = {"added": result.added, "changed": result.changed, "unchanged": result.unchanged}
    output.show(imports.outcome(counts, result.refused), imports.COLUMNS, output.Listing(output.Format(format)))
    if result.rows:
        session.written.announce(f"rates written: {result.added + result.changed:,}")
    _warn_of_settled(result)
    imports.finish(refused, result.rows)


def _warn_of_settled(result: rates.RatesImport) -> None:
    for month in result.settled:
        output.warn(
            f"{month.month} is {month.status} for {output.some(month.ibs)}: those commissions stay as they are, "
            f"though rates of {', '.join(month.currencies)} that counted in them have changed"
        )


@rates_app.command("list")
def list_(
    currency: Annotated[str | None, typer.Option(help="Only this currency, like EUR.")] = None,
    month: Annotated[str | None, typer.Option(help="Only this month, like 2025-10.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="From this day on, like 2025-10-01.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Up to this day, and on it.")] = None,
    limit: output.LimitOption = 50,
    format: output.FormatOption = output.Format.table,
    output_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """List exchange rates, newest first.

    With --format csv --limit 0 it writes what can be imported again.

    Example: ibctl commissions rates list --currency EUR --month 2025-10
    """
    first, last = days.span(month, since, until)
    with db.reading() as session:
        rows, total = rates.listing(session, currency=currency, first=first, last=last, limit=limit)
    output.show(rows, COLUMNS, output.Listing(format, output_file, columns))
    output.cut_note(len(rows), limit, total, "rates")
