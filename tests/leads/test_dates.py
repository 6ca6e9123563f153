from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibctl.leads import dates

DAY = datetime(2025, 10, 31)
TIME = datetime(2025, 10, 31, 14, 30)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-10-31", DAY),
        (" 2025-10-31T14:30 ", TIME),
        ("2025-10-31 14:30:00", TIME),
        ("2025-10-31T14:30:00Z", TIME),
        ("2025-10-31 14:30:00.000000 Z", TIME),
        ("2025-10-31T16:30:00+02:00", TIME),
        ("2025-10-31 16:30:00 +0200", TIME),
        ("2025-10-31T14:30:00.1239999Z", TIME.replace(microsecond=123000)),
        ("2025-10-31 09:30-05", TIME),
        ("2025-11-01T04:29:59+14:00", datetime(2025, 10, 31, 14, 29, 59)),
        ("31.10.2025", DAY),
        ("1.2.2025", datetime(2025, 2, 1)),
        ("31/10/2025", DAY),
        ("10/31/2025", DAY),
        ("5/5/2025", datetime(2025, 5, 5)),
        ("2025/10/31", DAY),
        ("31-10-2025 14:30", TIME),
        ("10/31/2025, 2:30 PM", TIME),
        ("10/31/2025 12:30 a.m.", datetime(2025, 10, 31, 0, 30)),
        ("31 Oct 2025", DAY),
        ("31. October 2025", DAY),
        ("31-Oct-2025 14:30:00 UTC", TIME),
        ("Oct 31, 2025 2:30 pm", TIME),
        ("sept 1 2025", datetime(2025, 9, 1)),
    ],
)
def test_a_moment_is_read_as_utc(text: str, moment: datetime) -> None:
    assert dates.moment(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "2025-02-30", "2025-10-31x10:00", "2025-10-31T25:00", "31.13.2025", "yesterday", "45961", "1761868800",
        "20251031", "2025-W44-5", "Oct 2025", "31 Foo 2025", "Ok 31 2025", "2025-10-31T10:00:00+01:00Z",
        "10/31/2025 13:00 PM", "2025-10-31T10:00+99:00", "2025-10-31\x0010", "31/10.2025", "Z", "2025-10-31Z",
        "٣١/١٠/٢٠٢٥",
    ],
)  # fmt: skip
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a date: write it like 2025-10-31"):
        dates.moment(text)


def test_a_date_that_may_be_two_is_refused_unless_told() -> None:
    with pytest.raises(ValueError, match="it may be 2025-04-03 or 2025-03-04: write it so, or pass --dayfirst"):
        dates.moment("03/04/2025 10:00")
    assert dates.moment("03/04/2025 10:00", day_first=True) == datetime(2025, 4, 3, 10)
    with pytest.raises(ValueError, match="is not a date"):
        dates.moment("10/31/2025", day_first=True)


@pytest.mark.parametrize("text", ["31.10.25", "31/10/025", "10/31/25"])
def test_a_year_has_four_digits(text: str) -> None:
    with pytest.raises(ValueError, match="write the year with four digits"):
        dates.moment(text)


@pytest.mark.parametrize(
    "text", ["1999-12-31T23:59:59", "2200-01-01", "0001-01-01T00:00+14:00", "31.12.9999", "0000-01-01"]
)
def test_years_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"outside the years 2000 to 2199|is not a date"):
        dates.moment(text)


moments = st.datetimes(datetime(2000, 1, 3), datetime(2199, 12, 29))
zones = st.timedeltas(timedelta(hours=-14), timedelta(hours=14)).map(
    lambda offset: timezone(timedelta(minutes=offset // timedelta(minutes=1)))
)


@given(moment=moments, zone=zones)
def test_a_zone_is_converted_and_the_rest_of_the_milliseconds_cut(moment: datetime, zone: timezone) -> None:
    cut = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert dates.moment(moment.isoformat()) == cut
    assert dates.moment(moment.isoformat(" ")) == cut
    assert dates.moment(cut.isoformat(timespec="milliseconds") + "Z") == cut
    there = moment.replace(tzinfo=timezone.utc).astimezone(zone)  # noqa: UP017
    assert dates.moment(there.isoformat()) == cut
