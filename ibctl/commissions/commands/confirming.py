"""Doing what was confirmed, and nothing else; and saying what was done for good."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ibctl import db, output
from ibctl.errors import RequestError

T = TypeVar("T")


def confirmed(
    deed: Callable[[db.Transaction], T], effect: Callable[[T], str], *, dry_run: bool, reason: str | None, yes: bool
) -> tuple[T, db.Written]:
    """Do a deed after asking whether its effect is wanted; return what came of it, and what was written.

    The effect, like "37 IBs, 12,480.55 USD", is found out by doing it and taking that back. Raises RequestError,
    with nothing written, when it is another one by the time of the answer; UsageError when nobody is there to answer.
    """
    asked = None
    if dry_run or not yes:
        with db.transaction(dry_run=True, reason=reason) as session:
            result = deed(session)
        if dry_run:
            return result, session.written
        asked = effect(result)
        output.confirm(asked, yes=False)
    with db.transaction(reason=reason) as session:
        result = deed(session)
        if asked not in (None, effect(result)):
            raise RequestError(f"it is now: {effect(result)}; nothing was written: look again")
    return result, session.written


def for_good(written: db.Written, done: str) -> None:
    """Say what was done that nothing takes back."""
    if written.dry_run:
        output.note(f"{done}; dry run: nothing was written")
    elif written.change_set is None:
        output.note(done)
    else:
        output.note(f"{done}; change set {written.change_set}")
