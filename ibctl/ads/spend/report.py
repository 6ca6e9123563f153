"""What the ads cost, by month, IB, account or campaign, for a lead and for a qualified lead.

`spend`, `impressions`, `clicks` and `leads` are what Facebook reports (or a file said); `qualifiedLeads` are the
platform's. By month and by IB, spend is in the base currency, each day at its stored rate, and all leads count that
qualified in the span, whoever brought them, for the IB whose they were at that time. By account and by campaign, spend
is in the account's currency, and only leads count that are known to come from there: those of forms. A campaign's
figures are those of its whole life.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Literal

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import config, money
from ibctl.ads.spend import report_sql, service
from ibctl.errors import UsageError
from ibctl.leads import funnel, listing
from ibctl.users import service as users

By = Literal["month", "ib", "account", "campaign"]
BAR = 20  # characters


@dataclass(frozen=True)
class Report:
    """Rows, and the currencies of which days have no rate: (currency, first such day, how many)."""

    rows: list[dict[str, Any]]
    unrated: Sequence[tuple[str, date, int]]


def report(
    session: Session, by: By, *, account: str | None = None, ib: str | None = None, first: date | None = None,
    last: date | None = None,
) -> Report:  # fmt: skip
    """Return what was spent and what it brought; months newest first, the others by spend.

    Raises NotFoundError when the account or the IB does not exist, UsageError for a span of campaigns' lives.
    """
    if by == "campaign" and (first or last):
        raise UsageError("--by campaign shows the campaigns' whole lives: --month, --from and --to do not go with it")
    if by in ("month", "ib") and account is not None:
        raise UsageError(f"--account goes with --by account or campaign: leads are not known by account (--by {by})")
    zone = config.settings().timezone
    values = {
        "base": config.settings().base_currency,
        "zone": zone.key,
        "account": None if account is None else service.find_account(session, account).id,
        "user": None if ib is None else users.find(session, ib).id,
        "first": first,
        "last": last,
        "start": None if first is None else listing.midnight(first, zone),
        "end": None if last is None else listing.midnight(last + timedelta(days=1), zone),
    }
    found = [_row(row) for row in session.execute(sa.text(report_sql.BY[by]), values).mappings()]
    unrated = (
        [tuple(row) for row in session.execute(sa.text(report_sql.UNRATED), values)] if by in ("month", "ib") else []
    )
    return Report(_with_bars(found), unrated)


def _row(row: Any) -> dict[str, Any]:
    spend = None if row["unrated"] else money.to_cents(row["spend"] or Decimal(0))
    leads, qualified = int(row["leads"] or 0), int(row["qualified"] or 0)
    return {
        "month": None, "campaign": None, "account": None, **row, "spend": spend, "leads": leads,
        "impressions": int(row["impressions"] or 0), "clicks": int(row["clicks"] or 0), "qualifiedLeads": qualified,
        "cpl": _cost(spend, leads), "cpql": _cost(spend, qualified),
    }  # fmt: skip


def _cost(spend: Decimal | None, count: int) -> Decimal | None:
    return None if spend is None or not count else money.to_cents(spend / count)


def _with_bars(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Draw each row's spend as a part of the largest one in its currency."""
    largest: dict[str, Decimal] = {}
    for row in rows:
        largest[row["currency"]] = max(largest.get(row["currency"], Decimal(0)), row["spend"] or Decimal(0))
    for row in rows:
        cents = int((row["spend"] or 0) * 100)
        row["bar"] = funnel.bar(cents, int(largest[row["currency"]] * 100), BAR)
    return rows
