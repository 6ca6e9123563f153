"""Which commissions can be paid out, and what is in the way of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from ibctl.commissions.payouts import rules
from ibctl.commissions.payouts.evidence_sql import NET
from ibctl.months import Month

# Why a commission cannot be paid out, in the order in which the first that holds is given.
OBSTACLES = {
    "PROCESSING": "is in a payout already",
    "PAID": "is paid",
    "claimed": "is in a payout already, though its row says PENDING",
    "HELD": "is held",
    "nothing": "comes to nothing to pay, or to no amount",
    "stale": "has to be calculated again first: something was booked into its month, or it was edited, since",
    "early": "has to wait until its hold days are over",
}

# Parameters: today (a date); year and month, or NULL for all; ids, or NULL for all. `obstacle` is NULL where the row
# can be paid out; `payableFrom` is NULL where ibctl did not calculate the row. `amount` is in the base currency.
# `batch` and `payment` name the batch that has claimed the row, and the status of its payment there.
PAYABLE = """
SELECT c.id, c."userId", u.email, c.year, c.month, c."totalPayout"::numeric AS amount, n."payableFrom",
  k."batchId" AS batch, k.status AS payment,
  CASE WHEN c."paymentStatus" <> 'PENDING' THEN c."paymentStatus"
    -- The web application writes the status, too.
    WHEN k.id IS NOT NULL THEN 'claimed'
    WHEN EXISTS (SELECT FROM ibctl.commission_hold h WHERE h."userId" = c."userId" AND h.year = c.year
                 AND h.month = c.month AND h."releasedAt" IS NULL) THEN 'HELD'
    -- NaN is greater than all.
    WHEN NOT (c."totalPayout" > 0 AND c."totalPayout" < 'Infinity') THEN 'nothing'
    WHEN n.id IS NOT NULL AND CAST(n.figures->>'totalPayout' AS numeric) <> c."totalPayout"::numeric
      OR coalesce(b.booked, 0) <> coalesce(
        CAST(n.figures->>'adjustments' AS numeric) + CAST(n.figures->>'carriedIn' AS numeric), 0) THEN 'stale'
    WHEN n."payableFrom" > CAST(:today AS date) THEN 'early'
  END AS obstacle
FROM "IbCommission" c JOIN "User" u ON u.id = c."userId"
LEFT JOIN ibctl.payout_item k ON k.claim = c.id
LEFT JOIN (ibctl.commission_state s JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId") ON s.id = c.id
LEFT JOIN (
  SELECT "userId", year, month, sum(amount) AS booked FROM ibctl.adjustment GROUP BY 1, 2, 3
) b ON b."userId" = c."userId" AND b.year = c.year AND b.month = c.month
WHERE (CAST(:year AS int) IS NULL OR c.year = :year AND c.month = :month)
  AND (CAST(:ids AS text[]) IS NULL OR c.id = ANY(:ids))
"""
_ROWS = sa.text(PAYABLE + " ORDER BY c.year, c.month, u.email")


def rows(
    session: Session, *, today: date, month: Month | None = None, ids: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """Return commissions with what is in the way of paying them out on a day: `obstacle` is a key of OBSTACLES or None.

    Each row has id, userId, email, year, month, amount (Decimal, base currency), payableFrom, obstacle,
    and batch and payment (its status), which are None where no batch has claimed it.
    """
    values = {
        "today": today,
        "year": month.year if month else None,
        "month": month.month if month else None,
        "ids": None if ids is None else list(ids),
    }
    return [dict(row) for row in session.execute(_ROWS, values).mappings()]


_OUT = sa.text(
    f"""
    SELECT i."commissionId" AS commission, i."batchId" AS batch, i.reference, n.sent, i.currency
    FROM ibctl.payout_batch b JOIN LATERAL ({NET.replace(":batch", "b.id")}) n ON true
    JOIN ibctl.payout_item i ON i.id = n.id
    WHERE b.year = :year AND b.month = :month AND i.status = 'CANCELLED' AND (n.sent > 0 OR n.strange OR n.doubtful)
    ORDER BY i.reference
    """
)


def still_out(session: Session, month: Month) -> Mapping[str, str]:
    """Say by their ids which of a month's commissions would be paid twice: money may be out for a cancelled payment."""
    found = session.execute(_OUT, {"year": month.year, "month": month.month})
    return {row.commission: rules.still_out(row.reference, row.batch, row.sent, row.currency) for row in found}
