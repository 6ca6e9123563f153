"""Batches of payouts: making and cancelling them. A commission's status moves here and nowhere else:
PENDING → PROCESSING when a batch claims it, back when the batch is cancelled, PROCESSING → PAID on evidence
(`reconciling.py`).

Every one of these takes the lock of `commissions run`, so that no figure moves while it is claimed, and then locks the
rows themselves, since the web application writes them, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from ibctl import clock, config, days, db, months, output, rendering
from ibctl.commissions import ibs, units
from ibctl.commissions.payouts import payable, rules
from ibctl.commissions.payouts.evidence_sql import NET
from ibctl.commissions.payouts.rules import Choice, Rate, Skipped
from ibctl.crypto import Sealed
from ibctl.errors import NotFoundError, RequestError
from ibctl.models.ledger import change
from ibctl.models.payouts import Payee, PayoutBatch, PayoutItem
from ibctl.models.platform import User
from ibctl.months import Month

LOCK = "commissions run"
# How long a changed payee is worth a second look.
FRESH = timedelta(days=14)


@dataclass(frozen=True)
class Selection:
    """Who is wanted in a batch: IBs by email or id (`only`, where given; without `exclude`), by one method.

    `rate_day` is the day whose rate turns the base currency into a payee's; by default the month's last.
    """

    method: str
    only: Sequence[str] = ()
    exclude: Sequence[str] = ()
    rate_day: date | None = None


@dataclass(frozen=True)
class Created:
    """A new batch, its payments in their order, and the commissions of the month that were left out."""

    batch: PayoutBatch
    items: list[PayoutItem]
    skipped: list[Skipped]
    # Emails of those whose payee became another one lately: the commonest fraud is a new destination.
    moved: list[str]

    @property
    def effect(self) -> str:
        """Name what the batch pays."""
        return effect(self.items, self.batch.base_currency)

    @property
    def in_trouble(self) -> bool:
        """Whether somebody was left out whom nobody asked to leave out."""
        return any(one.code in rules.TROUBLE for one in self.skipped)


def effect(items: Sequence[PayoutItem], base: str) -> str:
    """Name what payments come to: "37 IBs, 12,480.55 USD", and what is sent where that is another currency."""
    total = rules.sums((item.base_amount, base) for item in items)
    sent = rules.sums((item.amount, item.currency) for item in items)
    return f"{rendering.counted(len(items), 'IB')}, {total}" + (f" (sent: {sent})" if sent != total else "")


# --------------------------------------------------------------------------------------------------------------- create

# Locked, so that the web application does not write them while they are claimed.
_CANDIDATES = sa.text(
    """
    SELECT c.id AS commission_id, c."userId" AS user_id, u.email, c."totalPayout"::numeric AS amount,
      p.method, p.currency, p.name, p.account
    FROM "IbCommission" c JOIN "User" u ON u.id = c."userId"
    LEFT JOIN ibctl.payee p ON p.id = c."userId"
    WHERE c.year = :year AND c.month = :month AND c."paymentStatus" = 'PENDING'
      AND c."totalPayout" > 0 AND c."totalPayout" < 'Infinity'
    ORDER BY u.email, c.id FOR UPDATE OF c
    """
)
_RATES = sa.text(
    """
    SELECT DISTINCT ON (currency) currency, rate, id, date, source FROM ibctl.exchange_rate
    WHERE "baseCurrency" = :base AND date BETWEEN :oldest AND :day ORDER BY currency, date DESC
    """
)
_CLAIM = sa.text(
    """
    UPDATE "IbCommission" SET "paymentStatus" = 'PROCESSING', "updatedAt" = :now
    WHERE id = ANY(:ids) AND "paymentStatus" = 'PENDING'
    """
)


def create(session: Session, month: Month, wanted: Selection) -> Created:
    """Claim the payable commissions of a month for a new batch. A rate may be up to a week older than its day.

    Raises RequestError when the month is not over, was calculated in another currency, or nothing of it can be paid.
    """
    _require_over(month)
    db.lock(session, LOCK)
    units.require(session, month)
    zone = config.settings().timezone
    choice = Choice(
        wanted.method, _ids(session, wanted.only), _ids(session, wanted.exclude), days.today(zone.key),
        wanted.rate_day or month.next.first_day - timedelta(days=1),
    )  # fmt: skip
    candidates = _candidates(session, month, choice.today)
    rates = _rates(session, choice.rate_day)
    batch, number = _new_batch(session, month, wanted.method)
    items, skipped = _split(batch, month, number, candidates, choice, rates)
    skipped += _missing(session, choice.only, candidates)
    if not items:
        raise RequestError(_nothing(month, wanted.method, skipped))
    _claim(session, batch, items)
    return Created(batch, items, skipped, moved(session, items))


def moved(session: Session, items: Sequence[PayoutItem]) -> list[str]:
    """Return the emails of those among the payees whose destination became another one in the last days (`FRESH`).

    A new payee in the place of one that was removed is another one, too.
    """
    removed = sa.exists().where(
        change.c.tableName == "payee", change.c.rowId == col(Payee.id), change.c.after.is_(None)
    )  # fmt: skip
    statement = (
        select(User.email)
        .join(Payee, col(Payee.id) == col(User.id))
        .where(
            col(Payee.id).in_([item.user_id for item in items]),
            col(Payee.changed_at) > clock.now() - FRESH,
            sa.or_(col(Payee.changed_at) > col(Payee.created_at), removed),
        )
    )
    return list(session.exec(statement.order_by(User.email)))


def _candidates(session: Session, month: Month, today: date) -> list[dict[str, Any]]:
    """Return the PENDING rows of a month with their payees, and what is in the way of paying them out."""
    locked = session.execute(_CANDIDATES, {"year": month.year, "month": month.month}).mappings().all()
    states = {row["id"]: row for row in payable.rows(session, today=today, month=month)}
    out, known = payable.still_out(session, month), ("obstacle", "payableFrom", "batch", "payment")
    return [
        {**row, **{key: states[row["commission_id"]][key] for key in known}, "out": out.get(row["commission_id"])}
        for row in locked
    ]


def _require_over(month: Month) -> None:
    zone = config.settings().timezone
    if month >= months.current(zone):
        raise RequestError(f"{month} is not over yet in {zone.key}: it can be paid out from {month.next.first_day} on")


def _ids(session: Session, who: Sequence[str]) -> frozenset[str]:
    return frozenset(ibs.find(session, one).id for one in who)


def _rates(session: Session, day: date) -> dict[str, Rate]:
    base = config.settings().base_currency
    found = session.execute(_RATES, {"base": base, "day": day, "oldest": day - rules.OLDEST_RATE})
    return {base: Rate(Decimal(1))} | {row.currency: Rate(row.rate, row.id, row.date, row.source) for row in found}


def _new_batch(session: Session, month: Month, method: str) -> tuple[PayoutBatch, int]:
    """Batches are never deleted, and the lock is held: their count gives the next number."""
    of_month = sa.and_(col(PayoutBatch.year) == month.year, col(PayoutBatch.month) == month.month)
    count = session.execute(sa.select(sa.func.count()).select_from(PayoutBatch).where(of_month)).scalar_one()
    settings, number = config.settings(), count + 1
    batch = PayoutBatch(
        id=rules.batch_id(month, number), year=month.year, month=month.month, method=method,
        base_currency=settings.base_currency, created_by=settings.actor,
    )  # fmt: skip
    return batch, number


def _split(
    batch: PayoutBatch, month: Month, number: int, candidates: Iterable[Any], choice: Choice, rates: dict[str, Rate]
) -> tuple[list[PayoutItem], list[Skipped]]:
    items: list[PayoutItem] = []
    skipped: list[Skipped] = []
    for row in candidates:
        reason = rules.reason_to_skip(row, choice, rates)
        if reason is not None:
            skipped.append(Skipped(row["email"], row["amount"], *reason))
        else:
            reference = rules.reference(month, number, len(items) + 1)
            items.append(_item(batch, reference, row, rates[row["currency"]]))
    return items, skipped


def _item(batch: PayoutBatch, reference: str, row: Any, rate: Rate) -> PayoutItem:
    amount = rules.payable(row["amount"], rate, row["currency"], batch.method)
    return PayoutItem(
        batch_id=batch.id, commission_id=row["commission_id"], claim=row["commission_id"], user_id=row["user_id"],
        reference=reference, base_amount=row["amount"], amount=amount,
        currency=row["currency"], rate=rate.rate, rate_id=rate.id, rate_date=rate.date, rate_source=rate.source,
        # Copied as they are, without being opened.
        name=Sealed(row["name"]), account=Sealed(row["account"]),
    )  # fmt: skip


def _missing(session: Session, only: Collection[str], candidates: Iterable[Any]) -> list[Skipped]:
    missing = sorted(set(only) - {row["user_id"] for row in candidates})
    emails = session.exec(select(User.email).where(col(User.id).in_(missing)).order_by(User.email))
    return [Skipped(email, Decimal(0), "nothing_due", "no PENDING commission above zero") for email in emails]


def _nothing(month: Month, method: str, skipped: Sequence[Skipped]) -> str:
    why = "; ".join(rules.grouped(skipped)) or "no commission of it is PENDING with a payout above zero"
    return f"nothing of {month} can be paid out by {method}: {why}"


def _claim(session: Session, batch: PayoutBatch, items: Sequence[PayoutItem]) -> None:
    values = {"ids": [item.commission_id for item in items], "now": clock.now()}
    session.execute(_CLAIM, values)
    session.add(batch)
    session.add_all(items)
    session.flush()


# --------------------------------------------------------------------------------------------------------------- cancel

_RELEASE = sa.text(
    """
    UPDATE "IbCommission" SET "paymentStatus" = 'PENDING', "updatedAt" = :now
    WHERE id = ANY(:ids) AND "paymentStatus" = 'PROCESSING'
    """
)
# Where more money has left than came back, whatever is wrong with it.
_TOUCHED = sa.text(
    f"""
    SELECT i.reference FROM ibctl.payout_item i JOIN ({NET}) n USING (id)
    WHERE i.status = 'PROCESSING' AND (n.sent > 0 OR n.strange) ORDER BY 1
    """
)


def find(session: Session, batch_id: str, *, for_update: bool = False) -> PayoutBatch:
    """Return a batch by its name. Raises NotFoundError."""
    wanted = rules.parse_batch(batch_id)
    batch = session.get(PayoutBatch, wanted, with_for_update=for_update or None)
    if batch is None:
        raise NotFoundError(f"there is no batch '{wanted}': `ibctl commissions payouts list` shows all")
    return batch


def items(session: Session, batch: PayoutBatch, *, status: str | None = None) -> list[PayoutItem]:
    """Return a batch's payments in their order."""
    query = select(PayoutItem).where(PayoutItem.batch_id == batch.id).order_by(PayoutItem.reference)
    return list(session.exec(query if status is None else query.where(PayoutItem.status == status)))


@dataclass(frozen=True)
class Cancelled:
    """The payments that were cancelled; `became` counts their commissions by what these are now."""

    batch: PayoutBatch
    items: list[PayoutItem]
    became: Mapping[str, int]

    @property
    def effect(self) -> str:
        """Name what is not paid, and what its commissions are now: "2 IBs, 150.25 USD, PENDING again"."""
        return f"{effect(self.items, self.batch.base_currency)}, {rules.became(self.became)}"


def cancel(session: Session, batch_id: str, *, only: Sequence[str] = ()) -> Cancelled:
    """Give back the commissions of a batch, or those of some IBs, that are not paid: they are PENDING again.

    One that something else than ibctl made PENDING or HELD stays so. Raises RequestError when there is nothing left to
    cancel, money has left for one of them, or something else than ibctl made one PAID.
    """
    db.lock(session, LOCK)
    batch = find(session, batch_id, for_update=True)
    wanted = _ids(session, only)
    found = [item for item in items(session, batch, status="PROCESSING") if not wanted or item.user_id in wanted]
    if not found:
        raise RequestError(
            f"nothing of batch {batch.id} can be cancelled: none of these payments is PROCESSING, and what is PAID "
            "stays so: `ibctl commissions payouts export` pays what came back, to the payee as it is then"
        )
    _require_untouched(session, batch, found)
    became = _release(session, found)
    for item in found:
        item.status, item.claim = "CANCELLED", None
    session.flush()
    return Cancelled(batch, found, became)


_LOCKED = sa.text(
    """
    SELECT id, "paymentStatus" AS status, "totalPayout"::numeric AS amount FROM "IbCommission"
    WHERE id = ANY(:ids) ORDER BY id FOR UPDATE
    """
)


def locked(session: Session, items: Iterable[PayoutItem]) -> dict[str, Any]:
    """Return the commissions of payments by their ids, each with its status and amount, and keep others from them.

    One that the web application has deleted is not among them.
    """
    return {row.id: row for row in session.execute(_LOCKED, {"ids": [item.commission_id for item in items]})}


def _release(session: Session, found: Sequence[PayoutItem]) -> Mapping[str, int]:
    """Give commissions back; return how many are PENDING now, HELD, or GONE, as they were deleted."""
    rows = locked(session, found)
    paid = [
        item.reference for item in found if item.commission_id in rows and rows[item.commission_id].status == "PAID"
    ]
    if paid:
        raise RequestError(
            f"something else than ibctl made the commissions of {output.some(paid)} PAID, nothing was cancelled: set "
            "their paymentStatus back to PENDING in the web application, or cancel the others with --only"
        )
    session.execute(_RELEASE, {"ids": list(rows), "now": clock.now()})
    was = (rows[item.commission_id].status if item.commission_id in rows else "GONE" for item in found)
    return Counter("PENDING" if status == "PROCESSING" else status for status in was)


def _require_untouched(session: Session, batch: PayoutBatch, found: Sequence[PayoutItem]) -> None:
    touched = set(session.scalars(_TOUCHED, {"batch": batch.id})) & {item.reference for item in found}
    if touched:
        raise RequestError(
            f"money has left for {output.some(sorted(touched))} of batch {batch.id}, nothing was cancelled: let it "
            "come back or pay the rest, reconcile, and cancel the others with --only"
        )
