"""The month's commissions of all IBs, as SQL over sets.

Each source is read once, in a MATERIALIZED step of its own: on a large database the planner otherwise finds plans that
take five times as long. The whole draft is one statement, so it sees one state of the database.
"""

from __future__ import annotations

import sqlalchemy as sa

# A stored double as the decimal that it stands for (15 significant digits; `money.from_float` is the same in Python).
# NaN, infinities and negative amounts become NULL, and are counted as `bad`: the run stops and names them.
_AMOUNT = "CASE WHEN {0} >= 0 AND {0} < 'Infinity' THEN {0}::numeric END"

# The colons are escaped, or SQLAlchemy would take them for parameters.
_ISO = r"""to_char({0}, 'YYYY-MM-DD"T"HH24\:MI\:SS.MS"Z"')"""

# Parameters: year, month, from, to (naive UTC), first_day, next_day (dates), zone, base, plan (jsonb), rate (numeric),
# ib (an id, or NULL for all).
DRAFT = f"""
WITH ib AS MATERIALIZED (
  SELECT id FROM "User" WHERE role = 'IB' AND (CAST(:ib AS text) IS NULL OR id = :ib)
), lead AS MATERIALIZED (
  SELECT l.id, l."userId", {_AMOUNT.format('l."cpaEarned"')} AS cpa,
    CASE WHEN l."leadCapturedAt" >= :from AND l."leadCapturedAt" < :to THEN l."leadCapturedAt" END AS captured,
    CASE WHEN l."qualifiedAt" >= :from AND l."qualifiedAt" < :to THEN l."qualifiedAt" END AS qualified
  FROM "Lead" l
  WHERE (l."leadCapturedAt" >= :from AND l."leadCapturedAt" < :to)
     OR (l."qualifiedAt" >= :from AND l."qualifiedAt" < :to)
), transfer AS MATERIALIZED (
  -- Who owned a lead from `since` until `effectiveAt`; after the last one its "userId" does. What took effect before
  -- the month is of no account.
  SELECT "leadId", "fromUserId", "effectiveAt",
    lag("effectiveAt", 1, '-infinity') OVER (PARTITION BY "leadId" ORDER BY "effectiveAt", "createdAt", id) AS since
  FROM ibctl.lead_transfer WHERE "effectiveAt" > :from
), owned AS MATERIALIZED (
  SELECT l.id, l.cpa, l.captured, l.qualified,
    CASE WHEN c."leadId" IS NULL THEN l."userId" ELSE c."fromUserId" END AS capturer,
    CASE WHEN q."leadId" IS NULL THEN l."userId" ELSE q."fromUserId" END AS qualifier
  FROM lead l
  LEFT JOIN transfer c ON c."leadId" = l.id AND l.captured >= c.since AND l.captured < c."effectiveAt"
  LEFT JOIN transfer q ON q."leadId" = l.id AND l.qualified >= q.since AND l.qualified < q."effectiveAt"
), share AS (
  -- A lead counts for whoever owned it when it was captured, and for whoever did when it qualified: mostly the same.
  SELECT capturer AS "userId", id, cpa, captured,
    CASE WHEN qualifier IS NOT DISTINCT FROM capturer THEN qualified END AS qualified
  FROM owned WHERE captured IS NOT NULL
  UNION ALL
  SELECT qualifier, id, cpa, NULL, qualified
  FROM owned WHERE qualified IS NOT NULL AND (captured IS NULL OR qualifier IS DISTINCT FROM capturer)
), leads AS MATERIALIZED (
  SELECT l."userId", count(l.captured) AS captured, count(l.qualified) AS qualified,
    coalesce(sum(l.cpa) FILTER (WHERE l.qualified IS NOT NULL), 0) AS cpa,
    count(*) FILTER (WHERE l.qualified IS NOT NULL AND l.cpa IS NULL) AS bad,
    jsonb_agg(jsonb_build_object(
      'id', l.id, 'capturedAt', {_ISO.format("l.captured")}, 'qualifiedAt', {_ISO.format("l.qualified")},
      'cpa', CASE WHEN l.qualified IS NOT NULL THEN l.cpa::text END) ORDER BY l.id) AS lines
  FROM share l JOIN ib ON ib.id = l."userId" GROUP BY l."userId"
), day AS MATERIALIZED (
  SELECT s.id, s."userId", s.date, s."adAccountId", coalesce(a."adAccountId", a.id) AS account, a.currency,
    {_AMOUNT.format('s."dailySpend"')} AS amount, r.id AS rate_id,
    CASE WHEN upper(a.currency) = :base THEN 1 ELSE r.rate END AS rate
  FROM "AdSpendHistory" s
  JOIN ib ON ib.id = s."userId"
  JOIN "FacebookAdAccount" a ON a.id = s."adAccountId"
  LEFT JOIN ibctl.exchange_rate r
    ON r.date = s.date AND r.currency = upper(a.currency) AND r."baseCurrency" = :base AND upper(a.currency) <> :base
  WHERE s.date >= :first_day AND s.date < :next_day AND s."dailySpend" <> 0
), spend AS MATERIALIZED (
  SELECT "userId", coalesce(sum(amount * rate), 0) AS total, count(*) FILTER (WHERE amount IS NULL) AS bad,
    count(*) FILTER (WHERE rate IS NULL) AS unrated,
    jsonb_agg(jsonb_build_object(
      'id', id, 'date', date, 'accountId', "adAccountId", 'account', account, 'amount', amount::text,
      'currency', upper(currency), 'rate', rate::text, 'rateId', rate_id) ORDER BY date, id) AS lines
  FROM day GROUP BY "userId"
), held AS MATERIALIZED (
  -- A HELD row stays although its IB has nothing in the month any more; it then holds zeros.
  SELECT c."userId" FROM "IbCommission" c JOIN ib ON ib.id = c."userId"
  WHERE c.year = :year AND c.month = :month AND c."paymentStatus" = 'HELD'
), total AS (
  SELECT "userId", coalesce(s.total, 0) AS spend, coalesce(l.captured, 0) AS captured,
    coalesce(l.qualified, 0) AS qualified, coalesce(l.cpa, 0) AS cpa, coalesce(l.cpa, 0) * :rate AS commission,
    coalesce(l.bad, 0) AS bad_leads, coalesce(s.bad, 0) AS bad_days, coalesce(s.unrated, 0) AS unrated,
    coalesce(l.lines, '[]') AS lead_lines, coalesce(s.lines, '[]') AS spend_lines
  FROM leads l FULL JOIN spend s USING ("userId") FULL JOIN held USING ("userId")
), figured AS (
  SELECT "userId", round(spend, 2) AS "totalAdSpend", captured AS "totalLeads", qualified AS "qualifiedLeads",
    round(cpa, 2) AS "totalCpaEarned", CAST(:rate AS numeric) AS "commissionRate",
    round(commission, 2) AS "commissionAmount", 0.00 AS "bonusAmount",
    -- From the exact commission, not from the rounded one.
    round(greatest(commission, 0), 2) AS "totalPayout", bad_leads, bad_days, unrated,
    jsonb_build_object('zone', CAST(:zone AS text), 'from', {_ISO.format("CAST(:from AS timestamp)")},
      'to', {_ISO.format("CAST(:to AS timestamp)")}, 'baseCurrency', CAST(:base AS text),
      'leads', lead_lines, 'spend', spend_lines) AS inputs
  FROM total
), snapshot AS (
  SELECT f.*, jsonb_build_object(
    'totalAdSpend', "totalAdSpend"::text, 'totalLeads', "totalLeads", 'qualifiedLeads', "qualifiedLeads",
    'totalCpaEarned', "totalCpaEarned"::text, 'commissionRate', "commissionRate"::text,
    'commissionAmount', "commissionAmount"::text, 'bonusAmount', "bonusAmount"::text,
    'totalPayout', "totalPayout"::text) AS figures
  FROM figured f
)
SELECT s.*, encode(sha256(convert_to(concat(CAST(:plan AS jsonb), inputs, figures), 'UTF8')), 'hex') AS digest
FROM snapshot s
"""

# The draft joined with what is stored. Figures are compared as the doubles that they are stored as.
_DIFFERS = """(c."totalAdSpend", c."totalLeads", c."qualifiedLeads", c."totalCpaEarned", c."commissionRate",
  c."commissionAmount", c."bonusAmount", c."totalPayout") IS DISTINCT FROM
  (d."totalAdSpend"::float8, d."totalLeads"::int, d."qualifiedLeads"::int, d."totalCpaEarned"::float8,
   d."commissionRate"::float8, d."commissionAmount"::float8, d."bonusAmount"::float8, d."totalPayout"::float8)"""

# All steps go over whole sets. Where the server has no statistics yet (a month that the same transaction wrote, a table
# after a bulk load), it would take thousands of rows for a handful and loop: 11 s instead of 0.1 s for 10,000 IBs.
PLAN_FOR_SETS = sa.text("SELECT set_config('enable_nestloop', 'off', true), set_config('work_mem', '64MB', true)")
CREATE_DRAFT = sa.text(f"CREATE TEMP TABLE commission_draft ON COMMIT DROP AS {DRAFT}")
SELECT_DRAFT = sa.text(DRAFT)

PROBLEMS = sa.text(
    "SELECT coalesce(sum(bad_leads), 0), coalesce(sum(bad_days), 0), coalesce(sum(unrated), 0) FROM commission_draft"
)

BAD_LEADS = sa.text(
    """
    SELECT l.id, u.email, l."cpaEarned" FROM "Lead" l
    LEFT JOIN LATERAL (
      SELECT t."leadId", t."fromUserId" FROM ibctl.lead_transfer t
      WHERE t."leadId" = l.id AND t."effectiveAt" > l."qualifiedAt"
      ORDER BY t."effectiveAt", t."createdAt", t.id LIMIT 1
    ) former ON true
    JOIN "User" u ON u.role = 'IB'
      AND u.id = CASE WHEN former."leadId" IS NULL THEN l."userId" ELSE former."fromUserId" END
    WHERE l."qualifiedAt" >= :from AND l."qualifiedAt" < :to
      AND NOT (l."cpaEarned" >= 0 AND l."cpaEarned" < 'Infinity')
    ORDER BY l.id LIMIT 5
    """
)
BAD_DAYS = sa.text(
    """
    SELECT coalesce(a."adAccountId", a.id), s.date, s."dailySpend"
    FROM "AdSpendHistory" s JOIN "FacebookAdAccount" a ON a.id = s."adAccountId"
    JOIN "User" u ON u.id = s."userId" AND u.role = 'IB'
    WHERE s.date >= :first_day AND s.date < :next_day AND NOT (s."dailySpend" >= 0 AND s."dailySpend" < 'Infinity')
    ORDER BY 1, 2 LIMIT 5
    """
)
UNRATED = sa.text(
    """
    SELECT coalesce(a."adAccountId", a.id), s.date, upper(a.currency), u.email
    FROM "AdSpendHistory" s JOIN "FacebookAdAccount" a ON a.id = s."adAccountId"
    JOIN "User" u ON u.id = s."userId" AND u.role = 'IB'
    WHERE s.date >= :first_day AND s.date < :next_day AND s."dailySpend" <> 0 AND upper(a.currency) <> :base
      AND NOT EXISTS (SELECT 1 FROM ibctl.exchange_rate r WHERE r.date = s.date AND r.currency = upper(a.currency)
                      AND r."baseCurrency" = :base)
    ORDER BY 2, 1 LIMIT 5
    """
)

# New rows need ids of the web application's kind: Python makes them, and a number joins them to the rows.
NEW_ROWS = sa.text(
    """
    SELECT count(*) FROM commission_draft d
    LEFT JOIN "IbCommission" c ON c."userId" = d."userId" AND c.year = :year AND c.month = :month WHERE c.id IS NULL
    """
)
INSERT = sa.text(
    """
    INSERT INTO "IbCommission" (id, "userId", month, year, "totalAdSpend", "totalLeads", "qualifiedLeads",
      "totalCpaEarned", "commissionRate", "commissionAmount", "bonusAmount", "totalPayout", "createdAt", "updatedAt")
    SELECT i.id, d."userId", :month, :year, d."totalAdSpend", d."totalLeads", d."qualifiedLeads", d."totalCpaEarned",
      d."commissionRate", d."commissionAmount", d."bonusAmount", d."totalPayout", :now, :now
    FROM (
      SELECT d.*, row_number() OVER (ORDER BY d."userId") AS number FROM commission_draft d
      LEFT JOIN "IbCommission" c ON c."userId" = d."userId" AND c.year = :year AND c.month = :month WHERE c.id IS NULL
    ) d JOIN unnest(CAST(:ids AS text[])) WITH ORDINALITY AS i (id, number) USING (number)
    -- The web application may have made the row since; the update below then takes it.
    ON CONFLICT ("userId", month, year) DO NOTHING
    """
)
UPDATE = sa.text(
    f"""
    UPDATE "IbCommission" c SET "totalAdSpend" = d."totalAdSpend", "totalLeads" = d."totalLeads",
      "qualifiedLeads" = d."qualifiedLeads", "totalCpaEarned" = d."totalCpaEarned",
      "commissionRate" = d."commissionRate", "commissionAmount" = d."commissionAmount",
      "bonusAmount" = d."bonusAmount", "totalPayout" = d."totalPayout", "updatedAt" = :now
    FROM commission_draft d
    WHERE c."userId" = d."userId" AND c.year = :year AND c.month = :month
      AND c."paymentStatus" IN ('PENDING', 'HELD') AND {_DIFFERS}
    """
)
# A PENDING row of an IB that has nothing in the month any more: it would not be made today.
REMOVE_PENDING = sa.text(
    """
    WITH gone AS (
      DELETE FROM "IbCommission" c WHERE c.year = :year AND c.month = :month AND c."paymentStatus" = 'PENDING'
        AND NOT EXISTS (SELECT 1 FROM commission_draft d WHERE d."userId" = c."userId") RETURNING c.id
    ), unlinked AS (DELETE FROM ibctl.commission_state s USING gone WHERE s.id = gone.id)
    SELECT count(*) FROM gone
    """
)

_UNSNAPPED = """
  FROM commission_draft d
  JOIN "IbCommission" c ON c."userId" = d."userId" AND c.year = :year AND c.month = :month
    AND c."paymentStatus" IN ('PENDING', 'HELD')
  LEFT JOIN ibctl.commission_state s ON s.id = c.id
  LEFT JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId"
  WHERE n.digest IS DISTINCT FROM d.digest
"""
NEW_SNAPSHOTS = sa.text(f"SELECT count(*) {_UNSNAPPED}")
SNAPSHOT = sa.text(
    f"""
    WITH numbered AS (
      SELECT c.id AS commission, d.*, row_number() OVER (ORDER BY d."userId") AS number {_UNSNAPPED}
    ), kept AS (
      INSERT INTO ibctl.commission_snapshot (id, "commissionId", "userId", year, month, "createdAt", "changeSetId",
        plan, inputs, figures, digest)
      SELECT i.id, commission, "userId", :year, :month, :now, :change_set, CAST(:plan AS jsonb), inputs, figures, digest
      FROM numbered JOIN unnest(CAST(:ids AS text[])) WITH ORDINALITY AS i (id, number) USING (number)
      RETURNING id, "commissionId"
    )
    INSERT INTO ibctl.commission_state (id, "snapshotId") SELECT "commissionId", id FROM kept
    ON CONFLICT (id) DO UPDATE SET "snapshotId" = excluded."snapshotId"
    """
)

SUMMARY = sa.text(
    f"""
    SELECT count(*) FILTER (WHERE "paymentStatus" IN ('PENDING', 'HELD')) AS open,
      count(*) FILTER (WHERE "paymentStatus" = 'HELD') AS held,
      count(*) FILTER (WHERE "paymentStatus" NOT IN ('PENDING', 'HELD')) AS sealed,
      count(*) FILTER (WHERE "paymentStatus" NOT IN ('PENDING', 'HELD') AND
        CASE WHEN d."userId" IS NULL THEN c."totalPayout" <> 0 ELSE {_DIFFERS} END) AS drifted,
      coalesce(sum(c."totalPayout"::numeric) FILTER (WHERE "paymentStatus" IN ('PENDING', 'HELD')), 0) AS payout
    FROM "IbCommission" c LEFT JOIN commission_draft d USING ("userId")
    WHERE c.year = :year AND c.month = :month
    """
)
