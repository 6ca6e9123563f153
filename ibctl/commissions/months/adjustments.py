"""What is booked into a month beside what it earned: adjustments and clawbacks.

Nothing is booked into a month that is closed, or into the row of an IB that is being paid or paid: what was paid stays
as it is, and what is wrong with it is booked into a month that is open still.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, select

from ibctl import config, db, ids, money, months
from ibctl.commissions import seals, units
from ibctl.commissions.calculation import draft_sql, rules, service, snapshots
from ibctl.commissions.calculation.service import RunResult
from ibctl.commissions.calculation.snapshots import Snapshot
from ibctl.commissions.months import carrying, drifting
from ibctl.errors import RequestError
from ibctl.leads import ownership_sql
from ibctl.leads import service as leads
from ibctl.models.commissions import Adjustment
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

    `run` is how the month that it went into was calculated again, None where that cannot be yet; `others` are the open
    rows besides in which the lead had counted. `elsewhere` names the IB and the month for which the lead earned since,
    by a true-up, which only another one takes back.
    """

    ib: str
    source: Month
    booked: Month
    amount: Decimal
    plan: str
    run: RunResult | None
    others: Sequence[Recalculated]
    elsewhere: tuple[str, Month] | None


@dataclass(frozen=True)
class Recalculated:
    """Whose month was calculated again, and how; `run` is None where it cannot be yet."""

    ib: str
    month: Month
    run: RunResult | None


def clawback(session: db.Transaction, lead: Lead, *, code: str, reason: str) -> Clawback:
    """Let a lead that earned count no more, and take back what it earned, at the terms that it earned it at.

    Where its month is open still, that simply does without the lead, and so does every open row that counts it as well,
    since it was transferred or its day was corrected. Otherwise the sum is what the month earns less without it, by its
    snapshot, or by the data of today once they are booked. Raises RequestError when the lead earned in no month that
    ibctl calculated or was taken back already, and where a true-up has booked only a part of what is different today.
    """
    db.lock(session, seals.LOCK)
    # A merge of the lead waits, and is then refused.
    leads.hold(session, [lead])
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
    others = [*_others(session, lead, besides=(ib.id, target))]
    elsewhere = _elsewhere(session, lead, ib, source)
    return Clawback(ib.email, source, target, amount, snapshot.terms.label, result, others, elsewhere)


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
    base = config.settings().base_currency
    for one in drifting.drift(session, source, ib=ib.id):
        now, booked = money.show(one.now, base), money.show(one.then + one.booked, base)
        raise RequestError(
            f"{source} of {ib.email} earns {now} by the data of today, and {booked} is booked: "
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


# The rows in which a lead earned, for its owners of now, before a transfer, and before any recorded write.
_EARNING = """
    FROM "IbCommission" c
    JOIN ibctl.commission_state s ON s.id = c.id JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId"
    WHERE c."userId" IN (
      SELECT "userId" FROM "Lead" WHERE id = :lead
      UNION SELECT "fromUserId" FROM ibctl.lead_transfer WHERE "leadId" = :lead
      UNION SELECT "before"->>'userId' FROM ibctl.change_image WHERE "rowId" = :lead AND "tableName" = 'Lead')
      AND n."leadQualified"[array_position(n."leadIds", CAST(:lead AS text))] IS NOT NULL
"""
_EARNED = sa.text(f"""SELECT n.*, c."paymentStatus" {_EARNING} ORDER BY c.year, c.month LIMIT 1""")
_EARNING_STILL = sa.text(
    f"""
    SELECT c."userId", c.year, c.month {_EARNING} AND c."paymentStatus" IN ('PENDING', 'HELD')
      AND NOT EXISTS (SELECT FROM ibctl.closed_month k WHERE k.year = c.year AND k.month = c.month)
    ORDER BY c.year, c.month, c."userId"
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


def _others(session: db.Transaction, lead: Lead, *, besides: tuple[str, Month]) -> Iterator[Recalculated]:
    """Calculate the open rows again that count the lead still: otherwise they could be paid as they are."""
    for row in session.execute(_EARNING_STILL, {"lead": lead.id}).all():
        ib, month = session.get_one(User, row.userId), Month(row.year, row.month)
        if (ib.id, month) != besides:
            yield Recalculated(ib.email, month, _calculate(session, ib, month))


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
