"""The web application's tables, exactly as Prisma makes them, in whichever schema its URL names.

Nothing here may differ from what Prisma creates: `ibctl db check` holds it against the live database. Python's defaults
are the database's, so that an object is whole before it is written.
"""

import datetime as dt
import enum
from typing import Any

from sqlmodel import Field, SQLModel

from ibctl import clock, ids
from ibctl.crypto import Sealed
from ibctl.models import platform_columns as columns

# ---------------------------------------------------------------------------------------------------------------- users


class Role(enum.StrEnum):
    """What a user may do: IB (introducing broker, affiliate) or ADMIN (platform administrator)."""

    IB = "IB"
    ADMIN = "ADMIN"


class User(SQLModel, table=True):
    """User accounts: IBs and administrators."""

    __tablename__ = "User"
    __table_args__ = (columns.unique("User", "email"),)

    id: str = Field(default_factory=ids.cuid, sa_column=columns.cuid())
    # What the user signs in with.
    email: str = Field(sa_column=columns.text("email"))
    # A bcrypt hash.
    password: str = Field(repr=False, sa_column=columns.text("password"))
    role: Role = Field(default=Role.IB, sa_column=columns.choice("role", Role, "IB"))
    is_active: bool = Field(default=True, sa_column=columns.flag("isActive", True))
    email_verified: bool = Field(default=False, sa_column=columns.flag("emailVerified", False))
    failed_login_count: int = Field(default=0, sa_column=columns.integer("failedLoginCount", 0))
    locked_until: dt.datetime | None = Field(default=None, sa_column=columns.time("lockedUntil", nullable=True))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.created())
    updated_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.updated())


# ---------------------------------------------------------------------------------------------------------------- leads


class Lead(SQLModel, table=True):
    """Trading leads and IB leads."""

    __tablename__ = "Lead"
    __table_args__ = (
        columns.unique("Lead", "trackingToken"),
        columns.index("Lead", "userId"),
        columns.index("Lead", "leadType"),
    )

    id: str = Field(default_factory=ids.cuid, sa_column=columns.cuid())
    # The IB who owns the lead; none: a lead of the platform's own.
    user_id: str | None = Field(default=None, sa_column=columns.reference("Lead", "userId", "User", nullable=True))
    # trader, ib
    lead_type: str = Field(default="trader", sa_column=columns.text("leadType", "trader"))
    email: str | None = Field(default=None, sa_column=columns.text("email", nullable=True))
    first_name: str | None = Field(default=None, sa_column=columns.text("firstName", nullable=True))
    phone: str | None = Field(default=None, sa_column=columns.text("phone", nullable=True))
    broker: str | None = Field(default=None, sa_column=columns.text("broker", nullable=True))
    source: str = Field(default="unknown", sa_column=columns.text("source", "unknown"))
    # captured, contacted, qualified, rejected
    status: str = Field(default="captured", sa_column=columns.text("status", "captured"))
    tracking_token: str | None = Field(default=None, sa_column=columns.text("trackingToken", nullable=True))
    lead_captured_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.now("leadCapturedAt"))
    # The first deposit.
    deposited_at: dt.datetime | None = Field(default=None, sa_column=columns.time("depositedAt", nullable=True))
    trading_start_at: dt.datetime | None = Field(default=None, sa_column=columns.time("tradingStartAt", nullable=True))
    # When it qualified for commission; decides the month.
    qualified_at: dt.datetime | None = Field(default=None, sa_column=columns.time("qualifiedAt", nullable=True))
    # First time deposit and cost per acquisition, in the base currency; the total is the sum of the two.
    ftd_earned: float = Field(default=0.0, sa_column=columns.double("ftdEarned", 0))
    cpa_earned: float = Field(default=0.0, sa_column=columns.double("cpaEarned", 0))
    total_earned: float = Field(default=0.0, sa_column=columns.double("totalEarned", 0))
    systeme_contact_id: str | None = Field(default=None, sa_column=columns.text("systemeContactId", nullable=True))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.created())
    updated_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.updated())


class LeadActivity(SQLModel, table=True):
    """What happened to a lead."""

    __tablename__ = "LeadActivity"
    __table_args__ = (columns.index("LeadActivity", "leadId"),)

    id: str = Field(default_factory=ids.cuid, sa_column=columns.cuid())
    lead_id: str = Field(sa_column=columns.reference("LeadActivity", "leadId", "Lead"))
    activity_type: str = Field(sa_column=columns.text("activityType"))
    description: str | None = Field(default=None, sa_column=columns.text("description", nullable=True))
    # The column is called metadata; SQLModel keeps that name for itself.
    details: Any = Field(default=None, sa_column=columns.json("metadata", nullable=True))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.created())
    updated_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.updated())


# ------------------------------------------------------------------------------------------------------------------ ads


class FacebookAdAccount(SQLModel, table=True):
    """A user's Facebook integration: how far it is set up, its tokens, its ad account."""

    __tablename__ = "FacebookAdAccount"
    __table_args__ = (columns.unique("FacebookAdAccount", "adAccountId"), columns.index("FacebookAdAccount", "userId"))

    id: str = Field(default_factory=ids.cuid, sa_column=columns.cuid())
    user_id: str = Field(sa_column=columns.reference("FacebookAdAccount", "userId", "User"))
    # 0 none, 1 page, 2 business, 3 full
    setup_tier: int = Field(default=0, sa_column=columns.integer("setupTier", 0))
    page_id: str | None = Field(default=None, sa_column=columns.text("pageId", nullable=True))
    page_name: str | None = Field(default=None, sa_column=columns.text("pageName", nullable=True))
    page_access_token: Sealed | None = Field(default=None, sa_column=columns.sealed("pageAccessToken", nullable=True))
    business_id: str | None = Field(default=None, sa_column=columns.text("businessId", nullable=True))
    business_name: str | None = Field(default=None, sa_column=columns.text("businessName", nullable=True))
    # Facebook's own id, `act_…`.
    ad_account_id: str | None = Field(default=None, sa_column=columns.text("adAccountId", nullable=True))
    ad_account_name: str | None = Field(default=None, sa_column=columns.text("adAccountName", nullable=True))
    # The user's access token.
    access_token: Sealed | None = Field(default=None, sa_column=columns.sealed("accessToken", nullable=True))
    token_expires_at: dt.datetime | None = Field(default=None, sa_column=columns.time("tokenExpiresAt", nullable=True))
    can_boost_posts: bool = Field(default=False, sa_column=columns.flag("canBoostPosts", False))
    can_create_campaigns: bool = Field(default=False, sa_column=columns.flag("canCreateCampaigns", False))
    is_connected: bool = Field(default=False, sa_column=columns.flag("isConnected", False))
    last_sync_at: dt.datetime | None = Field(default=None, sa_column=columns.time("lastSyncAt", nullable=True))
    # ISO 4217; of every sum that the account spends.
    currency: str = Field(default="USD", sa_column=columns.text("currency", "USD"))
    # An IANA name; the account's days are cut in it.
    timezone: str = Field(default="UTC", sa_column=columns.text("timezone", "UTC"))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.created())
    updated_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.updated())


class AdTemplate(SQLModel, table=True):
    """Pre-built campaign templates, made by administrators."""

    __tablename__ = "AdTemplate"

    id: str = Field(default_factory=ids.cuid, sa_column=columns.cuid())
    name: str = Field(sa_column=columns.text("name"))
    description: str | None = Field(default=None, sa_column=columns.text("description", nullable=True))
    # lead_generation, conversion, awareness
    category: str = Field(sa_column=columns.text("category"))
    # {"targeting": {…}, "adCopy", "headline", "callToAction", "objective", "dailyBudget", "lifetimeBudget"}
    template_data: Any = Field(sa_column=columns.json("templateData"))
    thumbnail_url: str | None = Field(default=None, sa_column=columns.text("thumbnailUrl", nullable=True))
    # Published.
    is_active: bool = Field(default=True, sa_column=columns.flag("isActive", True))
    # Visible to all IBs.
    is_public: bool = Field(default=True, sa_column=columns.flag("isPublic", True))
    # An administrator's user id; no foreign key.
    created_by: str | None = Field(default=None, sa_column=columns.text("createdBy", nullable=True))
    usage_count: int = Field(default=0, sa_column=columns.integer("usageCount", 0))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.created())
    updated_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.updated())


class AdCampaign(SQLModel, table=True):
    """Ad campaigns that users created; money in the ad account's currency."""

    __tablename__ = "AdCampaign"
    __table_args__ = (
        columns.unique("AdCampaign", "fbCampaignId"),
        columns.index("AdCampaign", "userId"),
        columns.index("AdCampaign", "adAccountId"),
        columns.index("AdCampaign", "status"),
        columns.index("AdCampaign", "campaignType"),
    )

    id: str = Field(default_factory=ids.cuid, sa_column=columns.cuid())
    user_id: str = Field(sa_column=columns.reference("AdCampaign", "userId", "User"))
    # FacebookAdAccount.id, not Facebook's `act_…`.
    ad_account_id: str = Field(sa_column=columns.reference("AdCampaign", "adAccountId", "FacebookAdAccount"))
    template_id: str | None = Field(
        default=None, sa_column=columns.reference("AdCampaign", "templateId", "AdTemplate", nullable=True)
    )
    fb_campaign_id: str | None = Field(default=None, sa_column=columns.text("fbCampaignId", nullable=True))
    fb_ad_set_id: str | None = Field(default=None, sa_column=columns.text("fbAdSetId", nullable=True))
    fb_ad_id: str | None = Field(default=None, sa_column=columns.text("fbAdId", nullable=True))
    # A boosted post, and the promotion of it.
    fb_post_id: str | None = Field(default=None, sa_column=columns.text("fbPostId", nullable=True))
    fb_promotion_id: str | None = Field(default=None, sa_column=columns.text("fbPromotionId", nullable=True))
    name: str = Field(sa_column=columns.text("name"))
    # LEAD_GENERATION, CONVERSIONS, …
    objective: str = Field(sa_column=columns.text("objective"))
    # DRAFT, ACTIVE, PAUSED, COMPLETED, ERROR
    status: str = Field(default="DRAFT", sa_column=columns.text("status", "DRAFT"))
    # BOOST (from tier 1), CAMPAIGN (tier 3)
    campaign_type: str = Field(sa_column=columns.text("campaignType"))
    daily_budget: float | None = Field(default=None, sa_column=columns.double("dailyBudget", nullable=True))
    lifetime_budget: float | None = Field(default=None, sa_column=columns.double("lifetimeBudget", nullable=True))
    total_spent: float = Field(default=0.0, sa_column=columns.double("totalSpent", 0))
    remaining_budget: float | None = Field(default=None, sa_column=columns.double("remainingBudget", nullable=True))
    targeting_data: Any = Field(sa_column=columns.json("targetingData"))
    ad_copy: str | None = Field(default=None, sa_column=columns.text("adCopy", nullable=True))
    image_url: str | None = Field(default=None, sa_column=columns.text("imageUrl", nullable=True))
    video_url: str | None = Field(default=None, sa_column=columns.text("videoUrl", nullable=True))
    # LEARN_MORE, SIGN_UP, …
    call_to_action: str | None = Field(default=None, sa_column=columns.text("callToAction", nullable=True))
    impressions: int = Field(default=0, sa_column=columns.integer("impressions", 0))
    clicks: int = Field(default=0, sa_column=columns.integer("clicks", 0))
    leads: int = Field(default=0, sa_column=columns.integer("leads", 0))
    conversions: int = Field(default=0, sa_column=columns.integer("conversions", 0))
    # Click-through rate, cost per click, cost per lead, return on ad spend.
    ctr: float = Field(default=0.0, sa_column=columns.double("ctr", 0))
    cpc: float = Field(default=0.0, sa_column=columns.double("cpc", 0))
    cpl: float = Field(default=0.0, sa_column=columns.double("cpl", 0))
    roas: float = Field(default=0.0, sa_column=columns.double("roas", 0))
    start_date: dt.datetime | None = Field(default=None, sa_column=columns.time("startDate", nullable=True))
    end_date: dt.datetime | None = Field(default=None, sa_column=columns.time("endDate", nullable=True))
    last_sync_at: dt.datetime | None = Field(default=None, sa_column=columns.time("lastSyncAt", nullable=True))
    error_message: str | None = Field(default=None, sa_column=columns.text("errorMessage", nullable=True))
    error_count: int = Field(default=0, sa_column=columns.integer("errorCount", 0))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.created())
    updated_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.updated())


class AdSpendHistory(SQLModel, table=True):
    """What an ad account spent on a day, and what came of it; one row for each account and day."""

    __tablename__ = "AdSpendHistory"
    __table_args__ = (
        columns.unique("AdSpendHistory", "adAccountId", "date"),
        columns.index("AdSpendHistory", "userId", "date"),
    )

    id: str = Field(default_factory=ids.cuid, sa_column=columns.cuid())
    user_id: str = Field(sa_column=columns.reference("AdSpendHistory", "userId", "User"))
    # FacebookAdAccount.id, not Facebook's `act_…`.
    ad_account_id: str = Field(sa_column=columns.reference("AdSpendHistory", "adAccountId", "FacebookAdAccount"))
    # A day of the ad account's own zone.
    date: dt.date = Field(sa_column=columns.date("date"))
    # In the ad account's currency.
    daily_spend: float = Field(default=0.0, sa_column=columns.double("dailySpend", 0))
    impressions: int = Field(default=0, sa_column=columns.integer("impressions", 0))
    clicks: int = Field(default=0, sa_column=columns.integer("clicks", 0))
    leads: int = Field(default=0, sa_column=columns.integer("leads", 0))
    conversions: int = Field(default=0, sa_column=columns.integer("conversions", 0))
    # Click-through rate, cost per click, cost per lead.
    ctr: float = Field(default=0.0, sa_column=columns.double("ctr", 0))
    cpc: float = Field(default=0.0, sa_column=columns.double("cpc", 0))
    cpl: float = Field(default=0.0, sa_column=columns.double("cpl", 0))
    # Running totals of the account.
    cumulative_spend: float = Field(default=0.0, sa_column=columns.double("cumulativeSpend", 0))
    cumulative_leads: int = Field(default=0, sa_column=columns.integer("cumulativeLeads", 0))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.created())
    updated_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.updated())


# ---------------------------------------------------------------------------------------------------------- commissions


class IbCommission(SQLModel, table=True):
    """What an IB earned in a month; money in the base currency."""

    __tablename__ = "IbCommission"
    __table_args__ = (
        columns.unique("IbCommission", "userId", "month", "year"),
        columns.index("IbCommission", "userId"),
        columns.index("IbCommission", "paymentStatus"),
    )

    id: str = Field(default_factory=ids.cuid, sa_column=columns.cuid())
    user_id: str = Field(sa_column=columns.reference("IbCommission", "userId", "User"))
    # 1 to 12
    month: int = Field(sa_column=columns.integer("month"))
    year: int = Field(sa_column=columns.integer("year"))
    total_ad_spend: float = Field(default=0.0, sa_column=columns.double("totalAdSpend", 0))
    # Captured in the month, qualified in the month.
    total_leads: int = Field(default=0, sa_column=columns.integer("totalLeads", 0))
    qualified_leads: int = Field(default=0, sa_column=columns.integer("qualifiedLeads", 0))
    # What the platform earned from the IB's leads.
    total_cpa_earned: float = Field(default=0.0, sa_column=columns.double("totalCpaEarned", 0))
    # 0.30 is 30 %.
    commission_rate: float = Field(default=0.0, sa_column=columns.double("commissionRate", 0))
    commission_amount: float = Field(default=0.0, sa_column=columns.double("commissionAmount", 0))
    # The spend bonus.
    bonus_amount: float = Field(default=0.0, sa_column=columns.double("bonusAmount", 0))
    total_payout: float = Field(default=0.0, sa_column=columns.double("totalPayout", 0))
    # PENDING, PROCESSING, PAID, HELD
    payment_status: str = Field(default="PENDING", sa_column=columns.text("paymentStatus", "PENDING"))
    paid_at: dt.datetime | None = Field(default=None, sa_column=columns.time("paidAt", nullable=True))
    # bank_transfer, paypal, …
    payment_method: str | None = Field(default=None, sa_column=columns.text("paymentMethod", nullable=True))
    payment_reference: str | None = Field(default=None, sa_column=columns.text("paymentReference", nullable=True))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.created())
    updated_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.updated())


# ------------------------------------------------------------------------------------------------------------------ MT5


class InvestorCredential(SQLModel, table=True):
    """A lead's MT5 investor account: how to read it, and what was read last. Nothing about it is unique."""

    __tablename__ = "InvestorCredential"

    id: str = Field(default_factory=ids.cuid, sa_column=columns.cuid())
    lead_id: str | None = Field(
        default=None, sa_column=columns.reference("InvestorCredential", "leadId", "Lead", nullable=True)
    )
    # The MT5 account's number.
    login: str = Field(sa_column=columns.text("login"))
    password: Sealed = Field(sa_column=columns.sealed("password"))
    server: str = Field(sa_column=columns.text("server"))
    broker: str = Field(default="Prime XBT", sa_column=columns.text("broker", "Prime XBT"))
    is_verified: bool = Field(default=False, sa_column=columns.flag("isVerified", False))
    # In the trading account's currency.
    balance: float | None = Field(default=None, sa_column=columns.double("balance", nullable=True))
    equity: float | None = Field(default=None, sa_column=columns.double("equity", nullable=True))
    # Lots.
    total_volume: float | None = Field(default=None, sa_column=columns.double("totalVolume", nullable=True))
    meets_min_volume: bool = Field(default=False, sa_column=columns.flag("meetsMinVolume", False))
    # pending, success, failed
    scraping_status: str = Field(default="pending", sa_column=columns.text("scrapingStatus", "pending"))
    failed_attempts: int = Field(default=0, sa_column=columns.integer("failedAttempts", 0))
    last_scraped_at: dt.datetime | None = Field(default=None, sa_column=columns.time("lastScrapedAt", nullable=True))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.created())
    updated_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.updated())


class Position(SQLModel, table=True):
    """An open position of a trading account."""

    __tablename__ = "Position"
    __table_args__ = (columns.unique("Position", "credentialId", "ticket"), columns.index("Position", "credentialId"))

    id: str = Field(default_factory=ids.cuid, sa_column=columns.cuid())
    credential_id: str = Field(sa_column=columns.reference("Position", "credentialId", "InvestorCredential"))
    ticket: str = Field(sa_column=columns.text("ticket"))
    symbol: str = Field(sa_column=columns.text("symbol"))
    # buy, sell
    type: str = Field(sa_column=columns.text("type"))
    # Lots.
    volume: float = Field(sa_column=columns.double("volume"))
    open_price: float = Field(sa_column=columns.double("openPrice"))
    current_price: float | None = Field(default=None, sa_column=columns.double("currentPrice", nullable=True))
    stop_loss: float | None = Field(default=None, sa_column=columns.double("stopLoss", nullable=True))
    take_profit: float | None = Field(default=None, sa_column=columns.double("takeProfit", nullable=True))
    swap: float = Field(default=0.0, sa_column=columns.double("swap", 0))
    profit: float = Field(default=0.0, sa_column=columns.double("profit", 0))
    open_time: dt.datetime = Field(sa_column=columns.time("openTime"))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.created())
    updated_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.updated())


class Trade(SQLModel, table=True):
    """A trade in the history of a trading account."""

    __tablename__ = "Trade"
    __table_args__ = (columns.unique("Trade", "credentialId", "ticket"), columns.index("Trade", "credentialId"))

    id: str = Field(default_factory=ids.cuid, sa_column=columns.cuid())
    credential_id: str = Field(sa_column=columns.reference("Trade", "credentialId", "InvestorCredential"))
    ticket: str = Field(sa_column=columns.text("ticket"))
    symbol: str = Field(sa_column=columns.text("symbol"))
    # buy, sell
    type: str = Field(sa_column=columns.text("type"))
    # Lots.
    volume: float = Field(sa_column=columns.double("volume"))
    open_price: float = Field(sa_column=columns.double("openPrice"))
    close_price: float | None = Field(default=None, sa_column=columns.double("closePrice", nullable=True))
    # The broker's charge for the trade, in the trading account's currency, as are swap and profit.
    commission: float = Field(default=0.0, sa_column=columns.double("commission", 0))
    swap: float = Field(default=0.0, sa_column=columns.double("swap", 0))
    profit: float = Field(default=0.0, sa_column=columns.double("profit", 0))
    open_time: dt.datetime = Field(sa_column=columns.time("openTime"))
    close_time: dt.datetime | None = Field(default=None, sa_column=columns.time("closeTime", nullable=True))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.created())
    updated_at: dt.datetime = Field(default_factory=clock.now, sa_column=columns.updated())


# ---------------------------------------------------------------------------------------------- scraping and automation


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
