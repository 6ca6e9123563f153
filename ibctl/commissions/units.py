"""In which currency months were calculated, and in which zone they were cut; whether the settings still say the same.

A sum that was calculated in euros is no sum in dollars, and a month that was cut in UTC has other leads in Tokyo. So
whoever pays, states, closes or compares what is stored asks here first. A run of an open month need not: it calculates
everything anew.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import config
from ibctl.errors import RequestError
from ibctl.months import Month

# The first month whose snapshots, the current ones, say something else. Of the months before, which only balances come
# from, nothing but the currency counts.
_OTHER = sa.text(
    """
    SELECT n.year, n.month, n.inputs->>'baseCurrency' AS base, n.inputs->>'zone' AS zone,
      c."paymentStatus" IN ('PENDING', 'HELD') AND NOT EXISTS (
        SELECT FROM ibctl.closed_month k WHERE k.year = n.year AND k.month = n.month) AS open
    FROM "IbCommission" c JOIN ibctl.commission_state s ON s.id = c.id
    JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId" AND n.year = c.year AND n.month = c.month
    WHERE ((c.year, c.month) = (:year, :month) OR :before AND (c.year, c.month) < (:year, :month))
      AND (CAST(:ib AS text) IS NULL OR c."userId" = :ib)
      AND (n.inputs->>'baseCurrency' <> :base
        OR n.inputs->>'zone' <> :zone AND (c.year, c.month) = (:year, :month))
    ORDER BY n.year, n.month, open LIMIT 1
    """
)


# The first of the months beside one that is closed, being paid or paid, and was cut in another zone. Whose they are is
# asked of snapshots of another zone only, which there hardly are: a join would go over the commissions of all months.
_BESIDE = sa.text(
    """
    SELECT n.year, n.month, n.inputs->>'zone' AS zone FROM ibctl.commission_snapshot n
    WHERE (n.year, n.month) IN ((:previous_year, :previous_month), (:next_year, :next_month))
      AND n.inputs->>'zone' <> :zone AND EXISTS (
        SELECT FROM ibctl.commission_state s JOIN "IbCommission" c USING (id)
        WHERE s.id = n."commissionId" AND s."snapshotId" = n.id AND (c."paymentStatus" IN ('PROCESSING', 'PAID')
          OR EXISTS (SELECT FROM ibctl.closed_month k WHERE k.year = n.year AND k.month = n.month)) OFFSET 0)
    ORDER BY 1, 2 LIMIT 1
    """
)


def require_one_cut(session: Session, month: Month) -> None:
    """Raise RequestError when a month would be cut in another zone than the settled ones beside it.

    What happened around midnight would count in both, or in neither.
    """
    zone = config.settings().timezone.key
    values = {
        "previous_year": month.previous.year, "previous_month": month.previous.month,
        "next_year": month.next.year, "next_month": month.next.month, "zone": zone,
    }  # fmt: skip
    row = session.execute(_BESIDE, values).first()
    if row is not None:
        raise RequestError(
            f"{Month(row.year, row.month)} was cut in {row.zone}, and IBCTL_TIMEZONE says {zone}: what happened around "
            "midnight would count in both months, or in neither. Set it as it was; nothing was written"
        )


def require(session: Session, month: Month, *, ib: str | None = None, before: bool = False) -> None:
    """Raise RequestError when a month of all IBs, or of one, was calculated in another currency or cut in another zone.

    `before`: or any month before it in another currency.
    """
    found = other(session, month, ib=ib, before=before)
    if found is not None:
        raise RequestError(found)


def other(session: Session, month: Month, *, ib: str | None = None, before: bool = False) -> str | None:
    """Say what `require` refuses; None where the settings are those of then."""
    settings = config.settings()
    values = {
        "year": month.year, "month": month.month, "ib": ib, "before": before, "base": settings.base_currency,
        "zone": settings.timezone.key,
    }  # fmt: skip
    row = session.execute(_OTHER, values).first()
    if row is None:
        return None
    which = Month(row.year, row.month)
    anew = f", or `ibctl commissions run --month {which}` calculates it anew" if row.open else ""
    if row.base != settings.base_currency:
        return (
            f"{which} was calculated in {row.base}, and IBCTL_BASE_CURRENCY says {settings.base_currency}: "
            f"set it as it was{anew}"
        )
    return f"{which} was cut in {row.zone}, and IBCTL_TIMEZONE says {settings.timezone.key}: set it as it was{anew}"
