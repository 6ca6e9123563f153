"""Moments as people and programs write them in files: ISO 8601, or another form that can mean only one day.

A moment with a zone is converted to UTC; one without is UTC. A day alone is its midnight.
"""

from __future__ import annotations

import re
from datetime import datetime

from ibctl import clock

FIRST_YEAR, LAST_YEAR = 2000, 2199
# A moment in the form in which it is stored, which needs no second look; what sorts as text sorts in time.
PLAIN = re.compile(
    r"2[01]\d\d-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    r"(?:T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{3})?)?",
    re.ASCII,
)
# "2025-10-31 14:30:00 +0200", as git and Ruby write it.
_ISO_GAP = re.compile(r"(?<=\d) (?=[+-]\d)", re.ASCII)
# Day, month and year in some order, then perhaps a time, AM or PM, and a zone.
_CLOCK = (
    r"(?:,? +|T)(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?(?: *([AaPp])\.?[Mm]\.?)?"
    r"(?: *(Z|UTC|GMT|[+-]\d{2}:?\d{2}))?"
)
_NUMBERS = re.compile(rf"(\d{{1,4}})([./-])(\d{{1,2}})\2(\d{{1,4}})(?:{_CLOCK})?", re.ASCII)
_DAY_NAME_YEAR = re.compile(rf"(\d{{1,2}})(?:\. *|[ -]+)([A-Za-z]+)\.?(?:,? +|-)(\d{{4}})(?:{_CLOCK})?", re.ASCII)
_NAME_DAY_YEAR = re.compile(rf"([A-Za-z]+)\.? +(\d{{1,2}}),? +(\d{{4}})(?:{_CLOCK})?", re.ASCII)
_NAMES = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip


def moment(text: str, *, day_first: bool = False) -> datetime:
    """Return a moment as naive UTC in whole milliseconds.

    Read are ISO 8601 with or without a zone; `31.10.2025` (day first, as wherever dots are written); `31/10/2025` and
    `10/31/2025` where one number can only be the day, all of them day first with `day_first`; `31 Oct 2025`, `Oct 31,
    2025`; each with a time behind it, or none. Raises ValueError for anything else, and outside 2000 to 2199.
    """
    written = text.strip()
    try:
        # Python's own reader takes more than these forms, such as any character between day and time.
        if written[4:5] == written[7:8] == "-" and written[10:11] in ("", "T", " "):
            read = _iso(written)
        else:
            read = _other(written, day_first)
    except (ValueError, OverflowError) as exc:
        reason = str(exc) if isinstance(exc, _UnclearError) else "write it like 2025-10-31 or 2025-10-31T14:30:00Z"
        raise ValueError(f"'{text}' is not a date: {reason}") from None
    if not FIRST_YEAR <= read.year <= LAST_YEAR:
        raise ValueError(f"'{text}' is outside the years {FIRST_YEAR} to {LAST_YEAR}")
    return clock.to_milliseconds(read) if read.microsecond % 1000 else read


class _UnclearError(ValueError):
    """It is a date, but which?"""


def _iso(written: str) -> datetime:
    if written.endswith("Z") and len(written) > len("2025-10-31T14"):
        # A third of the time of reading it as a zone and converting.
        read = datetime.fromisoformat(written[:-1].rstrip())
        if read.tzinfo is not None:
            raise ValueError
        return read
    return _utc(datetime.fromisoformat(written if " " not in written[11:] else _ISO_GAP.sub("", written)))


def _utc(read: datetime) -> datetime:
    offset = read.utcoffset()
    return read if offset is None else read.replace(tzinfo=None) - offset


def _other(written: str, day_first: bool) -> datetime:
    if found := _NUMBERS.fullmatch(written):
        return _with_time(_numbered(found, day_first), found.groups()[4:])
    if found := _DAY_NAME_YEAR.fullmatch(written):
        return _with_time((int(found[3]), _month(found[2]), int(found[1])), found.groups()[3:])
    if found := _NAME_DAY_YEAR.fullmatch(written):
        return _with_time((int(found[3]), _month(found[1]), int(found[2])), found.groups()[3:])
    raise ValueError


def _numbered(found: re.Match[str], day_first: bool) -> tuple[int, int, int]:
    first, mark, second, third = found[1], found[2], int(found[3]), found[4]
    if len(first) == 4 and len(third) <= 2:
        return int(first), second, int(third)
    if len(third) != 4 or len(first) > 2:
        raise _UnclearError("write the year with four digits")
    one, year = int(first), int(third)
    if day_first or mark == "." or one > 12 or one == second:
        return year, second, one
    if second > 12:
        return year, one, second
    ways = f"{year}-{second:02d}-{one:02d} or {year}-{one:02d}-{second:02d}"
    raise _UnclearError(f"it may be {ways}: write it so, or pass --dayfirst")


def _month(name: str) -> int:
    wanted = "sep" if name.lower() == "sept" else name.lower()
    for number, full in enumerate(_NAMES, start=1):
        if wanted in (full, full[:3]):
            return number
    raise ValueError


def _with_time(day: tuple[int, int, int], clock_parts: tuple[str | None, ...]) -> datetime:
    hour, minute, second, half, zone = clock_parts
    if hour is None:
        return datetime(*day)
    hours = int(hour)
    if half is not None:
        if not 1 <= hours <= 12:
            raise ValueError
        hours = hours % 12 + (12 if half in "Pp" else 0)
    offset = "+00:00" if zone in ("Z", "UTC", "GMT") else zone or ""
    year, month, date = day
    text = f"{year:04d}-{month:02d}-{date:02d}T{hours:02d}:{minute}:{second or '00'}{offset}"
    return _utc(datetime.fromisoformat(text))
