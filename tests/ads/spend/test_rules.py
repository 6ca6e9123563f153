"""What a row of a spend file must look like."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibctl.ads.spend import rules
from ibctl.imports import RowError

TODAY = date(2025, 10, 31)
ANNA = rules.Account("cuid1", "act_101", "Main", "USD", "UTC", TODAY)
EURO = rules.Account("cuid2", "102", "Europe", "EUR", "Europe/Berlin", TODAY)
TWIN = rules.Account("cuid3", "act_103", "europe  ", "EUR", "Europe/Berlin", TODAY)
PAGE_ONLY = rules.Account("cuid4", None, None, "USD", "UTC", TODAY)
ACCOUNTS = rules.Accounts([ANNA, EURO, TWIN, PAGE_ONLY])
ROW = {"account": "act_101", "date": "2025-10-30", "dailySpend": "12.50"}


def refused(cells: dict[str, str], currency: str | None = None) -> tuple[str, str]:
    with pytest.raises(RowError) as caught:
        rules.read(cells, ACCOUNTS, currency)
    assert caught.value.message
    return caught.value.code, caught.value.field


@pytest.mark.parametrize("name", ["cuid1", "act_101", "101", "ACT_101", " act_101 ", "Main", "main", " MAIN  "])
def test_an_account_is_named_by_row_id_facebook_id_or_name(name: str) -> None:
    assert ACCOUNTS.find(name) is ANNA


@pytest.mark.parametrize(("name", "found"), [("act_102", EURO), ("102", EURO), ("cuid4", PAGE_ONLY)])
def test_facebook_ids_are_found_however_they_are_stored(name: str, found: rules.Account) -> None:
    assert ACCOUNTS.find(name) is found


def test_a_name_that_two_accounts_have_names_neither_and_says_by_what_they_differ() -> None:
    with pytest.raises(RowError, match=r"2 accounts are called 'Europe'.*102, act_103") as caught:
        ACCOUNTS.find("Europe")
    assert caught.value.code == "account_ambiguous"


def test_an_id_comes_before_a_name_that_looks_like_one() -> None:
    impostor = rules.Account("cuid9", "act_999", "act_101", "USD", "UTC", TODAY)
    assert rules.Accounts([impostor, ANNA]).find("act_101") is ANNA


def test_a_whole_row_is_read() -> None:
    day = rules.read(ROW | {"impressions": "1000", "clicks": "10", "leads": "", "conversions": "0"}, ACCOUNTS, None)
    assert day == rules.SpendDay(ANNA, date(2025, 10, 30), Decimal("12.50"), (1000, 10, 0, 0))


def test_a_column_that_is_not_there_is_not_zero() -> None:
    assert rules.read(ROW, ACCOUNTS, None).counts == (None, None, None, None)


def test_the_account_column_counts_before_the_name_column() -> None:
    assert rules.read(ROW | {"accountName": "Europe"}, ACCOUNTS, None).account is ANNA
    assert rules.read(ROW | {"account": " ", "accountName": "Main"}, ACCOUNTS, None).account is ANNA


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"account": ""}, "account_missing", "account"),
        ({"account": "act_404"}, "account_unknown", "account"),
        ({"account": "act_\0101"}, "account_unknown", "account"),
        ({"account": "Europe"}, "account_ambiguous", "account"),
        ({"date": ""}, "date_invalid", "date"),
        ({"date": "31/10/2025"}, "date_invalid", "date"),
        ({"date": "10/31/2025"}, "date_invalid", "date"),
        ({"date": "20251030"}, "date_invalid", "date"),
        ({"date": "2025-10-30T00:00:00Z"}, "date_invalid", "date"),
        ({"date": "2025-W44-4"}, "date_invalid", "date"),
        ({"date": "2025-02-29"}, "date_invalid", "date"),
        ({"date": "1999-12-31"}, "date_invalid", "date"),
        ({"date": "2200-01-01"}, "date_invalid", "date"),
        ({"date": "9999-12-31"}, "date_invalid", "date"),
        ({"date": "\u0662\u0660\u0662\u0665-10-30"}, "date_invalid", "date"),
        ({"date": "2025-11-01"}, "date_future", "date"),
        ({"dailySpend": ""}, "amount_invalid", "dailySpend"),
        ({"dailySpend": "NaN"}, "amount_invalid", "dailySpend"),
        ({"dailySpend": "Infinity"}, "amount_invalid", "dailySpend"),
        ({"dailySpend": "1e3"}, "amount_invalid", "dailySpend"),
        ({"dailySpend": "1,234.50"}, "amount_invalid", "dailySpend"),
        ({"dailySpend": "12,50"}, "amount_invalid", "dailySpend"),
        ({"dailySpend": "$12"}, "amount_invalid", "dailySpend"),
        ({"dailySpend": "-0.01"}, "amount_invalid", "dailySpend"),
        ({"dailySpend": "1000000000000"}, "amount_invalid", "dailySpend"),
        ({"clicks": "1.0"}, "count_invalid", "clicks"),
        ({"clicks": "-1"}, "count_invalid", "clicks"),
        ({"clicks": "1_0"}, "count_invalid", "clicks"),
        ({"clicks": "\u0661"}, "count_invalid", "clicks"),
        ({"leads": "2147483648"}, "count_invalid", "leads"),
        ({"leads": "9" * 5000}, "count_invalid", "leads"),
        ({"currency": "EUR"}, "currency_mismatch", "currency"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_with_its_code(change: dict[str, str], code: str, field: str) -> None:
    assert refused(ROW | change) == (code, field)


def test_an_amount_whose_header_names_another_currency_is_refused() -> None:
    assert refused(ROW, "EUR") == ("currency_mismatch", "dailySpend")
    assert rules.read(ROW, ACCOUNTS, "USD").daily_spend == Decimal("12.50")


def test_the_running_day_is_not_the_future() -> None:
    assert rules.read(ROW | {"date": str(TODAY)}, ACCOUNTS, None).date == TODAY


def test_minus_nothing_is_nothing() -> None:
    assert not rules.read(ROW | {"dailySpend": "-0.00"}, ACCOUNTS, None).daily_spend.is_signed()


def test_the_largest_counts_fit() -> None:
    cells = ROW | dict.fromkeys(rules.COUNTS, "2147483647") | {"leads": "00000000000000000000001"}
    assert rules.read(cells, ACCOUNTS, None).counts == (2147483647, 2147483647, 1, 2147483647)


@pytest.mark.parametrize(
    ("header", "currency"),
    [
        ("Amount spent (EUR)", "EUR"),
        ("amount spent (usd) ", "USD"),
        ("Daily spend (JPY)", "JPY"),
        ("dailySpend (JPY)", "JPY"),
        ("Amount spent", None),
        ("CPC (all) (USD)", None),
        ("Amount spent (EURO)", None),
    ],
)
def test_a_header_may_name_the_currency_of_the_amounts(header: str, currency: str | None) -> None:
    assert rules.currency_of(header) == currency


@given(st.lists(st.tuples(st.sampled_from([ANNA, EURO]), st.dates(date(2000, 1, 1), date(2199, 12, 31)))))
def test_the_first_row_of_an_account_and_day_is_the_one_that_is_named(rows: list[tuple[rules.Account, date]]) -> None:
    first, expected = rules.FirstRows(), dict[tuple[str, date], int]()
    for number, (account, day) in enumerate(rows, start=2):
        if (account.id, day) in expected:
            with pytest.raises(RowError, match=rf"^row {expected[account.id, day]} has"):
                first.claim(account, day, number)
        else:
            first.claim(account, day, number)
            expected[account.id, day] = number
