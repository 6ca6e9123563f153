"""Months, and where they begin and end in time.

A month is cut in the platform's zone; the shared tables hold naive UTC, so its bounds are given as naive UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from ibctl.errors import UsageError


@dataclass(frozen=True, order=True)
class Month:
    """A calendar month, written `2025-10`."""

    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    @property
    def first_day(self) -> date:
        """The first of the month."""
        return date(self.year, self.month, 1)

    @property
    def next(self) -> Month:
        """The month after."""
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    @property
    def previous(self) -> Month:
        """The month before."""
        return Month(self.year - (self.month == 1), (self.month - 2) % 12 + 1)

    def bounds(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Return the month's start and the next one's start as naive UTC; the start belongs to it, the end does not.

        A midnight that a clock change skips is the instant of the change; one that happens twice is the first.
        """
        return _midnight(self.first_day, zone), _midnight(self.next.first_day, zone)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    local = datetime(day.year, day.month, day.day, tzinfo=zone)
    return local.astimezone(UTC).replace(tzinfo=None)


def parse(text: str) -> Month:
    """Read `2025-10`. Raises UsageError with the value when it is no month between 2000-01 and 2199-12."""
    match = re.fullmatch(r"(\d{4})-(\d{2})", text.strip(), re.ASCII)
    if match:
        year, month = int(match[1]), int(match[2])
        if 2000 <= year <= 2199 and 1 <= month <= 12:
            return Month(year, month)
    raise UsageError(f"'{text}' is not a month: write it like 2025-10")


def of(moment: datetime, zone: ZoneInfo) -> Month:
    """Return the month in which a moment (naive UTC) lies in a zone."""
    there = moment.replace(tzinfo=UTC).astimezone(zone)
    return Month(there.year, there.month)


def current(zone: ZoneInfo) -> Month:
    """Return the month that is running in `zone`."""
    today = datetime.now(zone)
    return Month(today.year, today.month)


def last_full(zone: ZoneInfo) -> Month:
    """Return the last month that is over in `zone`."""
    return current(zone).previous
