"""Terms as they are written, and how far a lead is from them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibctl.errors import UsageError
from ibctl.leads.qualification import rules

GIVEN: dict[str, Any] = {
    "broker": " Prime XBT ", "since": "2025-10-01", "min_deposit": "200", "min_lots": "0.50", "days_allowed": 60,
    "cpa": "400",
}  # fmt: skip
TERMS = rules.Terms("Prime XBT", date(2025, 10, 1), Decimal(200), Decimal("0.5"), 60, Decimal(400))
FACTS = rules.Facts(
    terms=TERMS,
    deadline=datetime(2025, 11, 14, 9, 30),
    deposited_at=None,
    deposited=None,
    deposit_met_at=None,
    traded=Decimal("0.13"),
    lots_met_at=None,
)
BEFORE, AFTER = datetime(2025, 11, 1), datetime(2025, 11, 15)


def test_terms_are_read_and_told_in_words() -> None:
    assert rules.terms(**GIVEN) == TERMS
    assert str(TERMS) == "a deposit of 200.00 and 0.5 closed lots within 60 days for a CPA of 400.00"


def test_terms_that_ask_for_nothing_say_so() -> None:
    asked = rules.terms(**GIVEN | {"min_deposit": "0", "min_lots": "-0"})
    assert str(asked) == "the capture alone for a CPA of 400.00"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"broker": "  "}, "a broker's name"),
        ({"broker": "A\0B"}, "a broker's name"),
        ({"broker": "x" * 201}, "a broker's name"),
        ({"since": "01.10.2025"}, "--from: '01.10.2025' is not a day"),
        ({"since": "2200-01-01"}, "--from: '2200-01-01' is outside"),
        ({"min_deposit": "-1"}, "--min-deposit: '-1' is below zero"),
        ({"min_deposit": "nan"}, "--min-deposit: 'nan' is not an amount"),
        ({"min_deposit": "1.005"}, "--min-deposit: '1.005' has more than 2 decimals"),
        ({"min_lots": "0,5"}, "--min-lots: '0,5' is not an amount"),
        ({"min_lots": "0.000000001"}, "--min-lots: '0.000000001' has more than 8 decimals"),
        ({"cpa": "1e12"}, "--cpa: '1e12' is not an amount"),
        ({"cpa": "1000000000000"}, "--cpa: '1000000000000' is too large"),
    ],
)
def test_terms_that_make_no_sense_are_refused_by_option(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        rules.terms(**GIVEN | change)
    assert str(caught.value).startswith(message)


def told(facts: rules.Facts, now: datetime) -> list[tuple[str, float, str]]:
    return [(one.state, float(one.percent), one.missing) for one in rules.conditions(facts, now)]


def test_what_is_missing_is_told_with_the_deadline() -> None:
    assert told(FACTS, BEFORE) == [
        ("open", 0, "needs a deposit of 200.00 by 2025-11-14 09:30 UTC"),
        ("open", 26, "needs 0.37 lots by 2025-11-14 09:30 UTC"),
    ]
    paid = replace(FACTS, deposited_at=BEFORE, deposited=Decimal("199.99"), deadline=None)
    assert told(paid, AFTER) == [("open", 99.9, "needs 0.01 more"), ("open", 26, "needs 0.37 lots")]


def test_what_was_missed_is_told_after_the_deadline() -> None:
    assert told(FACTS, AFTER) == [
        ("missed", 0, "no deposit by the deadline"),
        ("missed", 26, "0.37 lots short at the deadline"),
    ]
    paid = replace(FACTS, deposited_at=BEFORE, deposited=Decimal(150))
    assert told(paid, AFTER)[0] == ("missed", 75, "50.00 short")
    late = replace(FACTS, deposited_at=AFTER, deposited=Decimal(500))
    assert told(late, AFTER)[0] == ("missed", 100, "deposited 2025-11-15 00:00 UTC, after the deadline")


def test_the_deadline_itself_is_still_in_time() -> None:
    assert FACTS.deadline is not None
    assert [state for state, _, _ in told(FACTS, FACTS.deadline)] == ["open", "open"]


def test_money_in_the_account_without_a_date_of_deposit_says_what_is_missing() -> None:
    assert told(replace(FACTS, deposited=Decimal(250)), BEFORE)[0] == (
        "open", 100, "needs the date of the first deposit, depositedAt",
    )  # fmt: skip


def test_a_condition_that_is_met_misses_nothing() -> None:
    facts = replace(FACTS, deposited_at=BEFORE, deposit_met_at=BEFORE, traded=Decimal(3), lots_met_at=BEFORE)
    assert told(facts, AFTER) == [("met", 100, ""), ("met", 100, "")]


@given(st.decimals(-(10**6), 10**6, places=2), st.decimals("0.01", 10**6, places=2))
def test_only_who_has_all_that_is_asked_is_at_a_hundred_percent(paid: Decimal, asked: Decimal) -> None:
    facts = replace(FACTS, terms=replace(TERMS, min_deposit=asked), deposited=paid)
    percent = rules.conditions(facts, BEFORE)[0].percent
    assert 0 <= percent <= 100
    assert (percent == 100) == (paid >= asked)


@pytest.mark.parametrize(
    ("read_at", "words"),
    [
        (None, "never"),
        (datetime(2025, 10, 29), "2025-10-29 00:00 UTC, 3 days ago"),
        (datetime(2025, 10, 31), "2025-10-31 00:00 UTC, 1 day ago"),
        (datetime(2025, 10, 31, 22, 1), "2025-10-31 22:01 UTC, 1 hour ago"),
        (datetime(2025, 10, 31, 23, 58), "2025-10-31 23:58 UTC, 2 minutes ago"),
        (datetime(2025, 11, 1), "2025-11-01 00:00 UTC, just now"),
    ],
)
def test_the_age_of_what_was_read_is_told(read_at: datetime | None, words: str) -> None:
    assert rules.age(read_at, BEFORE) == words
