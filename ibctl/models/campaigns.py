"""Campaigns in the making, in schema `ibctl`: what was asked for, what Facebook is sent, how far it has come."""

import datetime as dt
from typing import Any

from sqlalchemy import Column, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlmodel import Field, SQLModel

from ibctl import clock
from ibctl.models.ledger import SCHEMA


class CampaignBuild(SQLModel, table=True):
    """A campaign that ibctl makes at Facebook. "AdCampaign" has the ids of campaign, ad set and ad."""

    __tablename__ = "campaign_build"
    __table_args__ = (UniqueConstraint("adAccountId", "tag", name="campaign_build_tag_key"), {"schema": SCHEMA})

    # The "AdCampaign" row's id.
    id: str = Field(sa_column=Column("id", Text, primary_key=True))
    # "FacebookAdAccount".id
    ad_account_id: str = Field(sa_column=Column("adAccountId", Text, nullable=False))
    # In the names of all that is made for it at Facebook, to be found by.
    tag: str = Field(sa_column=Column("tag", Text, nullable=False))
    # {"campaign": {…}, "adset": {…}, "creative": {…}, "ad": {…}}: what Facebook is sent, but for ids that it gives.
    calls: dict[str, Any] = Field(sa_column=Column("calls", JSONB, nullable=False))
    creative_id: str | None = Field(default=None, sa_column=Column("creativeId", Text))
    # When all four were there.
    finished_at: dt.datetime | None = Field(default=None, sa_column=Column("finishedAt", TIMESTAMP(precision=3)))
    # When they were first let run; until then resuming means all of them, later the campaign alone.
    activated_at: dt.datetime | None = Field(default=None, sa_column=Column("activatedAt", TIMESTAMP(precision=3)))
    created_at: dt.datetime = Field(
        default_factory=clock.now, sa_column=Column("createdAt", TIMESTAMP(precision=3), nullable=False)
    )
