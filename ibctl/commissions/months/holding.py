"""What keeps an IB's month from being paid out: holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from ibctl import clock, config, db, money
from ibctl.commissions import seals, units
from ibctl.commissions.calculation import rules
from ibctl.commissions.months import carrying
from ibctl.commissions.months.adjustments import stored
from ibctl.errors import NotFoundError, RequestError
from ibctl.models.commissions import Adjustment, CommissionHold
from ibctl.models.platform import IbCommission, User
from ibctl.months import Month


def hold(session: Session, ib: User, month: Month, *, reason: str, until: date | None = None) -> CommissionHold:
    """Keep an IB's month from being paid out, until it is released.

    Raises RequestError when it is held already, being paid or paid, or closed with all of it carried on.
    """
    db.lock(session, seals.LOCK)
    before, row = in_force(session, ib, month), stored(session, ib, month)
    if before is not None:
        raise RequestError(f"{month} of {ib.email} is held already, by {before.actor}: {before.reason}")
    if row is not None and row.payment_status in rules.SEALED:
        raise RequestError(f"{month} of {ib.email} is {row.payment_status}: it can no longer be held")
    if row is not None:
        _require_left(session, ib, month, row)
        row.payment_status = "HELD"
        row.updated_at = clock.now()
    held = CommissionHold(
        user_id=ib.id, year=month.year, month=month.month, reason=reason, until=until, actor=config.settings().actor
    )
    session.add(held)
    return held


def _require_left(session: Session, ib: User, month: Month, row: IbCommission) -> None:
    """Refuse a month of which nothing is left to be held. In an open one nothing has been carried on."""
    carried = session.exec(
        select(Adjustment).where(
            Adjustment.kind == "carry", Adjustment.user_id == ib.id, Adjustment.source_year == month.year,
            Adjustment.source_month == month.month,
        )
    ).first()  # fmt: skip
    if carried is not None and not row.total_payout:
        raise RequestError(
            f"{money.show(carried.amount, carried.currency)} of {month} went on into "
            f"{Month(carried.year, carried.month)}: hold that one"
        )


def release(session: Session, ib: User, month: Month, *, reason: str) -> Decimal:
    """Let an IB's month be paid out again; return what was carried on, where a closed month came to no payment.

    Raises NotFoundError when it is not held.
    """
    db.lock(session, seals.LOCK)
    held, row = in_force(session, ib, month), stored(session, ib, month)
    if held is None and (row is None or row.payment_status != "HELD"):
        raise NotFoundError(f"{month} of {ib.email} is not held")
    if held is not None:
        held.released_at, held.released_by, held.release_reason = clock.now(), config.settings().actor, reason
    if row is None or row.payment_status not in rules.OPEN:
        return rules.ZERO
    if row.payment_status == "HELD":
        row.payment_status, row.updated_at = "PENDING", clock.now()
    session.flush()
    if not seals.closed(session, month):
        return rules.ZERO
    units.require(session, month)
    # Closing left it alone while it was held.
    return carrying.carry(session, month, ids_=[row.id])


def in_force(session: Session, ib: User, month: Month) -> CommissionHold | None:
    """Return the hold of an IB's month that is in force, or None."""
    return session.exec(
        select(CommissionHold).where(
            CommissionHold.user_id == ib.id, CommissionHold.year == month.year, CommissionHold.month == month.month,
            col(CommissionHold.released_at).is_(None),
        )
    ).first()  # fmt: skip


_HOLDS = sa.text(
    """
    SELECT h.id, u.email, to_char(make_date(h.year, h.month, 1), 'YYYY-MM') AS month,
      c."totalPayout"::numeric AS "totalPayout", h.reason, h.until, h.until < CAST(:today AS date) AS overdue, h.actor,
      h."createdAt", h."releasedAt", h."releasedBy", h."releaseReason"
    FROM ibctl.commission_hold h JOIN "User" u ON u.id = h."userId"
    LEFT JOIN "IbCommission" c ON c."userId" = h."userId" AND c.year = h.year AND c.month = h.month
    WHERE (:all OR h."releasedAt" IS NULL) AND (CAST(:year AS int) IS NULL OR h.year = :year AND h.month = :month)
    ORDER BY h."createdAt" DESC, h.id DESC
    """
)


def holds(session: Session, *, month: Month | None, released: bool, today: date) -> Sequence[dict[str, Any]]:
    """Return the holds in force, with `released` those that are over too, as rows, the newest first."""
    values = {
        "all": released, "today": today, "year": month.year if month else None, "month": month.month if month else None,
    }  # fmt: skip
    return [dict(row) for row in session.execute(_HOLDS, values).mappings()]
