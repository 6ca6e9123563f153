"""Reads the commissions that are stored."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from ibctl.models.platform import IbCommission, User
from ibctl.months import Month


def _filtered(month: Month | None, ib: User | None, status: str | None) -> sa.Select[tuple[IbCommission, str]]:
    statement: Any = select(IbCommission, User.email).join(User, col(User.id) == col(IbCommission.user_id))
    if month is not None:
        statement = statement.where(IbCommission.year == month.year, IbCommission.month == month.month)
    if ib is not None:
        statement = statement.where(IbCommission.user_id == ib.id)
    if status is not None:
        statement = statement.where(IbCommission.payment_status == status)
    return statement  # type: ignore[no-any-return] # the SQLModel select() is generic over its columns


def rows(
    session: Session, *, month: Month | None, ib: User | None, status: str | None, limit: int = 0
) -> Iterator[dict[str, Any]]:
    """Stream the stored commissions as rows under the schema's names: newest month first, then highest payout."""
    statement = _filtered(month, ib, status).order_by(
        col(IbCommission.year).desc(), col(IbCommission.month).desc(), col(IbCommission.total_payout).desc(), User.email
    )
    if limit:
        statement = statement.limit(limit)
    options = {"stream_results": True, "yield_per": 1000}
    for commission, email in session.execute(statement, execution_options=options):
        yield as_row(commission, email)
        session.expunge(commission)


# The web application may have stored NaN, which PostgreSQL takes for greater than all, or an infinity.
_AMOUNT = "\"totalPayout\" > '-Infinity' AND \"totalPayout\" < 'Infinity'"
_NO_AMOUNTS = sa.text(
    f"""
    SELECT concat(u.email, ' ', to_char(c.year, 'FM0000'), '-', to_char(c.month, 'FM00'), ' (', c."totalPayout", ')')
    FROM "IbCommission" c JOIN "User" u ON u.id = c."userId"
    WHERE NOT ({_AMOUNT}) AND (CAST(:ib AS text) IS NULL OR c."userId" = :ib)
      AND (CAST(:year AS int) IS NULL OR (c.year, c.month) = (:year, :month)
        OR :before AND (c.year, c.month) < (:year, :month))
    ORDER BY c.year, c.month, u.email
    """
)


def totals(session: Session, *, month: Month | None, ib: User | None, status: str | None) -> tuple[int, Decimal]:
    """Return how many commissions match, and the sum of those of their payouts that are amounts."""
    matching = _filtered(month, ib, status).subquery()
    amounts = sa.func.sum(sa.cast(matching.c.totalPayout, sa.Numeric)).filter(sa.text(_AMOUNT))
    count, total = session.execute(
        sa.select(sa.func.count(), sa.func.coalesce(amounts, 0)).select_from(matching)
    ).one()  # fmt: skip
    return count, Decimal(total)


def no_amounts(session: Session, month: Month | None, *, ib: str | None = None, before: bool = False) -> list[str]:
    """Name the commissions whose totalPayout is no amount, like "ib@x.y 2025-10 (NaN)".

    Those of all months, of one, or of that and all `before` it.
    """
    values = {"year": month and month.year, "month": month and month.month, "ib": ib, "before": before}
    return list(session.scalars(_NO_AMOUNTS, values))


def as_row(commission: IbCommission, email: str) -> dict[str, Any]:
    """Return one commission under the schema's names, with its IB's email."""
    names = sa.inspect(IbCommission).columns
    return {"email": email} | {column.name: getattr(commission, name) for name, column in names.items()}
