"""What the shell completes: batches, plans, groups, closed months.

Silent where the database cannot be reached, and never starts one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ibctl.users import completion

if TYPE_CHECKING:
    from sqlmodel import Session


def batches(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a batch, the newest first."""

    def read(session: Session) -> list[str]:
        from ibctl.commissions.payouts import listing as payout_listing

        return [row["id"] for row in payout_listing.listing(session, limit=50)[0]]

    return [name for name in completion.answer(ctx, read) if name.startswith(incomplete)]


def plans(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a stored plan."""

    def read(session: Session) -> list[str]:
        from ibctl.commissions.plans import service as plans

        return plans.names(session)

    return [name for name in completion.answer(ctx, read) if name.startswith(incomplete)]


def plans_and_default(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a plan that can be assigned, `default` the last."""
    return [*plans(ctx, incomplete), *(name for name in ("default",) if name.startswith(incomplete))]


def groups(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a group that somebody is or was in."""

    def read(session: Session) -> list[str]:
        from ibctl.commissions.plans import service as plans

        return plans.groups(session)

    return completion.words(name for name in completion.answer(ctx, read) if name.startswith(incomplete))


def closed_months(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a month that is closed, the newest first."""
    return [name for name in _closed(ctx) if name.startswith(incomplete)]


def open_months(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a month of the last year that is not closed, the newest first."""
    closed = set(_closed(ctx))
    return [name for name in completion.months(incomplete) if name not in closed]


def _closed(ctx: typer.Context) -> list[str]:
    def read(session: Session) -> list[str]:
        from ibctl.commissions import seals

        return [month.id for month in seals.all_closed(session)]

    return list(completion.answer(ctx, read))
