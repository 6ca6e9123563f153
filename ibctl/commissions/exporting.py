"""Hands a batch over to a bank or provider: its payments in plain text, and the note that they have gone out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

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
    """The files of a batch, the manifest last.

    Not in them: payments that are `withheld` until their evidence is clear, and those that went out `earlier`, of which
    nothing is known since: the bank would take them for others under a new name.
    """

    files: list[PayoutFile]
    withheld: list[str]
    earlier: list[str]


# What is not out, of payments that are not cancelled: of paid ones, too, what came back. `unclear`: it may be paid, in
# another currency, or by a file whose signs were misread.
_LEFT = sa.text(
    f"""
    SELECT i.id, i.reference, n.sent, n.strange OR n.doubtful AS unclear, (
      SELECT count(*) FROM ibctl.payout_payment p WHERE p."batchId" = :batch AND p."itemId" = i.id) AS moved
    FROM ibctl.payout_item i JOIN ({NET}) n USING (id)
    WHERE i.status <> 'CANCELLED' AND n.sent < i.amount ORDER BY 2
    """
)


def export(session: Session, batch_id: str, layout: str, *, execution_date: date | None = None) -> Exported:
    """Return the files of what is left to pay of a batch, and note that they were exported.

    A file holds what has never gone out, or came back or was short since it did; where there is nothing of the kind,
    the last file is written again. So no payment is under way in two files. A new file sets the day that the bank is
    asked to pay on (today, unless told). Raises RequestError when nothing is left to pay, a signature is missing or the
    layout does not fit, ConfigError without the payer's account.
    """
    batch = payouts.find(session, batch_id, for_update=True)
    left = session.execute(_LEFT, {"batch": batch.id}).all()
    clear = {row.id: row for row in left if not row.unclear}
    withheld = [row.reference for row in left if row.unclear]
    items = [item for item in payouts.items(session, batch) if item.id in clear]
    if not items:
        raise RequestError(f"batch {batch.id} has nothing left to pay{_until_clear(withheld)}")
    _require_signature(batch)
    found = [item for item in items if item.exported_moved != clear[item.id].moved]
    day = execution_date or (None if found and batch.exported_at else batch.execution_date)
    found = found or _last_file(items)
    if found[0].exported_moved != clear[found[0].id].moved:
        _note_sent(batch, found, {one: row.moved for one, row in clear.items()})
    batch.execution_date = day or days.today(config.settings().timezone.key)
    session.flush()
    order = replace(_order(batch, layout, batch.execution_date), message=found[0].exported_as or batch.id)
    payments = _payments(session, batch, found, {one: row.sent for one, row in clear.items()})
    earlier = [item.reference for item in items if item not in found]
    return Exported(payout_files.make(layout, order, payments), withheld, earlier)


def _last_file(items: Sequence[PayoutItem]) -> list[PayoutItem]:
    """Return the payments that went out last together; all of these went out."""
    last = max((item.exported_at, item.exported_as) for item in items if item.exported_at)
    return [item for item in items if (item.exported_at, item.exported_as) == last]


def _note_sent(batch: PayoutBatch, found: Sequence[PayoutItem], moved: Mapping[str, int]) -> None:
    """Note in which file payments go out. The bank takes no name twice: a later one has what is paid anew in it."""
    told = "\n".join(f"{item.reference} {moved[item.id]}" for item in found)
    name = f"{batch.id}-{hashlib.sha256(told.encode()).hexdigest()[:8]}" if batch.exported_at else batch.id
    now = clock.now()
    batch.exported_at = batch.exported_at or now
    for item in found:
        item.exported_as, item.exported_at, item.exported_moved = name, now, moved[item.id]


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
