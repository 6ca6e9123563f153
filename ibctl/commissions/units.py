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


# In which zone the months beside one were cut, of those that are closed, being paid or paid. One row of a month says it
# for all.
_BESIDE = sa.text(
    """
    SELECT beside.year, beside.month, cut.zone
    FROM (VALUES (CAST(:year AS int), CAST(:month AS int))) asked (year, month)
    CROSS JOIN LATERAL (VALUES (-1), (1)) step (by)
    CROSS JOIN LATERAL (
      SELECT (asked.year * 12 + asked.month - 1 + step.by) / 12 AS year,
        (asked.year * 12 + asked.month - 1 + step.by) % 12 + 1 AS month
    ) beside
    CROSS JOIN LATERAL (
      SELECT n.inputs->>'zone' AS zone FROM ibctl.commission_snapshot n
      JOIN ibctl.commission_state s ON s."snapshotId" = n.id JOIN "IbCommission" c ON c.id = s.id
      WHERE n.year = beside.year AND n.month = beside.month AND (c."paymentStatus" IN ('PROCESSING', 'PAID')
        OR EXISTS (SELECT FROM ibctl.closed_month k WHERE k.year = n.year AND k.month = n.month)) LIMIT 1
    ) cut
    WHERE cut.zone <> :zone ORDER BY 1, 2 LIMIT 1
    """
)


def require_one_cut(session: Session, month: Month) -> None:
    """Raise RequestError when a month would be cut in another zone than the settled ones beside it.

    What happened around midnight would count in both, or in neither.
    """
    zone = config.settings().timezone.key
    row = session.execute(_BESIDE, {"year": month.year, "month": month.month, "zone": zone}).first()
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
