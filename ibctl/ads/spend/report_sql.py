"""What the ads cost and brought, as SQL over sets. Parameters are those of `spend_report.report`."""

from __future__ import annotations

from ibctl.leads import ownership_sql

_DAY = """
    day AS MATERIALIZED (
      SELECT h."userId", h."date", h."adAccountId", upper(a.currency) AS currency, h."dailySpend"::numeric AS amount,
        h.impressions, h.clicks, h.leads, CASE WHEN upper(a.currency) = :base THEN 1 ELSE r.rate END AS rate
      FROM "AdSpendHistory" h JOIN "FacebookAdAccount" a ON a.id = h."adAccountId"
      LEFT JOIN ibctl.exchange_rate r
        ON r.date = h."date" AND r.currency = upper(a.currency) AND r."baseCurrency" = :base
      WHERE (CAST(:account AS text) IS NULL OR h."adAccountId" = :account)
        AND (CAST(:user AS text) IS NULL OR h."userId" = :user)
        AND (CAST(:first AS date) IS NULL OR h."date" >= :first) AND (CAST(:last AS date) IS NULL OR h."date" <= :last)
    )
"""
_IN_SPAN = """(CAST(:start AS timestamp) IS NULL OR l."qualifiedAt" >= :start)
        AND (CAST(:end AS timestamp) IS NULL OR l."qualifiedAt" < :end)"""
# A lead counts for whoever owned it when it qualified.
_QUALIFIED = f"""
    qualified AS MATERIALIZED (
      SELECT {ownership_sql.OWNER} AS "userId", l."qualifiedAt" FROM "Lead" l
      {ownership_sql.former('l."qualifiedAt"')}
      WHERE l."qualifiedAt" IS NOT NULL AND {_IN_SPAN}
    )
"""
_IN_BASE = """
      SELECT {key} AS key, sum(amount * rate) AS spend, sum(impressions) AS impressions, sum(clicks) AS clicks,
        sum(leads) AS leads, count(*) FILTER (WHERE rate IS NULL AND amount <> 0) AS unrated
      FROM day GROUP BY 1
"""
_MONTH_OF_DAY = """to_char("date", 'YYYY-MM')"""
_MONTH = f"""
    WITH {_DAY}, {_QUALIFIED}, spent AS ({_IN_BASE.format(key=_MONTH_OF_DAY)}), got AS (
      SELECT to_char("qualifiedAt" AT TIME ZONE 'UTC' AT TIME ZONE :zone, 'YYYY-MM') AS key, count(*) AS qualified
      FROM qualified WHERE "userId" IS NOT NULL AND (CAST(:user AS text) IS NULL OR "userId" = :user) GROUP BY 1
    )
    SELECT key AS month, NULL AS ib, CAST(:base AS text) AS currency, s.*, g.qualified
    FROM spent s FULL JOIN got g USING (key) ORDER BY 1 DESC
"""
_IB = f"""
    WITH {_DAY}, {_QUALIFIED}, spent AS ({_IN_BASE.format(key='"userId"')}), got AS (
      SELECT "userId" AS key, count(*) AS qualified
      FROM qualified WHERE CAST(:user AS text) IS NULL OR "userId" = :user GROUP BY 1
    )
    SELECT u.email AS ib, CAST(:base AS text) AS currency, s.*, g.qualified
    FROM spent s FULL JOIN got g USING (key) JOIN "User" u ON u.id = key ORDER BY s.spend DESC NULLS LAST, 1
"""
_ACCOUNT = f"""
    WITH {_DAY}, spent AS (
      SELECT "adAccountId" AS key, sum(amount) AS spend, sum(impressions) AS impressions, sum(clicks) AS clicks,
        sum(leads) AS leads, 0 AS unrated
      FROM day GROUP BY 1
    ), got AS (
      SELECT c."adAccountId" AS key, count(*) AS qualified
      FROM ibctl.form_lead f JOIN "AdCampaign" c ON c."fbCampaignId" = f."campaignId" JOIN "Lead" l ON l.id = f."leadId"
      WHERE l."qualifiedAt" IS NOT NULL AND {_IN_SPAN} GROUP BY 1
    )
    SELECT coalesce(a."adAccountId", a.id) AS account, u.email AS ib, upper(a.currency) AS currency, s.*, g.qualified
    FROM spent s LEFT JOIN got g USING (key) JOIN "FacebookAdAccount" a ON a.id = key JOIN "User" u ON u.id = a."userId"
    ORDER BY upper(a.currency), s.spend DESC, 1
"""
_CAMPAIGN = """
    SELECT c.name AS campaign, coalesce(a."adAccountId", a.id) AS account, u.email AS ib, upper(a.currency) AS currency,
      c."totalSpent"::numeric AS spend, c.impressions, c.clicks, c.leads, 0 AS unrated, g.qualified
    FROM "AdCampaign" c JOIN "FacebookAdAccount" a ON a.id = c."adAccountId" JOIN "User" u ON u.id = c."userId"
    LEFT JOIN (
      SELECT f."campaignId", count(*) AS qualified FROM ibctl.form_lead f JOIN "Lead" l ON l.id = f."leadId"
      WHERE l."qualifiedAt" IS NOT NULL GROUP BY 1
    ) g ON g."campaignId" = c."fbCampaignId"
    WHERE (CAST(:account AS text) IS NULL OR c."adAccountId" = :account)
      AND (CAST(:user AS text) IS NULL OR c."userId" = :user)
    ORDER BY 4, 5 DESC, 1
"""
BY = {"month": _MONTH, "ib": _IB, "account": _ACCOUNT, "campaign": _CAMPAIGN}
UNRATED = f"""
    WITH {_DAY}
    SELECT currency, min("date"), count(DISTINCT "date") FROM day
    WHERE rate IS NULL AND amount <> 0 GROUP BY 1 ORDER BY 1
"""
