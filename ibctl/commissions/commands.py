"""`ibctl commissions …`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from ibctl import config, db, money, months, output
from ibctl.commissions import explain as explaining
from ibctl.commissions import rules, service
from ibctl.commissions.payee_commands import payees_app
from ibctl.commissions.payout_commands import payouts_app
from ibctl.commissions.rates_commands import rates_app
from ibctl.errors import UsageError
from ibctl.output import Column, Format, Listing
from ibctl.users import completion
from ibctl.users import service as users

app = typer.Typer(no_args_is_help=True, help="What each IB earned in a month, and why.")
app.add_typer(rates_app, name="rates")
app.add_typer(payees_app, name="payees")
app.add_typer(payouts_app, name="payouts")

COLUMNS = [
    Column("id", brief=False),
    Column("userId", brief=False),
    Column("email"),
    Column("year", "text"),
    Column("month", "text"),
    Column("totalLeads", "number", brief=False),
    Column("qualifiedLeads", "number", brief=False),
    Column("totalAdSpend", "money", brief=False),
    Column("totalCpaEarned", "money", brief=False),
    Column("commissionRate", "rate", brief=False),
    Column("commissionAmount", "money", brief=False),
    Column("bonusAmount", "money", brief=False),
    Column("totalPayout", "money"),
    Column("paymentStatus"),
    Column("paidAt", "time", brief=False),
    Column("paymentMethod", brief=False),
    Column("paymentReference", brief=False),
    Column("createdAt", "time", brief=False),
    Column("updatedAt", "time", brief=False),
]
RUN_COLUMNS = [
    Column("month"),
    Column("created", "number"),
    Column("updated", "number"),
    Column("unchanged", "number"),
    Column("removed", "number"),
    Column("held", "number", brief=False),
    Column("sealed", "number"),
    Column("drifted", "number", brief=False),
    Column("totalPayout", "money"),
]
LINE_COLUMNS = [
    Column("part"), Column("label"), Column("id"), Column("date"), Column("amount", "money"), Column("currency"),
    Column("rate", "rate"), Column("value", "money"), Column("total", "flag"),
]  # fmt: skip
PAYOUT_COLUMNS = [
    Column("lead"), Column("qualifiedAt"), Column("cpaEarned", "money"), Column("rate", "rate"),
    Column("value", "money"),
]  # fmt: skip
SPEND_COLUMNS = [
    Column("account"), Column("date"), Column("dailySpend", "money"), Column("currency"), Column("rate", "rate"),
    Column("value", "money"),
]  # fmt: skip


def _months(incomplete: str) -> list[str]:
    """Complete the last twelve months."""
    month, found = months.current(config.settings().timezone), []
    for _ in range(13):
        found.append(str(month))
        month = month.previous
    return [name for name in found if name.startswith(incomplete)]


def _status(text: str) -> str:
    if text.upper() not in rules.STATUSES:
        raise UsageError(f"'{text}' is no payment status: write one of {', '.join(rules.STATUSES)}")
    return text.upper()


MonthArgument = Annotated[str, typer.Argument(metavar="MONTH", help="Like 2025-10.", autocompletion=_months)]
MonthOption = Annotated[str | None, typer.Option("--month", help="Like 2025-10.", autocompletion=_months)]
IbArgument = Annotated[str, typer.Argument(metavar="IB", help="The IB's email or id.", autocompletion=completion.ibs)]
IbOption = Annotated[str | None, typer.Option("--ib", help="The IB's email or id.", autocompletion=completion.ibs)]
StatusOption = Annotated[
    str | None, typer.Option("--status", help="PENDING, HELD, PROCESSING or PAID.", parser=_status, metavar="STATUS")
]


@app.command()
def run(
    month: MonthOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing when all is well (for cron).")] = False,
    form: output.SummaryFormatOption = "table",
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Calculate a month's commissions for all IBs; without --month, the last full one.

    Safe to repeat: open rows (PENDING, HELD) are brought up to date, PROCESSING and PAID ones are never touched.

    Example: ibctl commissions run --month 2025-10
    """
    zone = config.settings().timezone
    chosen = months.parse(month) if month else months.last_full(zone)
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        result = service.run(session, chosen)
    if not quiet:
        _show_run(result, session.written, Format(form))
    if result.drifted:
        output.warn(
            f"{result.drifted} of {result.sealed} PROCESSING or PAID rows of {chosen} would be different today; "
            "they are left as they are"
        )
    if not quiet and chosen == months.current(zone):
        output.note(f"{chosen} is not over yet in {zone.key}: run it again when it is")


def _show_run(result: service.RunResult, written: db.Written, form: Format) -> None:
    row = {
        "month": str(result.month), "created": result.created, "updated": result.updated,
        "unchanged": result.unchanged, "removed": result.removed, "held": result.held, "sealed": result.sealed,
        "drifted": result.drifted, "totalPayout": result.total_payout,
    }  # fmt: skip
    output.show([row], RUN_COLUMNS, Listing(form))
    count = result.created + result.updated + result.unchanged
    payout = money.show(result.total_payout, config.settings().base_currency)
    written.announce(f"{result.month}: {count} open commissions, {payout} to pay out")


@app.command("list")
def list_(
    month: MonthOption = None,
    ib: IbOption = None,
    status: StatusOption = None,
    limit: output.LimitOption = 50,
    form: output.FormatOption = Format.table,
    to_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """List commissions: the newest month first, then the highest payout.

    Example: ibctl commissions list --month 2025-10 --status PENDING
    """
    with db.reading() as session:
        found = _filters(session, month, ib, status)
        count, payout = service.totals(session, **found)
        printed = output.show(service.rows(session, **found, limit=limit), COLUMNS, Listing(form, to_file, columns))
    output.cut_note(printed, limit, count, "commissions")
    if count:
        output.note(f"{count:,} commissions, totalPayout {money.show(payout, config.settings().base_currency)}")


@app.command()
def export(
    month: MonthOption = None,
    ib: IbOption = None,
    status: StatusOption = None,
    form: output.FormatOption = Format.csv,
    to_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Export commissions, every column, as CSV.

    Example: ibctl commissions export --month 2025-10 -o 2025-10.csv
    """
    with db.reading() as session:
        rows = service.rows(session, **_filters(session, month, ib, status))
        count = output.show(rows, COLUMNS, Listing(form, to_file, columns))
    output.note(f"{count:,} commissions exported" + (f" to {to_file}" if to_file else ""))


def _filters(session: Any, month: str | None, ib: str | None, status: str | None) -> dict[str, Any]:
    return {
        "month": months.parse(month) if month else None,
        "ib": users.find(session, ib) if ib else None,
        "status": status,
    }


@app.command()
def show(
    ib: IbArgument,
    month: MonthArgument,
    form: output.FormatOption = Format.table,
) -> None:
    """Show one commission: its figures, its status, and what made it.

    Example: ibctl commissions show ib@x.y 2025-10
    """
    with db.reading() as session:
        user = users.find(session, ib)
        commission = explaining.find(session, user, months.parse(month))
        snapshot = explaining.current_snapshot(session, commission.id)
        row = service.as_row(commission, user.email) | {
            "plan": snapshot.plan["name"] if snapshot else None,
            "changeSetId": snapshot.change_set_id if snapshot else None,
            "digest": snapshot.digest if snapshot else None,
        }
    columns = [*COLUMNS, Column("plan"), Column("changeSetId"), Column("digest")]
    output.show_record(row, columns, Listing(form))


@app.command()
def explain(
    ib: IbArgument,
    month: MonthArgument,
    form: output.SummaryFormatOption = "table",
    to_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Derive a commission from its single leads and spend days; the lines add up to the cent.

    Example: ibctl commissions explain ib@x.y 2025-10
    """
    with db.reading() as session:
        user = users.find(session, ib)
        found = explaining.explain(session, user, months.parse(month))
    if form == "table" and to_file is None and columns is None:
        _show_derivation(found)
    else:
        lines = [asdict(line) for line in (*found.payout, *found.spend)]
        output.show(lines, LINE_COLUMNS, Listing(Format(form), to_file, columns))
    _warn_of_differences(found)


def _show_derivation(found: explaining.Explanation) -> None:
    row, inputs = found.commission, found.inputs
    captured = sum(lead["capturedAt"] is not None for lead in inputs["leads"])
    output.say(f"{found.email}  {row.year}-{row.month:02d}  {row.payment_status}")
    output.say(f"month     {inputs['from']} to {inputs['to']}, cut in {inputs['zone']}")
    output.say(f"plan      {found.plan['name']}, version {found.plan['version']}, rate {found.plan['rate']}")
    output.say(f"leads     {captured:,} captured in the month (totalLeads), {row.qualified_leads:,} qualified in it")
    base = inputs["baseCurrency"]
    output.show(_payout_rows(found.payout), PAYOUT_COLUMNS, Listing(), title=f"Payout: Σ CPA × rate, in {base}")
    output.show(_spend_rows(found.spend), SPEND_COLUMNS, Listing(), title=f"Ad spend: Σ amount × rate, in {base}")


def _payout_rows(lines: Iterable[rules.Line]) -> list[dict[str, Any]]:
    return [
        {"lead": line.label, "qualifiedAt": (line.date or "")[:16].replace("T", " "), "cpaEarned": _blank(line.amount),
         "rate": _blank(line.rate), "value": line.value}
        for line in lines
    ]  # fmt: skip


def _spend_rows(lines: Iterable[rules.Line]) -> list[dict[str, Any]]:
    return [
        {"account": line.label, "date": line.date or "", "dailySpend": _blank(line.amount),
         "currency": line.currency or "", "rate": _blank(line.rate), "value": line.value}
        for line in lines
    ]  # fmt: skip


def _blank(value: Any) -> Any:
    return "" if value is None else value


def _warn_of_differences(found: explaining.Explanation) -> None:
    if found.snapshot is None:
        output.warn("this row was not made by ibctl: derived from the data of today")
    for name, stored, derived in found.differences:
        output.warn(f"{name} is stored as {money.show(stored)}, but derives to {money.show(derived)}")
