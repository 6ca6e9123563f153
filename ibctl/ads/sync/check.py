"""Whether the stored spend is right: by itself, and against what Facebook says today.

derived      a ratio or running total is not what the stored days make of it
gap          days between the stored ones that nobody ever read, and of which no file said anything
behind       a connected account was not read up to yesterday
zone         days are cut in another zone than Facebook's, or in one that does not exist
currency     Facebook has another currency than the stored days
total        a stored day is not what Facebook says of the account on that day
campaigns    a day of the account's at Facebook is not the sum of its campaigns, archived and deleted ones included

Days are compared one by one: in a sum, what is missing on one day and what is too much on another would cancel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import days, money
from ibctl.ads.accounts.service import Connection
from ibctl.ads.spend import service
from ibctl.integrations.facebook import identity, insights
from ibctl.integrations.facebook.client import Line

# The derived columns as `spend/sql.py` writes them. A double is compared with the double that the exact value becomes.
_DERIVED = sa.text(
    """
    WITH day AS (
      SELECT h.*, h."dailySpend"::numeric * 1.00000000000000000000 AS spend,
        sum(h."dailySpend"::numeric) OVER so_far AS so_much, sum(h.leads) OVER so_far AS so_many
      FROM "AdSpendHistory" h WHERE CAST(:account AS text) IS NULL OR h."adAccountId" = :account
      WINDOW so_far AS (PARTITION BY h."adAccountId" ORDER BY h."date")
    ), wrong AS (
      SELECT "adAccountId", "date", v.field FROM day CROSS JOIN LATERAL (VALUES
        ('ctr', ctr, CASE WHEN impressions > 0 THEN clicks::float8 * 100 / impressions ELSE 0 END),
        ('cpc', cpc, CASE WHEN clicks > 0 THEN (spend / clicks)::float8 ELSE 0 END),
        ('cpl', cpl, CASE WHEN leads > 0 THEN (spend / leads)::float8 ELSE 0 END),
        ('cumulativeSpend', "cumulativeSpend", so_much::float8), ('cumulativeLeads', "cumulativeLeads", so_many::float8)
      ) v (field, stored, exact)
      -- What the web application derived in floats may differ in the last digits.
      WHERE abs(v.stored - v.exact) > greatest(abs(v.exact), 1) * 1e-9 OR v.stored = 'NaN'
    )
    SELECT coalesce(a."adAccountId", a.id) AS account, w.field, min(w."date") AS first, count(*) AS days
    FROM wrong w JOIN "FacebookAdAccount" a ON a.id = w."adAccountId" GROUP BY 1, 2 ORDER BY 1, 2
    """
)
_GAPS = sa.text(
    """
    WITH day AS (
      SELECT h."adAccountId", h."date", lag(h."date") OVER (PARTITION BY h."adAccountId" ORDER BY h."date") AS before
      FROM "AdSpendHistory" h WHERE CAST(:account AS text) IS NULL OR h."adAccountId" = :account
    ), missing AS (
      SELECT d."adAccountId", g::date AS "date" FROM day d, generate_series(d.before + 1, d."date" - 1, '1 day') g
      WHERE d."date" > d.before + 1
    )
    SELECT coalesce(a."adAccountId", a.id) AS account, min(m."date") AS first, count(*) AS days
    FROM missing m JOIN "FacebookAdAccount" a ON a.id = m."adAccountId"
    LEFT JOIN ibctl.ad_account_state s ON s.id = a.id
    WHERE s."firstDay" IS NULL OR m."date" NOT BETWEEN s."firstDay" AND s."lastDay"
    GROUP BY 1 ORDER BY 1
    """
)
_ACCOUNTS = sa.text(
    """
    SELECT coalesce(a."adAccountId", a.id) AS account, a.timezone, s.zone, s."lastDay",
      a."isConnected" AND a."accessToken" IS NOT NULL AND a."adAccountId" IS NOT NULL AS connected
    FROM "FacebookAdAccount" a LEFT JOIN ibctl.ad_account_state s ON s.id = a.id
    WHERE CAST(:account AS text) IS NULL OR a.id = :account ORDER BY 1
    """
)
_STORED = sa.text(
    """
    SELECT h."date", h."dailySpend"::numeric, h."date" BETWEEN s."firstDay" AND s."finalThrough" IS TRUE
    FROM "AdSpendHistory" h LEFT JOIN ibctl.ad_account_state s ON s.id = h."adAccountId"
    WHERE h."adAccountId" = :account AND h."date" BETWEEN :first AND :last
    """
)


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with an account's spend, on a day or from a day on."""

    account: str
    check: str
    finding: str
    date: date | None = None

    def row(self) -> dict[str, Any]:
        """Return it as a row."""
        return {"adAccountId": self.account, "check": self.check, "date": self.date, "finding": self.finding}


def stored(session: Session, account: str | None = None) -> list[Finding]:
    """Check what is stored by itself, of one account or all. Raises NotFoundError when the account does not exist."""
    values = {"account": None if account is None else service.find_account(session, account).id}
    found = [
        Finding(row.account, "derived", f"{row.field} is not what the days make of it{_days(row.days)}", row.first)
        for row in session.execute(_DERIVED, values)
    ]
    found += [
        Finding(row.account, "gap", f"no row, never read{_days(row.days)}", row.first)
        for row in session.execute(_GAPS, values)
    ]
    for row in session.execute(_ACCOUNTS, values):
        found += _of_account(row)
    return found


def _of_account(row: Any) -> list[Finding]:
    found = []
    if not _exists(row.timezone):
        found.append(Finding(row.account, "zone", f"'{row.timezone}' is no time zone"))
    if row.zone is not None and row.zone != row.timezone:
        found.append(Finding(row.account, "zone", f"days are cut in {row.timezone}, at Facebook in {row.zone}"))
    yesterday = days.today(row.timezone).toordinal() - 1
    if row.connected and (row.lastDay is None or row.lastDay.toordinal() < yesterday):
        read = f"it was read up to {row.lastDay}" if row.lastDay else "it was never read"
        found.append(Finding(row.account, "behind", f"{read}: `ibctl ads sync`"))
    return found


def _exists(zone: str) -> bool:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _days(count: int) -> str:
    return "" if count == 1 else f" (+{count - 1:,} more days)"


# ---------------------------------------------------------------------------------------------------- against Facebook


@dataclass(frozen=True)
class Told:
    """What Facebook says of an account today: its zone and currency, what it and its campaigns spent, by day."""

    zone: str
    currency: str
    account: Mapping[date, Decimal]
    campaigns: Mapping[date, Decimal]


def ask(line: Line, one: Connection, first: date, last: date) -> Told:
    """Ask Facebook about an account. Network only. Raises GraphError."""
    assert one.facebook_id is not None
    graph = line.graph(one.token)
    account = identity.ad_account(graph, one.facebook_id)
    return Told(
        account.zone,
        account.currency,
        {day.date: day.spend for day in insights.daily(graph, one.facebook_id, first, last)},
        insights.spent_by_campaigns(graph, one.facebook_id, first, last),
    )


def against(session: Session, one: Connection, told: Told, first: date, last: date) -> list[Finding]:
    """Compare what is stored of an account with what Facebook told."""
    found = []
    if told.zone != one.zone:
        found.append(Finding(one.name, "zone", f"days are cut in {one.zone}, at Facebook in {told.zone}"))
    if told.currency != one.currency.upper():
        found.append(Finding(one.name, "currency", f"days are in {one.currency}, at Facebook in {told.currency}"))
    rows = session.execute(_STORED, {"account": one.id, "first": first, "last": last}).all()
    stored = {day: spend for day, spend, _ in rows}
    final = {day for day, _, is_final in rows if is_final}
    found += [
        Finding(one.name, "total", f"stored {sums}{'' if day in final else ', provisional'}", day)
        for day, sums in _differing(one, stored, "Facebook", told.account)
    ]
    found += [
        Finding(one.name, "campaigns", f"account {sums}", day)
        for day, sums in _differing(one, told.account, "campaigns", told.campaigns)
    ]
    return found


def _differing(
    one: Connection, ours: Mapping[date, Decimal], name: str, theirs: Mapping[date, Decimal]
) -> Iterator[tuple[date, str]]:
    """Yield the days on which two sums differ, with both and the difference in words; a day without a row is 0."""
    for day in sorted(ours.keys() | theirs.keys()):
        amount, other = ours.get(day, Decimal(0)), theirs.get(day, Decimal(0))
        if amount != other:
            shown, against, apart = (money.show(value, one.currency) for value in (amount, other, amount - other))
            yield day, f"{shown}, {name} {against}: {apart}"
