"""Days as people write them."""

from __future__ import annotations

from datetime import date

import pytest
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st

from ibctl import days
from ibctl.errors import UsageError


@given(st.dates(days.FIRST, days.LAST))
def test_every_day_is_read_as_it_is_written(day: date) -> None:
    assert days.parse(f" {day.isoformat()} ") == day


@pytest.mark.parametrize(
    "text",
    ["", "today", "2025-10", "2025-10-32", "2025-02-29", "25-10-31", "2025/10/31", "31.10.2025", "03/04/2025",
     "20251031", "2025-W01-1", "2025-10-31T00:00Z",
     "1999-12-31", "2200-01-01", "9999-12-31", "0000-01-01", "2025-10-31\0"],
)  # fmt: skip
def test_what_is_no_day_or_absurd_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a day|outside the years"):
        days.parse(text)


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("UTC", "2025-10-31"),
        ("America/New_York", "2025-10-31"),
        ("Asia/Tokyo", "2025-11-01"),
        ("Pacific/Kiritimati", "2025-11-01"),
        ("Mars/Olympus", "2025-11-01"),
        ("", "2025-11-01"),
        ("../etc/passwd", "2025-11-01"),
    ],
)
@freeze_time("2025-10-31T23:30:00Z")
def test_the_running_day_is_the_zones_and_the_latest_anywhere_where_there_is_no_such_zone(zone: str, day: str) -> None:
    assert days.today(zone).isoformat() == day


def test_a_month_is_its_first_and_last_day() -> None:
    assert days.span("2024-02", None, None) == (date(2024, 2, 1), date(2024, 2, 29))
    assert days.span("2025-12", None, None) == (date(2025, 12, 1), date(2025, 12, 31))


def test_an_open_end_is_open() -> None:
    assert days.span(None, "2025-10-01", None) == (date(2025, 10, 1), None)
    assert days.span(None, None, "2025-10-01") == (None, date(2025, 10, 1))
    assert days.span(None, None, None) == (None, None)


def test_a_span_of_one_day_is_one() -> None:
    assert days.span(None, "2025-10-01", "2025-10-01") == (date(2025, 10, 1), date(2025, 10, 1))


@pytest.mark.parametrize(
    ("month", "since", "until", "message"),
    [
        ("2025-10", "2025-10-01", None, "--month excludes"),
        ("2025-10", None, "2025-10-01", "--month excludes"),
        (None, "2025-10-02", "2025-10-01", "later than"),
        (None, "x", None, "--from: 'x' is not a day"),
        (None, None, "x", "--to: 'x' is not a day"),
        ("x", None, None, "'x' is not a month"),
    ],
)
def test_a_span_that_makes_no_sense_is_refused(
    month: str | None, since: str | None, until: str | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        days.span(month, since, until)
