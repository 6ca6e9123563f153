"""Whose a lead was at a moment, as parts of a SELECT from leads `l`."""

from __future__ import annotations

# With `former` joined. Text of a user's id; NULL where the lead was nobody's.
OWNER = """CASE WHEN former."leadId" IS NULL THEN l."userId" ELSE former."fromUserId" END"""


def former(moment: str) -> str:
    """Return the join of the transfer that took a lead from whoever owned it at `moment`, SQL of a naive UTC timestamp.

    That is the first one that takes effect later. There is none where the owner of then still is the owner.
    """
    return f"""
        LEFT JOIN LATERAL (
          SELECT t."leadId", t."fromUserId" FROM ibctl.lead_transfer t
          WHERE t."leadId" = l.id AND t."effectiveAt" > {moment}
          ORDER BY t."effectiveAt", t."createdAt", t.id LIMIT 1
        ) former ON true"""
