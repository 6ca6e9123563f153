"""Which files of payouts rest on evidence that an undo takes back: what they pay was asked for because of it."""

from __future__ import annotations

from itertools import groupby

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import currencies
from ibctl.admin.audit import rules
from ibctl.admin.audit.sql import IMAGE

# The payments of the movements that are gone, in files that were written when these were known.
_LINES = sa.text(
    f"""
    SELECT DISTINCT o."batchId" AS batch, o.number, i.reference, l.amount, i.currency
    FROM pg_temp.undo_row r {IMAGE}
    JOIN ibctl.payout_order_line l ON l."itemId" = c."after"->>'itemId'
    JOIN ibctl.payout_order o ON o.id = l."orderId" AND o."withdrawnAt" IS NULL
    JOIN ibctl.payout_item i ON i.id = l."itemId"
    JOIN ibctl.change w ON w."rowId" = l.id AND w."tableName" = 'payout_order_line' AND w."before" IS NULL
    WHERE r.table_name = 'payout_payment' AND r.operation = 'delete' AND r.state = 'ready' AND l.moved > 0
      AND w."changeSetId" > :id
    ORDER BY 1, 2, 3
    """
)


def files(session: Session, number: int) -> list[str]:
    """Warn of each file that rests on what the undo of change set `number` took back, unless it was withdrawn."""
    found = session.execute(_LINES, {"id": number}).all()
    return [
        rules.relied(batch, file, [f"{row.reference} ({currencies.show(row.amount, row.currency)})" for row in rows])
        for (batch, file), rows in groupby(found, key=lambda row: (row.batch, row.number))
    ]
