"""The time as the shared tables hold it: naive UTC, in whole milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """Return the present moment, as naive UTC in whole milliseconds."""
    return to_milliseconds(datetime.now(UTC).replace(tzinfo=None))


def to_milliseconds(moment: datetime) -> datetime:
    """Cut a time down to milliseconds, as JavaScript does; PostgreSQL's `TIMESTAMP(3)` would round it up."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
