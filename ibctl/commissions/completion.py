"""Names of batches, for the shell to complete. Silent where the database cannot be reached, and never starts one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ibctl.users import completion

if TYPE_CHECKING:
    from sqlmodel import Session


def batches(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a batch, the newest first."""

    def read(session: Session) -> list[str]:
        from ibctl.commissions import payouts

        return [row["id"] for row in payouts.listing(session, limit=50)[0]]

    return [name for name in completion.answer(ctx, read) if name.startswith(incomplete)]
