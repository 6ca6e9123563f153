"""ibctl's own tables, in schema `ibctl`: the record of writes, programmes and transfers.

No foreign keys into the platform's schema (Prisma's `migrate reset` would drop them silently): its ids are kept as
text.
"""

import datetime as dt
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlmodel import Field, SQLModel

from ibctl import clock, ids

SCHEMA = "ibctl"
# The head of migrations/ibctl that this code was written for.
LEDGER_REVISION = "ibctl_0002"
# Own tables whose writes are recorded like the platform's, so that `undo` puts them back too. Each has a text `id`.
CAPTURED = (
    "exchange_rate", "commission_plan", "plan_assignment", "ib_group_member", "adjustment", "commission_hold",
    "closed_month", "commission_state", "lead_programme", "lead_transfer", "lead_mapping",
    "payee", "payout_batch", "payout_item", "payout_order", "payout_order_line", "payout_payment",
    "ad_account_state", "ad_action_types", "spend_restatement",
    "campaign_build", "lead_form", "form_lead",
)  # fmt: skip


def _created() -> Any:
    return Column("createdAt", TIMESTAMP(precision=3), nullable=False, default=clock.now)


class ChangeSet(SQLModel, table=True):
    """One command that wrote something: who, when, where, how and why. Its id is what `ibctl undo` takes."""

    __tablename__ = "change_set"
    __table_args__ = (Index("change_set_undoes_idx", "undoes"), {"schema": SCHEMA})

    id: int | None = Field(default=None, sa_column=Column("id", BigInteger, Identity(), primary_key=True))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=_created())
    actor: str = Field(sa_column=Column("actor", Text, nullable=False))
    host: str = Field(sa_column=Column("host", Text, nullable=False))
    command: str = Field(sa_column=Column("command", Text, nullable=False))
    reason: str | None = Field(default=None, sa_column=Column("reason", Text))
    # {"Lead": {"insert": 10, "update": 2}}
    counts: dict[str, dict[str, int]] = Field(sa_column=Column("counts", JSONB, nullable=False))
    # The columns that the images have, in their order: {"Lead": [["id", "text"], …]}
    columns: dict[str, list[tuple[str, str]]] = Field(sa_column=Column("columns", JSONB, nullable=False))
    # How many statements wrote: the last one's number.
    steps: int = Field(sa_column=Column("steps", BigInteger, nullable=False))
    # The change set that this one took back.
    undoes: int | None = Field(default=None, sa_column=Column("undoes", BigInteger))


# One row written by a change set, as it was before (NULL: inserted) and after (NULL: deleted): the row's own text, as
# PostgreSQL's cast of a row makes it. That is exact, half the size of jsonb, and nearly free, where jsonb would cost an
# import a quarter of its time. Only the triggers write here, and only the set-based statements of audit and undo read
# it, so it is a plain table. `step` numbers the statements of a transaction; a statement writes a row at most once, so
# (changeSetId, step, tableName, rowId) names a change. No index has that shape: it would cost an import more than any
# reader gains.
change = Table(
    "change",
    SQLModel.metadata,
    Column("changeSetId", BigInteger, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("tableName", Text, nullable=False),
    Column("rowId", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    Index("change_set_idx", "changeSetId"),
    Index("change_row_idx", "rowId"),
    schema=SCHEMA,
)
# The view of it for whoever reads single values: `operation` is insert, update or delete, the images are jsonb.
change_image = Table(
    "change_image",
    MetaData(),
    *(Column(name, Text) for name in ("changeSetId", "step", "tableName", "rowId", "operation")),
    Column("before", JSONB),
    Column("after", JSONB),
    Column("columns", JSONB),
    schema=SCHEMA,
)


class LeadProgramme(SQLModel, table=True):
    """What a lead of a broker must have done to qualify, from a day on; the next one of the broker ends it."""

    __tablename__ = "lead_programme"
    __table_args__ = (
        UniqueConstraint("broker", "effectiveFrom", name="lead_programme_broker_from_key"),
        {"schema": SCHEMA},
    )

    id: str = Field(default_factory=ids.cuid, sa_column=Column("id", Text, primary_key=True))
    broker: str = Field(sa_column=Column("broker", Text, nullable=False))
    # The first day, in the platform's zone, on which a captured lead falls under these terms.
    effective_from: dt.date = Field(sa_column=Column("effectiveFrom", Date, nullable=False))
    # In the base currency; the sum of what the lead's accounts hold or have traded with. 0: no deposit is asked for.
    min_deposit: Decimal = Field(sa_column=Column("minDeposit", Numeric, nullable=False))
    # Closed lots. 0: none are asked for.
    min_lots: Decimal = Field(sa_column=Column("minLots", Numeric, nullable=False))
    # Counted from the capture; NULL: no limit.
    days_allowed: int | None = Field(default=None, sa_column=Column("daysAllowed", Integer))
    # What the broker pays for a qualified lead, in the base currency.
    cpa: Decimal = Field(sa_column=Column("cpa", Numeric, nullable=False))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=_created())


class LeadTransfer(SQLModel, table=True):
    """A lead that went from one IB to another: what happened before `effectiveAt` counts for the former owner."""

    __tablename__ = "lead_transfer"
    __table_args__ = (Index("lead_transfer_lead_idx", "leadId"), {"schema": SCHEMA})

    id: str = Field(default_factory=ids.cuid, sa_column=Column("id", Text, primary_key=True))
    lead_id: str = Field(sa_column=Column("leadId", Text, nullable=False))
    # NULL: the platform's own lead.
    from_user_id: str | None = Field(default=None, sa_column=Column("fromUserId", Text))
    to_user_id: str = Field(sa_column=Column("toUserId", Text, nullable=False))
    effective_at: dt.datetime = Field(sa_column=Column("effectiveAt", TIMESTAMP(precision=3), nullable=False))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=_created())
