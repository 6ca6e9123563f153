"""Which leads count in a commission that is being paid or was paid.

Where ibctl made the commission, its current snapshot names what counted. Where the web application made it, every lead
counts that was captured or qualified in the month while the IB owned it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import config
from ibctl.leads import ownership_sql

# Parameters: ids, zone. The owners are those of now, those before a transfer, and those before any recorded write.
_COUNTED = sa.text(
    f"""
    WITH owner AS (
      SELECT "userId" FROM "Lead" WHERE id = ANY(:ids)
      UNION SELECT "fromUserId" FROM ibctl.lead_transfer WHERE "leadId" = ANY(:ids)
      UNION SELECT "before"->>'userId' FROM ibctl.change_image WHERE "rowId" = ANY(:ids) AND "tableName" = 'Lead'
    ), sealed AS (
      SELECT k."userId", k.year, k.month, k."paymentStatus", n."leadIds"
      FROM "IbCommission" k
      LEFT JOIN (ibctl.commission_state s JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId") ON s.id = k.id
      WHERE k."paymentStatus" IN ('PROCESSING', 'PAID') AND k."userId" IN (SELECT "userId" FROM owner)
    ), event AS (
      SELECT l.id, {ownership_sql.OWNER} AS "userId",
        fact.moment AT TIME ZONE 'UTC' AT TIME ZONE :zone AS there
      FROM "Lead" l CROSS JOIN LATERAL (VALUES (l."leadCapturedAt"), (l."qualifiedAt")) fact (moment)
      {ownership_sql.former("fact.moment")}
      WHERE l.id = ANY(:ids) AND fact.moment IS NOT NULL
    )
    SELECT line.id, to_char(make_date(s.year, s.month, 1), 'YYYY-MM') AS month, s."paymentStatus" AS status
    FROM sealed s CROSS JOIN LATERAL unnest(s."leadIds") line (id) WHERE line.id = ANY(:ids)
    UNION
    SELECT e.id, to_char(make_date(s.year, s.month, 1), 'YYYY-MM'), s."paymentStatus"
    FROM event e JOIN sealed s ON s."leadIds" IS NULL AND s."userId" = e."userId"
      AND s.year = extract(year FROM e.there) AND s.month = extract(month FROM e.there)
    ORDER BY 1, 2
    """
)


@dataclass(frozen=True)
class Counted:
    """A lead's id, and a month (like 2025-10) in which it counts and how far that is paid."""

    id: str
    month: str
    status: str


def find(session: Session, ids: Sequence[str]) -> list[Counted]:
    """Return which of these leads count in a month that is being paid or was paid."""
    values = {"ids": list(ids), "zone": config.settings().timezone.key}
    return [Counted(*row) for row in session.execute(_COUNTED, values)]
