"""What commissions rest on, in schema `ibctl`: rates, plans, adjustments, holds, closed months, and the snapshots.

The money of an IB's month, all in the base currency and to the cent. These are the keys of a snapshot's `figures`, the
first eight being the columns of "IbCommission":

    commissionAmount + bonusAmount + adjustments + carriedIn + rounding = balance
    balance = totalPayout + carriedOut - writtenOff

The balance is rounded once, from the exact sum: `rounding` is then -0.01, 0 or 0.01.
`adjustments` and `carriedIn` are sums of `Adjustment` rows booked into the month. A balance below the plan's minimum
pays 0 and is carried on in full (`carriedOut`); of any other, what is below the base currency's smallest unit is (of
300.45 yen 0.45). A negative one is carried on, or with `negative = "reset"` written off. What is carried on becomes an
`Adjustment` of kind "carry" in a later month when the month is closed, not before.

A row is *payable* when its paymentStatus is PENDING (so it is not HELD), its totalPayout is above 0 (which is at least
the plan's minimum then), its snapshot's `payableFrom` has come (the first day after the month, and the plan's hold
days; a row without a snapshot waits for nothing), and its snapshot counts every `Adjustment` that is booked into its
month (or the row has to be calculated again first).
"""

import datetime as dt
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Column, Date, Index, Integer, Numeric, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP
from sqlmodel import Field, SQLModel

from ibctl import clock, ids

SCHEMA = "ibctl"
# Of a snapshot: whether closing its month carries a balance on.
CARRIED = text("CAST(figures->>'carriedOut' AS numeric) <> 0")


def _created() -> Any:
    return Column("createdAt", TIMESTAMP(precision=3), nullable=False, default=clock.now)


def _id() -> Any:
    return Column("id", Text, primary_key=True)


def _array(name: str, kind: Any) -> Any:
    return Column(name, ARRAY(kind), nullable=False)


def _text(name: str, *, nullable: bool = False) -> Any:
    return Column(name, Text, nullable=nullable)


def _integer(name: str, *, nullable: bool = False) -> Any:
    return Column(name, Integer, nullable=nullable)


class ExchangeRate(SQLModel, table=True):
    """What one unit of a currency was worth in the base currency on a day."""

    __tablename__ = "exchange_rate"
    __table_args__ = (
        UniqueConstraint("date", "currency", "baseCurrency", name="exchange_rate_date_currency_key"),
        {"schema": SCHEMA},
    )

    id: str = Field(default_factory=ids.cuid, sa_column=Column("id", Text, primary_key=True))
    date: dt.date = Field(sa_column=Column("date", Date, nullable=False))
    currency: str = Field(sa_column=Column("currency", Text, nullable=False))
    base_currency: str = Field(sa_column=Column("baseCurrency", Text, nullable=False))
    rate: Decimal = Field(sa_column=Column("rate", Numeric, nullable=False))
    # Who says so: "ECB", "bank statement".
    source: str = Field(sa_column=Column("source", Text, nullable=False))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=_created())


# ---------------------------------------------------------------------------------------------------------------- plans


class CommissionPlan(SQLModel, table=True):
    """One version of a plan: the terms that it sets from a month on, until its next version does.

    A version that a closed month, or a PROCESSING or PAID row, was calculated by is never changed, only succeeded.
    """

    __tablename__ = "commission_plan"
    __table_args__ = (UniqueConstraint("name", "version", name="commission_plan_name_version_key"), {"schema": SCHEMA})

    id: str = Field(default_factory=ids.cuid, sa_column=_id())
    name: str = Field(sa_column=_text("name"))
    version: int = Field(sa_column=_integer("version"))
    # The first day of the first month that it holds for. A later version is never in force earlier.
    effective_from: dt.date = Field(sa_column=Column("effectiveFrom", Date, nullable=False))
    # What `rules.Terms` reads; amounts and rates as text, so that they stay exact.
    terms: dict[str, Any] = Field(sa_column=Column("terms", JSONB, nullable=False))
    # The file that it came from, as it was.
    source: str = Field(sa_column=_text("source"))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=_created())


class PlanAssignment(SQLModel, table=True):
    """Who is paid by which plan from a month on: all IBs, a group, or one. The narrower scope wins, then the later."""

    __tablename__ = "plan_assignment"
    __table_args__ = (
        UniqueConstraint("scope", "target", "effectiveFrom", name="plan_assignment_target_from_key"),
        {"schema": SCHEMA},
    )

    id: str = Field(default_factory=ids.cuid, sa_column=_id())
    # all, group, ib
    scope: str = Field(sa_column=_text("scope"))
    # "" for all, the group's name, the IB's user id.
    target: str = Field(sa_column=_text("target"))
    plan: str = Field(sa_column=_text("plan"))
    effective_from: dt.date = Field(sa_column=Column("effectiveFrom", Date, nullable=False))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=_created())


class GroupMember(SQLModel, table=True):
    """The group that an IB is in from a month on; it is in one at a time."""

    __tablename__ = "ib_group_member"
    __table_args__ = (
        UniqueConstraint("userId", "effectiveFrom", name="ib_group_member_user_from_key"),
        {"schema": SCHEMA},
    )

    id: str = Field(default_factory=ids.cuid, sa_column=_id())
    user_id: str = Field(sa_column=_text("userId"))
    # NULL: in none any more.
    group_name: str | None = Field(default=None, sa_column=_text("groupName", nullable=True))
    effective_from: dt.date = Field(sa_column=Column("effectiveFrom", Date, nullable=False))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=_created())


# --------------------------------------------------------------------------------------------------------------- months


class Adjustment(SQLModel, table=True):
    """A sum that is booked into an IB's month beside what the month earned. Corrected only by another one, or `undo`.

    Kinds: `manual`; `clawback` (a lead that earned in the source month counts no more; 0 where that month was still
    open, and simply does without the lead); `true-up` (what the source month, closed or being paid, earns by the data
    of today over what it was closed with); `carry` (the balance that closing the source month did not pay).
    """

    __tablename__ = "adjustment"
    __table_args__ = (
        Index("adjustment_month_idx", "year", "month", "userId"),
        Index("adjustment_lead_idx", "leadId"),
        {"schema": SCHEMA},
    )

    id: str = Field(default_factory=ids.cuid, sa_column=_id())
    user_id: str = Field(sa_column=_text("userId"))
    # The month that it is booked into.
    year: int = Field(sa_column=_integer("year"))
    month: int = Field(sa_column=_integer("month"))
    # manual, clawback, true-up, carry
    kind: str = Field(sa_column=_text("kind"))
    # To the cent; below zero it takes away.
    amount: Decimal = Field(sa_column=Column("amount", Numeric, nullable=False))
    # The base currency when it was booked.
    currency: str = Field(sa_column=_text("currency"))
    reason: str = Field(sa_column=_text("reason"))
    # Of a clawback: fraud, refund, …
    code: str | None = Field(default=None, sa_column=_text("code", nullable=True))
    lead_id: str | None = Field(default=None, sa_column=_text("leadId", nullable=True))
    # The month that it is about, where that is another one.
    source_year: int | None = Field(default=None, sa_column=_integer("sourceYear", nullable=True))
    source_month: int | None = Field(default=None, sa_column=_integer("sourceMonth", nullable=True))
    # The terms it was made at: {"plan", "version", "rate", …}.
    terms: dict[str, Any] | None = Field(default=None, sa_column=Column("terms", JSONB))
    # Of a true-up: what the source month was made of when it was booked; NULL: of nothing any more.
    snapshot_id: str | None = Field(default=None, sa_column=_text("snapshotId", nullable=True))
    actor: str = Field(sa_column=_text("actor"))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=_created())


class CommissionHold(SQLModel, table=True):
    """Why an IB's month is not paid out for now. At most one of a month is in force; nothing but `release` ends it."""

    __tablename__ = "commission_hold"
    __table_args__ = (Index("commission_hold_month_idx", "year", "month", "userId"), {"schema": SCHEMA})

    id: str = Field(default_factory=ids.cuid, sa_column=_id())
    user_id: str = Field(sa_column=_text("userId"))
    year: int = Field(sa_column=_integer("year"))
    month: int = Field(sa_column=_integer("month"))
    reason: str = Field(sa_column=_text("reason"))
    # A day to look at it again; it does not end by itself.
    until: dt.date | None = Field(default=None, sa_column=Column("until", Date))
    actor: str = Field(sa_column=_text("actor"))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=_created())
    released_at: dt.datetime | None = Field(default=None, sa_column=Column("releasedAt", TIMESTAMP(precision=3)))
    released_by: str | None = Field(default=None, sa_column=_text("releasedBy", nullable=True))
    release_reason: str | None = Field(default=None, sa_column=_text("releaseReason", nullable=True))


class ClosedMonth(SQLModel, table=True):
    """A month whose figures are final: no run calculates it again, nothing is booked into it."""

    __tablename__ = "closed_month"
    __table_args__ = ({"schema": SCHEMA},)

    # Like 2025-10.
    id: str = Field(sa_column=_id())
    year: int = Field(sa_column=_integer("year"))
    month: int = Field(sa_column=_integer("month"))
    closed_at: dt.datetime = Field(
        default_factory=clock.now, sa_column=Column("closedAt", TIMESTAMP(precision=3), nullable=False)
    )
    closed_by: str = Field(sa_column=_text("closedBy"))
    reason: str | None = Field(default=None, sa_column=_text("reason", nullable=True))
    # The ids of those who were no IBs then: what fell into the month earns them nothing, whatever they become.
    administrators: list[str] = Field(sa_column=_array("administrators", Text))
    # {"ibs", "totalPayout", "carriedOut", …} as they were shown and confirmed.
    totals: dict[str, Any] = Field(sa_column=Column("totals", JSONB, nullable=False))
    # SHA-256 in hex over the digests of the month's snapshots, in the order of user ids.
    digest: str = Field(sa_column=_text("digest"))
    change_set_id: int = Field(sa_column=Column("changeSetId", BigInteger, nullable=False))


# ------------------------------------------------------------------------------------------------------------ snapshots


class CommissionSnapshot(SQLModel, table=True):
    """What a commission was calculated from: the plan, every lead and spend day that counted. Never changed."""

    __tablename__ = "commission_snapshot"
    __table_args__ = (
        Index("commission_snapshot_commission_idx", "commissionId"),
        # A run looks at its own month, and at the balances that wait to be carried on, however long the history is. Of
        # a row that would be the same it reads nothing but the digest.
        Index("commission_snapshot_month_idx", "year", "month", postgresql_include=["id", "digest"]),
        Index("commission_snapshot_carried_idx", "year", "month", postgresql_where=CARRIED),
        # Ids and amounts hardly shrink: to try takes a fifth of the time of writing them.
        {"schema": SCHEMA, "postgresql_with": {"toast_tuple_target": 8160}},
    )

    id: str = Field(default_factory=ids.cuid, sa_column=Column("id", Text, primary_key=True))
    # The "IbCommission" row's id; of what a true-up kept, the adjustment's.
    commission_id: str = Field(sa_column=Column("commissionId", Text, nullable=False))
    user_id: str = Field(sa_column=Column("userId", Text, nullable=False))
    year: int = Field(sa_column=Column("year", Integer, nullable=False))
    month: int = Field(sa_column=Column("month", Integer, nullable=False))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=_created())
    change_set_id: int = Field(sa_column=Column("changeSetId", BigInteger, nullable=False))
    # The terms in full and their `text`, so that a later change of plan changes nothing here.
    plan: dict[str, Any] = Field(sa_column=Column("plan", JSONB, nullable=False))
    # {"zone", "from", "to", "baseCurrency", "role", "accounts": [{"id", "account", "currency", "days"}],
    # "adjustments": [{"id", "kind", "amount", "leadId"}]}; why stands in `Adjustment`, for it may name persons.
    inputs: dict[str, Any] = Field(sa_column=Column("inputs", JSONB, nullable=False))
    # Of each lead that was captured or qualified in the month: its id, when (where that was in the month), its CPA
    # (where it qualified in it). Arrays, because an object for each lead and day takes three times as long to write.
    lead_ids: list[str] = Field(sa_column=_array("leadIds", Text))
    lead_captured: list[dt.datetime | None] = Field(sa_column=_array("leadCaptured", TIMESTAMP(precision=3)))
    lead_qualified: list[dt.datetime | None] = Field(sa_column=_array("leadQualified", TIMESTAMP(precision=3)))
    lead_cpas: list[Decimal | None] = Field(sa_column=_array("leadCpas", Numeric))
    # Of each spend day, account after account (of each as many as `accounts` says): its id, the day, the amount; where
    # any amount is not in the base currency, what one unit was worth, and the id of the exchange rate that says so.
    day_ids: list[str] = Field(sa_column=_array("dayIds", Text))
    day_dates: list[dt.date] = Field(sa_column=_array("dayDates", Date))
    day_amounts: list[Decimal] = Field(sa_column=_array("dayAmounts", Numeric))
    day_rates: list[Decimal] = Field(sa_column=_array("dayRates", Numeric))
    day_rate_ids: list[str | None] = Field(sa_column=_array("dayRateIds", Text))
    # {"totalPayout": "303.71", …}: the columns of "IbCommission", and the others that the module's docstring names.
    figures: dict[str, Any] = Field(sa_column=Column("figures", JSONB, nullable=False))
    # The first day on which it can be paid out.
    payable_from: dt.date = Field(sa_column=Column("payableFrom", Date, nullable=False))
    # SHA-256 in hex over all of these: equal digests, equal calculation.
    digest: str = Field(sa_column=Column("digest", Text, nullable=False))


class CommissionState(SQLModel, table=True):
    """Which snapshot stands behind a commission now; kept apart so that `undo` can turn it back."""

    __tablename__ = "commission_state"
    __table_args__ = ({"schema": SCHEMA},)

    # The "IbCommission" row's id.
    id: str = Field(sa_column=Column("id", Text, primary_key=True))
    snapshot_id: str = Field(sa_column=Column("snapshotId", Text, nullable=False))
