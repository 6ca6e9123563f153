from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st

from ibctl import months
from ibctl.errors import UsageError
from ibctl.months import Month

ZONES = ["UTC", "Europe/Berlin", "Pacific/Kiritimati", "Etc/GMT+12", "America/New_York", "Asia/Kathmandu"]


@pytest.mark.parametrize(
    "text", ["2025-13", "2025-00", "2025-1", "25-10", "1999-12", "2200-01", "", "2025/10", "٢٠٢٥-١٠"]
)
def test_what_is_no_month_is_refused_with_its_value(text: str) -> None:
    with pytest.raises(UsageError, match="is not a month: write it like 2025-10"):
        months.parse(text)


@pytest.mark.parametrize(
    ("zone", "start", "end"),
    [
        ("UTC", "2025-10-01T00:00", "2025-11-01T00:00"),
        ("Pacific/Kiritimati", "2025-09-30T10:00", "2025-10-31T10:00"),  # +14:00
        ("Etc/GMT+12", "2025-10-01T12:00", "2025-11-01T12:00"),  # -12:00
        ("Europe/Berlin", "2025-09-30T22:00", "2025-10-31T23:00"),  # the clock goes back on 26 October
    ],
)
def test_a_month_is_cut_at_local_midnight(zone: str, start: str, end: str) -> None:
    assert Month(2025, 10).bounds(ZoneInfo(zone)) == (datetime.fromisoformat(start), datetime.fromisoformat(end))


def test_a_midnight_that_the_clock_skips_is_the_instant_of_the_change() -> None:
    # Asunción went from 2023-10-01 00:00 -04 straight to 01:00 -03.
    assert Month(2023, 10).bounds(ZoneInfo("America/Asuncion"))[0] == datetime(2023, 10, 1, 4, 0)


@given(st.integers(2000, 2198), st.integers(1, 12), st.sampled_from(ZONES))
def test_months_leave_no_gap_and_no_overlap(year: int, month: int, zone: str) -> None:
    this = Month(year, month)
    assert this.bounds(ZoneInfo(zone))[1] == this.next.bounds(ZoneInfo(zone))[0]
    assert this.next.previous == this
    assert timedelta(days=27) < this.bounds(ZoneInfo(zone))[1] - this.bounds(ZoneInfo(zone))[0] < timedelta(days=32)


@given(st.datetimes(datetime(2001, 1, 1), datetime(2190, 1, 1)), st.sampled_from(ZONES))
def test_every_instant_lies_in_the_month_of_its_local_date(instant: datetime, zone: str) -> None:
    local = instant.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    start, end = Month(local.year, local.month).bounds(ZoneInfo(zone))
    assert start <= instant < end


@freeze_time("2025-11-01 05:00:00")
def test_the_last_full_month_depends_on_the_zone() -> None:
    assert months.last_full(ZoneInfo("UTC")) == Month(2025, 10)
    assert months.last_full(ZoneInfo("America/Los_Angeles")) == Month(2025, 9)
