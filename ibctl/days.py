"""Days, as people write them in files and on the command line: ISO 8601 only, since 03/04/2025 is two days."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ibctl import months
from ibctl.errors import UsageError

FIRST, LAST = date(2000, 1, 1), date(2199, 12, 31)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
# Where a day begins first (UTC+14, Kiritimati): a day that has not begun there has begun nowhere.
_FURTHEST_AHEAD = timezone(timedelta(hours=14))


def parse(text: str) -> date:
    """Read `2025-10-31`. Raises ValueError for anything else, and for years outside 2000 to 2199."""
    cleaned = text.strip()
    try:
        day = date.fromisoformat(cleaned) if _ISO.fullmatch(cleaned) else None
    except ValueError:
        day = None
    if day is None:
        raise ValueError(f"'{text}' is not a day: write it like 2025-10-31")
    if not FIRST <= day <= LAST:
        raise ValueError(f"'{text}' is outside the years 2000 to 2199")
    return day


def today(zone: str) -> date:
    """Return the running day in an IANA zone; where the name is none, the latest day that has begun anywhere."""
    now = datetime.now(UTC)
    try:
        return now.astimezone(ZoneInfo(zone)).date()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return now.astimezone(_FURTHEST_AHEAD).date()


def latest() -> date:
    """Return the latest day that has begun anywhere on earth."""
    return datetime.now(UTC).astimezone(_FURTHEST_AHEAD).date()


def span(
    month: str | None, since: str | None, until: str | None, names: tuple[str, str] = ("--from", "--to")
) -> tuple[date | None, date | None]:
    """Read `--month`, or `--from` and `--to`, as the first and the last day meant (both belong to it; None: open).

    `names` are what the two options are called.

    Raises UsageError for a malformed value, for both ways at once, and for a span that ends before it begins.
    """
    if month is not None:
        if since is not None or until is not None:
            raise UsageError(f"--month excludes {' and '.join(names)}: give one or the other")
        whole = months.parse(month)
        return whole.first_day, whole.next.first_day - timedelta(days=1)
    first, last = option(names[0], since), option(names[1], until)
    if first is not None and last is not None and first > last:
        raise UsageError(f"{names[0]} {first} is later than {names[1]} {last}")
    return first, last


def option(name: str, text: str | None) -> date | None:
    """Read an option that is a day. Raises UsageError, which names the option."""
    if text is None:
        return None
    try:
        return parse(text)
    except ValueError as exc:
        raise UsageError(f"{name}: {exc}") from None
