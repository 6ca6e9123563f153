"""Hands a batch over to a bank or provider: its payments in plain text, and the note that they have gone out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from ibctl import clock, config, crypto, days, money, output
from ibctl.commissions import payee_rules, payout_files, payouts
from ibctl.commissions.evidence_sql import NET
from ibctl.commissions.payout_files import Order, Payment, PayoutFile
from ibctl.errors import ConfigError, RequestError
from ibctl.imports import RowError
from ibctl.models.payouts import PayoutBatch, PayoutItem
from ibctl.models.platform import User


@dataclass(frozen=True)
class Exported:
    """The files of a batch, the manifest last; and the payments that are `withheld` until their evidence is clear."""

    files: list[PayoutFile]
    withheld: list[str]


# What is not out, of payments that are not cancelled: of paid ones, too, what came back. `unclear`: it may be paid, in
# another currency, or by a file whose signs were misread.
_LEFT = sa.text(
    f"""
    SELECT i.id, i.reference, n.sent, n.strange OR n.doubtful AS unclear, coalesce(p.moved, 0) AS moved, p.last
    FROM ibctl.payout_item i JOIN ({NET}) n USING (id)
    LEFT JOIN (
      SELECT "itemId", count(*) AS moved, max("bookedOn") AS last FROM ibctl.payout_payment
      WHERE "batchId" = :batch GROUP BY 1
    ) p ON p."itemId" = i.id
    WHERE i.status <> 'CANCELLED' AND n.sent < i.amount ORDER BY 2
    """
)


def export(session: Session, batch_id: str, layout: str, *, execution_date: date | None = None) -> Exported:
    """Return the files of what is left to pay of a batch, and note that they were exported.

    The first export sets the day that the bank is asked to pay on (today, unless told), and so does the first one after
    something came back. Raises RequestError when nothing is left to pay, a signature is missing or the layout does not
    fit, ConfigError without the payer's account.
    """
    batch = payouts.find(session, batch_id, for_update=True)
    left = session.execute(_LEFT, {"batch": batch.id}).all()
    clear = [row for row in left if not row.unclear]
    sent = {row.id: row.sent for row in clear}
    withheld = [row.reference for row in left if row.unclear]
    found = [item for item in payouts.items(session, batch) if item.id in sent]
    if not found:
        raise RequestError(f"batch {batch.id} has nothing left to pay{_until_clear(withheld)}")
    _require_signature(batch)
    if batch.exported_at is None:
        batch.exported_at = clock.now()
    day = batch.execution_date = execution_date or _day_of(batch, clear) or days.today(config.settings().timezone.key)
    session.flush()
    order = replace(_order(batch, layout, day), message=_message(batch, clear))
    return Exported(payout_files.make(layout, order, _payments(session, batch, found, sent)), withheld)


def _day_of(batch: PayoutBatch, clear: Sequence[Any]) -> date | None:
    """Return the day that was asked for, unless one of the payments has come and gone since."""
    over = any(row.last and batch.execution_date and row.last >= batch.execution_date for row in clear)
    return None if over else batch.execution_date


def _message(batch: PayoutBatch, clear: Sequence[Any]) -> str:
    """Name the file for the bank: by the batch, and when something is paid anew by that, too: a name is taken once."""
    again = [f"{row.reference} {row.sent.normalize():f} {row.moved}" for row in clear if row.moved]
    return f"{batch.id}-{hashlib.sha256(chr(10).join(again).encode()).hexdigest()[:8]}" if again else batch.id


def _until_clear(withheld: Sequence[str]) -> str:
    return f" until it is clear what has left for {output.some(withheld)}: see `payouts show`" if withheld else ""


def _require_signature(batch: PayoutBatch) -> None:
    if config.settings().require_approval and batch.approved_by is None:
        raise RequestError(
            f"batch {batch.id} lacks its second signature, and IBCTL_REQUIRE_APPROVAL asks for it: somebody else than "
            f"{batch.created_by} has to run `ibctl commissions payouts approve {batch.id}`"
        )


def _order(batch: PayoutBatch, layout: str, execution_date: date) -> Order:
    name, iban = _payer() if layout == "pain.001" else ("", "")
    month = f"{batch.year}-{batch.month:02d}"
    return Order(batch.id, month, batch.base_currency, batch.created_at, execution_date, name, iban)


def _payer() -> tuple[str, str]:
    settings = config.settings()
    if not settings.payer_name or not settings.payer_iban:
        raise ConfigError("pain.001 names the account that pays: set IBCTL_PAYER_NAME and IBCTL_PAYER_IBAN")
    try:
        return payee_rules.name(settings.payer_name), payee_rules.account("bank_transfer", settings.payer_iban)
    except RowError as exc:
        raise ConfigError(f"IBCTL_PAYER_NAME or IBCTL_PAYER_IBAN: {exc.message}") from None


def _payments(
    session: Session, batch: PayoutBatch, found: Sequence[PayoutItem], sent: Mapping[str, Decimal]
) -> list[Payment]:
    users = sa.select(col(User.id), col(User.email)).where(col(User.id).in_([item.user_id for item in found]))
    emails = {row.id: row.email for row in session.execute(users)}
    return [_payment(batch, item, emails.get(item.user_id, item.user_id), sent[item.id]) for item in found]


def _payment(batch: PayoutBatch, item: PayoutItem, email: str, sent: Decimal) -> Payment:
    """Return the payment of what is not `sent`, in the base currency what a statement says is owed for it."""
    base_sent = money.to_cents(item.base_amount * sent / item.amount)
    return Payment(
        reference=item.reference, email=email, name=crypto.reveal(item, "name") or "",
        account=crypto.reveal(item, "account") or "", method=batch.method, amount=item.amount - sent,
        currency=item.currency, base_amount=item.base_amount - base_sent, rate=item.rate, rate_date=item.rate_date,
    )  # fmt: skip
