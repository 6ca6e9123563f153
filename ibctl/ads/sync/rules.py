"""Which days are read from Facebook, what counts of them, and from when on they are final. Plain values only.

Facebook's figures move for 28 days after they were first reported; it keeps them for 37 months.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from ibctl import money
from ibctl.ads.spend.rules import LARGEST_COUNT
from ibctl.ads.sync import action_rules
from ibctl.ads.sync.action_rules import Counted
from ibctl.errors import RequestError, UsageError

if TYPE_CHECKING:
    from ibctl.integrations.facebook.insights import Day

MOVING = 28  # days
KEPT_MONTHS = 37
# So many days with spend do not vanish at once: a wholly empty answer about them is a fault, not news.
VANISHING = 3


@dataclass(frozen=True)
class Coverage:
    """Every day in [first, last] has been read; those up to `final` at an age of 28 days or more."""

    first: date | None = None
    last: date | None = None
    final: date | None = None


@dataclass(frozen=True)
class Window:
    """The days to read, both ends included; `cut` is a day that was asked for and is older than Facebook keeps."""

    first: date
    last: date
    cut: date | None = None


def oldest(today: date) -> date:
    """Return the first day that Facebook still gives; one more than 37 months ago is refused (error 3018)."""
    months = today.year * 12 + today.month - 1 - KEPT_MONTHS
    month = date(months // 12, months % 12 + 1, 1)
    # The day after the same day, but not past a month that is too short for it.
    return min(month + timedelta(days=today.day), (month + timedelta(days=31)).replace(day=1))


def window(today: date, known: Coverage, *, days: int | None = None, since: date | None = None) -> Window:
    """Return the days to read, up to today in the account's zone.

    `days` counts today; `since` is the first day. Without either: the 28 days that still move, and before them those
    that were last read while they did, so that a pause of the runs leaves no gap. Raises RequestError for a `since`
    that has not begun.
    """
    if since is not None and since > today:
        raise RequestError(f"{since} has not begun yet in the account's zone")
    first = since or today - timedelta(days=(days or MOVING) - 1)
    if since is None and days is None and known.last is not None:
        unsettled = known.final + timedelta(days=1) if known.final is not None else known.first
        first = min(first, unsettled or first)
    limit = oldest(today)
    return Window(max(first, limit), today, cut=first if first < limit else None)


def covered(known: Coverage, read: Window, today: date) -> Coverage:
    """Return the coverage after `read`; one that leaves a gap behind the known days does not extend them."""
    if known.first is None or known.last is None:
        known = Coverage(read.first, read.first - timedelta(days=1))
    assert known.first is not None
    assert known.last is not None
    if read.first > known.last + timedelta(days=1):
        return known
    first, last = min(known.first, read.first), max(known.last, read.last)
    settled = today - timedelta(days=MOVING)
    # Final days have to lie without a gap, from the first one on.
    behind = known.final if known.final is not None else known.first - timedelta(days=1)
    if read.first > behind + timedelta(days=1) or settled < read.first:
        return Coverage(first, last, known.final)
    return Coverage(first, last, max(settled, known.final or settled))


# -------------------------------------------------------------------------------------------------------------- figures


@dataclass(frozen=True)
class Figures:
    """A day as it is stored."""

    date: date
    spend: Decimal
    impressions: int
    clicks: int
    leads: int
    conversions: int


def figures(day: Day, currency: str, counted: Counted) -> Figures:
    """Return a day's figures. Raises RequestError for what cannot be stored, or is in another currency."""
    if day.currency.upper() != currency.upper():
        raise RequestError(
            f"Facebook reports {day.currency}, but the account is stored with {currency}: "
            "look at it with `ibctl ads accounts refresh`"
        )
    if not 0 <= day.spend < money.LIMIT:
        raise RequestError(
            f"Facebook reports a spend of {day.spend} {day.currency} for {day.date}, which cannot be stored"
        )
    leads, conversions = (action_rules.total(day.actions, types) for types in (counted.leads, counted.conversions))
    if max(day.impressions, day.clicks, leads, conversions) > LARGEST_COUNT or min(leads, conversions) < 0:
        raise RequestError(f"Facebook reports counts for {day.date} that cannot be stored")
    return Figures(day.date, abs(day.spend), day.impressions, day.clicks, leads, conversions)


def require_likely(found: Sequence[Day], stored_with_spend: int, read: Window) -> None:
    """Raise RequestError for an empty answer about days that had spend."""
    if not found and stored_with_spend >= VANISHING:
        raise RequestError(
            f"Facebook answered no figures at all from {read.first} to {read.last}, of which {stored_with_spend} days "
            "have spend: nothing was written"
        )


_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h)?")
_UNITS = {"s": 1, "m": 60, "h": 3600, None: 1}


def seconds(option: str, text: str) -> float:
    """Read a duration: `90`, `90s`, `5m`, `1h`. Raises UsageError."""
    found = _DURATION.fullmatch(text.strip())
    if not found:
        raise UsageError(f"{option}: '{text}' is no duration: write it like 90s or 5m")
    return float(found[1]) * _UNITS[found[2]]
