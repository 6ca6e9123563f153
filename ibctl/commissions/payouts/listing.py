"""Batches and their payments as rows: how far they are, by what has left and has not come back."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import currencies, money
from ibctl.commissions.payouts import destinations as payout_destinations
from ibctl.commissions.payouts import orders as payout_orders
from ibctl.commissions.payouts import rules
from ibctl.commissions.payouts.evidence_sql import NET, RETURNED
from ibctl.commissions.payouts.orders import LAST
from ibctl.models.payouts import PayoutBatch, PayoutOrderLine
from ibctl.models.platform import User
from ibctl.months import Month

# Batches first, since what came back is counted for each of them.
_LISTING = sa.text(
    f"""
    SELECT b.*, i.items, i.processing, i.paid - r.returned AS paid, r.returned, i.cancelled, i."baseAmount",
      i."basePaid" - r."baseReturned" AS "basePaid", r."baseReturned",
      (SELECT "executionDate" FROM ibctl.payout_order o WHERE o."batchId" = b.id AND o."withdrawnAt" IS NULL
       ORDER BY number DESC LIMIT 1) AS "executionDate",
      (SELECT jsonb_object_agg(finding, count) FROM (
        SELECT finding, count(*) AS count FROM ibctl.payout_payment p
        WHERE p."batchId" = b.id AND p."itemId" IS NULL GROUP BY 1) p) AS astray
    FROM (
      SELECT *, count(*) OVER () AS total FROM ibctl.payout_batch
      WHERE (CAST(:year AS integer) IS NULL OR (year, month) = (:year, :month))
        AND (CAST(:id AS text) IS NULL OR id = :id)
      ORDER BY "createdAt" DESC, id DESC LIMIT :limit
    ) b
    JOIN LATERAL (
      SELECT count(*) AS items, count(*) FILTER (WHERE status = 'PROCESSING') AS processing,
        count(*) FILTER (WHERE status = 'PAID') AS paid, count(*) FILTER (WHERE status = 'CANCELLED') AS cancelled,
        coalesce(sum("baseAmount") FILTER (WHERE status <> 'CANCELLED'), 0) AS "baseAmount",
        coalesce(sum("baseAmount") FILTER (WHERE status = 'PAID'), 0) AS "basePaid"
      FROM ibctl.payout_item WHERE "batchId" = b.id
    ) i ON true
    JOIN LATERAL (
      SELECT count(*) AS returned, coalesce(sum(returned), 0) AS "baseReturned" FROM ({RETURNED}) x
    ) r ON true
    ORDER BY b."createdAt" DESC, b.id DESC
    """
)
_ITEMS = sa.text(
    f"""
    SELECT i.id, i.reference, u.email, i."userId", i."commissionId",
      CASE WHEN i.status <> 'PAID' OR n.sent >= i.amount THEN i.status
        WHEN n.sent = 0 THEN 'RETURNED' ELSE 'PART RETURNED' END AS status,
      i."baseAmount", i.amount, i.currency,
      i.rate, i."rateDate", i."rateSource", c."paidAt", CASE WHEN p."itemId" IS NOT NULL THEN n.sent END AS sent,
      -- What has been made up for is a finding no more.
      CASE WHEN n.strange OR i.status = 'PROCESSING'
        OR n.sent <> CASE WHEN i.status = 'CANCELLED' THEN 0 ELSE i.amount END THEN p.findings END AS findings,
      o.number AS file, o.line
    FROM ibctl.payout_item i JOIN ({NET}) n USING (id) LEFT JOIN "User" u ON u.id = i."userId"
    LEFT JOIN "IbCommission" c ON c.id = i."commissionId" AND i.status = 'PAID'
    LEFT JOIN (
      SELECT "itemId", string_agg(finding, ', ' ORDER BY "createdAt", "bookedOn", id) AS findings
      FROM ibctl.payout_payment WHERE "batchId" = :batch AND "itemId" IS NOT NULL GROUP BY 1
    ) p ON p."itemId" = i.id
    LEFT JOIN ({LAST}) o ON o."itemId" = i.id
    ORDER BY i.reference
    """
)


def listing(
    session: Session, *, month: Month | None = None, batch: str | None = None, limit: int = 0
) -> tuple[list[dict[str, Any]], int]:
    """Return batches as rows, newest first and at most `limit` (0: all), and how many there are without the limit."""
    values = {"year": month and month.year, "month": month and month.month, "id": batch, "limit": limit or None}
    found = [dict(row) for row in session.execute(_LISTING, values).mappings()]
    for row in found:
        counts = {status: row[status.lower()] for status in ("PROCESSING", "PAID", "RETURNED", "CANCELLED")}
        row["status"] = rules.status(counts, approved=bool(row["approvedAt"]), exported=bool(row["exportedAt"]))
    return found, found[0]["total"] if found else 0


def item_rows(session: Session, batch: PayoutBatch) -> list[dict[str, Any]]:
    """Return a batch's payments as rows; of names and accounts, as much as can be shown of those that are redirected.

    Raises SecretError, ConfigError, where there are such.
    """
    found = session.execute(_ITEMS, {"batch": batch.id}).mappings()
    elsewhere = payout_orders.redirected(session, batch)
    return [_item_row(dict(row), elsewhere.get(row["line"])) for row in found]


def _item_row(row: dict[str, Any], elsewhere: PayoutOrderLine | None) -> dict[str, Any]:
    del row["line"]
    to = payout_destinations.redirected_to(elsewhere) if elsewhere else None
    return {**row, "pays": currencies.show(row["amount"], row["currency"]), "redirectedTo": to}


_RETURNED = sa.text(
    f"""
    SELECT c.id, concat(u.email, ' ', to_char(c.year, 'FM0000'), '-', to_char(c.month, 'FM00')) AS whose,
      r.returned, b."baseCurrency" AS currency, b.id AS batch
    FROM ibctl.payout_batch b JOIN LATERAL ({RETURNED}) r ON true
    JOIN "IbCommission" c ON c.id = r."commissionId" JOIN "User" u ON u.id = c."userId"
    WHERE (CAST(:year AS integer) IS NULL OR (b.year, b.month) = (:year, :month))
      AND (CAST(:ib AS text) IS NULL OR c."userId" = :ib)
    ORDER BY c.year, c.month, u.email
    """
)


@dataclass(frozen=True)
class Returned:
    """What of a PAID commission came back, and what it is called: "ib@x.y 2025-10 (100.00 USD, batch 2025-10-1)"."""

    amount: Decimal
    words: str


def returned(session: Session, *, month: Month | None, ib: User | None) -> dict[str, Returned]:
    """Return the PAID commissions of which something came back and is not out again, by their ids."""
    values = {"year": month and month.year, "month": month and month.month, "ib": ib and ib.id}
    return {row.id: Returned(row.returned, _words(row)) for row in session.execute(_RETURNED, values)}


def _words(row: Any) -> str:
    return f"{row.whose} ({money.show(row.returned, row.currency)}, batch {row.batch})"
