from __future__ import annotations

from decimal import Decimal

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ibctl import money


@pytest.mark.parametrize(
    ("exact", "cents"),
    [("0.005", "0.01"), ("-0.005", "-0.01"), ("2.675", "2.68"), ("2.6749999", "2.67"), ("1", "1.00")],
)
def test_half_a_cent_is_rounded_away_from_zero(exact: str, cents: str) -> None:
    assert money.to_cents(Decimal(exact)) == Decimal(cents)


@given(st.decimals(min_value=-(10**11), max_value=10**11, places=2))
def test_an_amount_survives_the_column_that_stores_it_as_a_double(amount: Decimal) -> None:
    assert money.from_float(float(amount)) == amount


def test_the_noise_of_float_arithmetic_is_dropped() -> None:
    assert money.from_float(0.1 + 0.2) == Decimal("0.3")


def test_a_double_is_read_as_postgresql_casts_it_to_numeric(database: str) -> None:
    with psycopg.connect(database) as connection:

        @settings(max_examples=200, deadline=None)
        @given(st.floats(min_value=-1e12, max_value=1e12))
        def agrees(value: float) -> None:
            (numeric,) = connection.execute("SELECT %s::float8::numeric", [value]).fetchone() or ()
            assert money.from_float(value) == numeric

        agrees()


@pytest.mark.parametrize(
    "text", ["NaN", "inf", "-Infinity", "1e5", "1,5", "1.234,50", "1_000", "", "abc", "0x10", "٣", "1e400"]
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an amount"):
        money.parse(text)


def test_an_amount_beyond_what_a_double_holds_to_the_cent_is_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        money.parse("1000000000000")


@pytest.mark.parametrize(("text", "amount"), [("1234.5", "1234.5"), ("-12.50", "-12.50"), (" 0 ", "0"), (".5", "0.5")])
def test_plain_decimals_are_read(text: str, amount: str) -> None:
    assert money.parse(text) == Decimal(amount)


@pytest.mark.parametrize(
    ("amount", "text"),
    [("12480.55", "12,480.55 USD"), ("0", "0.00 USD"), ("10.0005", "10.0005 USD"), ("-3.1", "-3.10 USD")],
)
def test_an_amount_is_shown_with_its_cents_and_no_digit_hidden(amount: str, text: str) -> None:
    assert money.show(Decimal(amount), "USD") == text


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("300.00", "JPY", "300 JPY"), ("1500", "JPY", "1,500 JPY"), ("300.45", "JPY", "300.45 JPY"),
        ("-0.3", "JPY", "-0.3 JPY"), ("12.5", "KWD", "12.500 KWD"), ("0.00", "JPY", "0 JPY"), ("300", "", "300.00"),
    ],
)  # fmt: skip
def test_an_amount_has_its_currencys_decimals_and_what_lies_below_them(amount: str, currency: str, text: str) -> None:
    assert money.show(Decimal(amount), currency) == text


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_amount_is_shown_as_it_is(text: str) -> None:
    assert money.show(float(text), "USD") == f"{text} USD"
