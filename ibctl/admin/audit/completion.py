"""The numbers of the newest change sets, for the shell to complete. Silent where the database cannot be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ibctl.users import completion

if TYPE_CHECKING:
    from sqlmodel import Session


def change_sets(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete a change set's number, with its command beside it."""

    def read(session: Session) -> list[tuple[str, str]]:
        from ibctl.admin.audit import service

        return service.recent(session, incomplete)

    return completion.answer(ctx, read)
