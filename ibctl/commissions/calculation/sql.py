"""A run's statements: the draft kept, checked, and stored. `draft_sql.py` makes the draft."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from ibctl.commissions.calculation import draft_sql, rules
from ibctl.leads import ownership_sql

# Figures are compared as the doubles that they are stored as.
DIFFERS = """(c."totalAdSpend", c."totalLeads", c."qualifiedLeads", c."totalCpaEarned", c."commissionRate",
  c."commissionAmount", c."bonusAmount", c."totalPayout") IS DISTINCT FROM
  (d."totalAdSpend"::float8, d."totalLeads"::int, d."qualifiedLeads"::int, d."totalCpaEarned"::float8,
   d."commissionRate"::float8, d."commissionAmount"::float8, d."bonusAmount"::float8, d."totalPayout"::float8)"""
_OPEN = """c."paymentStatus" IN ('PENDING', 'HELD')"""
_OF_IB = """(CAST(:ib AS text) IS NULL OR u.id = :ib)"""
_MINE = """(CAST(:ib AS text) IS NULL OR c."userId" = :ib)"""

# All steps go over whole sets. Where the server has no statistics yet (a month that the same transaction wrote, a table
# after a bulk load), it would take thousands of rows for a handful and loop: 11 s instead of 0.1 s for 10,000 IBs.
# Several processes are worth their start, for hundreds of thousands of rows that are to be converted and sorted.
PLAN_FOR_SETS = sa.text(
    "SELECT set_config('enable_nestloop', 'off', true), set_config('work_mem', '64MB', true), "
    "set_config('parallel_setup_cost', '100', true), set_config('parallel_tuple_cost', '0.01', true)"
)
PLAN_FREELY = sa.text("SELECT set_config('enable_nestloop', 'on', true)")
# What a snapshot keeps, of a draft `d`.
_CONTENTS = {
    "plan": "d.plan",
    "inputs": draft_sql.INPUTS,
    "figures": draft_sql.FIGURES,
    **{name: f'd."{name}"' for name in draft_sql.ARRAYS},
}
KEPT = (*_CONTENTS, "payableFrom", "digest")


def columns(names: Sequence[str], source: str = "d.") -> str:
    """Return columns, of a draft `d` if of nothing else, as a list in SQL."""
    return ", ".join(f'{source}"{name}"' for name in names)


# `fresh` rows are those that a run would write: new ones, those with other figures, or with another snapshot. Of the
# others nobody needs the contents. Rows of a few thousand bytes are left as they are: to compress what goes away again
# takes a tenth of the time.
CREATE_DRAFT = sa.text(
    f"""
    CREATE TEMP TABLE commission_draft WITH (toast_tuple_target = 8160) AS
    SELECT d."userId", d.key, d.unplanned, d.bad_leads, d.bad_days, d.unrated, d.foreign_, d.is_new, d.fresh,
      {columns([*rules.FIGURES, *rules.BALANCE])}, d."payableFrom", d.digest,
      {", ".join(f'CASE WHEN d.fresh THEN {value} END AS "{name}"' for name, value in _CONTENTS.items())}
    FROM (
      SELECT d.*, c.id IS NULL AS is_new,
        c.id IS NULL OR {_OPEN} AND (n.digest IS DISTINCT FROM d.digest OR {DIFFERS}) AS fresh
      FROM ({draft_sql.draft(draft_sql.IN_FORCE)}) d
      LEFT JOIN "IbCommission" c ON c."userId" = d."userId" AND c.year = :year AND c.month = :month
      LEFT JOIN ibctl.commission_state s ON s.id = c.id
      LEFT JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId" AND n.year = :year AND n.month = :month
      -- Keeps the server from asking for each column again whether its row is fresh.
      OFFSET 0
    ) d
    """
)
# Not left to the end of the transaction, which may hold another run.
DROP_DRAFT = sa.text("DROP TABLE commission_draft")

PROBLEMS = sa.text(
    """
    SELECT coalesce(sum(bad_leads), 0), coalesce(sum(bad_days), 0), coalesce(sum(unrated), 0),
      count(*) FILTER (WHERE unplanned), coalesce(sum(foreign_), 0)
    FROM commission_draft
    """
)

BAD_LEADS = sa.text(
    f"""
    SELECT l.id, u.email, l."cpaEarned" FROM "Lead" l
    {ownership_sql.former('l."qualifiedAt"')}
    JOIN "User" u ON u.role = 'IB' AND u.id = {ownership_sql.OWNER}
    WHERE l."qualifiedAt" >= :from AND l."qualifiedAt" < :to
      AND NOT (l."cpaEarned" >= 0 AND l."cpaEarned" < 'Infinity') AND {_OF_IB}
    ORDER BY l.id LIMIT 5
    """
)
BAD_DAYS = sa.text(
    f"""
    SELECT coalesce(a."adAccountId", a.id), s.date, s."dailySpend"
    FROM "AdSpendHistory" s JOIN "FacebookAdAccount" a ON a.id = s."adAccountId"
    JOIN "User" u ON u.id = s."userId" AND u.role = 'IB'
    WHERE s.date >= :first_day AND s.date < :next_day AND NOT (s."dailySpend" >= 0 AND s."dailySpend" < 'Infinity')
      AND {_OF_IB}
    ORDER BY 1, 2 LIMIT 5
    """
)
UNRATED = sa.text(
    f"""
    SELECT coalesce(a."adAccountId", a.id), s.date, upper(a.currency), u.email
    FROM "AdSpendHistory" s JOIN "FacebookAdAccount" a ON a.id = s."adAccountId"
    JOIN "User" u ON u.id = s."userId" AND u.role = 'IB'
    WHERE s.date >= :first_day AND s.date < :next_day AND s."dailySpend" <> 0 AND upper(a.currency) <> :base
      AND NOT EXISTS (SELECT 1 FROM ibctl.exchange_rate r WHERE r.date = s.date AND r.currency = upper(a.currency)
                      AND r."baseCurrency" = :base)
      AND {_OF_IB}
    ORDER BY 2, 1 LIMIT 5
    """
)
UNPLANNED = sa.text(
    """
    SELECT u.email FROM commission_draft d JOIN "User" u ON u.id = d."userId" WHERE d.unplanned ORDER BY 1 LIMIT 5
    """
)

# One of each: sorted with their plans, 10,000 rows take ten times as long.
PLANS = sa.text(
    """
    SELECT key, (SELECT plan FROM commission_draft d WHERE d.fresh AND d.key = k.key LIMIT 1) AS plan
    FROM (SELECT DISTINCT key FROM commission_draft WHERE fresh) k
    """
)
# Without what a calculation does not need, and with JSON only where there is any: reading takes most of the time.
OPEN_UNCHECKED = sa.text(
    f"""
    DECLARE unchecked NO SCROLL CURSOR FOR
    SELECT u.email, d.key, {columns([*rules.FIGURES, *rules.BALANCE])},
      nullif(d.inputs->'adjustments', '[]') AS booked, d."leadIds", d."leadCaptured", d."leadQualified", d."leadCpas",
      d."dayAmounts", d."dayRates"
    FROM commission_draft d JOIN "User" u ON u.id = d."userId" WHERE d.fresh
    """
)

NEXT_UNCHECKED = "FETCH {} FROM unchecked"
CLOSE_UNCHECKED = sa.text("CLOSE unchecked")

TO_WRITE = sa.text(
    """
    SELECT count(*) FILTER (WHERE is_new) AS new, count(*) FILTER (WHERE fresh AND NOT is_new) AS changed
    FROM commission_draft
    """
)
# New rows need ids of the web application's kind: Python makes them, and a number joins them to the rows.
INSERT = sa.text(
    """
    INSERT INTO "IbCommission" (id, "userId", month, year, "totalAdSpend", "totalLeads", "qualifiedLeads",
      "totalCpaEarned", "commissionRate", "commissionAmount", "bonusAmount", "totalPayout", "paymentStatus",
      "createdAt", "updatedAt")
    SELECT i.id, d."userId", :month, :year, d."totalAdSpend", d."totalLeads", d."qualifiedLeads", d."totalCpaEarned",
      d."commissionRate", d."commissionAmount", d."bonusAmount", d."totalPayout",
      -- A month can be held before there is a row of it.
      CASE WHEN d."userId" IN (SELECT h."userId" FROM ibctl.commission_hold h WHERE h.year = :year
        AND h.month = :month AND h."releasedAt" IS NULL) THEN 'HELD' ELSE 'PENDING' END, :now, :now
    FROM (
      SELECT d.*, row_number() OVER (ORDER BY d."userId") AS number FROM commission_draft d WHERE d.is_new
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
    WHERE d.fresh AND c."userId" = d."userId" AND c.year = :year AND c.month = :month AND {_OPEN} AND {DIFFERS}
    """
)
# A PENDING row of an IB that has nothing in the month any more: it would not be made today.
REMOVE_PENDING = sa.text(
    f"""
    WITH gone AS (
      DELETE FROM "IbCommission" c WHERE c.year = :year AND c.month = :month AND c."paymentStatus" = 'PENDING'
        AND {_MINE} AND NOT EXISTS (SELECT 1 FROM commission_draft d WHERE d."userId" = c."userId") RETURNING c.id
    ), unlinked AS (DELETE FROM ibctl.commission_state s USING gone WHERE s.id = gone.id)
    SELECT count(*) FROM gone
    """
)

SNAPSHOT = sa.text(
    f"""
    WITH kept AS (
      INSERT INTO ibctl.commission_snapshot (id, "commissionId", "userId", year, month, "createdAt", "changeSetId",
        {columns(KEPT, "")})
      SELECT gen_random_uuid(), c.id, d."userId", :year, :month, :now, :change_set, {columns(KEPT)}
      FROM commission_draft d
      JOIN "IbCommission" c ON c."userId" = d."userId" AND c.year = :year AND c.month = :month AND {_OPEN}
      LEFT JOIN ibctl.commission_state s ON s.id = c.id
      LEFT JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId" AND n.year = :year AND n.month = :month
      WHERE d.fresh AND n.digest IS DISTINCT FROM d.digest
      RETURNING id, "commissionId"
    )
    INSERT INTO ibctl.commission_state (id, "snapshotId") SELECT "commissionId", id FROM kept
    ON CONFLICT (id) DO UPDATE SET "snapshotId" = excluded."snapshotId"
    """
)

# What a month earned when it was calculated last, by its snapshot `n`, and earns by the data of today, by a draft `d`.
# In a subquery of each row nothing is joined: under PLAN_FOR_SETS that would go over all snapshots, once for each row.
EARNED = """(CAST(n.figures->>'balance' AS numeric) - CAST(n.figures->>'adjustments' AS numeric)
  - CAST(n.figures->>'carriedIn' AS numeric))"""
EARNS = """(d.balance - d.adjustments - d."carriedIn")"""
SUMMARY = sa.text(
    f"""
    SELECT count(*) FILTER (WHERE {_OPEN}) AS open,
      count(*) FILTER (WHERE "paymentStatus" = 'HELD') AS held,
      count(*) FILTER (WHERE NOT {_OPEN}) AS sealed,
      -- What is sealed stays calculated as what its user was, and what has been booked about it is no difference.
      count(*) FILTER (WHERE NOT {_OPEN} AND u.role = 'IB'
        AND CASE WHEN d."userId" IS NULL THEN c."totalPayout" <> 0 ELSE {DIFFERS} END
        AND (SELECT n.inputs->>'role' <> 'IB' OR coalesce({EARNS}, 0) - {EARNED} = coalesce(b.booked, 0)
             FROM ibctl.commission_snapshot n
             WHERE n.id = (SELECT s."snapshotId" FROM ibctl.commission_state s WHERE s.id = c.id)) IS NOT TRUE
      ) AS drifted,
      coalesce(sum(c."totalPayout"::numeric) FILTER (WHERE {_OPEN}), 0) AS payout,
      coalesce(sum(d."carriedOut") FILTER (WHERE {_OPEN}), 0) AS carried
    FROM "IbCommission" c JOIN "User" u ON u.id = c."userId" LEFT JOIN commission_draft d USING ("userId")
    LEFT JOIN (
      SELECT "userId", sum(amount) AS booked FROM ibctl.adjustment
      WHERE (year, month) > (:year, :month) AND "sourceYear" = :year AND "sourceMonth" = :month
        AND kind IN ('true-up', 'clawback') GROUP BY 1
    ) b USING ("userId")
    WHERE c.year = :year AND c.month = :month AND {_MINE}
    """
)
# The last month of a span of open ones that has balances to carry on: they are in no later month yet. What is booked
# for an IB without a row will be a balance, too, once its month is calculated. Whether there is a row is asked one by
# one: they are few, and a join would go over the commissions of all months.
WAITING = sa.text(
    """
    SELECT w.year, w.month, count(*) AS rows, sum(w.balance) AS sum
    FROM (
      SELECT n.year, n.month, CAST(n.figures->>'carriedOut' AS numeric) AS balance
      FROM ibctl.commission_snapshot n
      JOIN ibctl.commission_state s ON s.id = n."commissionId" AND s."snapshotId" = n.id
      JOIN "IbCommission" c ON c.id = s.id
      WHERE (n.year, n.month) >= (:since_year, :since_month) AND (n.year, n.month) < (:until_year, :until_month)
        AND CAST(n.figures->>'carriedOut' AS numeric) <> 0
      UNION ALL
      SELECT a.year, a.month, sum(a.amount) FROM ibctl.adjustment a
      WHERE (a.year, a.month) >= (:since_year, :since_month) AND (a.year, a.month) < (:until_year, :until_month)
        AND (SELECT c.id FROM "IbCommission" c
             WHERE c."userId" = a."userId" AND c.year = a.year AND c.month = a.month) IS NULL
      GROUP BY a."userId", a.year, a.month HAVING sum(a.amount) <> 0
    ) w GROUP BY w.year, w.month ORDER BY w.year DESC, w.month DESC LIMIT 1
    """
)
