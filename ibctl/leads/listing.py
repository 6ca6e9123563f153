"""Leads as rows, by what they have in common; for listings and exports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import days, exports, utf8
from ibctl.errors import UsageError
from ibctl.leads import rules
from ibctl.users import service as users

_COLUMNS = """
    l.id, l."leadCapturedAt", l.email, l."firstName", l.phone, l."userId", u.email AS ib, l."leadType", l.broker,
    l.source, l.status, l."trackingToken", l."depositedAt", l."tradingStartAt", l."qualifiedAt", l."ftdEarned",
    l."cpaEarned", l."totalEarned", l."systemeContactId", l."createdAt", l."updatedAt"
"""
_NEWEST_FIRST = 'ORDER BY l."leadCapturedAt" DESC, l.id DESC'


@dataclass(frozen=True)
class Filter:
    """Which leads. `ib` is an email or id; the bounds of leadCapturedAt are naive UTC, the upper one is outside."""

    ib: str | None = None
    unassigned: bool = False
    status: str | None = None
    source: str | None = None
    broker: str | None = None
    lead_type: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    qualified: bool | None = None
    search: str | None = None


# What the bounds of the capture are called where other dates could be meant.
CAPTURED = ("--captured-from", "--captured-to")


def captured(
    month: str | None, since: str | None, until: str | None, zone: ZoneInfo, names: tuple[str, str] = CAPTURED
) -> tuple[datetime | None, datetime | None]:
    """Read `--month`, or the two options of these names, as bounds of `Filter`; days begin in `zone`.

    Raises UsageError as `days.span` does.
    """
    first, last = days.span(month, since, until, names)
    return (
        None if first is None else midnight(first, zone),
        None if last is None else midnight(last + timedelta(days=1), zone),
    )


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return when a day begins in a zone, as naive UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC).replace(tzinfo=None)


def listing(session: Session, which: Filter, *, limit: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Return leads as rows, newest first and at most `limit` (0: all), and how many there are without the limit.

    Raises NotFoundError when the IB does not exist, UsageError for --ib together with --unassigned.
    """
    where, values = _where(session, which)
    # The newest are chosen before their owners are looked up: a fifth of the time on a million leads.
    newest = f'(SELECT * FROM "Lead" l WHERE {where} {_NEWEST_FIRST} LIMIT :limit) l'
    rows = list(_rows(session.execute(_select(newest), {**values, "limit": limit or None})))
    if not limit or len(rows) < limit:
        return rows, len(rows)
    return rows, session.execute(sa.text(f'SELECT count(*) FROM "Lead" l WHERE {where}'), values).scalar_one()


def export(session: Session, which: Filter, *, limit: int = 0) -> exports.Query:
    """Return all leads, newest first and at most `limit` (0: all), to be exported. Raises as `listing`."""
    where, values = _where(session, which)
    select = f'SELECT {_COLUMNS} FROM "Lead" l LEFT JOIN "User" u ON u.id = l."userId" WHERE {where}'
    return exports.Query(select, values, 'q."leadCapturedAt" DESC, q.id DESC', limit)


def _select(leads: str) -> sa.TextClause:
    return sa.text(f'SELECT {_COLUMNS} FROM {leads} LEFT JOIN "User" u ON u.id = l."userId" {_NEWEST_FIRST}')


def _where(session: Session, which: Filter) -> tuple[str, dict[str, Any]]:
    """Return a condition made of fixed parts, and the values bound in it."""
    if which.ib is not None and which.unassigned:
        raise UsageError("--ib and --unassigned exclude each other")
    written = dict(zip(("search", "composed"), utf8.writings(which.search or ""), strict=False))
    conditions = {
        "status": "l.status = :status",
        "source": "lower(l.source) = lower(:source)",
        "broker": "lower(l.broker) = lower(:broker)",
        "lead_type": 'l."leadType" = :lead_type',
        "since": 'l."leadCapturedAt" >= :since',
        "before": 'l."leadCapturedAt" < :before',
        "search": " OR ".join(
            f"strpos(lower({column}), lower(:{name})) > 0"
            for name in written
            for column in ("l.email", 'l."firstName"', "l.phone", 'l."trackingToken"')
        )
        + " OR l.id = :search",
    }
    values = {name: value for name in conditions if (value := getattr(which, name)) is not None}
    parts = [f"({conditions[name]})" for name in values]
    if which.search is not None:
        values |= written
    if which.ib is not None:
        parts.append('l."userId" = :ib')
        values["ib"] = users.find(session, which.ib).id
    if which.unassigned:
        parts.append('l."userId" IS NULL')
    if which.qualified is not None:
        parts.append(f'l."qualifiedAt" IS {"NOT " if which.qualified else ""}NULL')
    return " AND ".join(parts) or "true", values


def _rows(found: sa.Result[Any]) -> Iterator[dict[str, Any]]:
    names = tuple(found.keys())
    for row in found:
        values = dict(zip(names, row, strict=True))
        for field in rules.AMOUNTS:
            values[field] = exports.exact(values[field])
        yield values
