"""Lead forms at Facebook, in schema `ibctl`: how far each has been read, and which of its leads have been taken."""

import datetime as dt

from sqlalchemy import Column, Index, Text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlmodel import Field, SQLModel

from ibctl import clock
from ibctl.models.ledger import SCHEMA


class LeadForm(SQLModel, table=True):
    """A form, and how far it has been read."""

    __tablename__ = "lead_form"
    __table_args__ = ({"schema": SCHEMA},)

    # Facebook's id of the form.
    id: str = Field(sa_column=Column("id", Text, primary_key=True))
    page_id: str = Field(sa_column=Column("pageId", Text, nullable=False))
    name: str = Field(sa_column=Column("name", Text, nullable=False))
    # When the newest lead was filled in that has been taken, in UTC.
    read_until: dt.datetime = Field(sa_column=Column("readUntil", TIMESTAMP(precision=3), nullable=False))


class FormLead(SQLModel, table=True):
    """A lead of a form that has been taken. What was answered is in the lead's activity, and not here."""

    __tablename__ = "form_lead"
    __table_args__ = (Index("form_lead_lead_idx", "leadId"), {"schema": SCHEMA})

    # Facebook's id of the lead.
    id: str = Field(sa_column=Column("id", Text, primary_key=True))
    form_id: str = Field(sa_column=Column("formId", Text, nullable=False))
    # NULL: it was refused.
    lead_id: str | None = Field(default=None, sa_column=Column("leadId", Text))
    # Facebook's id of the campaign that brought it; NULL: it came by itself, or Facebook does not say.
    campaign_id: str | None = Field(default=None, sa_column=Column("campaignId", Text))
    created_at: dt.datetime = Field(
        default_factory=clock.now, sa_column=Column("createdAt", TIMESTAMP(precision=3), nullable=False)
    )
