"""Which months are closed, and what may still be written into the others."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel import Session, col, select

from ibctl.errors import RequestError
from ibctl.models.commissions import ClosedMonth
from ibctl.months import Month

# Held by everything that calculates, closes or pays months, or changes what they are calculated by.
LOCK = "commissions run"


def closed(session: Session, month: Month) -> ClosedMonth | None:
    """Return when and by whom a month was closed, or None while it is open."""
    return session.get(ClosedMonth, str(month))


def all_closed(session: Session) -> list[ClosedMonth]:
    """Return the closed months, the newest first."""
    latest = (col(ClosedMonth.year).desc(), col(ClosedMonth.month).desc())
    return list(session.exec(select(ClosedMonth).order_by(*latest)))


def last_closed(session: Session) -> Month | None:
    """Return the last month that is closed, or None."""
    found = next(iter(all_closed(session)), None)
    return Month(found.year, found.month) if found else None


def following(session: Session) -> Month | None:
    """Return the month after the last closed one, or None while none is closed."""
    last = last_closed(session)
    return last.next if last else None


def open_spans(session: Session, until: Month) -> Iterator[tuple[Month | None, Month]]:
    """Yield the spans of months before `until` that are not closed, the last first.

    Each as its first month, None where it has none, and the one after its last. Mostly there are two: since the last
    month that was closed, and before the first one. Another lies before a month that was closed late.
    """
    end = until
    for closed in all_closed(session):
        month = Month(closed.year, closed.month)
        if month.next < end:
            yield month.next, end
        end = min(end, month)
    yield None, end


def require_open(session: Session, month: Month) -> None:
    """Raise RequestError when a month is closed."""
    found = closed(session, month)
    if found is not None:
        raise RequestError(
            f"{month} was closed on {found.closed_at:%Y-%m-%d} by {found.closed_by}: book into a later month, or "
            f"`ibctl commissions reopen {month}` while nothing of it is paid"
        )


def require_open_from(session: Session, month: Month) -> None:
    """Raise RequestError when a month or a later one is closed: what holds from it on would change a closed month."""
    last = last_closed(session)
    if last is not None and month <= last:
        raise RequestError(f"{last} is closed: this can hold from {last.next} on, not from {month}")
