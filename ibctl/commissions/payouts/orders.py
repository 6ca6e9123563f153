"""The files that the bank was given of a batch, and which payments are under way in which of them.

A payment goes into a new file when it was in none, or when it is known what became of it in all that it was in, and
more than when it went out last: it came back, or was short. So none is under way in two files, in whichever order files
of the bank are read; and each file can be written again as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import sqlalchemy as sa
from sqlmodel import Session, col, select

from ibctl import clock, money, output
from ibctl.commissions.payouts import service as payouts
from ibctl.commissions.payouts.evidence_sql import MOVEMENTS, NET
from ibctl.errors import NotFoundError, RequestError
from ibctl.models.payouts import Payee, PayoutBatch, PayoutItem, PayoutOrder, PayoutOrderLine


@dataclass(frozen=True)
class Left:
    """A payment, not cancelled, of which something is not out; of a paid one, what came back.

    `unclear`: it may be paid, in another currency, or by a file whose signs were misread. `returned`: the last that is
    known of it is that it came back, or a part of it. `number` is the last file that it went out in, as `line`;
    `under_way` says that it is not known what became of it there. `moved` counts the movements that are known of it,
    `ended` those that tell what became of it in a file, and `since` is the day of the last one.
    """

    item: PayoutItem
    email: str
    sent: Decimal
    unclear: bool
    moved: int
    ended: int
    since: date | None
    returned: bool
    number: int | None
    line: str | None
    under_way: bool

    @property
    def missing(self) -> Decimal:
        """What is not out."""
        return self.item.amount - self.sent


# In which file each payment of a batch went out last, as its line; in how many, and what the largest of them asked for.
# Files that were withdrawn are none.
LAST = """
SELECT DISTINCT ON (l."itemId") l."itemId", l.id AS line, l.moved, l.ended, l.since, o.number,
  CAST(o."createdAt" AS date) AS written, count(*) OVER own AS files, max(l.amount) OVER own AS asked
FROM ibctl.payout_order_line l JOIN ibctl.payout_order o ON o.id = l."orderId"
WHERE o."batchId" = :batch AND o."withdrawnAt" IS NULL
WINDOW own AS (PARTITION BY l."itemId") ORDER BY l."itemId", o.number DESC
"""
# What became of a payment in a file is known by money that left, or that came back, all of it, without having been seen
# leaving. Where a part comes back, the rest may be out. Either may be late news of an earlier file, or be told twice,
# under two names: it is of the last file (`fresh`) when it is booked after all that was known when that was written,
# or when more has left, by day and amount, than earlier files can account for (`ended`). And that has to be known of
# each file: evidence of an earlier one may have been taken back. What came back unseen is of the last one where that is
# the first and nothing was known before, else when it is booked after it was written.
_NEWS = f"""
SELECT m."itemId", count(*) AS moved, max(m."bookedOn") AS since,
  bool_or(m.direction = 'credit') AS back,
  (array_agg(m.direction ORDER BY m."bookedOn" DESC, m.direction, m.id DESC) FILTER (WHERE m.ours))[1] AS last,
  count(DISTINCT (m.currency, m."bookedOn", m.amount)) FILTER (WHERE m.direction = 'debit') AS debits,
  count(DISTINCT (m."bookedOn", m.amount)) FILTER (WHERE m.whole) AS whole,
  coalesce(bool_or(m."bookedOn" > coalesce(m.since, '-infinity') AND (m.direction = 'debit'
    OR m.whole AND (m.files = 1 AND m.since IS NULL OR m."bookedOn" > m.written))), false) AS fresh
FROM (
  SELECT m.*, l.since, l.files, l.written, m.currency = k.currency AS ours,
    m.unseen AND m.amount >= coalesce(l.asked, k.amount) AND m.currency = k.currency AS whole
  FROM ({MOVEMENTS}) m JOIN ibctl.payout_item k ON k.id = m."itemId"
  LEFT JOIN ({LAST}) l ON l."itemId" = m."itemId" WHERE m."batchId" = :batch
) m GROUP BY 1
"""
_LEFT = sa.text(
    f"""
    SELECT i.id, coalesce(u.email, i."userId") AS email, n.sent, n.strange OR n.doubtful AS unclear,
      coalesce(p.moved, 0) AS moved, coalesce(p.debits + p.whole, 0) AS ended, p.since,
      coalesce(n.sent = 0 AND p.back OR p.last = 'credit', false) AS returned, o.number, o.line,
      coalesce(coalesce(p.moved, 0) <= o.moved OR p.debits + p.whole < greatest(o.files, o.ended + 1)
        OR NOT (p.fresh OR p.debits > o.ended), false) AS under_way
    FROM ibctl.payout_item i JOIN ({NET}) n USING (id) LEFT JOIN "User" u ON u.id = i."userId"
    LEFT JOIN ({LAST}) o ON o."itemId" = i.id LEFT JOIN ({_NEWS}) p ON p."itemId" = i.id
    WHERE i.status <> 'CANCELLED' AND n.sent < i.amount ORDER BY i.reference
    """
)


def left(session: Session, batch: PayoutBatch) -> list[Left]:
    """Return what is left to pay of a batch, in the order of its payments."""
    items = {item.id: item for item in payouts.items(session, batch)}
    found = session.execute(_LEFT, {"batch": batch.id}).mappings()
    return [Left(items[row["id"]], **{key: row[key] for key in row if key != "id"}) for row in found]


def find(session: Session, batch: PayoutBatch, number: int) -> PayoutOrder:
    """Return a file of a batch. Raises NotFoundError, RequestError when it was withdrawn."""
    query = select(PayoutOrder).where(PayoutOrder.batch_id == batch.id)
    orders = {order.number: order for order in session.exec(query.order_by(col(PayoutOrder.number)))}
    if number not in orders:
        raise NotFoundError(f"batch {batch.id} has no file {number}: it has {len(orders) or 'none'}")
    if orders[number].withdrawn_at is not None:
        raise RequestError(f"file {number} of batch {batch.id} was withdrawn: another has what was in it")
    return orders[number]


def lines(session: Session, order: PayoutOrder) -> dict[str, PayoutOrderLine]:
    """Return what a file asked for, by the ids of the payments."""
    found = session.exec(select(PayoutOrderLine).where(PayoutOrderLine.order_id == order.id))
    return {line.item_id: line for line in found}


def redirected(session: Session, batch: PayoutBatch) -> dict[str, PayoutOrderLine]:
    """Return the lines of all files whose payments do not go to the batch's own payees, by their ids."""
    query = select(PayoutOrderLine).join(PayoutOrder, col(PayoutOrder.id) == col(PayoutOrderLine.order_id))
    ours = PayoutOrder.batch_id == batch.id, col(PayoutOrderLine.account).is_not(None)
    return {line.id: line for line in session.exec(query.where(*ours))}


def place(
    session: Session, batch: PayoutBatch, chosen: Sequence[Left], payees: Mapping[str, Payee], day: date
) -> PayoutOrder:
    """Note that payments go out in a new file; `payees` has by their ids who gets those that are redirected.

    What is short goes where the rest of it went, if that was to another payee than the batch's.
    """
    count = session.execute(
        sa.select(sa.func.count()).select_from(PayoutOrder).where(col(PayoutOrder.batch_id) == batch.id)
    ).scalar_one()
    number, now = count + 1, clock.now()
    name = batch.id if number == 1 else f"{batch.id}-{number}"
    order = PayoutOrder(id=name, batch_id=batch.id, number=number, execution_date=day, created_at=now)
    batch.exported_at = batch.exported_at or now
    session.add(order)
    before = redirected(session, batch)
    for one in chosen:
        rest = before.get(one.line or "") if not one.returned else None
        session.add(_line(order, one, payees.get(one.item.id) or rest))
    session.flush()
    return order


def _line(order: PayoutOrder, one: Left, to: Payee | PayoutOrderLine | None) -> PayoutOrderLine:
    """Ask for what is not out; in the base currency that is what a statement says is owed for it."""
    item = one.item
    base_sent = money.to_cents(item.base_amount * one.sent / item.amount)
    return PayoutOrderLine(
        order_id=order.id, item_id=item.id, amount=one.missing, base_amount=item.base_amount - base_sent,
        moved=one.moved, ended=one.ended, since=one.since,
        name=to.name if to else None, account=to.account if to else None,
    )  # fmt: skip


_HANDED_IN = sa.text(
    """
    SELECT i.reference FROM ibctl.payout_order_line l JOIN ibctl.payout_item i ON i.id = l."itemId"
    JOIN (SELECT "itemId", count(*) AS moved FROM ibctl.payout_payment WHERE "batchId" = :batch GROUP BY 1) p
      ON p."itemId" = l."itemId"
    WHERE l."orderId" = :order AND p.moved > l.moved ORDER BY 1
    """
)


def withdraw(session: Session, batch: PayoutBatch, number: int) -> None:
    """Note that a file was not handed in, and never will be: what is in it can go out in another.

    Raises as `find` does, and RequestError when more is known of a payment since, so that it was.
    """
    order = find(session, batch, number)
    known = list(session.scalars(_HANDED_IN, {"batch": batch.id, "order": order.id}))
    if known:
        raise RequestError(
            f"file {number} of batch {batch.id} was handed in, as money has moved since for {output.some(known)}: "
            "nothing is written in its place"
        )
    order.withdrawn_at = clock.now()
    session.flush()
