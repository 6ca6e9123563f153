"""Whose commissions there are: every IB's, and those of whoever was one while something was calculated or booked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import sqlalchemy as sa
from sqlmodel import Session

from ibctl.commissions.calculation import draft_sql
from ibctl.errors import NotFoundError
from ibctl.models.platform import Role, User
from ibctl.months import Month
from ibctl.users import service as users

# Parameter: user (an id). What was calculated once is known by its snapshot, also when its row is gone.
_HAS_BOOKS = sa.text(
    """
    SELECT EXISTS (SELECT FROM "IbCommission" WHERE "userId" = :user)
      OR EXISTS (SELECT FROM ibctl.adjustment WHERE "userId" = :user)
      OR EXISTS (SELECT FROM ibctl.commission_hold WHERE "userId" = :user)
      OR EXISTS (SELECT FROM ibctl.commission_snapshot WHERE "userId" = :user)
    """
)


def find(session: Session, who: str) -> User:
    """Return the IB with this email (in whatever case) or id, or who has commissions or adjustments of that time.

    Raises as `users.find` does for one that neither is an IB nor has any.
    """
    with suppress(NotFoundError):
        user = users.find(session, who)
        if user.role is Role.IB or session.execute(_HAS_BOOKS, {"user": user.id}).scalar_one():
            return user
    return users.find(session, who, role=Role.IB)


_ROLES = sa.text(f"{draft_sql.roles(draft_sql.AS_STORED)} WHERE id = ANY(:ids)")


def roles(session: Session, month: Month, ids: Sequence[str]) -> Mapping[str, Role]:
    """Return as what users' month is calculated, by their ids: what is settled keeps the role of then."""
    values = {"year": month.year, "month": month.month, "ids": list(ids)}
    return {row.id: Role(row.role) for row in session.execute(_ROLES, values)}
