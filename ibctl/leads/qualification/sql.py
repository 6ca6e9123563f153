"""Which leads have met the terms of their broker, and when, as SQL over sets.

What counts is told in `rules.py`. A stored double is taken as the decimal that it stands for (15 significant
digits; `money.from_float` is the same in Python); one that is no number is not known.
"""

from __future__ import annotations

import sqlalchemy as sa

from ibctl.leads import settled_sql

# One row for each lead: its terms, what it has done, and either `qualified` (when) or `reason` (why not). Parameters:
# now (naive UTC), zone (a lead falls under the terms of the day of its capture there), ids, broker, ib (NULL: all). A
# lead that has qualified or was rejected is looked at only where ids name it.
VERDICT = r"""
WITH term AS (
  SELECT p.id, p.broker, lower(btrim(p.broker, E' \t\n\r')) AS key, p."effectiveFrom", p."minDeposit", p."minLots",
    p."daysAllowed", p.cpa, lead(p."effectiveFrom") OVER later AS successor
  FROM ibctl.lead_programme p
  WINDOW later AS (PARTITION BY lower(btrim(p.broker, E' \t\n\r')) ORDER BY p."effectiveFrom")
), candidate AS MATERIALIZED (
  SELECT l.id, l."leadCapturedAt", l."depositedAt", l."qualifiedAt", l.status, l.broker,
    t.id AS programme, t.broker AS "programmeBroker", t."effectiveFrom", t."minDeposit", t."minLots", t."daysAllowed",
    t.cpa, l."leadCapturedAt" + make_interval(days => t."daysAllowed") AS deadline,
    -- The end of the time that counts: what is dated in the future has not happened.
    CASE WHEN l."leadCapturedAt" <= :now
      THEN least(l."leadCapturedAt" + make_interval(days => t."daysAllowed"), CAST(:now AS timestamp)) END AS until
  FROM "Lead" l
  LEFT JOIN term t ON t.key = lower(btrim(l.broker, E' \t\n\r'))
    AND (l."leadCapturedAt" AT TIME ZONE 'UTC' AT TIME ZONE :zone)::date >= t."effectiveFrom"
    AND (t.successor IS NULL OR (l."leadCapturedAt" AT TIME ZONE 'UTC' AT TIME ZONE :zone)::date < t.successor)
  WHERE CASE WHEN CAST(:ids AS text[]) IS NULL THEN l."qualifiedAt" IS NULL AND l.status <> 'rejected'
             ELSE l.id = ANY(CAST(:ids AS text[])) END
    AND (CAST(:broker AS text) IS NULL OR lower(btrim(l.broker, E' \t\n\r')) = lower(btrim(:broker, E' \t\n\r')))
    AND (CAST(:ib AS text) IS NULL OR l."userId" = :ib)
), credential AS MATERIALIZED (
  SELECT l.id AS lead, c.id, btrim(c.login) AS login, lower(btrim(c.server)) AS server, c."lastScrapedAt",
    CASE WHEN c.balance > '-Infinity' AND c.balance < 'Infinity' THEN c.balance::numeric END AS balance
  FROM candidate l JOIN "InvestorCredential" c ON c."leadId" = l.id
  WHERE l.programme IS NOT NULL
), trade AS MATERIALIZED (
  -- Nothing keeps an account from being entered twice; its trades still count once.
  SELECT DISTINCT ON (c.lead, c.server, c.login, t.ticket) c.lead, c.server, c.login, t.id, t."closeTime",
    CASE WHEN t.volume > 0 AND t.volume < 'Infinity' THEN t.volume::numeric ELSE 0 END AS volume,
    CASE WHEN t.profit + t.swap + t.commission > '-Infinity' AND t.profit + t.swap + t.commission < 'Infinity'
      THEN t.profit::numeric + t.swap::numeric + t.commission::numeric END AS result
  FROM credential c JOIN "Trade" t ON t."credentialId" = c.id
  WHERE t."closeTime" IS NOT NULL
  ORDER BY c.lead, c.server, c.login, t.ticket, t."closeTime", t.id
), result AS (
  SELECT lead, server, login, sum(result) AS total, bool_or(result IS NULL) AS unknown
  FROM trade GROUP BY lead, server, login
), account AS (
  SELECT DISTINCT ON (lead, server, login) lead, server, login, balance, "lastScrapedAt" FROM credential
  ORDER BY lead, server, login, balance IS NULL, "lastScrapedAt" DESC NULLS LAST, id
), deposit AS (
  SELECT a.lead, sum(a.balance - coalesce(r.total, 0)) FILTER (WHERE r.unknown IS NOT TRUE) AS paid_in,
    count(*) AS accounts,
    -- As old as the account that was read longest ago; none where one has never been read.
    CASE WHEN bool_and(a."lastScrapedAt" IS NOT NULL) THEN min(a."lastScrapedAt") END AS read_at
  FROM account a LEFT JOIN result r USING (lead, server, login) GROUP BY a.lead
), running AS (
  SELECT t.lead, t."closeTime", l."minLots",
    sum(t.volume) OVER (PARTITION BY t.lead ORDER BY t."closeTime", t.id) AS lots
  FROM trade t JOIN candidate l ON l.id = t.lead
  WHERE t."closeTime" BETWEEN l."leadCapturedAt" AND l.until
), traded AS (
  SELECT lead, max(lots) AS lots, min("closeTime") FILTER (WHERE lots >= "minLots") AS reached
  FROM running GROUP BY lead
), known AS (
  SELECT l.*, d.paid_in, coalesce(d.accounts, 0) AS accounts, d.read_at, coalesce(t.lots, 0) AS lots,
    CASE WHEN l.until IS NULL THEN NULL
         WHEN l."minDeposit" = 0 THEN l."leadCapturedAt"
         WHEN l."depositedAt" <= l.until AND (d.paid_in IS NULL OR d.paid_in >= l."minDeposit")
         THEN greatest(l."depositedAt", l."leadCapturedAt") END AS deposit_met,
    CASE WHEN l.until IS NULL THEN NULL WHEN l."minLots" = 0 THEN l."leadCapturedAt" ELSE t.reached END AS lots_met
  FROM candidate l LEFT JOIN deposit d ON d.lead = l.id LEFT JOIN traded t ON t.lead = l.id
), reasoned AS (
  SELECT k.*, CASE
    WHEN k."qualifiedAt" IS NOT NULL THEN 'already qualified'
    WHEN k.status = 'rejected' THEN 'rejected'
    WHEN coalesce(btrim(k.broker, E' \t\n\r'), '') = '' THEN 'no broker'
    WHEN k.programme IS NULL THEN 'no programme'
    WHEN k.deposit_met IS NOT NULL AND k.lots_met IS NOT NULL THEN NULL
    WHEN k.deadline < :now THEN 'deadline over'
    WHEN k.deposit_met IS NULL THEN 'deposit missing'
    ELSE 'lots short' END AS reason
  FROM known k
)
SELECT r.*, CASE WHEN r.reason IS NULL THEN greatest(r.deposit_met, r.lots_met) END AS qualified FROM reasoned r
"""

CREATE_VERDICT = sa.text("CREATE TEMP TABLE lead_verdict ON COMMIT DROP AS " + VERDICT)
SELECT_VERDICT = sa.text(VERDICT)
REASONS = sa.text("SELECT reason, count(*) AS leads FROM lead_verdict WHERE reason IS NOT NULL GROUP BY 1")
# The brokers that most leads wait for terms of, as most of these leads write them, and from when their first ones are.
WITHOUT_PROGRAMME = sa.text(
    r"""
    SELECT b.broker, min(p."effectiveFrom") AS begins FROM (
      SELECT lower(btrim(broker, E' \t\n\r')) AS key, count(*) AS leads,
        mode() WITHIN GROUP (ORDER BY btrim(broker, E' \t\n\r')) AS broker
      FROM lead_verdict WHERE reason = 'no programme' GROUP BY 1
    ) b
    LEFT JOIN ibctl.lead_programme p ON lower(btrim(p.broker, E' \t\n\r')) = b.key
    GROUP BY b.broker, b.leads ORDER BY b.leads DESC, b.broker
    """
)
# Parameter: prefix.
BROKERS = sa.text(
    """
    SELECT broker FROM ibctl.lead_programme WHERE starts_with(broker, :prefix)
    GROUP BY broker ORDER BY lower(broker), broker
    """
)

# What was true above is looked at again where somebody else has written the lead since. Parameter: now.
QUALIFY = sa.text(
    """
    WITH done AS (
      UPDATE "Lead" l SET "qualifiedAt" = v.qualified, status = 'qualified', "cpaEarned" = v.cpa::float8,
        "totalEarned" = (l."ftdEarned"::numeric + v.cpa)::float8, "updatedAt" = :now
      FROM lead_verdict v
      WHERE v.id = l.id AND v.qualified IS NOT NULL AND l."qualifiedAt" IS NULL AND l.status <> 'rejected'
      RETURNING l.id, l.email, l."userId", l.broker, l."leadCapturedAt", l."qualifiedAt", v.cpa AS "cpaEarned"
    )
    SELECT d.id, d.email, u.email AS ib, d.broker, d."leadCapturedAt", d."qualifiedAt", d."cpaEarned"
    FROM done d LEFT JOIN "User" u ON u.id = d."userId" ORDER BY d."qualifiedAt" DESC, d.id DESC
    """
)
# The settled months in which these leads have qualified now. Parameters: ids, zone.
SETTLED = settled_sql.settled(
    """
    SELECT id, "userId", CAST(NULL AS timestamp) AS "leadCapturedAt", "qualifiedAt" FROM "Lead"
    WHERE id = ANY(CAST(:ids AS text[]))
    """
)
# Which command gave a lead the qualifiedAt that it has. Parameter: id.
QUALIFIED_BY = sa.text(
    """
    SELECT s.id, s.command, s.actor, s."createdAt" FROM "Lead" l
    JOIN ibctl.change_image c ON c."rowId" = l.id AND c."tableName" = 'Lead'
      AND (c."after" ->> 'qualifiedAt')::timestamp = l."qualifiedAt"
      AND c."before" ->> 'qualifiedAt' IS DISTINCT FROM c."after" ->> 'qualifiedAt'
    JOIN ibctl.change_set s ON s.id = c."changeSetId"
    WHERE l.id = :id ORDER BY c."changeSetId" DESC, c.step DESC LIMIT 1
    """
)

# ----------------------------------------------------------------------------------------------------------- programmes

# Parameters: broker (NULL: all), day (NULL: any; otherwise those in force on it), limit (NULL: all).
PROGRAMMES = sa.text(
    r"""
    SELECT p.*, count(*) OVER () AS total FROM (
      SELECT p.*, lead("effectiveFrom") OVER (
        PARTITION BY lower(btrim(broker, E' \t\n\r')) ORDER BY "effectiveFrom") - 1 AS "effectiveTo"
      FROM ibctl.lead_programme p
      WHERE CAST(:broker AS text) IS NULL OR lower(btrim(broker, E' \t\n\r')) = lower(btrim(:broker, E' \t\n\r'))
    ) p
    WHERE CAST(:day AS date) IS NULL OR (:day >= "effectiveFrom" AND :day <= coalesce("effectiveTo", 'infinity'))
    ORDER BY "effectiveFrom" DESC, lower(broker) LIMIT :limit
    """
)
# Leads captured while terms from a day on would be in force that count in a month being paid or paid. Parameters:
# broker, day, zone.
COUNTED = sa.text(
    r"""
    SELECT to_char(make_date(c.year, c.month, 1), 'YYYY-MM') AS month, c."paymentStatus", count(*), max(captured.day)
    FROM "Lead" l
    CROSS JOIN LATERAL (SELECT (l."leadCapturedAt" AT TIME ZONE 'UTC' AT TIME ZONE :zone)::date AS day) captured
    CROSS JOIN LATERAL (SELECT l."qualifiedAt" AT TIME ZONE 'UTC' AT TIME ZONE :zone AS there) local
    JOIN "IbCommission" c ON c."userId" = l."userId" AND c.year = extract(year FROM local.there)
      AND c.month = extract(month FROM local.there)
    WHERE lower(btrim(l.broker, E' \t\n\r')) = lower(btrim(:broker, E' \t\n\r'))
      AND c."paymentStatus" IN ('PROCESSING', 'PAID') AND captured.day >= :day AND captured.day < coalesce((
        SELECT min(p."effectiveFrom") FROM ibctl.lead_programme p
        WHERE p."effectiveFrom" > :day AND lower(btrim(p.broker, E' \t\n\r')) = lower(btrim(:broker, E' \t\n\r'))
      ), 'infinity')
    GROUP BY 1, 2 ORDER BY 1, 2
    """
)
