"""What an undo must not touch in months that are closed, and of what commissions rest on besides leads and spend.

A closing goes back as a whole or not at all: a month that is open again, of which a balance has been paid elsewhere, or
of which a true-up or clawback has been booked elsewhere since, would count that twice. A reopening does not go back:
the month has been calculated since; it is closed again. What has set the terms of a closed month stays as it is, too:
late leads and spend are calculated by them.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlmodel import Session

from ibctl.admin.audit.sql import IMAGE, Table

_TOGETHER = ("closed_month", "adjustment", "IbCommission", "commission_state")
_READY = "r.state = 'ready'"
_MONTH = "to_char(make_date({0}.year, {0}.month, 1), 'YYYY-MM')"
# Closed by another change set than the one that is taken back.
_CLOSED = """ibctl.closed_month m ON m.year = k.year AND m.month = k.month AND m."changeSetId" <> :id"""

# A clawback that a reopening returned to its month, at nothing, is what it would be had the month never been closed.
_RETURNED = sa.text(
    """
    UPDATE pg_temp.undo_row r SET state = 'ready', reason = NULL, by = NULL, detail = NULL
    FROM ibctl.adjustment a
    WHERE r.table_name = 'adjustment' AND r.state = 'kept' AND r.reason = 'edited' AND r.operation = 'delete'
      AND a.id = r.row_id AND a.kind = 'clawback' AND a.amount = 0 AND EXISTS (
        SELECT FROM ibctl.change c
        WHERE c."changeSetId" = r.by AND c."tableName" = 'closed_month' AND c."after" IS NULL)
    """
)
# Held or released since the month was closed: its figures stay, and `held.py` sees to what was carried on.
_ONLY_HELD = f"""
      SELECT r.number FROM pg_temp.undo_row r {IMAGE}
      WHERE r.table_name = 'IbCommission' AND r.operation = 'update' AND r.first_step = r.last_step
        AND c."before" - '{{paymentStatus,updatedAt}}'::text[] = c."after" - '{{paymentStatus,updatedAt}}'::text[]
        AND c."before"->>'paymentStatus' IN ('PENDING', 'HELD')"""
_COMMISSIONS = sa.text(
    f"""
    UPDATE pg_temp.undo_row r SET state = 'blocked', reason = 'closed', detail = jsonb_build_object('month', m.id)
    FROM "IbCommission" k JOIN {_CLOSED}
    WHERE {_READY} AND r.table_name IN ('IbCommission', 'commission_state') AND k.id = r.row_id
      AND (m."changeSetId" > :id OR r.number NOT IN ({_ONLY_HELD}))
    """
)
# Booked into a month that is closed, or a row that is being paid or paid: there it counts.
_ADJUSTMENTS = sa.text(
    f"""
    UPDATE pg_temp.undo_row r SET state = 'blocked', reason = x.reason, detail = x.detail
    FROM (
      SELECT r.number, CASE WHEN p.id IS NULL THEN 'closed' ELSE 'counted' END AS reason,
        jsonb_build_object('month', {_MONTH.format("k")}, 'ib', coalesce(u.email, k."userId"),
          'status', p."paymentStatus") AS detail
      FROM pg_temp.undo_row r {IMAGE}
      LEFT JOIN ibctl.adjustment cur ON cur.id = r.row_id
      -- Where it is now: a reopening returns a clawback to its month.
      CROSS JOIN LATERAL jsonb_to_record(coalesce(to_jsonb(cur), c."before", c."after"))
        AS k ("userId" text, year int, month int)
      LEFT JOIN "IbCommission" p ON p."userId" = k."userId" AND p.year = k.year AND p.month = k.month
        AND p."paymentStatus" IN ('PROCESSING', 'PAID')
      LEFT JOIN {_CLOSED} LEFT JOIN "User" u ON u.id = k."userId"
      WHERE {_READY} AND r.table_name = 'adjustment' AND (p.id IS NOT NULL OR m.id IS NOT NULL)
    ) x WHERE x.number = r.number
    """
)
_MONTHS = sa.text(
    f"""
    UPDATE pg_temp.undo_row r SET state = 'blocked', reason = CASE WHEN r.operation = 'insert' THEN 'reopened'
      ELSE 'month' END, detail = jsonb_build_object('month', r.row_id)
    WHERE {_READY} AND r.table_name = 'closed_month' AND (r.operation = 'insert'
      OR EXISTS (SELECT FROM ibctl.closed_month m WHERE m.id > r.row_id)
      OR EXISTS (SELECT FROM "IbCommission" k JOIN ibctl.closed_month m USING (year, month)
                 WHERE m.id = r.row_id AND k."paymentStatus" IN ('PROCESSING', 'PAID'))
      OR EXISTS (SELECT FROM ibctl.adjustment a JOIN ibctl.closed_month m
                   ON m.year = a."sourceYear" AND m.month = a."sourceMonth"
                 WHERE m.id = r.row_id AND a.amount <> 0 AND a.id NOT IN (
                   SELECT o.row_id FROM pg_temp.undo_row o WHERE o.table_name = 'adjustment'))
      OR EXISTS (SELECT FROM pg_temp.undo_row o WHERE o.table_name = 'adjustment' AND o.state = 'blocked'))
    """
)
_REST = sa.text(
    f"""
    UPDATE pg_temp.undo_row r SET state = 'blocked', reason = m.reason, detail = m.detail
    FROM (SELECT reason, detail FROM pg_temp.undo_row WHERE table_name = 'closed_month' AND state = 'blocked' LIMIT 1) m
    WHERE {_READY} AND r.table_name = ANY(:tables)
    """
)
_PLANS = sa.text(
    f"""
    UPDATE pg_temp.undo_row r SET state = 'blocked', reason = 'plan', detail = x.detail
    FROM (
      SELECT r.number,
        jsonb_build_object('plan', p.name, 'version', p.version, 'month', min({_MONTH.format("k")})) AS detail
      FROM pg_temp.undo_row r {IMAGE}
      CROSS JOIN LATERAL jsonb_to_record(coalesce(c."after", c."before")) AS p (name text, version int)
      JOIN ibctl.commission_snapshot n ON n.plan->>'name' = p.name AND CAST(n.plan->>'version' AS int) = p.version
      JOIN ibctl.commission_state s ON s."snapshotId" = n.id
      JOIN "IbCommission" k ON k.id = s.id LEFT JOIN ibctl.closed_month m ON m.year = k.year AND m.month = k.month
      WHERE {_READY} AND r.table_name = 'commission_plan'
        AND (k."paymentStatus" IN ('PROCESSING', 'PAID') OR m.id IS NOT NULL)
      GROUP BY r.number, p.name, p.version
    ) x WHERE x.number = r.number
    """
)
# What a closed month's late leads and spend are calculated by. A plan nobody is assigned to is not.
_TERMS = sa.text(
    f"""
    UPDATE pg_temp.undo_row r SET state = 'blocked', reason = 'terms', detail = x.detail
    FROM (
      SELECT r.number, jsonb_build_object('month', to_char(m.last, 'YYYY-MM'),
        'next', to_char(m.last + interval '1 month', 'YYYY-MM')) AS detail
      FROM pg_temp.undo_row r {IMAGE}
      CROSS JOIN LATERAL jsonb_to_record(coalesce(c."before", c."after")) AS k (name text, "effectiveFrom" date)
      CROSS JOIN (SELECT max(make_date(year, month, 1)) AS last FROM ibctl.closed_month) m
      WHERE {_READY} AND k."effectiveFrom" <= m.last AND (r.table_name IN ('plan_assignment', 'ib_group_member')
        OR r.table_name = 'commission_plan' AND EXISTS (
          SELECT FROM ibctl.plan_assignment a WHERE a.plan = k.name AND a."effectiveFrom" <= m.last))
    ) x WHERE x.number = r.number
    """
)


def block(session: Session, number: int, tables: Mapping[str, Table]) -> None:
    """Mark the ready rows of change set `number` that a closed or paid month rests on as blocked."""
    values = {"id": number, "tables": list(_TOGETHER)}
    for names, statement in (
        (("adjustment",), _RETURNED),
        (("IbCommission", "commission_state"), _COMMISSIONS),
        (("adjustment",), _ADJUSTMENTS),
        (("closed_month",), _MONTHS),
        (("closed_month",), _REST),
        (("commission_plan",), _PLANS),
        (("commission_plan", "plan_assignment", "ib_group_member"), _TERMS),
    ):
        if tables.keys() & set(names):
            session.execute(statement, values)
