"""A hold, the status of its commission, and the balance that a release carries on, go back together or not at all.

A held row without its hold could never be told from one that nobody holds, a hold on a PENDING row holds nothing, and
a balance whose carry is taken back alone is gone. So what the undo would leave is worked out for each IB's month, its
`key`.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlmodel import Session

from ibctl.admin.audit.sql import IMAGE, Table

_KEY = """concat_ws(' ', {0}.{1}, {0}.{2}, {0}."userId")"""
_OWN = _KEY.format("k", "year", "month")
_ABOUT = _KEY.format("k", '"sourceYear"', '"sourceMonth"')


def _listed(table: str, columns: str, names: str) -> str:
    """Return what the undo's rows of a table were before the change set; of new rows, as what it wrote them."""
    return f"""
      SELECT r.number, r.row_id AS id, r.state, r.state = 'ready' AS ready, r.operation <> 'delete' AS stays, {names}
      FROM pg_temp.undo_row r {IMAGE}
      CROSS JOIN LATERAL jsonb_to_record(coalesce(c."before", c."after")) AS k ("userId" text, {columns})
      WHERE r.table_name = '{table}'"""


_HELD = _listed("commission_hold", 'year int, month int, "releasedAt" text', f'{_OWN} AS key, k."releasedAt"')
_MADE = _listed("IbCommission", 'year int, month int, "paymentStatus" text', f'{_OWN} AS key, k."paymentStatus"')
_CARRIED = _listed("adjustment", 'kind text, "sourceYear" int, "sourceMonth" int', f"{_ABOUT} AS key, k.kind")
# The keys of the holds that would be in force.
_IN_FORCE = f"""
      SELECT {_OWN} AS key FROM ibctl.commission_hold k
      WHERE k."releasedAt" IS NULL AND k.id NOT IN (SELECT id FROM held WHERE ready)
      UNION ALL SELECT key FROM held WHERE ready AND stays AND "releasedAt" IS NULL"""
# The commissions that there would be of months with a hold, and whether the undo moves their status.
_STATUS = f"""
      SELECT {_OWN} AS key, k."paymentStatus", false AS moved FROM "IbCommission" k
      WHERE {_OWN} IN (SELECT key FROM held UNION SELECT key FROM in_force)
        AND k.id NOT IN (SELECT id FROM made WHERE ready)
      UNION ALL
      SELECT m.key, m."paymentStatus", k."paymentStatus" IS DISTINCT FROM m."paymentStatus"
      FROM made m LEFT JOIN "IbCommission" k ON k.id = m.id WHERE m.ready AND m.stays"""
_TORN = """
      SELECT k.key, k.own AND k.holds > 0 AS again
      FROM (
        SELECT key, (SELECT count(*) FROM in_force f WHERE f.key = w.key) AS holds,
          EXISTS (SELECT FROM held h WHERE h.key = w.key AND h.ready) AS own,
          EXISTS (SELECT FROM carried a WHERE a.key = w.key AND a.kind = 'carry' AND a.state = 'blocked') AS stuck
        FROM (SELECT key FROM held UNION SELECT key FROM in_force) w
      ) k LEFT JOIN status s USING (key)
      WHERE (k.own OR s.moved) AND (k.stuck OR k.holds > 1 OR (s."paymentStatus" = 'HELD') <> (k.holds = 1))"""
_BLOCK = sa.text(
    f"""
    WITH held AS MATERIALIZED ({_HELD}
    ), made AS MATERIALIZED ({_MADE}
    ), carried AS MATERIALIZED ({_CARRIED}
    ), in_force AS MATERIALIZED ({_IN_FORCE}
    ), status AS MATERIALIZED ({_STATUS}
    ), torn AS MATERIALIZED ({_TORN}
    ), rows AS (
      SELECT key, id FROM held UNION ALL SELECT key, id FROM made
      UNION ALL SELECT key, id FROM carried WHERE kind = 'carry'
    )
    UPDATE pg_temp.undo_row r SET state = 'blocked', reason = 'hold', detail = jsonb_build_object(
      'way', CASE WHEN t.again THEN 'hold' ELSE 'release' END,
      'month', lpad(part[1], 4, '0') || '-' || lpad(part[2], 2, '0'),
      'ib', coalesce((SELECT email FROM "User" WHERE id = part[3]), part[3]))
    FROM torn t JOIN rows USING (key) CROSS JOIN LATERAL string_to_array(t.key, ' ') AS part
    WHERE r.row_id = rows.id AND (r.state = 'ready' OR r.reason = 'closed')
      AND r.table_name IN ('commission_hold', 'IbCommission', 'commission_state', 'adjustment')
    """
)


def block(session: Session, number: int, tables: Mapping[str, Table]) -> None:
    """Mark the rows of change set `number` as blocked that would leave a hold and its commission at odds."""
    if tables.keys() & {"commission_hold", "IbCommission"}:
        session.execute(_BLOCK, {"id": number})
