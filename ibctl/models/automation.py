"""The web application's tables of scraping, workflows and Systeme.io, exactly as Prisma makes them; see `platform`."""

import datetime as dt
from typing import Any

from sqlmodel import Field, SQLModel

from ibctl import clock, ids
from ibctl.crypto import Sealed
from ibctl.models import platform_columns as columns


class ScrapingJob(SQLModel, table=True):
    """Automated web scraping tasks."""

    __tablename__ = "ScrapingJob"

    id: str = Field(default_factory=ids.cuid, sa_column=columns.cuid())
    name: str = Field(sa_column=columns.text("name"))
    target_url: str = Field(sa_column=columns.text("targetUrl"))
    # one-time, recurring
    job_type: str = Field(default="one-time", sa_column=columns.text("jobType", "one-time"))
    # A cron expression.
    schedule: str | None = Field(default=None, sa_column=columns.text("schedule", nullable=True))
    # pending, running, completed, failed
    status: str = Field(default="pending", sa_column=columns.text("status", "pending"))
    # JSON, kept as text.
    extraction_rules: str | None = Field(default=None, sa_column=columns.text("extractionRules", nullable=True))
    trigger_workflow_id: str | None = Field(
        default=None, sa_column=columns.reference("ScrapingJob", "triggerWorkflowId", "Workflow", nullable=True)
    )
    auth_profile_id: str | None = Field(
        default=None, sa_column=columns.reference("ScrapingJob", "authProfileId", "AuthProfile", nullable=True)
    )
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.created())
    updated_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.updated())


class ScrapedData(SQLModel, table=True):
    """A record that a scraping job found."""

    __tablename__ = "ScrapedData"
    __table_args__ = (columns.index("ScrapedData", "jobId"),)

    id: str = Field(default_factory=ids.cuid, sa_column=columns.cuid())
    job_id: str = Field(sa_column=columns.reference("ScrapedData", "jobId", "ScrapingJob"))
    # The page it stood on.
    url: str | None = Field(default=None, sa_column=columns.text("url", nullable=True))
    data: Any = Field(sa_column=columns.json("data"))
    scraped_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.now("scrapedAt"))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.created())
    updated_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.updated())


class JobExecution(SQLModel, table=True):
    """One run of a scraping job."""

    __tablename__ = "JobExecution"
    __table_args__ = (columns.index("JobExecution", "jobId"),)

    id: str = Field(default_factory=ids.cuid, sa_column=columns.cuid())
    job_id: str = Field(sa_column=columns.reference("JobExecution", "jobId", "ScrapingJob"))
    # pending, running, completed, failed
    status: str = Field(default="pending", sa_column=columns.text("status", "pending"))
    started_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.now("startedAt"))
    completed_at: dt.datetime | None = Field(default=None, sa_column=columns.time("completedAt", nullable=True))
    records_found: int = Field(default=0, sa_column=columns.integer("recordsFound", 0))
    error_message: str | None = Field(default=None, sa_column=columns.text("errorMessage", nullable=True))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.created())
    updated_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.updated())


class Workflow(SQLModel, table=True):
    """What a scraping job sets off."""

    __tablename__ = "Workflow"

    id: str = Field(default_factory=ids.cuid, sa_column=columns.cuid())
    name: str = Field(sa_column=columns.text("name"))
    description: str | None = Field(default=None, sa_column=columns.text("description", nullable=True))
    is_active: bool = Field(default=True, sa_column=columns.flag("isActive", True))
    definition: Any = Field(default=None, sa_column=columns.json("definition", nullable=True))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.created())
    updated_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.updated())


class AuthProfile(SQLModel, table=True):
    """How a scraping job signs in."""

    __tablename__ = "AuthProfile"

    id: str = Field(default_factory=ids.cuid, sa_column=columns.cuid())
    name: str = Field(sa_column=columns.text("name"))
    # basic, cookie, bearer, …
    auth_type: str = Field(sa_column=columns.text("authType"))
    username: str | None = Field(default=None, sa_column=columns.text("username", nullable=True))
    # Plain text: the web application encrypts no field of this table.
    password: str | None = Field(default=None, repr=False, sa_column=columns.text("password", nullable=True))
    config: Any = Field(default=None, repr=False, sa_column=columns.json("config", nullable=True))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.created())
    updated_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.updated())


class SystemeConfig(SQLModel, table=True):
    """The platform's access to Systeme.io."""

    __tablename__ = "SystemeConfig"

    id: str = Field(default_factory=ids.cuid, sa_column=columns.cuid())
    api_key: Sealed | None = Field(default=None, sa_column=columns.sealed("apiKey", nullable=True))
    email: str | None = Field(default=None, sa_column=columns.text("email", nullable=True))
    password: Sealed | None = Field(default=None, sa_column=columns.sealed("password", nullable=True))
    is_active: bool = Field(default=True, sa_column=columns.flag("isActive", True))
    last_sync_at: dt.datetime | None = Field(default=None, sa_column=columns.time("lastSyncAt", nullable=True))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.created())
    updated_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.updated())
