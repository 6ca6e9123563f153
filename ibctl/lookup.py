"""Finding a thing by what people call it, and the words for one that is not there or not the only one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlmodel import Session

from ibctl.errors import NotFoundError, RequestError

T = TypeVar("T")
# How many things are named where one is misspelt or ambiguous.
SUGGESTED = 3


def the_one(
    name: str, look: Callable[[str], Sequence[T]], *, kind: str, hint: Callable[[str], str], which: Callable[[T], str]
) -> T:
    """Return the only thing of a kind (`campaign`) that `look` finds by a name.

    Raises NotFoundError with a `hint` of what may have been meant; RequestError saying `which` ones have the name.
    """
    wanted = name.strip()
    # A NUL byte can be in no row, and PostgreSQL refuses it.
    possible = "\0" not in wanted
    found = look(wanted) if possible else []
    if not found:
        raise NotFoundError(f"there is no {kind} '{wanted}'{f': {hint(wanted)}' if possible else ''}")
    if len(found) > 1:
        named = ", ".join(map(which, found[:SUGGESTED]))
        raise RequestError(f"'{wanted}' means {len(found)} {kind}s, {named}: give the id")
    return found[0]


def did_you_mean(session: Session, column: Any, part: str, otherwise: str) -> str:
    """Return a question about values of a column that contain a part, in whatever case; or else another hint."""
    contains = sa.func.strpos(sa.func.lower(column), part.lower()) > 0
    close = session.execute(sa.select(column).where(contains).order_by(column).limit(SUGGESTED)).scalars().all()
    return f"did you mean {' or '.join(close)}?" if part and close else otherwise
