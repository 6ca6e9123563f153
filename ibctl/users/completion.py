"""Values for the shell to complete: emails of accounts, months. Nothing heavy is imported before there is a word.

Give these to Typer as `autocompletion=`. They stay silent where the database cannot be reached, and never start one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from sqlmodel import Session

# What is completed: names, or each with a word about it.
T = TypeVar("T", str, tuple[str, str])


def users(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the email of any account."""
    return _emails(ctx, incomplete, None)


def ibs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the email of an IB."""
    return _emails(ctx, incomplete, "IB")


def _emails(ctx: typer.Context, incomplete: str, role: str | None) -> list[str]:
    def read(session: Session) -> list[str]:
        from ibctl.models.platform import Role
        from ibctl.users import service

        return service.emails(session, Role(role) if role else None, prefix=incomplete)

    return answer(ctx, read)


def months(incomplete: str) -> list[str]:
    """Complete a month: the running one and the twelve before it."""
    from ibctl import config, months
    from ibctl.errors import IbctlError

    try:
        month, found = months.current(config.settings().timezone), []
    except IbctlError:
        return []
    for _ in range(13):
        found.append(str(month))
        month = month.previous
    return [name for name in found if name.startswith(incomplete)]


def words(names: Iterable[str]) -> list[str]:
    """Return names as the shell wants them: bash alone puts them in as they are, blanks and all."""
    in_bash = os.environ.get("_IBCTL_COMPLETE") == "complete_bash"
    return [re.sub(r"([^\w@%+=:,./-])", r"\\\1", name) if in_bash else name for name in names]


def answer(ctx: typer.Context, read: Callable[[Session], list[T]]) -> list[T]:
    """Return what `read` finds in the database, and nothing where that cannot be asked."""
    from ibctl import config, db
    from ibctl.errors import IbctlError

    try:
        # The root command does not run while a word is completed, so its options have to be picked up here.
        env_file = ctx.find_root().params.get("env_file")
        config.use_env_file(Path(env_file) if env_file else None)
        if not _is_up():
            return []
        db.hurry()
        with db.reading() as session:
            return read(session)
    except IbctlError:
        # Whatever is wrong, the command itself will say; here it would land in the middle of the line being typed.
        return []


def _is_up() -> bool:
    """Say whether there is a server to ask; the embedded one is not started by a press of the Tab key."""
    from ibctl import config, embedded

    settings = config.settings()
    return settings.database is not None or embedded.status(settings.data_dir / "postgres").state == "running"
