"""What is booked into a month beside what it earned, and what keeps it from being paid: adjustments, clawbacks, holds.

Nothing is booked into a month that is closed, or into the row of an IB that is being paid or paid: what was paid stays
as it is, and what is wrong with it is booked into a month that is open still.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from ibctl import clock, config, db, ids, months
from ibctl.commissions import seals, units
from ibctl.commissions.calculation import draft_sql, rules, service, snapshots
from ibctl.commissions.calculation.service import RunResult
from ibctl.commissions.calculation.snapshots import Snapshot
from ibctl.commissions.months import carrying, drifting
from ibctl.errors import NotFoundError, RequestError
from ibctl.leads import ownership_sql
from ibctl.leads import service as leads
from ibctl.models.commissions import Adjustment, CommissionHold
from ibctl.models.platform import IbCommission, Lead, User
from ibctl.months import Month

CODES = ("fraud", "refund", "chargeback", "duplicate", "terms", "error", "other")
LONGEST_REASON = 500


def adjust(
    session: db.Transaction, ib: User, month: Month, amount: Decimal, *, reason: str, lead: Lead | None = None
) -> RunResult | None:
    """Book a sum into an IB's open month, and calculate that again; return how, or None where it cannot be yet.

    Raises RequestError when the month is closed, or its row is being paid or paid.
    """
    db.lock(session, seals.LOCK)
    _require_bookable(session, ib, month)
    _book(session, ib.id, month, kind="manual", amount=amount, reason=reason, lead_id=lead and lead.id)
    return _calculate(session, ib, month)


def _require_bookable(session: Session, ib: User, month: Month) -> None:
    seals.require_open(session, month)
    row = stored(session, ib, month)
    if row is not None and row.payment_status in rules.SEALED:
        raise RequestError(
            f"the commission of {ib.email} for {month} is {row.payment_status} and stays as it is: book into a later "
            "month"
        )


def stored(session: Session, ib: User, month: Month) -> IbCommission | None:
    """Return the commission of an IB and month, or None."""
    return session.exec(
        select(IbCommission).where(
            IbCommission.user_id == ib.id, IbCommission.year == month.year, IbCommission.month == month.month
        )
    ).first()


def _book(session: Session, user_id: str, month: Month, **values: Any) -> None:
    settings = config.settings()
    booked = Adjustment(
        id=ids.cuid(), user_id=user_id, year=month.year, month=month.month, currency=settings.base_currency,
        actor=settings.actor, **values,
    )  # fmt: skip
    session.add(booked)
    session.flush()


def _calculate(session: db.Transaction, ib: User, month: Month) -> RunResult | None:
    """Bring an IB's row up to date, and return how; None where it is not.

    A month that has not begun is left to its first run, and so is one under way that cannot be calculated: its rates
    may not be there yet. Raises RequestError where one that is over cannot be.
    """
    # Of one IB alone, in another currency than the others', never.
    units.require(session, month)
    under_way = months.current(config.settings().timezone)
    if month > under_way:
        return None
    try:
        with session.begin_nested():
            result = service.run(session, month, ib=ib.id)
    except RequestError:
        if month < under_way:
            raise
        return None
    session.expire_all()
    return result


_LISTING = sa.text(
    """
    SELECT a.id, u.email, to_char(make_date(a.year, a.month, 1), 'YYYY-MM') AS month, a.kind, a.amount, a.currency,
      a.reason, a.code, coalesce(l.email, l.phone, a."leadId") AS lead,
      to_char(make_date(a."sourceYear", a."sourceMonth", 1), 'YYYY-MM') AS source, a.actor, a."createdAt"
    FROM ibctl.adjustment a JOIN "User" u ON u.id = a."userId" LEFT JOIN "Lead" l ON l.id = a."leadId"
    WHERE (CAST(:ib AS text) IS NULL OR a."userId" = :ib) AND (CAST(:kind AS text) IS NULL OR a.kind = :kind)
      AND (CAST(:year AS int) IS NULL OR a.year = :year AND a.month = :month)
    ORDER BY a."createdAt" DESC, a.id DESC
    """
)


def listing(session: Session, *, ib: User | None, month: Month | None, kind: str | None) -> list[dict[str, Any]]:
    """Return what was booked as rows, the newest first."""
    values = {
        "ib": ib.id if ib else None, "kind": kind, "year": month.year if month else None,
        "month": month.month if month else None,
    }  # fmt: skip
    return [dict(row) for row in session.execute(_LISTING, values).mappings()]


# ------------------------------------------------------------------------------------------------------------- clawback


@dataclass(frozen=True)
class Clawback:
    """What a clawback booked, and where the lead had earned: `source` is that month, `booked` the one it goes into.

    `run` is how the month that it went into was calculated again, None where that cannot be yet; `elsewhere` names the
    IB and the month for which the lead earned since, by a true-up, which only another one takes back.
    """

    ib: str
    source: Month
    booked: Month
    amount: Decimal
    plan: str
    run: RunResult | None
    elsewhere: tuple[str, Month] | None


def clawback(session: db.Transaction, lead: Lead, *, code: str, reason: str) -> Clawback:
    """Let a lead that earned count no more, and take back what it earned, at the terms that it earned it at.

    Where its month is open still, that simply does without the lead. Otherwise the sum is what the month earns less
    without it, by its snapshot, or by the data of today once they are booked. Raises RequestError when the lead earned
    in no month that ibctl calculated or was taken back already, and where a true-up has booked only a part of what is
    different today.
    """
    db.lock(session, seals.LOCK)
    _require_first(session, lead)
    row, snapshot = _earned(session, lead)
    source, ib = Month(row["year"], row["month"]), session.get_one(User, row["userId"])
    units.require(session, source)
    is_open = _is_open(session, ib, source, row["paymentStatus"])
    amount = rules.ZERO if is_open else -_worth(session, ib, source, snapshot, lead)
    target = source if is_open else carrying.open_month(session, ib.id, source.next)
    _book(
        session, ib.id, target, kind="clawback", amount=amount, reason=reason, code=code, lead_id=lead.id,
        source_year=source.year, source_month=source.month,
        terms={"plan": snapshot.terms.name, "version": snapshot.terms.version},
    )  # fmt: skip
    result = _calculate(session, ib, target)
    elsewhere = _elsewhere(session, lead, ib, source)
    return Clawback(ib.email, source, target, amount, snapshot.terms.label, result, elsewhere)


def _is_open(session: Session, ib: User, month: Month, status: str) -> bool:
    """Say whether a month in which a lead earned is open still. Raises RequestError in the middle of its payout."""
    if seals.closed(session, month) is not None:
        return False
    if status == "PROCESSING":
        raise RequestError(
            f"{month} of {ib.email} is in a payout under way: reconcile or cancel that first, so that it is known "
            "whether the lead was paid for"
        )
    return status in rules.OPEN


def _worth(session: Session, ib: User, source: Month, snapshot: Snapshot, lead: Lead) -> Decimal:
    """Return what the IB's settled month earns less without the lead, by what of it has been booked so far."""
    if not _was_trued_up(session, ib, source):
        found = snapshot.inputs
    else:
        _require_settled(session, ib, source)
        today = drifting.today(session, source, ib)
        found = today.inputs if today else rules.Inputs()
    before = session.exec(select(Adjustment.lead_id).where(Adjustment.kind == "clawback"))
    counted = rules.without(found, leads={one for one in before if one})
    # The difference of two sums, each rounded once, and not the lead's own line: so nothing is left over as drift.
    return rules.earned(snapshot.terms, counted) - rules.earned(snapshot.terms, rules.without(counted, leads={lead.id}))


def _require_settled(session: Session, ib: User, source: Month) -> None:
    for one in drifting.drift(session, source, ib=ib.id):
        raise RequestError(
            f"{source} of {ib.email} earns {one.now:,} by the data of today, and {one.then + one.booked:,} is booked: "
            f"what the lead has got is known when `ibctl commissions true-up {source}` has booked that"
        )


def _was_trued_up(session: Session, ib: User, source: Month) -> bool:
    same = (Adjustment.source_year == source.year, Adjustment.source_month == source.month)
    found = select(Adjustment).where(Adjustment.kind == "true-up", Adjustment.user_id == ib.id, *same)
    return session.exec(found).first() is not None


def _require_first(session: Session, lead: Lead) -> None:
    same = (Adjustment.kind == "clawback", Adjustment.lead_id == lead.id)
    before = session.exec(select(Adjustment).where(*same)).first()
    if before is not None:
        raise RequestError(
            f"lead {leads.called(lead)} was taken back on {before.created_at:%Y-%m-%d} by {before.actor} "
            f"({before.code}: {before.reason})"
        )


# The owners of now, before a transfer, and before any recorded write: a lead earned for one of them.
_EARNED = sa.text(
    """
    SELECT n.*, c."paymentStatus" FROM "IbCommission" c
    JOIN ibctl.commission_state s ON s.id = c.id JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId"
    WHERE c."userId" IN (
      SELECT "userId" FROM "Lead" WHERE id = :lead
      UNION SELECT "fromUserId" FROM ibctl.lead_transfer WHERE "leadId" = :lead
      UNION SELECT "before"->>'userId' FROM ibctl.change_image WHERE "rowId" = :lead AND "tableName" = 'Lead')
      AND n."leadQualified"[array_position(n."leadIds", CAST(:lead AS text))] IS NOT NULL
    ORDER BY c.year, c.month LIMIT 1
    """
)


def _earned(session: Session, lead: Lead) -> tuple[sa.RowMapping, Snapshot]:
    row = session.execute(_EARNED, {"lead": lead.id}).mappings().first()
    if row is None:
        raise RequestError(
            f"lead {leads.called(lead)} has earned in no month that ibctl calculated: there is nothing to take back. "
            "What a true-up booked for it goes back by another one, once the lead is corrected"
        )
    return row, snapshots.snapshot(row)


# Whose the lead was when it qualified by the data of today, where that is settled.
_ELSEWHERE = sa.text(
    f"""
    SELECT u.email FROM "Lead" l
    {ownership_sql.former('l."qualifiedAt"')}
    JOIN "User" u ON u.id = {ownership_sql.OWNER}
    JOIN ({draft_sql.roles(draft_sql.AS_STORED)}) p ON p.id = u.id AND p.role = 'IB'
    LEFT JOIN "IbCommission" c ON c."userId" = u.id AND c.year = :year AND c.month = :month
    WHERE l.id = :lead AND (:closed OR c."paymentStatus" IN ('PROCESSING', 'PAID')) AND (u.id <> :ib OR :other)
    """
)


def _elsewhere(session: Session, lead: Lead, ib: User, source: Month) -> tuple[str, Month] | None:
    """Return the IB and the settled month in which the lead counts by now, where a true-up may have booked it."""
    if lead.qualified_at is None:
        return None
    month = months.of(lead.qualified_at, config.settings().timezone)
    values = {
        "year": month.year, "month": month.month, "lead": lead.id,
        "closed": seals.closed(session, month) is not None, "ib": ib.id, "other": month != source,
    }  # fmt: skip
    email = session.execute(_ELSEWHERE, values).scalar()
    return (email, month) if email else None


# ---------------------------------------------------------------------------------------------------------------- holds


def hold(session: Session, ib: User, month: Month, *, reason: str, until: date | None = None) -> CommissionHold:
    """Keep an IB's month from being paid out, until it is released.

    Raises RequestError when it is held already, being paid or paid.
    """
    db.lock(session, seals.LOCK)
    before, row = in_force(session, ib, month), stored(session, ib, month)
    if before is not None:
        raise RequestError(f"{month} of {ib.email} is held already, by {before.actor}: {before.reason}")
    if row is not None and row.payment_status in rules.SEALED:
        raise RequestError(f"{month} of {ib.email} is {row.payment_status}: it can no longer be held")
    if row is not None:
        row.payment_status = "HELD"
        row.updated_at = clock.now()
    held = CommissionHold(
        user_id=ib.id, year=month.year, month=month.month, reason=reason, until=until, actor=config.settings().actor
    )
    session.add(held)
    return held


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
