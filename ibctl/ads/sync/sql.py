"""How an account's days from Facebook are written: one statement, whose steps are those of an imported file's."""

from __future__ import annotations

import sqlalchemy as sa

from ibctl.ads.spend import sql

HOLD = sa.text(
    """
    SELECT a."adAccountId", a."userId", a.currency, a.timezone, a."lastSyncAt", s."firstDay", s."lastDay",
      s."finalThrough"
    FROM "FacebookAdAccount" a LEFT JOIN ibctl.ad_account_state s ON s.id = a.id
    WHERE a.id = :account FOR UPDATE OF a
    """
)
STORED_WITH_SPEND = sa.text(
    """
    SELECT count(*) FROM "AdSpendHistory"
    WHERE "adAccountId" = :account AND "date" BETWEEN :first AND :last AND "dailySpend" > 0
    """
)
HOLD_DAYS = sa.text(
    """
    SELECT count(*) FROM (
      SELECT FROM "AdSpendHistory" WHERE "adAccountId" = :account AND "date" >= :first ORDER BY id FOR UPDATE
    ) held
    """
)
# A stored day of the window that Facebook does not name has no delivery any more: it becomes a day of zeros.
WRITE = sa.text(
    f"""
    WITH reported AS MATERIALIZED (
      SELECT * FROM unnest(
        CAST(:ids AS text[]), CAST(:dates AS date[]), CAST(:spend AS float8[]), CAST(:impressions AS int[]),
        CAST(:clicks AS int[]), CAST(:leads AS int[]), CAST(:conversions AS int[])
      ) AS r (id, "date", "dailySpend", impressions, clicks, leads, conversions)
    ), spend_file AS MATERIALIZED (
      SELECT r.id, CAST(:account AS text) AS "adAccountId", r."date", r."dailySpend", r.impressions, r.clicks, r.leads,
        r.conversions
      FROM reported r
      UNION ALL
      SELECT h.id, h."adAccountId", h."date", 0, 0, 0, 0, 0 FROM "AdSpendHistory" h
      WHERE h."adAccountId" = :account AND h."date" BETWEEN :first AND :last
        AND NOT EXISTS (SELECT FROM reported r WHERE r."date" = h."date")
    ), spend_start AS MATERIALIZED ({sql.START}), {sql.AFTER_STEPS}, spend_after AS MATERIALIZED ({sql.AFTER}),
    inserted AS ({sql.INSERT} AND "cumulativeLeads" <= :largest RETURNING id),
    updated AS ({sql.UPDATE} AND d."cumulativeLeads" <= :largest RETURNING h.id),
    told AS (
      SELECT d."adAccountId", d."date", v.field, v.old, v.new,
        row_number() OVER (ORDER BY d."date", v.field) AS number
      FROM spend_after d JOIN stored h ON h.id = d.id
      CROSS JOIN LATERAL (VALUES
        ('dailySpend', h."dailySpend"::numeric, d."dailySpend"::numeric), ('impressions', h.impressions, d.impressions),
        ('clicks', h.clicks, d.clicks), ('leads', h.leads, d.leads), ('conversions', h.conversions, d.conversions)
      ) v (field, old, new)
      WHERE d.changed AND v.old <> v.new
    ), restated AS (
      INSERT INTO ibctl.spend_restatement (id, "adAccountId", "date", field, old, new, "seenAt")
      SELECT i.id, t."adAccountId", t."date", t.field, t.old, t.new, :now
      FROM told t JOIN unnest(CAST(:restatement_ids AS text[])) WITH ORDINALITY i (id, number) USING (number)
      RETURNING 1
    )
    SELECT (SELECT count(*) FROM inserted) AS added,
      (SELECT count(*) FROM spend_after WHERE changed) AS changed,
      (SELECT count(*) FROM updated) AS updated,
      (SELECT count(*) FROM restated) AS restated,
      (SELECT max("cumulativeLeads") FROM spend_after) AS most_leads,
      (SELECT jsonb_agg(jsonb_build_array(month, "paymentStatus", ibs, days))
       FROM ({sql.SETTLED}) s (month, "paymentStatus", ibs, days)) AS settled
    """
)
DONE = sa.text(
    """
    WITH done AS (UPDATE "FacebookAdAccount" SET "lastSyncAt" = :asked_at, "updatedAt" = :now WHERE id = :account)
    INSERT INTO ibctl.ad_account_state (id, "firstDay", "lastDay", "finalThrough")
    VALUES (:account, :first_day, :last_day, :final_through)
    ON CONFLICT (id) DO UPDATE SET "firstDay" = excluded."firstDay", "lastDay" = excluded."lastDay",
      "finalThrough" = excluded."finalThrough", problem = NULL, "problemAt" = NULL, "parkedUntil" = NULL
    """
)
