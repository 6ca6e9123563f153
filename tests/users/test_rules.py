from __future__ import annotations

import datetime as dt
from decimal import Decimal

import bcrypt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ibctl.errors import UsageError
from ibctl.users import rules

NOW = dt.datetime(2025, 11, 3, 12, 0)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("anna@example.com", "anna@example.com"),
        ("  Anna.Berg@Example.COM\n", "anna.berg@example.com"),
        ("anna+ads@example.co.uk", "anna+ads@example.co.uk"),
        ("Zoë@Exämple.com", "zoë@exämple.com"),
        ("zoe\u0308@example.com", "zoë@example.com"),
        ("anna@xn--exmple-cua.com", "anna@exämple.com"),
    ],
)
def test_an_email_is_stored_trimmed_lower_case_and_composed(written: str, stored: str) -> None:
    assert rules.email(written) == stored


@pytest.mark.parametrize(
    "written",
    ["", "anna", "anna@", "@example.com", "anna@localhost", "a b@example.com", "anna@ex ample.com", "anna@example..com",
     "anna@example.com, bob@example.com", "Anna <anna@example.com>", "anna\0@example.com", "a\u202ebc@example.com",
     "=cmd@exam!ple.com", "anna@" + "x" * 64 + ".com"],
)  # fmt: skip
def test_what_is_no_email_is_refused_by_its_value(written: str) -> None:
    with pytest.raises(UsageError, match="is not an email address") as caught:
        rules.email(written)
    assert f"'{written}'" in str(caught.value)


@given(st.emails())
def test_normalising_an_email_twice_changes_nothing(written: str) -> None:
    try:
        once = rules.email(written)
    except UsageError:  # reserved domains, which hypothesis knows and the web does not
        return
    assert rules.email(once) == once == once.strip().lower()


def test_a_password_is_hashed_in_the_form_that_the_web_application_reads() -> None:
    hashed = rules.hash_password("Pässwörd ✓ 密码")
    assert hashed.startswith("$2b$12$")
    assert len(hashed) == 60
    assert bcrypt.checkpw("Pässwörd ✓ 密码".encode(), hashed.encode())
    assert not bcrypt.checkpw("Pässwörd ✓ 密".encode(), hashed.encode())


@pytest.mark.parametrize(
    ("password", "hashed"),
    [
        # Made by bcryptjs 3.0.3 on Node 20.
        ("Pässwörd ✓ 密码", "$2b$04$sRoydu031V88oVc3CNyme.q1Fkt5EuAjuVUJcb/2JaWlaw6NMnSiC"),
        ("x" * 72, "$2b$04$JGB1apceYtiW1TvTNwxdF.5jr6it2yhM/DSTAbSmhYEpOH89Z0iy6"),
    ],
)
def test_what_node_hashed_is_the_same_algorithm(password: str, hashed: str) -> None:
    assert bcrypt.hashpw(password.encode(), hashed.encode()).decode() == hashed


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("", "0 characters"),
        ("1234567", "7 characters"),
        ("x" * 73, "73 bytes"),
        ("ü" * 37, "74 bytes"),
        ("hunter2\0hunter2", "control characters"),
        ("hunter2\thunter2", "control characters"),
        ("hunter2\udcff", "control characters"),
    ],
)
def test_a_password_out_of_bounds_is_refused_without_being_told(password: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem) as caught:
        rules.check_password(password)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None


@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"]), min_size=8))
@example("x" * 72)
@example("ü" * 36)
@example("12345678")
def test_a_password_is_accepted_exactly_when_bcrypt_uses_all_of_it(password: str) -> None:
    if len(password.encode()) <= 72:
        rules.check_password(password)
    else:
        with pytest.raises(UsageError, match="bytes"):
            rules.check_password(password)


KNOWN = ["anna@example.com", "boss@example.com", "Zoe@brokers.example", "annabel@gmail.com"]


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        ("ana@example.com", ["anna@example.com"]),
        ("anna@exmaple.com", ["anna@example.com"]),
        ("ZOE@broker.example", ["Zoe@brokers.example"]),
        ("anna", ["anna@example.com", "annabel@gmail.com"]),
        ("gmail", ["annabel@gmail.com"]),
        ("nobody@example.com", []),
        ("", []),
        ("@", []),
    ],
)
def test_a_misspelt_email_finds_what_was_meant_and_not_all_who_share_the_domain(wanted: str, meant: list[str]) -> None:
    assert rules.close_matches(wanted, KNOWN) == meant


@given(st.text(), st.lists(st.text()))
def test_suggestions_are_at_most_three_of_the_known(wanted: str, known: list[str]) -> None:
    found = rules.close_matches(wanted, known)
    assert len(found) <= 3
    assert set(found) <= set(known)


def held(
    emails: list[str], leads: int = 0, unpaid: int = 0, total: str = "0", again: int = 0, again_total: str = "0"
) -> rules.Holdings:
    return rules.Holdings(emails, leads, unpaid, Decimal(total), again, Decimal(again_total), "USD")


def test_the_effect_of_a_deactivation_names_leads_and_money() -> None:
    assert rules.deactivation_effect(held(["a@x.y"], 1234, 2, "12480.55")) == (
        "a@x.y can no longer sign in; 1,234 leads and 2 unpaid commissions (12,480.55 USD) stay as they are"
    )
    assert rules.deactivation_effect(held(["a@x.y", "b@x.y"], 1, 1, "0.5")) == (
        "2 accounts can no longer sign in; 1 lead and 1 unpaid commission (0.50 USD) stay as they are"
    )
    assert rules.deactivation_effect(held(["a@x.y"])) == "a@x.y can no longer sign in"


NONE = rules.Uncounted(0, Decimal(0), "USD")


def test_making_an_ib_an_administrator_is_worth_a_question_only_when_something_hangs_on_it() -> None:
    assert rules.promotion_effect(held(["a@x.y"]), NONE) is None
    assert rules.promotion_effect(held(["a@x.y"], 3, 1, "0.5"), NONE) == (
        "a@x.y becomes an ADMIN and earns no more commissions; "
        "3 leads and 1 unpaid commission (0.50 USD) of closed months or in payouts stay as they are"
    )
    assert rules.promotion_effect(held(["a@x.y"], 3, 3, "570", 2, "270"), NONE) == (
        "a@x.y becomes an ADMIN and earns no more commissions; "
        "3 leads and 1 unpaid commission (300.00 USD) of closed months or in payouts stay as they are; "
        "the next run calculates 2 unpaid commissions (270.00 USD) of open months without leads and ad spend, "
        "unless they are closed first"
    )
    assert rules.promotion_effect(held(["a@x.y"], 3), NONE) == (
        "a@x.y becomes an ADMIN and earns no more commissions; 3 leads stay as they are"
    )
    assert rules.promotion_effect(held(["a@x.y"], 3), rules.Uncounted(2, Decimal("1000.5"), "USD")) == (
        "a@x.y becomes an ADMIN and earns no more commissions; 3 leads stay as they are; 2 qualified leads of open "
        "months, with a CPA of 1,000.50 USD, are in no commission yet and will earn nothing, unless their months are "
        "closed first"
    )


def test_a_lock_is_mentioned_only_while_it_lasts() -> None:
    assert rules.locked_note("a@x.y", None, NOW) is None
    assert rules.locked_note("a@x.y", NOW, NOW) is None
    assert rules.locked_note("a@x.y", NOW + dt.timedelta(minutes=30), NOW) == (
        "it stays locked until 2025-11-03 12:30 UTC; `ibctl users unlock a@x.y` lifts that"
    )
