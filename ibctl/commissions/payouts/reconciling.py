"""Holds what banks report against a batch. A commission becomes PAID here and nowhere else, and only on evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from ibctl import clock, currencies, db, money
from ibctl.commissions.payouts import bank_files
from ibctl.commissions.payouts import evidence_repeats as repeats
from ibctl.commissions.payouts import evidence_rules as rules
from ibctl.commissions.payouts import evidence_signs as signs
from ibctl.commissions.payouts import service as payouts
from ibctl.commissions.payouts.bank_files import Movement, Sign
from ibctl.commissions.payouts.evidence_rules import Due, Judged, Payments, Taken
from ibctl.errors import RequestError, UsageError
from ibctl.models.payouts import PayoutBatch, PayoutItem, PayoutPayment
from ibctl.months import Month
from ibctl.tabular.source import open_source


@dataclass(frozen=True)
class Reconciliation:
    """How a file and a batch compare: a row for each movement that concerns the batch; how many are `new`, and `paid`.

    `passed_over` movements are none of the batch's; `open` payments of it are not paid yet. `kept` are sentences, one
    for each payment that is proven but not marked as paid, since its row says something else.
    """

    batch: PayoutBatch
    rows: list[dict[str, Any]]
    new: int
    paid: int
    passed_over: int
    open: int
    kept: list[str]

    @property
    def findings(self) -> int:
        """How many movements have something wrong with them that has not been settled."""
        return sum(row["open"] for row in self.rows)


# One that something else than ibctl made PAID stays as it is.
_MARK_PAID = sa.text(
    """
    UPDATE "IbCommission" c SET "paymentStatus" = 'PAID', "paidAt" = p.paid_at, "paymentMethod" = :method,
      "paymentReference" = p.reference, "updatedAt" = :now
    FROM unnest(CAST(:ids AS text[]), CAST(:times AS timestamp[]), CAST(:references AS text[]))
      AS p (id, paid_at, reference)
    WHERE c.id = p.id AND c."paymentStatus" <> 'PAID'
    """
)


@dataclass(frozen=True)
class Evidence:
    """What a file reports, what it is called (`stdin` where it was piped in), and the SHA-256 of its bytes.

    `sign_told`: somebody said which sign means that money left.
    """

    movements: Sequence[Movement]
    file: str
    sha256: str
    sign_told: bool = False


def read(path: Path, *, paid_is: Sign | None) -> Evidence:
    """Read a file; `-` is standard input. Raises RequestError as `bank_files.movements` does."""
    with open_source(path) as source:
        found = bank_files.movements(source, paid_is=paid_is or "positive")
        return Evidence(found, source.path.name, source.sha256(), paid_is is not None)


def reconcile(session: db.Transaction, batch_id: str, evidence: Evidence) -> Reconciliation:
    """Take a file's movements as evidence for a batch; what was taken before is not taken again.

    Raises RequestError when a movement was taken before with the other sign; UsageError when but a sign says that money
    came back, and nobody told which means what.
    """
    db.lock(session, payouts.LOCK)
    batch = payouts.find(session, batch_id, for_update=True)
    items = {item.id: item for item in payouts.items(session, batch)}
    known = {one.id: one for one in _evidence(session, batch)}
    dues = _dues(items.values(), known.values())
    identified = list(rules.identified(batch.id, evidence.movements))
    new = [(number, movement) for number, movement in identified if number not in known]
    payments = Payments(dues, _elsewhere(session, evidence.movements, dues), _since(batch))
    _require_clear_signs([movement for _, movement in new], payments, evidence)
    repeated = repeats.repeated(new, payments, rules.told(evidence.movements, payments))
    judged = list(rules.judge(new, payments, repeated))
    session.add_all(_payment(session, batch, one, evidence) for one in judged)
    proven = [items[due.id] for due in dues.values() if due.status == "PROCESSING" and due.proven]
    kept = _kept(session, batch, proven)
    paid = [item for item in proven if item.id not in kept]
    _mark_paid(session, batch, paid, dues)
    by_id = {due.id: due for due in dues.values()}
    old = [_known(known[number], movement, by_id) for number, movement in identified if number in known]
    return Reconciliation(
        batch, [_row(one) for one in _in_file_order(identified, [*old, *judged])], len(judged), len(paid),
        len(new) - len(judged), sum(item.status == "PROCESSING" for item in items.values()), list(kept.values()),
    )  # fmt: skip


def _evidence(session: Session, batch: PayoutBatch) -> Iterable[PayoutPayment]:
    return session.exec(select(PayoutPayment).where(PayoutPayment.batch_id == batch.id)).all()


def _dues(items: Iterable[PayoutItem], evidence: Iterable[PayoutPayment]) -> dict[str, Due]:
    """Return a batch's payments by reference, with what has been sent for each."""
    by_id = {item.id: Due(item.id, item.reference, item.amount, item.currency, item.status) for item in items}
    for one in evidence:
        due = by_id.get(one.item_id or "")
        if due is not None:
            due.take(one.currency, _taken(one))
    return {due.reference: due for due in by_id.values()}


def _taken(kept: PayoutPayment) -> Taken:
    return Taken(
        kept.booked_on, kept.amount if kept.direction == "debit" else -kept.amount,
        kept.direction == "credit" and kept.finding == "turned",
        kept.bank_reference, kept.file_name, kept.sha256, kept.change_set_id,
    )  # fmt: skip


def _require_clear_signs(new: Sequence[Movement], payments: Payments, evidence: Evidence) -> None:
    """Refuse a file whose signs may mean either, or of which a movement was taken before as the opposite."""
    file = rules.told(evidence.movements, payments)
    for reference, movements in rules.told(new, payments).items():
        due = payments.dues[reference]
        open_one = None if evidence.sign_told else signs.undecided(movements, due, file)
        if open_one is not None:
            raise UsageError(signs.question(open_one, due, evidence.file))
        for movement in movements:
            before = signs.contradicted(movement, due, file, evidence.sha256)
            if before is not None:
                raise RequestError(signs.contradiction(movement, due, before))


def _elsewhere(session: Session, movements: Iterable[Movement], dues: Mapping[str, Due]) -> frozenset[str]:
    """Return those of the references in a file that name payments of other batches."""
    named = {reference for movement in movements for reference in rules.references(movement)} - dues.keys()
    return frozenset(session.exec(select(PayoutItem.reference).where(col(PayoutItem.reference).in_(named))))


def _since(batch: PayoutBatch) -> date:
    """Return the first day on which money can have left: the month's last, as zones and banks differ by a day."""
    return Month(batch.year, batch.month).next.first_day - timedelta(days=1)


def _payment(session: db.Transaction, batch: PayoutBatch, one: Judged, evidence: Evidence) -> PayoutPayment:
    moved = one.movement
    return PayoutPayment(
        id=one.id, batch_id=batch.id, item_id=one.due.id if one.due else None, direction=moved.direction,
        booked_on=moved.booked_on, amount=moved.amount, currency=moved.currency, bank_reference=moved.bank_reference,
        finding=one.finding, file_name=evidence.file, sha256=evidence.sha256, change_set_id=session.change_set_id,
    )  # fmt: skip


def _mark_paid(session: Session, batch: PayoutBatch, items: Sequence[PayoutItem], dues: Mapping[str, Due]) -> None:
    times = [datetime.combine(dues[item.reference].paid_on, time()) for item in items]
    values = {
        "ids": [item.commission_id for item in items], "times": times, "now": clock.now(), "method": batch.method,
        "references": [item.reference for item in items],
    }  # fmt: skip
    session.execute(_MARK_PAID, values)
    for item in items:
        item.status = "PAID"
    session.flush()


def _kept(session: Session, batch: PayoutBatch, proven: Sequence[PayoutItem]) -> dict[str, str]:
    """Say by their ids which payments are not marked as paid: something else moved their row, and its sum, too.

    A row whose status alone was moved is set right: it is in the batch, and the bank has paid it.
    """
    rows = payouts.locked(session, proven)
    found = ((item, rows.get(item.commission_id)) for item in proven)
    return {
        item.id: _moved_away(item, row.status, row.amount, batch.base_currency)
        for item, row in found
        if row is not None and row.status != "PROCESSING" and row.amount != item.base_amount
    }


def _moved_away(item: PayoutItem, status: str, amount: Decimal, base: str) -> str:
    due = money.show(item.base_amount, base)
    return (
        f"{item.reference} is paid, but something else than ibctl made its commission {status} with "
        f"{money.show(amount, base)} instead of {due}: in the web application set it back to PROCESSING and {due}, and "
        "reconcile the file again"
    )


# -------------------------------------------------------------------------------------------------------------- showing


def _known(payment: PayoutPayment, movement: Movement, dues: Mapping[str, Due]) -> Judged:
    return Judged(payment.id, movement, dues.get(payment.item_id or ""), payment.finding)


def _in_file_order(identified: Iterable[tuple[str, Movement]], judged: Iterable[Judged]) -> Iterable[Judged]:
    by_id = {one.id: one for one in judged}
    return [by_id[number] for number, _ in identified if number in by_id]


def _row(one: Judged) -> dict[str, Any]:
    moved, due = one.movement, one.due
    return {
        "where": moved.where, "reference": due.reference if due else None, "direction": moved.direction,
        "bookedOn": moved.booked_on, "moved": currencies.show(moved.amount, moved.currency),
        "amount": moved.amount, "currency": moved.currency,
        "due": due.amount if due else None, "bankReference": moved.bank_reference, "finding": one.finding,
        "open": one.is_open, "explanation": rules.explain(one),
    }  # fmt: skip
