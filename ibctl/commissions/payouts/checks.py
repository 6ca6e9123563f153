"""Whether batches and commissions still say the same: something else than ibctl may have written either."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from ibctl.commissions.payouts.evidence_sql import NET

_ASTRAY = sa.text(
    """
    SELECT i.reference, i.status, coalesce(c."paymentStatus", 'gone') AS found
    FROM ibctl.payout_item i LEFT JOIN "IbCommission" c ON c.id = i."commissionId"
    WHERE i.status <> 'CANCELLED' AND c."paymentStatus" IS DISTINCT FROM i.status ORDER BY 1
    """
)
_UNBATCHED = sa.text(
    """
    SELECT count(*) FROM "IbCommission" c
    WHERE c."paymentStatus" = 'PROCESSING' AND NOT EXISTS (SELECT FROM ibctl.payout_item i WHERE i.claim = c.id)
    """
)
# What is out is not what is due, or what came back was not seen leaving; nothing at all is out, too, of a paid one.
_UNSETTLED = sa.text(
    f"""
    SELECT i.reference FROM ibctl.payout_item i JOIN ({NET}) n USING (id)
    WHERE n.strange OR CASE i.status WHEN 'PAID' THEN n.sent <> i.amount WHEN 'CANCELLED' THEN n.sent <> 0
      ELSE n.sent NOT IN (0, i.amount) OR n.unseen END ORDER BY 1
    """
)


def problems(connection: sa.Connection) -> Iterator[tuple[str, str]]:
    """Yield what is wrong and what to do about it."""
    astray = connection.execute(_ASTRAY).all()
    if astray:
        shown = ", ".join(f"{row.reference} is {row.status}, its commission {row.found}" for row in astray[:3])
        yield (
            f"{len(astray)} payment(s) and their commissions disagree: {shown}",
            (
                "something else than ibctl changed paymentStatus: where a payment is PAID, set it back; where it is "
                "PROCESSING, `payouts reconcile` sets it right once it is paid, and `payouts cancel` takes it out"
            ),
        )
    unbatched = connection.execute(_UNBATCHED).scalar_one()
    if unbatched:
        yield (
            f"{unbatched} PROCESSING commission(s) are in no batch",
            ("the web application is paying them, or set paymentStatus back to PENDING"),
        )
    unsettled = connection.scalars(_UNSETTLED, {"batch": None}).all()
    if unsettled:
        yield (
            (
                f"{len(unsettled)} payment(s) are short, over, double, returned or in a wrong currency: "
                f"{', '.join(unsettled[:3])}"
            ),
            ("`ibctl commissions payouts show` has them"),
        )
