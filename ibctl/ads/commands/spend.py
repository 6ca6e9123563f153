"""`ibctl ads spend report`, `check` and `reconcile`: what the ads cost, and whether the figures are right."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, get_args

import typer

from ibctl import config, days, db, errors, imports, options, output, tabular
from ibctl.ads.accounts import service as accounts
from ibctl.ads.accounts.service import Connection
from ibctl.ads.commands import arguments
from ibctl.ads.spend import invoices
from ibctl.ads.spend import report as spend_report
from ibctl.ads.sync import check as spend_check
from ibctl.ads.sync.check import Finding, Told
from ibctl.errors import ServiceError, UsageError
from ibctl.integrations.facebook.client import Line
from ibctl.integrations.facebook.failures import GraphError, SettingError
from ibctl.output import Column

app = typer.Typer()

FIGURES = [
    Column("spend", "money"),
    Column("currency", "flag"),
    Column("impressions", "number", brief=False),
    Column("clicks", "number", brief=False),
    Column("leads", "number"),
    Column("cpl", "money"),
    Column("qualifiedLeads", "number"),
    Column("cpql", "money"),
]
# What there is no room for in 80 columns beside a name of some length.
LEFT_OUT = {"ib": ("currency", "qualifiedLeads"), "account": ("qualifiedLeads",), "campaign": ("qualifiedLeads",)}
# Beside the bars there is room for little else.
PLOTTED = [Column("spend", "money"), Column("currency", "flag"), Column("leads", "number"), Column("bar")]
KEYS = {
    "month": [Column("month", "flag")],
    "ib": [Column("ib")],
    "account": [Column("account", "flag"), Column("ib", brief=False)],
    "campaign": [Column("campaign"), Column("account", brief=False), Column("ib", brief=False)],
}
CHECK_COLUMNS = [
    Column("adAccountId", "flag"), Column("check", "flag"), Column("date", "date"), Column("finding"),
]  # fmt: skip
RECONCILED = [
    Column("adAccountId", "flag"),
    Column("month", "flag"),
    Column("invoiced", "money"),
    Column("stored", "money"),
    Column("difference", "money"),
    Column("currency", "flag", brief=False),
    Column("quality", "flag", brief=False),
]


@app.command()
@options.spread
def report(
    which: arguments.Which,
    by: Annotated[spend_report.By, typer.Option(help="What a row stands for.")] = "month",
    plot: Annotated[bool, typer.Option("--plot", help="Draw the spend.")] = False,
    format: output.SummaryFormatOption = "table",
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Show what the ads cost, for a lead (cpl) and a qualified lead (cpql).

    Leads are those that Facebook reports; qualified ones are the platform's.
    By month and by IB, spend is in the base currency, each day at its stored
    rate, and all of the IBs' leads count. By account and campaign, it is in
    the account's currency, and qualified leads are those that came by a form
    of theirs. A campaign's figures are those of its whole life.

    Example: ibctl ads spend report --by ib --month 2025-10 --plot
    """
    first, last = which.span()
    with db.reading() as session:
        found = spend_report.report(session, by, account=which.account, ib=which.ib, first=first, last=last)
    left_out = LEFT_OUT.get(by, ())
    figures = [replace(one, brief=one.brief and one.key not in left_out) for one in FIGURES]
    shown = [*KEYS[by], *(PLOTTED if plot else figures)]
    output.show(found.rows, shown, output.Listing(output.Format(format), file, columns))
    if not found.rows:
        output.note("no spend, and no qualified leads")
    base = config.settings().base_currency
    if found.rows and by in ("month", "ib"):
        output.note(f"amounts are in {base}, each day at its stored rate")
    for currency, day, count in found.unrated:
        output.warn(
            f"{count:,} days in {currency}, the first {day}, have no exchange rate to {base}: import it with "
            "`ibctl commissions rates import`; sums with them are left out"
        )


assert set(get_args(spend_report.By)) == set(KEYS)


# --------------------------------------------------------------------------------------------------------------- check


@app.command()
def check(
    account: arguments.AccountFilter = None,
    month: arguments.MonthFilter = None,
    since: arguments.FromFilter = None,
    until: arguments.ToFilter = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask Facebook.")] = False,
    parallel: arguments.ParallelOption = 4,
    format: output.SummaryFormatOption = "table",
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Check the stored spend: by itself, and against Facebook.

    Running totals and ratios, gaps between the days, accounts that were not
    read lately, time zones. Of each connected account, for the given span
    (otherwise the last 28 days), day by day: what is stored against what
    Facebook says, and that against the sum of its campaigns, archived and
    deleted ones included. Ends with 7 when something is found.

    Example: ibctl ads spend check --month 2025-10
    """
    span = days.span(month, since, until)
    with db.reading() as session:
        found = spend_check.stored(session, account)
        known = None if offline else accounts.connections(session, (account,) if account else (), strict=False)
    failed = 0
    for name, why in [] if known is None else [*known.skipped, *((name, str(exc)) for _, name, exc in known.closed)]:
        output.note(f"not asked: {name} {why}")
    usable = [] if known is None else known.usable
    for one, told in _ask(usable, span, parallel):
        if isinstance(told, GraphError):
            failed += 1
            output.warn(f"{one.name} failed: {told}")
            continue
        with db.reading() as session:
            found += spend_check.against(session, one, told, *_span(one, span))
    output.show(
        [one.row() for one in _distinct(found)], CHECK_COLUMNS, output.Listing(output.Format(format), file, columns)
    )
    _tell_scope(len(usable) - failed, found)
    if found:
        raise typer.Exit(errors.FINDINGS)
    if failed:
        raise typer.Exit(ServiceError.exit_code if failed == len(usable) == 1 else errors.PARTIAL)


def _tell_scope(asked: int, found: Sequence[Finding]) -> None:
    """Say what was compared, and what the findings do not say by themselves."""
    if any(one.finding.endswith("provisional") for one in found):
        output.note("provisional: Facebook moves a day for 28 days; `ibctl ads sync` reads those days again")
    if asked:
        output.note(
            "campaigns: compared by day at Facebook; the stored ones have only their whole life's total, which "
            "`ibctl ads campaigns sync` holds against the account's"
        )
    output.note(f"findings: {len(_distinct(found)):,}; accounts held against Facebook, day by day: {asked:,}")


def _distinct(found: Sequence[Finding]) -> list[Finding]:
    """A zone that is wrong both here and there is one finding."""
    return list(dict.fromkeys(found))


def _span(one: Connection, asked: tuple[date | None, date | None]) -> tuple[date, date]:
    """Return the days to compare: those asked for, up to today in the account's zone."""
    today = days.today(one.zone)
    last = min(asked[1] or today, today)
    first = asked[0] or last - timedelta(days=27)
    if first > last:
        raise UsageError(f"--from {first} has not begun yet in the zone of {one.name}")
    return first, last


def _ask(
    usable: Sequence[Connection], span: tuple[date | None, date | None], parallel: int
) -> list[tuple[Connection, Told | GraphError]]:
    def ask(one: Connection) -> Told | GraphError:
        try:
            return spend_check.ask(line, one, *_span(one, span))
        except SettingError:
            raise
        except GraphError as exc:
            return exc

    with Line(connections=parallel) as line, ThreadPoolExecutor(parallel) as pool:
        try:
            return list(zip(usable, pool.map(ask, usable), strict=True))
        except BaseException:
            line.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


# ----------------------------------------------------------------------------------------------------------- reconcile

RECONCILE_EPILOG = (
    "Codes of refused rows: cells (too many or too few), account_missing, account_unknown, account_ambiguous, "
    "currency_mismatch, amount_invalid, date_invalid."
)


@app.command(epilog=RECONCILE_EPILOG)
def reconcile(
    file: Annotated[Path, typer.Argument(metavar="INVOICE.csv", help=imports.FORMATS, show_default=False)],
    rejects: imports.RejectsOption = None,
    encoding: imports.EncodingOption = None,
    delimiter: imports.DelimiterOption = None,
    sheet: imports.SheetOption = None,
    format: output.SummaryFormatOption = "table",
    output_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Hold Facebook's invoices against the stored spend.

    The file needs the account, the amount in its currency, and the month that
    the line is for (or a day of it). Lines of one account and month are added
    up. A month with provisional days may still change. Ends with 7 when a sum
    differs, with 6 when only some lines could be read.

    Example: ibctl ads spend reconcile invoices-2025-10.csv
    """
    with ExitStack() as stack:
        opened = stack.enter_context(tabular.open_table(file, encoding=encoding, delimiter=delimiter, sheet=sheet))
        read = stack.enter_context(output.progress(f"Reading {opened.path.name}", opened.size))
        session = stack.enter_context(db.reading())
        refused = stack.enter_context(tabular.RejectFile(rejects or tabular.rejects_path(opened.path), opened))
        found = invoices.reconcile(session, opened, refused, read)
    output.show(found.rows, RECONCILED, output.Listing(output.Format(format), output_file, columns))
    provisional = sum(row["quality"] == "provisional" for row in found.rows)
    output.note(
        f"months that differ, in their account's currency: {found.differing:,} of {len(found.rows):,}; "
        f"with days that may still change: {provisional:,}"
    )
    with suppress(typer.Exit) if found.differing else nullcontext():
        imports.finish(refused, found.lines)
    if found.differing:
        raise typer.Exit(errors.FINDINGS)
