"""Paying out: to whom, in which batches, and with what proof. In schema `ibctl`.

What an IB is paid on is personal: names and accounts are encrypted, in the record of changes too. A batch keeps its own
copy of them, and of its amounts, as they were when it was made: what was approved is what is paid.
"""

import datetime as dt
from decimal import Decimal

from sqlalchemy import BigInteger, Column, Date, Index, Integer, Numeric, Text
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlmodel import Field, SQLModel

from ibctl import clock, ids
from ibctl.crypto import Sealed, SealedText
from ibctl.models.ledger import SCHEMA


class Payee(SQLModel, table=True):
    """Where an IB wants its money."""

    __tablename__ = "payee"
    __table_args__ = ({"schema": SCHEMA},)

    # The IB's own id: it has one payee at most.
    id: str = Field(sa_column=Column("id", Text, primary_key=True))
    # bank_transfer, paypal, wise
    method: str = Field(sa_column=Column("method", Text, nullable=False))
    # What the IB is paid in.
    currency: str = Field(sa_column=Column("currency", Text, nullable=False))
    # The account's holder.
    name: Sealed = Field(sa_column=Column("name", SealedText, nullable=False))
    # An IBAN, or the email of a PayPal or Wise account.
    account: Sealed = Field(sa_column=Column("account", SealedText, nullable=False))
    created_at: dt.datetime = Field(
        default_factory=clock.now, sa_column=Column("createdAt", TIMESTAMP(precision=3), nullable=False)
    )
    # When method, name, account or currency last became another.
    changed_at: dt.datetime = Field(
        default_factory=clock.now, sa_column=Column("changedAt", TIMESTAMP(precision=3), nullable=False)
    )


class PayoutBatch(SQLModel, table=True):
    """Commissions of one month that are paid together, by one method."""

    __tablename__ = "payout_batch"
    __table_args__ = ({"schema": SCHEMA},)

    # The month and a running number: 2025-10-1. Never given to another batch.
    id: str = Field(sa_column=Column("id", Text, primary_key=True))
    year: int = Field(sa_column=Column("year", Integer, nullable=False))
    month: int = Field(sa_column=Column("month", Integer, nullable=False))
    method: str = Field(sa_column=Column("method", Text, nullable=False))
    base_currency: str = Field(sa_column=Column("baseCurrency", Text, nullable=False))
    created_at: dt.datetime = Field(
        default_factory=clock.now, sa_column=Column("createdAt", TIMESTAMP(precision=3), nullable=False)
    )
    created_by: str = Field(sa_column=Column("createdBy", Text, nullable=False))
    # The second signature.
    approved_at: dt.datetime | None = Field(default=None, sa_column=Column("approvedAt", TIMESTAMP(precision=3)))
    approved_by: str | None = Field(default=None, sa_column=Column("approvedBy", Text))
    # What it covers beside the batch's own payees: digests of payments that came back and their new accounts.
    approved_redirects: list[str] = Field(
        default_factory=list, sa_column=Column("approvedRedirects", ARRAY(Text), nullable=False)
    )
    # When the first file was written. Since then money may have left.
    exported_at: dt.datetime | None = Field(default=None, sa_column=Column("exportedAt", TIMESTAMP(precision=3)))


class PayoutItem(SQLModel, table=True):
    """One payment of a batch: a commission, what is paid for it, to whom, and under which reference."""

    __tablename__ = "payout_item"
    __table_args__ = (
        Index("payout_item_batch_idx", "batchId"),
        Index("payout_item_reference_key", "reference", unique=True),
        Index("payout_item_claim_key", "claim", unique=True),
        {"schema": SCHEMA},
    )

    id: str = Field(default_factory=ids.cuid, sa_column=Column("id", Text, primary_key=True))
    batch_id: str = Field(sa_column=Column("batchId", Text, nullable=False))
    commission_id: str = Field(sa_column=Column("commissionId", Text, nullable=False))
    # The commission's id again, until the payment is cancelled: none can be in two payments, whatever a program does.
    claim: str | None = Field(default=None, sa_column=Column("claim", Text))
    user_id: str = Field(sa_column=Column("userId", Text, nullable=False))
    # What the bank carries along: IB202510B1N00001.
    reference: str = Field(sa_column=Column("reference", Text, nullable=False))
    # PROCESSING, PAID, CANCELLED
    status: str = Field(default="PROCESSING", sa_column=Column("status", Text, nullable=False))
    # The commission's totalPayout, in the batch's base currency.
    base_amount: Decimal = Field(sa_column=Column("baseAmount", Numeric, nullable=False))
    # What is paid: baseAmount / rate, in the payee's currency and its smallest unit.
    amount: Decimal = Field(sa_column=Column("amount", Numeric, nullable=False))
    currency: str = Field(sa_column=Column("currency", Text, nullable=False))
    # What one unit of `currency` was worth in the base currency; 1 without a rate's id in the base currency itself.
    rate: Decimal = Field(sa_column=Column("rate", Numeric, nullable=False))
    rate_id: str | None = Field(default=None, sa_column=Column("rateId", Text))
    rate_date: dt.date | None = Field(default=None, sa_column=Column("rateDate", Date))
    rate_source: str | None = Field(default=None, sa_column=Column("rateSource", Text))
    name: Sealed = Field(sa_column=Column("name", SealedText, nullable=False))
    account: Sealed = Field(sa_column=Column("account", SealedText, nullable=False))


class PayoutOrder(SQLModel, table=True):
    """A file for the bank or provider: what it is asked to pay of a batch, and when."""

    __tablename__ = "payout_order"
    __table_args__ = (Index("payout_order_number_key", "batchId", "number", unique=True), {"schema": SCHEMA})

    # What the bank knows it by; it takes no name twice. The batch's own, of later files with their number: 2025-10-1-2.
    id: str = Field(sa_column=Column("id", Text, primary_key=True))
    batch_id: str = Field(sa_column=Column("batchId", Text, nullable=False))
    # 1, 2, … within its batch.
    number: int = Field(sa_column=Column("number", Integer, nullable=False))
    # Whose layout it was written in, of those that a bank or provider reads; NULL: in `generic` alone.
    layout: str | None = Field(default=None, sa_column=Column("layout", Text))
    # The day that the bank is asked to pay on.
    execution_date: dt.date = Field(sa_column=Column("executionDate", Date, nullable=False))
    created_at: dt.datetime = Field(
        default_factory=clock.now, sa_column=Column("createdAt", TIMESTAMP(precision=3), nullable=False)
    )
    # Since then it must not be handed in any more: another file has what was in it.
    withdrawn_at: dt.datetime | None = Field(default=None, sa_column=Column("withdrawnAt", TIMESTAMP(precision=3)))


class PayoutOrderLine(SQLModel, table=True):
    """One payment in a file: what was asked for, so that the file can be written again to the byte."""

    __tablename__ = "payout_order_line"
    __table_args__ = (Index("payout_order_line_order_idx", "orderId"), {"schema": SCHEMA})

    id: str = Field(default_factory=ids.cuid, sa_column=Column("id", Text, primary_key=True))
    order_id: str = Field(sa_column=Column("orderId", Text, nullable=False))
    item_id: str = Field(sa_column=Column("itemId", Text, nullable=False))
    # What was not out of the payment's amount and baseAmount.
    amount: Decimal = Field(sa_column=Column("amount", Numeric, nullable=False))
    base_amount: Decimal = Field(sa_column=Column("baseAmount", Numeric, nullable=False))
    # How many movements of the payment were known. Without more it goes into no other file (`payouts/orders.py`).
    moved: int = Field(sa_column=Column("moved", Integer, nullable=False))
    # How many of them told what had become of the payment in a file, and the day of the last one: what earlier files
    # account for is no news of this one.
    ended: int = Field(sa_column=Column("ended", Integer, nullable=False))
    since: dt.date | None = Field(default=None, sa_column=Column("since", Date))
    # Of a payment that had come back, or a part of it, the payee's of that day, where that was another than the
    # batch's; else NULL.
    name: Sealed | None = Field(default=None, sa_column=Column("name", SealedText))
    account: Sealed | None = Field(default=None, sa_column=Column("account", SealedText))


class PayoutPayment(SQLModel, table=True):
    """One movement of money that a bank or provider reported for a batch: the evidence. Never changed."""

    __tablename__ = "payout_payment"
    __table_args__ = (Index("payout_payment_batch_idx", "batchId"), {"schema": SCHEMA})

    # Made of what the movement is, so that the same one is never taken twice, from whichever file.
    id: str = Field(sa_column=Column("id", Text, primary_key=True))
    batch_id: str = Field(sa_column=Column("batchId", Text, nullable=False))
    # NULL: it belongs to no payment of the batch.
    item_id: str | None = Field(default=None, sa_column=Column("itemId", Text))
    # debit: money left; credit: it came back.
    direction: str = Field(sa_column=Column("direction", Text, nullable=False))
    booked_on: dt.date = Field(sa_column=Column("bookedOn", Date, nullable=False))
    amount: Decimal = Field(sa_column=Column("amount", Numeric, nullable=False))
    currency: str = Field(sa_column=Column("currency", Text, nullable=False))
    # The bank's or provider's own name for it.
    bank_reference: str | None = Field(default=None, sa_column=Column("bankReference", Text))
    # What was wrong with it when it was taken, a code of `evidence_rules`. NULL: nothing.
    finding: str | None = Field(default=None, sa_column=Column("finding", Text))
    file_name: str = Field(sa_column=Column("fileName", Text, nullable=False))
    # Of the file's bytes, in hex.
    sha256: str = Field(sa_column=Column("sha256", Text, nullable=False))
    change_set_id: int = Field(sa_column=Column("changeSetId", BigInteger, nullable=False))
    created_at: dt.datetime = Field(
        default_factory=clock.now, sa_column=Column("createdAt", TIMESTAMP(precision=3), nullable=False)
    )
