"""Whoever earned something in an open month as an IB, and is one no more: a run takes that away, and says so."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import config, money, rendering
from ibctl.months import Month

# Looked up one by one, since administrators are few: a join would go over the commissions of all months. What is no
# amount nobody has earned.
_FORMER = sa.text(
    """
    SELECT u.email, u.role::text AS role, c.earned FROM "User" u CROSS JOIN LATERAL (
      SELECT k."commissionAmount"::numeric + k."bonusAmount"::numeric
        + coalesce(CAST(n.figures->>'rounding' AS numeric), 0) AS earned
      FROM "IbCommission" k
      LEFT JOIN (ibctl.commission_state s JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId") ON s.id = k.id
      WHERE k."userId" = u.id AND k.year = :year AND k.month = :month AND k."paymentStatus" IN ('PENDING', 'HELD')
        AND k."commissionAmount" + k."bonusAmount" > 0 AND k."commissionAmount" + k."bonusAmount" < 'Infinity' OFFSET 0
    ) c WHERE u.role <> 'IB' AND (CAST(:ib AS text) IS NULL OR u.id = :ib) ORDER BY u.email
    """
)


@dataclass(frozen=True)
class Former:
    """What somebody's open month had earned, commission and bonus, until the run that says so; in the base currency."""

    month: Month
    email: str
    role: str
    earned: Decimal

    @property
    def in_words(self) -> str:
        """Who it is, what is not earned any more, and what to do where it is owed all the same."""
        return (
            f"{self.email} is {self.role} now, and {self.month} earns no "
            f"{money.show(self.earned, config.settings().base_currency)} any more: leads and spend count only for IBs; "
            f"if it is owed, book it: `ibctl commissions adjust {self.email} {self.month} {self.earned:.2f}`"
        )

    @property
    def as_json(self) -> dict[str, Any]:
        """The person, the role of now, and the sum."""
        return {"email": self.email, "role": self.role, "earned": rendering.plain(self.earned)}


def find(session: Session, month: Month, *, ib: str | None = None) -> list[Former]:
    """Return whose open rows a run of the month, for all or for the user id `ib`, will leave without what they earned.

    By email; once it has run there are none.
    """
    values = {"year": month.year, "month": month.month, "ib": ib}
    return [Former(month, row.email, row.role, row.earned) for row in session.execute(_FORMER, values)]
