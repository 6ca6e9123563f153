"""The web application's tables, as Prisma creates them, for a database that has none of them yet.

The statements are Prisma's own, without the name of a schema: `env.py` puts the platform's schema first on the search
path. A database that the web application has made never meets this migration.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "platform_0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = ("platform",)
depends_on: str | Sequence[str] | None = None

SCHEMA = """
CREATE TYPE "Role" AS ENUM ('IB', 'ADMIN');

CREATE TABLE "User" (
    "id" TEXT NOT NULL,
    "email" TEXT NOT NULL,
    "password" TEXT NOT NULL,
    "role" "Role" NOT NULL DEFAULT 'IB',
    "isActive" BOOLEAN NOT NULL DEFAULT true,
    "emailVerified" BOOLEAN NOT NULL DEFAULT false,
    "failedLoginCount" INTEGER NOT NULL DEFAULT 0,
    "lockedUntil" TIMESTAMP(3),
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "User_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "Lead" (
    "id" TEXT NOT NULL,
    "userId" TEXT,
    "leadType" TEXT NOT NULL DEFAULT 'trader',
    "email" TEXT,
    "firstName" TEXT,
    "phone" TEXT,
    "broker" TEXT,
    "source" TEXT NOT NULL DEFAULT 'unknown',
    "status" TEXT NOT NULL DEFAULT 'captured',
    "trackingToken" TEXT,
    "leadCapturedAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "depositedAt" TIMESTAMP(3),
    "tradingStartAt" TIMESTAMP(3),
    "qualifiedAt" TIMESTAMP(3),
    "ftdEarned" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "cpaEarned" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "totalEarned" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "systemeContactId" TEXT,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "Lead_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "LeadActivity" (
    "id" TEXT NOT NULL,
    "leadId" TEXT NOT NULL,
    "activityType" TEXT NOT NULL,
    "description" TEXT,
    "metadata" JSONB,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "LeadActivity_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "FacebookAdAccount" (
    "id" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "setupTier" INTEGER NOT NULL DEFAULT 0,
    "pageId" TEXT,
    "pageName" TEXT,
    "pageAccessToken" TEXT,
    "businessId" TEXT,
    "businessName" TEXT,
    "adAccountId" TEXT,
    "adAccountName" TEXT,
    "accessToken" TEXT,
    "tokenExpiresAt" TIMESTAMP(3),
    "canBoostPosts" BOOLEAN NOT NULL DEFAULT false,
    "canCreateCampaigns" BOOLEAN NOT NULL DEFAULT false,
    "isConnected" BOOLEAN NOT NULL DEFAULT false,
    "lastSyncAt" TIMESTAMP(3),
    "currency" TEXT NOT NULL DEFAULT 'USD',
    "timezone" TEXT NOT NULL DEFAULT 'UTC',
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "FacebookAdAccount_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "AdTemplate" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "description" TEXT,
    "category" TEXT NOT NULL,
    "templateData" JSONB NOT NULL,
    "thumbnailUrl" TEXT,
    "isActive" BOOLEAN NOT NULL DEFAULT true,
    "isPublic" BOOLEAN NOT NULL DEFAULT true,
    "createdBy" TEXT,
    "usageCount" INTEGER NOT NULL DEFAULT 0,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "AdTemplate_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "AdCampaign" (
    "id" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "adAccountId" TEXT NOT NULL,
    "templateId" TEXT,
    "fbCampaignId" TEXT,
    "fbAdSetId" TEXT,
    "fbAdId" TEXT,
    "fbPostId" TEXT,
    "fbPromotionId" TEXT,
    "name" TEXT NOT NULL,
    "objective" TEXT NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'DRAFT',
    "campaignType" TEXT NOT NULL,
    "dailyBudget" DOUBLE PRECISION,
    "lifetimeBudget" DOUBLE PRECISION,
    "totalSpent" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "remainingBudget" DOUBLE PRECISION,
    "targetingData" JSONB NOT NULL,
    "adCopy" TEXT,
    "imageUrl" TEXT,
    "videoUrl" TEXT,
    "callToAction" TEXT,
    "impressions" INTEGER NOT NULL DEFAULT 0,
    "clicks" INTEGER NOT NULL DEFAULT 0,
    "leads" INTEGER NOT NULL DEFAULT 0,
    "conversions" INTEGER NOT NULL DEFAULT 0,
    "ctr" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "cpc" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "cpl" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "roas" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "startDate" TIMESTAMP(3),
    "endDate" TIMESTAMP(3),
    "lastSyncAt" TIMESTAMP(3),
    "errorMessage" TEXT,
    "errorCount" INTEGER NOT NULL DEFAULT 0,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "AdCampaign_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "AdSpendHistory" (
    "id" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "adAccountId" TEXT NOT NULL,
    "date" DATE NOT NULL,
    "dailySpend" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "impressions" INTEGER NOT NULL DEFAULT 0,
    "clicks" INTEGER NOT NULL DEFAULT 0,
    "leads" INTEGER NOT NULL DEFAULT 0,
    "conversions" INTEGER NOT NULL DEFAULT 0,
    "ctr" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "cpc" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "cpl" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "cumulativeSpend" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "cumulativeLeads" INTEGER NOT NULL DEFAULT 0,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "AdSpendHistory_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "IbCommission" (
    "id" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "month" INTEGER NOT NULL,
    "year" INTEGER NOT NULL,
    "totalAdSpend" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "totalLeads" INTEGER NOT NULL DEFAULT 0,
    "qualifiedLeads" INTEGER NOT NULL DEFAULT 0,
    "totalCpaEarned" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "commissionRate" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "commissionAmount" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "bonusAmount" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "totalPayout" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "paymentStatus" TEXT NOT NULL DEFAULT 'PENDING',
    "paidAt" TIMESTAMP(3),
    "paymentMethod" TEXT,
    "paymentReference" TEXT,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "IbCommission_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "InvestorCredential" (
    "id" TEXT NOT NULL,
    "leadId" TEXT,
    "login" TEXT NOT NULL,
    "password" TEXT NOT NULL,
    "server" TEXT NOT NULL,
    "broker" TEXT NOT NULL DEFAULT 'Prime XBT',
    "isVerified" BOOLEAN NOT NULL DEFAULT false,
    "balance" DOUBLE PRECISION,
    "equity" DOUBLE PRECISION,
    "totalVolume" DOUBLE PRECISION,
    "meetsMinVolume" BOOLEAN NOT NULL DEFAULT false,
    "scrapingStatus" TEXT NOT NULL DEFAULT 'pending',
    "failedAttempts" INTEGER NOT NULL DEFAULT 0,
    "lastScrapedAt" TIMESTAMP(3),
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "InvestorCredential_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "Position" (
    "id" TEXT NOT NULL,
    "credentialId" TEXT NOT NULL,
    "ticket" TEXT NOT NULL,
    "symbol" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "volume" DOUBLE PRECISION NOT NULL,
    "openPrice" DOUBLE PRECISION NOT NULL,
    "currentPrice" DOUBLE PRECISION,
    "stopLoss" DOUBLE PRECISION,
    "takeProfit" DOUBLE PRECISION,
    "swap" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "profit" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "openTime" TIMESTAMP(3) NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "Position_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "Trade" (
    "id" TEXT NOT NULL,
    "credentialId" TEXT NOT NULL,
    "ticket" TEXT NOT NULL,
    "symbol" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "volume" DOUBLE PRECISION NOT NULL,
    "openPrice" DOUBLE PRECISION NOT NULL,
    "closePrice" DOUBLE PRECISION,
    "commission" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "swap" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "profit" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "openTime" TIMESTAMP(3) NOT NULL,
    "closeTime" TIMESTAMP(3),
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "Trade_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "ScrapingJob" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "targetUrl" TEXT NOT NULL,
    "jobType" TEXT NOT NULL DEFAULT 'one-time',
    "schedule" TEXT,
    "status" TEXT NOT NULL DEFAULT 'pending',
    "extractionRules" TEXT,
    "triggerWorkflowId" TEXT,
    "authProfileId" TEXT,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "ScrapingJob_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "ScrapedData" (
    "id" TEXT NOT NULL,
    "jobId" TEXT NOT NULL,
    "url" TEXT,
    "data" JSONB NOT NULL,
    "scrapedAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "ScrapedData_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "JobExecution" (
    "id" TEXT NOT NULL,
    "jobId" TEXT NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'pending',
    "startedAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "completedAt" TIMESTAMP(3),
    "recordsFound" INTEGER NOT NULL DEFAULT 0,
    "errorMessage" TEXT,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "JobExecution_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "Workflow" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "description" TEXT,
    "isActive" BOOLEAN NOT NULL DEFAULT true,
    "definition" JSONB,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "Workflow_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "AuthProfile" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "authType" TEXT NOT NULL,
    "username" TEXT,
    "password" TEXT,
    "config" JSONB,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "AuthProfile_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "SystemeConfig" (
    "id" TEXT NOT NULL,
    "apiKey" TEXT,
    "email" TEXT,
    "password" TEXT,
    "isActive" BOOLEAN NOT NULL DEFAULT true,
    "lastSyncAt" TIMESTAMP(3),
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "SystemeConfig_pkey" PRIMARY KEY ("id")
);

CREATE UNIQUE INDEX "User_email_key" ON "User"("email");
CREATE UNIQUE INDEX "Lead_trackingToken_key" ON "Lead"("trackingToken");
CREATE INDEX "Lead_userId_idx" ON "Lead"("userId");
CREATE INDEX "Lead_leadType_idx" ON "Lead"("leadType");
CREATE INDEX "LeadActivity_leadId_idx" ON "LeadActivity"("leadId");
CREATE UNIQUE INDEX "FacebookAdAccount_adAccountId_key" ON "FacebookAdAccount"("adAccountId");
CREATE INDEX "FacebookAdAccount_userId_idx" ON "FacebookAdAccount"("userId");
CREATE UNIQUE INDEX "AdCampaign_fbCampaignId_key" ON "AdCampaign"("fbCampaignId");
CREATE INDEX "AdCampaign_userId_idx" ON "AdCampaign"("userId");
CREATE INDEX "AdCampaign_adAccountId_idx" ON "AdCampaign"("adAccountId");
CREATE INDEX "AdCampaign_status_idx" ON "AdCampaign"("status");
CREATE INDEX "AdCampaign_campaignType_idx" ON "AdCampaign"("campaignType");
CREATE INDEX "AdSpendHistory_userId_date_idx" ON "AdSpendHistory"("userId", "date");
CREATE UNIQUE INDEX "AdSpendHistory_adAccountId_date_key" ON "AdSpendHistory"("adAccountId", "date");
CREATE INDEX "IbCommission_userId_idx" ON "IbCommission"("userId");
CREATE INDEX "IbCommission_paymentStatus_idx" ON "IbCommission"("paymentStatus");
CREATE UNIQUE INDEX "IbCommission_userId_month_year_key" ON "IbCommission"("userId", "month", "year");
CREATE INDEX "Position_credentialId_idx" ON "Position"("credentialId");
CREATE UNIQUE INDEX "Position_credentialId_ticket_key" ON "Position"("credentialId", "ticket");
CREATE INDEX "Trade_credentialId_idx" ON "Trade"("credentialId");
CREATE UNIQUE INDEX "Trade_credentialId_ticket_key" ON "Trade"("credentialId", "ticket");
CREATE INDEX "ScrapedData_jobId_idx" ON "ScrapedData"("jobId");
CREATE INDEX "JobExecution_jobId_idx" ON "JobExecution"("jobId");

ALTER TABLE "Lead"
    ADD CONSTRAINT "Lead_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id")
    ON DELETE SET NULL ON UPDATE CASCADE;

ALTER TABLE "LeadActivity"
    ADD CONSTRAINT "LeadActivity_leadId_fkey" FOREIGN KEY ("leadId") REFERENCES "Lead"("id")
    ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE "FacebookAdAccount"
    ADD CONSTRAINT "FacebookAdAccount_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id")
    ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE "AdCampaign"
    ADD CONSTRAINT "AdCampaign_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id")
    ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE "AdCampaign"
    ADD CONSTRAINT "AdCampaign_adAccountId_fkey" FOREIGN KEY ("adAccountId") REFERENCES "FacebookAdAccount"("id")
    ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE "AdCampaign"
    ADD CONSTRAINT "AdCampaign_templateId_fkey" FOREIGN KEY ("templateId") REFERENCES "AdTemplate"("id")
    ON DELETE SET NULL ON UPDATE CASCADE;

ALTER TABLE "AdSpendHistory"
    ADD CONSTRAINT "AdSpendHistory_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id")
    ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE "AdSpendHistory"
    ADD CONSTRAINT "AdSpendHistory_adAccountId_fkey" FOREIGN KEY ("adAccountId") REFERENCES "FacebookAdAccount"("id")
    ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE "IbCommission"
    ADD CONSTRAINT "IbCommission_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id")
    ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE "InvestorCredential"
    ADD CONSTRAINT "InvestorCredential_leadId_fkey" FOREIGN KEY ("leadId") REFERENCES "Lead"("id")
    ON DELETE SET NULL ON UPDATE CASCADE;

ALTER TABLE "Position"
    ADD CONSTRAINT "Position_credentialId_fkey" FOREIGN KEY ("credentialId") REFERENCES "InvestorCredential"("id")
    ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE "Trade"
    ADD CONSTRAINT "Trade_credentialId_fkey" FOREIGN KEY ("credentialId") REFERENCES "InvestorCredential"("id")
    ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE "ScrapingJob"
    ADD CONSTRAINT "ScrapingJob_triggerWorkflowId_fkey" FOREIGN KEY ("triggerWorkflowId") REFERENCES "Workflow"("id")
    ON DELETE SET NULL ON UPDATE CASCADE;

ALTER TABLE "ScrapingJob"
    ADD CONSTRAINT "ScrapingJob_authProfileId_fkey" FOREIGN KEY ("authProfileId") REFERENCES "AuthProfile"("id")
    ON DELETE SET NULL ON UPDATE CASCADE;

ALTER TABLE "ScrapedData"
    ADD CONSTRAINT "ScrapedData_jobId_fkey" FOREIGN KEY ("jobId") REFERENCES "ScrapingJob"("id")
    ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE "JobExecution"
    ADD CONSTRAINT "JobExecution_jobId_fkey" FOREIGN KEY ("jobId") REFERENCES "ScrapingJob"("id")
    ON DELETE RESTRICT ON UPDATE CASCADE;
"""


def upgrade() -> None:
    op.execute(SCHEMA)


def downgrade() -> None:
    op.execute(
        """
        DROP TABLE "User", "Lead", "LeadActivity", "FacebookAdAccount", "AdTemplate", "AdCampaign", "AdSpendHistory",
            "IbCommission", "InvestorCredential", "Position", "Trade", "ScrapingJob", "ScrapedData", "JobExecution",
            "Workflow", "AuthProfile", "SystemeConfig";
        DROP TYPE "Role";
        """
    )
