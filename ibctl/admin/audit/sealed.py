"""What an undo must not touch: rows that count in a commission which is being paid or has been.

Where ibctl made the commission, its current snapshot names what counted. Where the web application made it, everything
of the IB that lies in the month counts. A row that is not there now counts nowhere: putting a deleted one back takes
nothing away from what was paid for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import config
from ibctl.admin.audit.sql import Table
from ibctl.months import Month

_CANDIDATE = "r.table_name = :table AND r.state = 'ready' AND r.operation <> 'insert'"
_IS_SEALED = """k."paymentStatus" IN ('PROCESSING', 'PAID')"""
# For `rules.why`: whose commission, of which month, and how far its payment is.
_DETAIL = """jsonb_build_object('ib', coalesce(u.email, k."userId"), 'status', k."paymentStatus",
        'month', to_char(k.year, 'FM0000') || '-' || to_char(k.month, 'FM00'))"""

# The IBs whose commissions can depend on the rows: their owners now, and those before the change set.
_OWNERS = f"""
    SELECT DISTINCT cur."userId" FROM {{relation}} cur JOIN pg_temp.undo_row r ON r.row_id = cur.id WHERE {_CANDIDATE}
    UNION
    SELECT (CAST(c."before" AS {{relation}}))."userId"
    FROM pg_temp.undo_row r JOIN ibctl.change c ON c."changeSetId" = :id
      AND c.step = r.first_step AND c."tableName" = r.table_name AND c."rowId" = r.row_id
    WHERE {_CANDIDATE} AND r.operation = 'update'
"""
_IS_OWNERS = """k."userId" = ANY(:owners)"""
_IS_OF_RATES = f"""(k.year, k.month) IN (
          SELECT extract(year FROM cur.date), extract(month FROM cur.date)
          FROM ibctl.exchange_rate cur JOIN pg_temp.undo_row r ON r.row_id = cur.id WHERE {_CANDIDATE})"""

_BLOCK = f"""
    UPDATE pg_temp.undo_row r SET state = 'blocked', reason = 'counted', detail = {_DETAIL}
    FROM ({{counted}}) x
    JOIN "IbCommission" k ON k.id = x.commission LEFT JOIN "User" u ON u.id = k."userId"
    WHERE x.number = r.number
"""
_IN_SNAPSHOT = f"""
      SELECT r.number, min(k.id) AS commission
      FROM "IbCommission" k JOIN ibctl.commission_state s ON s.id = k.id
      JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId"
      CROSS JOIN LATERAL {{lines}} line (id)
      JOIN pg_temp.undo_row r ON r.row_id = line.id AND {_CANDIDATE}
      WHERE {_IS_SEALED} AND {{narrow}} GROUP BY 1
"""
_IN_MONTH = f"""
      SELECT r.number, min(m.commission) AS commission
      FROM unnest(CAST(:commissions AS text[]), CAST(:users AS text[]), CAST(:starts AS timestamp[]),
                  CAST(:ends AS timestamp[])) AS m (commission, owner, starts, ends)
      JOIN {{relation}} cur ON cur."userId" = m.owner
      JOIN pg_temp.undo_row r ON r.row_id = cur.id AND {_CANDIDATE}
      WHERE {{dates}} GROUP BY 1
"""
_ANY = sa.text(f"""SELECT EXISTS (SELECT FROM "IbCommission" k WHERE {_IS_SEALED})""")
_UNSNAPPED = sa.text(
    f"""
    SELECT k.id, k."userId", k.year, k.month FROM "IbCommission" k
    WHERE {_IS_SEALED} AND {_IS_OWNERS} AND k.month BETWEEN 1 AND 12 AND k.year BETWEEN 2000 AND 2199
      AND NOT EXISTS (SELECT FROM ibctl.commission_state s
                      JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId" WHERE s.id = k.id)
    """
)
_COMMISSIONS = sa.text(
    f"""
    UPDATE pg_temp.undo_row r SET state = 'blocked', reason = 'sealed', detail = {_DETAIL}
    FROM "IbCommission" k LEFT JOIN "User" u ON u.id = k."userId"
    WHERE r.table_name = :table AND r.state = 'ready' AND k.id = r.row_id AND {_IS_SEALED}
    """
)
# Payouts keep their own history: a batch that could be undone could be paid twice. Evidence that a payment is PAID by
# stays, too; other evidence may have been misread.
PAYOUTS = ("payout_batch", "payout_item", "payout_order", "payout_order_line", "payout_payment")
_PAYOUT_ROWS = sa.text(
    """
    UPDATE pg_temp.undo_row r SET state = 'blocked',
      reason = CASE r.table_name WHEN 'payout_payment' THEN 'evidence' ELSE 'payout' END
    WHERE r.table_name = ANY(:tables) AND r.state = 'ready' AND NOT (
      r.table_name = 'payout_payment' AND r.operation = 'delete' AND NOT EXISTS (
        SELECT FROM ibctl.payout_payment p JOIN ibctl.payout_item i ON i.id = p."itemId" AND i.status = 'PAID'
        JOIN ibctl.change c ON c."rowId" = i.id AND c."tableName" = 'payout_item' AND c."changeSetId" >= :id
        WHERE p.id = r.row_id))
    """
)
# What would become PROCESSING or PAID again, though no batch stands behind it any more.
_PAYOUT_STATUS = sa.text(
    """
    UPDATE pg_temp.undo_row r SET state = 'blocked', reason = 'payout'
    FROM ibctl.change_image c
    WHERE r.table_name = 'IbCommission' AND r.state = 'ready' AND c."changeSetId" = :id AND c.step = r.first_step
      AND c."tableName" = r.table_name AND c."rowId" = r.row_id
      AND c."before"->>'paymentStatus' IN ('PROCESSING', 'PAID')
    """
)
_DATES = {
    "Lead": """cur."leadCapturedAt" >= m.starts AND cur."leadCapturedAt" < m.ends
        OR cur."qualifiedAt" >= m.starts AND cur."qualifiedAt" < m.ends""",
    # Spend days are dates in the ad account's zone: the month's own, wherever months are cut.
    "AdSpendHistory": "cur.date >= m.starts AND cur.date < m.ends",
}


def block(session: Session, number: int, tables: Mapping[str, Table]) -> None:
    """Mark the ready rows of change set `number` that count in a PROCESSING or PAID commission as blocked.

    Those of payouts too, whatever the commissions are now.
    """
    session.execute(_PAYOUT_ROWS, {"id": number, "tables": list(PAYOUTS)})
    session.execute(_PAYOUT_STATUS, {"id": number})
    if not session.execute(_ANY).scalar_one():
        return
    for name, lines in (("Lead", 'unnest(n."leadIds")'), ("AdSpendHistory", 'unnest(n."dayIds")')):
        if name in tables:
            owners = session.scalars(_owners(tables[name]), {"id": number, "table": name}).all()
            session.execute(_in_snapshot(lines, _IS_OWNERS), {"table": name, "owners": owners})
            _block_whole_months(session, tables[name], owners)
    if "exchange_rate" in tables:
        session.execute(_in_snapshot('unnest(n."dayRateIds")', _IS_OF_RATES), {"table": "exchange_rate"})
    for name in tables.keys() & {"IbCommission", "commission_state"}:
        session.execute(_COMMISSIONS, {"table": name})


def _owners(table: Table) -> sa.TextClause:
    return sa.text(_OWNERS.format(relation=table.relation))


def _in_snapshot(lines: str, narrow: str) -> sa.TextClause:
    return sa.text(_BLOCK.format(counted=_IN_SNAPSHOT.format(lines=lines, narrow=narrow)))


def _block_whole_months(session: Session, table: Table, owners: Any) -> None:
    """Mark what lies in a month whose commission the web application made."""
    found = session.execute(_UNSNAPPED, {"owners": owners}).all()
    if not found:
        return
    spans = [_span(table, Month(row.year, row.month)) for row in found]
    values = {
        "table": table.name,
        "commissions": [row.id for row in found],
        "users": [row.userId for row in found],
        "starts": [start for start, _ in spans],
        "ends": [end for _, end in spans],
    }
    counted = _IN_MONTH.format(relation=table.relation, dates=_DATES[table.name])
    session.execute(sa.text(_BLOCK.format(counted=counted)), values)


def _span(table: Table, month: Month) -> tuple[Any, Any]:
    if table.name == "Lead":
        return month.bounds(config.settings().timezone)
    return month.first_day, month.next.first_day
