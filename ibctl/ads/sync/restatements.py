"""What Facebook came to tell otherwise about stored days."""

from __future__ import annotations

from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from ibctl.ads.spend import service
from ibctl.users import service as users

_LISTING = sa.text(
    """
    SELECT r.id, coalesce(a."adAccountId", r."adAccountId") AS "adAccountId", u.email, r."date", r.field, r.old, r.new,
      r."seenAt", count(*) OVER () AS total
    FROM ibctl.spend_restatement r
    LEFT JOIN "FacebookAdAccount" a ON a.id = r."adAccountId"
    LEFT JOIN "AdSpendHistory" h ON h."adAccountId" = r."adAccountId" AND h."date" = r."date"
    LEFT JOIN "User" u ON u.id = h."userId"
    WHERE (CAST(:account AS text) IS NULL OR r."adAccountId" = :account)
      AND (CAST(:user AS text) IS NULL OR h."userId" = :user)
      AND (CAST(:first AS date) IS NULL OR r."date" >= :first) AND (CAST(:last AS date) IS NULL OR r."date" <= :last)
    ORDER BY r."seenAt" DESC, r."date" DESC, r."adAccountId", r.field LIMIT :limit
    """
)


def listing(
    session: Session, *, account: str | None = None, ib: str | None = None, first: date | None = None,
    last: date | None = None, limit: int = 0,
) -> tuple[list[dict[str, Any]], int]:  # fmt: skip
    """Return restatements as rows, the newest first, and how many there are without the limit (0: all).

    Raises NotFoundError when the account or the IB does not exist.
    """
    values = {
        "account": None if account is None else service.find_account(session, account).id,
        "user": None if ib is None else users.find(session, ib).id,
        "first": first,
        "last": last,
        "limit": limit or None,
    }
    rows = [dict(row) for row in session.execute(_LISTING, values).mappings()]
    return rows, rows[0]["total"] if rows else 0
