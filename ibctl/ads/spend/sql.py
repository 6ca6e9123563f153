"""How reported days are carried over into "AdSpendHistory": staged, compared, derived and written, in this order.

A file's days are staged in temporary tables, an account's from Facebook in steps of one statement (`sync/sql.py`): both
are called `spend_file`, `spend_start`, `spend_after`, and what is derived from them is written down here once.
"""

from __future__ import annotations

import sqlalchemy as sa

# What the file says; NULL is a column that it does not have.
CREATE_FILE = sa.text(
    """
    CREATE TEMP TABLE spend_file (
      id text, "adAccountId" text, "date" date, "dailySpend" float8, impressions int, clicks int, leads int,
      conversions int
    )
    """
)
COPY_FILE = "COPY spend_file FROM STDIN"

# The first day that an import changes, for each account where it changes anything.
START = """
    SELECT f."adAccountId", min(f."date") AS "date"
    FROM spend_file f LEFT JOIN "AdSpendHistory" h ON h."adAccountId" = f."adAccountId" AND h."date" = f."date"
    WHERE h.id IS NULL
      OR (h."dailySpend", h.impressions, h.clicks, h.leads, h.conversions) IS DISTINCT FROM
         (f."dailySpend", coalesce(f.impressions, h.impressions), coalesce(f.clicks, h.clicks),
          coalesce(f.leads, h.leads), coalesce(f.conversions, h.conversions))
    GROUP BY f."adAccountId"
"""
CREATE_START = sa.text(f"CREATE TEMP TABLE spend_start AS {START}")
LOCK_ACCOUNTS = sa.text(
    """
    SELECT count(*) FROM (
      SELECT FROM "FacebookAdAccount" WHERE id IN (SELECT "adAccountId" FROM spend_start) ORDER BY id FOR UPDATE
    ) held
    """
)
LOCK_DAYS = sa.text(
    """
    SELECT count(*) FROM (
      SELECT FROM "AdSpendHistory" h JOIN spend_start s ON h."adAccountId" = s."adAccountId" AND h."date" >= s."date"
      ORDER BY h.id FOR UPDATE OF h
    ) held
    """
)

# Every day from there on, as it will be. Sums are taken over all days of the account in `numeric`, so that no order of
# imports leads to other totals. A derived double is rounded once, from an exact sum or a quotient of 20 decimals (which
# the zeros behind the factor 1 ask for); `dailySpend` counts with the 15 digits that money is read with everywhere.
AFTER_STEPS = """
    said AS MATERIALIZED (
      SELECT f.* FROM spend_file f JOIN spend_start s ON s."adAccountId" = f."adAccountId" AND f."date" >= s."date"
    ), stored AS MATERIALIZED (
      SELECT h.* FROM "AdSpendHistory" h
      JOIN spend_start s ON s."adAccountId" = h."adAccountId" AND h."date" >= s."date"
    ), earlier AS MATERIALIZED (
      SELECT s."adAccountId", coalesce(sum(h."dailySpend"::numeric), 0) AS spend, coalesce(sum(h.leads), 0) AS leads
      FROM spend_start s
      LEFT JOIN "AdSpendHistory" h ON h."adAccountId" = s."adAccountId" AND h."date" < s."date"
      GROUP BY s."adAccountId"
    ), merged AS (
      SELECT coalesce(h.id, f.id) AS id, h.id IS NULL AS added, f.id IS NOT NULL AS said,
        coalesce(h."adAccountId", f."adAccountId") AS "adAccountId", coalesce(h."date", f."date") AS "date",
        coalesce(h."userId", a."userId") AS "userId", a."userId" AS "accountUserId",
        h."dailySpend" AS "spendBefore",
        coalesce(f."dailySpend", h."dailySpend") AS "dailySpend",
        coalesce(f."dailySpend", h."dailySpend")::numeric * 1.00000000000000000000 AS spend,
        coalesce(f.impressions, h.impressions, 0) AS impressions,
        coalesce(f.clicks, h.clicks, 0) AS clicks,
        coalesce(f.leads, h.leads, 0) AS leads,
        coalesce(f.conversions, h.conversions, 0) AS conversions,
        (h."dailySpend", h.impressions, h.clicks, h.leads, h.conversions) AS before
      FROM stored h
      FULL JOIN said f ON f."adAccountId" = h."adAccountId" AND f."date" = h."date"
      JOIN "FacebookAdAccount" a ON a.id = coalesce(h."adAccountId", f."adAccountId")
    )
"""
AFTER = """
    SELECT m.id, m.added, m."adAccountId", m."date", m."userId", m."accountUserId", m."spendBefore",
      m."dailySpend", m.impressions, m.clicks, m.leads, m.conversions,
      NOT m.added AND m.said AND m.before IS DISTINCT FROM
        (m."dailySpend", m.impressions, m.clicks, m.leads, m.conversions) AS changed,
      CASE WHEN m.impressions > 0 THEN m.clicks::float8 * 100 / m.impressions ELSE 0 END AS ctr,
      CASE WHEN m.clicks > 0 THEN (m.spend / m.clicks)::float8 ELSE 0 END AS cpc,
      CASE WHEN m.leads > 0 THEN (m.spend / m.leads)::float8 ELSE 0 END AS cpl,
      (e.spend + sum(m.spend) OVER so_far)::float8 AS "cumulativeSpend",
      e.leads + sum(m.leads) OVER so_far AS "cumulativeLeads"
    FROM merged m JOIN earlier e ON e."adAccountId" = m."adAccountId"
    WINDOW so_far AS (PARTITION BY m."adAccountId" ORDER BY m."date")
"""
CREATE_AFTER = sa.text(f"CREATE TEMP TABLE spend_after AS WITH {AFTER_STEPS} {AFTER}")
BEYOND = """
    SELECT coalesce(a."adAccountId", a.id), d."cumulativeLeads", d."date"
    FROM spend_after d JOIN "FacebookAdAccount" a ON a.id = d."adAccountId"
    WHERE d."cumulativeLeads" > :largest ORDER BY d."date", a.id LIMIT 1
"""
INSERT = """
    INSERT INTO "AdSpendHistory" (
      id, "userId", "adAccountId", "date", "dailySpend", impressions, clicks, leads, conversions, ctr, cpc, cpl,
      "cumulativeSpend", "cumulativeLeads", "createdAt", "updatedAt"
    )
    SELECT id, "userId", "adAccountId", "date", "dailySpend", impressions, clicks, leads, conversions, ctr, cpc, cpl,
      "cumulativeSpend", "cumulativeLeads", :now, :now
    FROM spend_after WHERE added
"""
UPDATE = """
    UPDATE "AdSpendHistory" h SET
      "dailySpend" = d."dailySpend", impressions = d.impressions, clicks = d.clicks, leads = d.leads,
      conversions = d.conversions, ctr = d.ctr, cpc = d.cpc, cpl = d.cpl, "cumulativeSpend" = d."cumulativeSpend",
      "cumulativeLeads" = d."cumulativeLeads", "updatedAt" = :now
    FROM spend_after d
    WHERE h.id = d.id AND NOT d.added
      AND (h."dailySpend", h.impressions, h.clicks, h.leads, h.conversions, h.ctr, h.cpc, h.cpl, h."cumulativeSpend",
           h."cumulativeLeads") IS DISTINCT FROM
          (d."dailySpend", d.impressions, d.clicks, d.leads, d.conversions, d.ctr, d.cpc, d.cpl, d."cumulativeSpend",
           d."cumulativeLeads")
"""
COUNTS = sa.text(
    """
    SELECT count(*) FILTER (WHERE added), count(*) FILTER (WHERE changed),
      count(*) FILTER (WHERE changed AND "userId" <> "accountUserId")
    FROM spend_after
    """
)
SETTLED = """
    SELECT to_char(d."date", 'YYYY-MM') AS month, c."paymentStatus", array_agg(DISTINCT u.email), count(*)
    FROM spend_after d
    JOIN "IbCommission" c ON c."userId" = d."userId" AND c.year = extract(year FROM d."date")
      AND c.month = extract(month FROM d."date")
    JOIN "User" u ON u.id = c."userId"
    WHERE c."paymentStatus" IN ('PROCESSING', 'PAID') AND d."dailySpend" <> coalesce(d."spendBefore", 0)
    GROUP BY 1, 2 ORDER BY 1, 2
"""
# Not left to the end of the transaction, which may hold another import.
DROP = sa.text("DROP TABLE spend_file, spend_start, spend_after")
