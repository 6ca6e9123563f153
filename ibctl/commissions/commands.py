"""`ibctl commissions …`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ibctl import config, db, money, months, output
from ibctl.commissions import (
    adjustment_commands,
    month_commands,
    proof_commands,
    rules,
    service,
    simulation_commands,
    snapshots,
    statement_commands,
)
from ibctl.commissions import explain as explaining
from ibctl.commissions.arguments import IbArgument, IbOption, MonthArgument, MonthOption, StatusOption
from ibctl.commissions.payee_commands import payees_app
from ibctl.commissions.payout_commands import payouts_app
from ibctl.commissions.plans_commands import groups_app, plans_app
from ibctl.commissions.rates_commands import rates_app
from ibctl.models.commissions import ClosedMonth
from ibctl.output import Column, Format, Listing
from ibctl.users import service as users

app = typer.Typer(no_args_is_help=True, help="What each IB earned in a month, and why.")
app.add_typer(rates_app, name="rates")
app.add_typer(plans_app, name="plans")
app.add_typer(groups_app, name="groups")
app.add_typer(payees_app, name="payees")
app.add_typer(payouts_app, name="payouts")
for part in (proof_commands, adjustment_commands, month_commands, simulation_commands):
    app.add_typer(part.app)
app.add_typer(statement_commands.app)

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
BALANCE = [Column(name, "money") for name in rules.BALANCE]
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
    if result.closed is not None:
        if not quiet:
            output.show([], RUN_COLUMNS, Listing(Format(form)))
            _say_closed(result.closed)
        return
    if not quiet:
        _show_run(result, session.written, Format(form))
    if result.drifted:
        output.warn(
            f"{result.drifted} of {result.sealed} PROCESSING or PAID rows of {chosen} would be different today; "
            "they are left as they are"
        )
    if result.waiting and not quiet:
        waiting, rows, sum_ = result.waiting
        shown = money.show(sum_, config.settings().base_currency)
        output.note(f"{rows:,} balances of {waiting}, {shown}, are carried on when it is closed")
    if not quiet and chosen == months.current(zone):
        output.note(f"{chosen} is not over yet in {zone.key}: run it again when it is")


def _say_closed(closed: ClosedMonth) -> None:
    output.note(
        f"{closed.id} was closed on {closed.closed_at:%Y-%m-%d} by {closed.closed_by} and stays as it is; "
        f"`ibctl commissions drift {closed.id}` shows what it would be today"
    )


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
        snapshot = snapshots.current(session, commission.id)
        row = service.as_row(commission, user.email) | {
            "plan": snapshot.terms.label if snapshot else None,
            "payableFrom": snapshot.payable_from if snapshot else None,
            "changeSetId": snapshot.change_set_id if snapshot else None,
            "digest": snapshot.digest if snapshot else None,
            **{name: snapshot.figures[name] if snapshot else None for name in rules.BALANCE},
        }
    columns = [
        *COLUMNS,
        *BALANCE,
        Column("plan"),
        Column("payableFrom", "date"),
        Column("changeSetId"),
        Column("digest"),
    ]
    output.show_record(row, columns, Listing(form))
