"""Leads of which nothing has been calculated yet: what they would earn, a role before the first run takes unseen."""

from __future__ import annotations

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import config
from ibctl.models.platform import User
from ibctl.users.rules import Uncounted

# Of the leads that were the user's when they qualified (the first transfer that takes effect later says from whom it
# took them), those of a month after the last closed one that no row of that month counts. What a row counts, the run
# names; a row of the web application's own counts all, and a late lead of a settled one counts by the role of then.
_UNCOUNTED = sa.text(
    """
    SELECT count(*) AS leads,
      coalesce(sum(l."cpaEarned"::numeric) FILTER (WHERE l."cpaEarned" > 0 AND l."cpaEarned" < 'Infinity'), 0) AS cpa
    FROM "Lead" l
    CROSS JOIN LATERAL (SELECT l."qualifiedAt" AT TIME ZONE 'UTC' AT TIME ZONE :zone AS there) local
    LEFT JOIN LATERAL (
      SELECT t."leadId", t."fromUserId" FROM ibctl.lead_transfer t
      WHERE t."leadId" = l.id AND t."effectiveAt" > l."qualifiedAt"
      ORDER BY t."effectiveAt", t."createdAt", t.id LIMIT 1
    ) former ON true
    WHERE (l."userId" = :user OR l.id IN (SELECT "leadId" FROM ibctl.lead_transfer WHERE "fromUserId" = :user))
      AND CASE WHEN former."leadId" IS NULL THEN l."userId" ELSE former."fromUserId" END = :user
      AND to_char(local.there, 'YYYY-MM') > coalesce((SELECT max(id) FROM ibctl.closed_month), '')
      AND NOT EXISTS (SELECT FROM ibctl.adjustment a WHERE a.kind = 'clawback' AND a."leadId" = l.id)
      AND NOT EXISTS (
        SELECT FROM "IbCommission" c
        LEFT JOIN (ibctl.commission_state s JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId") ON s.id = c.id
        WHERE c."userId" = :user
          AND c.year = extract(year FROM local.there) AND c.month = extract(month FROM local.there)
          AND (n.id IS NULL OR c."paymentStatus" IN ('PROCESSING', 'PAID')
            OR n."leadQualified"[array_position(n."leadIds", l.id)] IS NOT NULL))
    """
)


def find(session: Session, user: User) -> Uncounted:
    """Return how many leads of an IB qualified and are in no commission yet, and their CPA; the sum is exact."""
    settings = config.settings()
    row = session.execute(_UNCOUNTED, {"user": user.id, "zone": settings.timezone.key}).one()
    return Uncounted(row.leads, row.cpa, settings.base_currency)
