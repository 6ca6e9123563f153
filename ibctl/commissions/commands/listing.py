"""`ibctl commissions list|show|export`: the stored commissions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import typer

from ibctl import config, db, money, months, output, rendering
from ibctl.commissions import units
from ibctl.commissions.calculation import rules, snapshots, stored
from ibctl.commissions.commands.arguments import IbArgument, IbOption, MonthArgument, MonthOption, StatusOption
from ibctl.commissions.payouts import listing as payout_listing
from ibctl.commissions.payouts.listing import Returned
from ibctl.commissions.proof import explain as explaining
from ibctl.output import Column, Format, Listing
from ibctl.users import service as users

app = typer.Typer()

COLUMNS = [
    Column("id", brief=False),
    Column("userId", brief=False),
    Column("email"),
    Column("year", "text"),
    Column("month", "text"),
    Column("totalLeads", "number", brief=False),
    Column("qualifiedLeads", "number", brief=False),
    Column("totalAdSpend", "base", brief=False),
    Column("totalCpaEarned", "base", brief=False),
    Column("commissionRate", "rate", brief=False),
    Column("commissionAmount", "base", brief=False),
    Column("bonusAmount", "base", brief=False),
    Column("totalPayout", "base"),
    Column("paymentStatus"),
    Column("paidAt", "time", brief=False),
    Column("paymentMethod", brief=False),
    Column("paymentReference", brief=False),
    # What of a PAID one came back and is not out again: the row itself is never changed.
    Column("returned", "base", brief=False),
    Column("createdAt", "time", brief=False),
    Column("updatedAt", "time", brief=False),
]
BALANCE = [Column(name, "base") for name in rules.BALANCE]


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
        count, payout = stored.totals(session, **found)
        back = payout_listing.returned(session, month=found["month"], ib=found["ib"])
        rows = _with_returns(stored.rows(session, **found, limit=limit), back)
        printed = output.show(rows, COLUMNS, Listing(form, to_file, columns))
        bad = stored.no_amounts(session, found["month"], ib=found["ib"] and found["ib"].id)
        other = units.other(session, months.parse(month)) if month else None
    output.cut_note(printed, limit, count, "commissions")
    if count:
        shown = money.show(payout, config.settings().base_currency)
        output.note(f"{rendering.counted(count, 'commission')}, totalPayout {shown}")
    if bad:
        output.warn(f"no amounts, and in no sum: {output.some(bad)}; the web application wrote them")
    if other:
        output.warn(other)
    if status in (None, "PAID"):
        _warn_of_returns(back)


def _with_returns(rows: Iterable[dict[str, Any]], back: Mapping[str, Returned]) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield {**row, "returned": back[row["id"]].amount if row["id"] in back else None}


def _warn_of_returns(back: Mapping[str, Returned]) -> None:
    if back:
        named = output.some([one.words for one in back.values()])
        output.warn(f"came back after it was PAID: {named}; `ibctl commissions payouts export` pays again")


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
        found = _filters(session, month, ib, status)
        back = payout_listing.returned(session, month=found["month"], ib=found["ib"])
        rows = _with_returns(stored.rows(session, **found), back)
        count = output.show(rows, COLUMNS, Listing(form, to_file, columns))
    output.note(f"{rendering.counted(count, 'commission')} exported" + (f" to {to_file}" if to_file else ""))


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
        back = payout_listing.returned(session, month=months.parse(month), ib=user)
        (row,) = _with_returns([stored.as_row(commission, user.email)], back)
        row |= {
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
    _warn_of_returns(back)
