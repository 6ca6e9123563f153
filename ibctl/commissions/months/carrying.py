"""Into which month a sum goes whose own month is closed or paid; and balances carried on from a month to the next."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import clock, config, currencies, ids
from ibctl.commissions import seals
from ibctl.months import Month

# The month (counted from year 0) into which an IB's sum goes: `start`, or the one after its last row that is being paid
# or paid. Nothing is booked into such a row.
TARGET = """
  SELECT u.id AS "userId", greatest(CAST(:start AS int), 1 + max(c.year * 12 + c.month - 1)
    FILTER (WHERE c."paymentStatus" IN ('PROCESSING', 'PAID'))) AS number
  FROM "User" u LEFT JOIN "IbCommission" c ON c."userId" = u.id GROUP BY u.id
"""
_ONE = sa.text(f"""SELECT number FROM ({TARGET}) t WHERE "userId" = :user""")


def number(month: Month) -> int:
    """Count a month from year 0."""
    return month.year * 12 + month.month - 1


def first_open(session: Session, wanted: Month) -> Month:
    """Return `wanted`, or the month after the last closed one where that is later."""
    last = seals.last_closed(session)
    return max(wanted, last.next) if last else wanted


def open_month(session: Session, user_id: str, wanted: Month) -> Month:
    """Return the first month from `wanted` on into which a sum can be booked for an IB."""
    start = number(first_open(session, wanted))
    found = session.execute(_ONE, {"start": start, "user": user_id}).scalar_one()
    return Month(found // 12, found % 12 + 1)


# What a closed month does not pay, of rows that are not held and have not been carried on before. Of one that is being
# paid that is what is below the currency's smallest unit.
_BALANCES = """
  FROM "IbCommission" c JOIN ibctl.commission_state s ON s.id = c.id
  JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId"
  WHERE c.year = :year AND c.month = :month AND n.year = :year AND n.month = :month AND c."paymentStatus" <> 'HELD'
    AND (CAST(:ids AS text[]) IS NULL OR c.id = ANY(:ids)) AND CAST(n.figures->>'carriedOut' AS numeric) <> 0
    AND NOT EXISTS (SELECT FROM ibctl.adjustment a WHERE a.kind = 'carry' AND a."userId" = c."userId"
                    AND a."sourceYear" = :year AND a."sourceMonth" = :month)
"""
_COUNT = sa.text(f"""SELECT count(*), coalesce(sum(CAST(n.figures->>'carriedOut' AS numeric)), 0.00) {_BALANCES}""")
_CARRY = sa.text(
    f"""
    INSERT INTO ibctl.adjustment (id, "userId", year, month, kind, amount, currency, reason, "sourceYear",
      "sourceMonth", actor, "createdAt")
    SELECT i.id, b."userId", t.number / 12, t.number % 12 + 1, 'carry', b.amount, :currency,
      CASE WHEN b.amount < 0 THEN 'negative in ' WHEN b.amount < :unit THEN 'less than the smallest unit in '
        ELSE 'below the minimum in ' END || CAST(:name AS text),
      :year, :month, :actor, :now
    FROM (
      SELECT c."userId", CAST(n.figures->>'carriedOut' AS numeric) AS amount,
        row_number() OVER (ORDER BY c."userId") AS number {_BALANCES}
    ) b JOIN unnest(CAST(:new AS text[])) WITH ORDINALITY AS i (id, number) USING (number)
    JOIN ({TARGET}) t USING ("userId")
    """
)


def carry(session: Session, month: Month, *, ids_: Sequence[str] | None = None) -> Decimal:
    """Book the balances that a closed month does not pay into the next open one of each IB; return their sum.

    `ids_` narrows it down to some commissions. Held rows are left alone: their balance is theirs until they are
    released.
    """
    settings = config.settings()
    values = {
        "year": month.year, "month": month.month, "ids": None if ids_ is None else list(ids_), "name": str(month),
        "start": number(first_open(session, month.next)), "currency": settings.base_currency,
        "unit": currencies.unit(settings.base_currency),
        "actor": settings.actor, "now": clock.now(),
    }  # fmt: skip
    count, total = session.execute(_COUNT, values).one()
    session.execute(_CARRY, {**values, "new": list(ids.cuids(count))})
    return Decimal(total)


_UNEVEN = sa.text(
    """
    SELECT u.email, b.owed, b.carried FROM (
      SELECT c."userId", CAST(n.figures->>'carriedOut' AS numeric) AS owed, coalesce(
        (SELECT sum(a.amount) FROM ibctl.adjustment a WHERE a.kind = 'carry' AND a."userId" = c."userId"
         AND a."sourceYear" = c.year AND a."sourceMonth" = c.month), 0.00) AS carried
      FROM "IbCommission" c JOIN ibctl.commission_state s ON s.id = c.id
      JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId" AND n.year = :year AND n.month = :month
      WHERE c.year = :year AND c.month = :month AND c."paymentStatus" <> 'HELD'
    ) b JOIN "User" u ON u.id = b."userId" WHERE b.owed <> b.carried ORDER BY u.email
    """
)


def uneven(session: Session, month: Month) -> list[tuple[str, Decimal, Decimal]]:
    """Return of which commissions of a closed month something else was carried on than is owed: (email, owed, carried).

    None of what is held is carried on.
    """
    return [
        (row.email, row.owed, row.carried)
        for row in session.execute(_UNEVEN, {"year": month.year, "month": month.month})
    ]
