"""What ibctl knows of ad accounts besides the platform's own tables, in schema `ibctl`.

A day of spend is *final* when it lies in [`firstDay`, `finalThrough`] of its account's state: it was read from
Facebook, the last time when it was at least 28 days old, after which its figures no longer move. Every other day is
*provisional*.
"""

import datetime as dt
from decimal import Decimal
from typing import Any

from sqlalchemy import Column, Date, Index, Numeric, Text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlmodel import Field, SQLModel

from ibctl import clock, ids

SCHEMA = "ibctl"


def _time(name: str, *, nullable: bool = True) -> Any:
    return Column(name, TIMESTAMP(precision=3), nullable=nullable)


class AdAccountState(SQLModel, table=True):
    """How far an ad account has been read from Facebook, and what was wrong the last time."""

    __tablename__ = "ad_account_state"
    __table_args__ = ({"schema": SCHEMA},)

    # The "FacebookAdAccount" row's id.
    id: str = Field(sa_column=Column("id", Text, primary_key=True))
    # Every day from here on has been read; NULL: none yet.
    first_day: dt.date | None = Field(default=None, sa_column=Column("firstDay", Date))
    # Every day up to here is final; NULL: none yet.
    final_through: dt.date | None = Field(default=None, sa_column=Column("finalThrough", Date))
    # The last day that was read, in the account's zone.
    last_day: dt.date | None = Field(default=None, sa_column=Column("lastDay", Date))
    # Why it could not be read or looked at, since when; NULL: nothing is wrong.
    problem: str | None = Field(default=None, sa_column=Column("problem", Text))
    problem_at: dt.datetime | None = Field(default=None, sa_column=_time("problemAt"))
    # Facebook lets nobody read it before this moment.
    parked_until: dt.datetime | None = Field(default=None, sa_column=_time("parkedUntil"))
    # The zone in which Facebook cuts its days, when that was last asked.
    zone: str | None = Field(default=None, sa_column=Column("zone", Text))
    # From here on the token may be refused although it has not expired: the user has to consent again.
    data_access_expires_at: dt.datetime | None = Field(default=None, sa_column=_time("dataAccessExpiresAt"))


class AdActionTypes(SQLModel, table=True):
    """Which of Facebook's actions count as leads and as conversions of one account, where not the usual ones do."""

    __tablename__ = "ad_action_types"
    __table_args__ = ({"schema": SCHEMA},)

    # The "FacebookAdAccount" row's id.
    id: str = Field(sa_column=Column("id", Text, primary_key=True))
    # Exact action types; NULL: the usual ones.
    leads: list[str] | None = Field(default=None, sa_column=Column("leads", JSONB(none_as_null=True)))
    conversions: list[str] | None = Field(default=None, sa_column=Column("conversions", JSONB(none_as_null=True)))


class SpendRestatement(SQLModel, table=True):
    """A figure of a stored day that Facebook came to tell otherwise."""

    __tablename__ = "spend_restatement"
    __table_args__ = (Index("spend_restatement_account_idx", "adAccountId", "date"), {"schema": SCHEMA})

    id: str = Field(default_factory=ids.cuid, sa_column=Column("id", Text, primary_key=True))
    # The "FacebookAdAccount" row's id.
    ad_account_id: str = Field(sa_column=Column("adAccountId", Text, nullable=False))
    date: dt.date = Field(sa_column=Column("date", Date, nullable=False))
    # dailySpend, impressions, clicks, leads, conversions
    field: str = Field(sa_column=Column("field", Text, nullable=False))
    old: Decimal = Field(sa_column=Column("old", Numeric, nullable=False))
    new: Decimal = Field(sa_column=Column("new", Numeric, nullable=False))
    seen_at: dt.datetime = Field(default_factory=clock.now, sa_column=_time("seenAt", nullable=False))
