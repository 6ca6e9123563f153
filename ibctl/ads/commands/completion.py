"""Names of ad accounts, campaigns and templates, for the shell to complete. Silent where the database is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ibctl.users import completion

if TYPE_CHECKING:
    from sqlmodel import Session


def accounts(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete an ad account's `act_…` id, with its name and its IB beside it."""

    def read(session: Session) -> list[tuple[str, str]]:
        from ibctl.ads.accounts import service as accounts

        return accounts.suggestions(session, incomplete)

    return completion.answer(ctx, read)


def campaigns(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a campaign's name, the newest first."""

    def read(session: Session) -> list[str]:
        from ibctl.ads.campaigns import service as campaigns

        return campaigns.names(session, incomplete)

    return completion.words(completion.answer(ctx, read))


def templates(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a template's name."""

    def read(session: Session) -> list[str]:
        from ibctl.ads.templates import service as templates

        return templates.names(session, incomplete)

    return completion.words(completion.answer(ctx, read))
