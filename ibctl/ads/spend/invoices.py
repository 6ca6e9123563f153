"""Facebook's invoices against the stored spend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import days, imports, money, months, tabular
from ibctl.ads.spend import rules, service
from ibctl.errors import UsageError
from ibctl.imports import RowError

# What an invoice file may call each field, besides the field's own name.
ALIASES: Mapping[str, Sequence[str]] = {
    "account": (*rules.ALIASES["account"], "Ad account"),
    "month": ("Billing period", "Period", "Invoice month"),
    "date": ("Invoice date", "Day", "Transaction date"),
    "amount": ("Amount due", "Total", "Invoice amount", "Amount"),
    "currency": ("Currency", "Account currency"),
}
_SPENT = sa.text(
    """
    SELECT coalesce(sum("dailySpend"::numeric), 0) AS spend,
      count(*) = 0 OR count(*) FILTER (WHERE h."date" BETWEEN s."firstDay" AND s."finalThrough") < count(*) AS moving
    FROM "AdSpendHistory" h LEFT JOIN ibctl.ad_account_state s ON s.id = h."adAccountId"
    WHERE h."adAccountId" = :account AND h."date" >= :first AND h."date" < :next
    """
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an invoice: an account, the month that it is for, an amount in the account's currency."""

    account: rules.Account
    month: months.Month
    amount: Decimal


@dataclass(frozen=True)
class Reconciled:
    """Invoiced against stored, by account and month, and how many lines were refused by code."""

    rows: list[dict[str, Any]]
    lines: int
    refused: Mapping[str, int]

    @property
    def differing(self) -> int:
        """How many accounts' months differ."""
        return sum(row["difference"] != 0 for row in self.rows)


def reconcile(
    session: Session, file: tabular.Table, rejects: tabular.RejectFile, on_bytes: Callable[[int], None] | None = None
) -> Reconciled:
    """Add up an invoice's lines by account and month, and hold each sum against the stored days.

    Raises RequestError when the file's columns do not fit.
    """
    columns = tabular.columns(file, ALIASES, ["account", "amount"], any_of=["month", "date"])
    known = service.accounts(session)
    reading = imports.Reading(file, columns, rejects, lambda _, cells: _line(cells, known))
    sums: dict[tuple[str, months.Month], Decimal] = {}
    names: dict[str, rules.Account] = {}
    for line in reading.rows(on_bytes):
        key = (line.account.id, line.month)
        sums[key] = sums.get(key, Decimal(0)) + line.amount
        names[line.account.id] = line.account
    ordered = sorted(sums.items(), key=lambda item: (item[0][1], names[item[0][0]].facebook_id or ""))
    rows = [_compared(session, names[account], month, amount) for (account, month), amount in ordered]
    return Reconciled(rows, reading.good, reading.refused)


def _line(cells: Mapping[str, str], known: rules.Accounts) -> Line:
    account = known.find(cells["account"])
    if (named := cells.get("currency", "").strip()) and named.upper() != account.currency.upper():
        raise RowError(
            "currency_mismatch",
            "currency",
            f"the amount is in {named}, but {account.facebook_id} has {account.currency}",
        )
    try:
        amount = money.parse(cells["amount"])
    except ValueError as exc:
        raise RowError("amount_invalid", "amount", str(exc)) from None
    return Line(account, _month(cells), amount)


def _month(cells: Mapping[str, str]) -> months.Month:
    """Read the month that a line is for, or of its day."""
    field = "month" if cells.get("month", "").strip() else "date"
    text = cells.get(field, "").strip()
    try:
        if field == "month":
            return months.parse(text)
        day = days.parse(text)
    except (UsageError, ValueError) as exc:
        raise RowError("date_invalid", field, str(exc)) from None
    return months.Month(day.year, day.month)


def _compared(session: Session, account: rules.Account, month: months.Month, invoiced: Decimal) -> dict[str, Any]:
    span: dict[str, str | date] = {"account": account.id, "first": month.first_day, "next": month.next.first_day}
    found = session.execute(_SPENT, span).one()
    return {
        "adAccountId": account.facebook_id or account.id,
        "month": str(month),
        "currency": account.currency,
        "invoiced": invoiced,
        "stored": found.spend,
        "difference": invoiced - found.spend,
        "quality": "provisional" if found.moving else "final",
    }
