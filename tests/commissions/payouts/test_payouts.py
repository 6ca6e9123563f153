"""Batches: what they claim, what they leave alone, cancelling and approving them."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st

from ibctl import currencies, ids
from ibctl.commissions.payouts import rules
from ibctl.commissions.payouts.rules import Rate
from ibctl.months import Month
from tests.commissions.conftest import Platform
from tests.commissions.payout_cases import (
    CANCEL,
    CREATE,
    IBANS,
    SHOW,
    act_as,
    create,
    earner,
    payee,
    payments,
    statuses,
    two,
)
from tests.conftest import Result, Tab

Run = Callable[..., Result]
Sql = Callable[..., list[tuple[Any, ...]]]
APPROVE = ("commissions", "payouts", "approve")


# ---------------------------------------------------------------------------------------------------------------- rules


@given(st.integers(2000, 2199), st.integers(1, 12), st.integers(1, 999), st.integers(1, 99_999))
def test_a_reference_is_plain_short_and_can_be_found(year: int, month: int, number: int, position: int) -> None:
    made = rules.reference(Month(year, month), number, position)
    assert made.isalnum()
    assert len(made) <= 30  # what PayPal takes; SEPA takes 35
    found = rules.REFERENCE.search(f"commission {made} thank you")
    assert found is not None
    assert found[0] == made


@given(
    st.decimals("0.01", 10**9, places=2), st.decimals("0.000001", 10**4, places=6).filter(bool),
    st.sampled_from(["EUR", "JPY", "KWD"]),
)  # fmt: skip
def test_what_is_paid_is_never_further_from_what_is_due_than_half_a_unit(
    due: Decimal, rate: Decimal, currency: str
) -> None:
    paid = rules.payable(due, Rate(rate), currency, "wise")
    unit = Decimal(1).scaleb(-currencies.places(currency))
    assert paid % unit == 0
    assert abs(paid - due / rate) <= unit / 2


# --------------------------------------------------------------------------------------------------------------- create


def test_a_batch_claims_the_pending_rows_and_copies_their_amounts(platform: Platform, sql: Sql, ibctl: Run) -> None:
    two(platform)
    earner(platform, "held@x.y", 10, "HELD")
    ended = create(ibctl)
    assert (
        "batch 2025-10-1: 2 IBs, 150.25 USD; change set 1, `ibctl commissions payouts cancel 2025-10-1`" in ended.stderr
    )
    assert statuses(sql) == {"a@x.y": "PROCESSING", "b@x.y": "PROCESSING", "held@x.y": "HELD"}
    assert payments(sql) == [("IB202510B1N00001", "a@x.y", "PROCESSING", "100.00", "USD"),
                             ("IB202510B1N00002", "b@x.y", "PROCESSING", "50.25", "USD")]  # fmt: skip
    sql('UPDATE "IbCommission" SET "totalPayout" = 999')
    assert [row[3] for row in payments(sql)] == ["100.00", "50.25"]


def test_a_batch_with_a_narrower_choice_touches_nothing_else(platform: Platform, sql: Sql, ibctl: Run) -> None:
    """Bug class: mark-paid with a filter that hit everybody."""
    two(platform)
    earner(platform, "c@x.y", 70)
    payee(platform, "c@x.y", method="paypal", account="c@example.com")
    earner(platform, "a@x.y", 30, month=9)
    before = sql("SELECT to_jsonb(c) FROM \"IbCommission\" c WHERE id <> 'c-b-10' ORDER BY id")
    create(ibctl, "--only", "b@x.y")
    assert sql("SELECT to_jsonb(c) FROM \"IbCommission\" c WHERE id <> 'c-b-10' ORDER BY id") == before
    assert [row[1] for row in payments(sql)] == ["b@x.y"]


def test_whoever_is_excluded_or_has_no_payee_stays_pending_and_is_named(
    platform: Platform, sql: Sql, ibctl: Run
) -> None:
    two(platform)
    earner(platform, "none@x.y", 5)
    ended = ibctl(*CREATE, "--yes", "--exclude", "a@x.y")
    assert ended.exit_code == 6
    assert "left out, excluded: a@x.y" in ended.stderr
    assert "left out, no_payee: none@x.y (`ibctl commissions payees set` says where its money goes)" in ended.stderr
    assert statuses(sql) == {"a@x.y": "PENDING", "b@x.y": "PROCESSING", "none@x.y": "PENDING"}


def test_a_list_of_ibs_may_come_from_stdin(platform: Platform, sql: Sql, ibctl: Run) -> None:
    two(platform)
    earner(platform, "c@x.y", 70)
    payee(platform, "c@x.y")
    assert ibctl(*CREATE, "--yes", "--only", "-", input="a@x.y\n\n c@x.y\n").exit_code == 0
    assert [row[1] for row in payments(sql)] == ["a@x.y", "c@x.y"]


def test_a_payee_that_became_another_one_lately_is_named(platform: Platform, ibctl: Run) -> None:
    two(platform)
    platform.sql("UPDATE ibctl.payee SET \"createdAt\" = now() - interval '90 days'")
    platform.sql("UPDATE ibctl.payee SET \"changedAt\" = now() - interval '15 days'")
    assert "changed their payee" not in ibctl(*CREATE, "--dry-run").stderr
    ibctl("commissions", "payees", "set", "b@x.y", input=f"Mallory\n{IBANS[2]}\n")
    ended = create(ibctl)
    assert "Warning: 1 of them changed their payee in the last 14 days: b@x.y" in ended.stderr
    assert "1 of them changed their payee" in ibctl(*APPROVE, "2025-10-1", "--yes").stderr


def test_a_payee_that_was_removed_and_made_anew_elsewhere_is_named(platform: Platform, ibctl: Run) -> None:
    two(platform)
    ibctl("commissions", "payees", "remove", "b@x.y", "--yes")
    ibctl("commissions", "payees", "set", "b@x.y", input=f"Mallory\n{IBANS[2]}\n")
    assert "Warning: 1 of them changed their payee in the last 14 days: b@x.y" in create(ibctl).stderr


def test_a_second_batch_takes_the_rest_under_references_of_its_own(platform: Platform, sql: Sql, ibctl: Run) -> None:
    two(platform)
    create(ibctl, "--only", "a@x.y")
    create(ibctl)
    assert [row[:2] for row in payments(sql)] == [("IB202510B1N00001", "a@x.y"), ("IB202510B2N00001", "b@x.y")]
    again = ibctl(*CREATE, "--yes")
    assert again.exit_code == 3
    assert "nothing of 2025-10 can be paid out by bank_transfer: no commission of it is PENDING" in again.stderr


@freeze_time("2025-10-31T12:00:00Z")
def test_a_month_that_is_not_over_is_not_paid(platform: Platform, ibctl: Run) -> None:
    two(platform)
    ended = ibctl(*CREATE, "--yes")
    assert (ended.exit_code, "2025-10 is not over yet in UTC" in ended.stderr) == (3, True)


@pytest.mark.parametrize("payout", ["0", "-5", "'NaN'", "'Infinity'"])
def test_what_is_no_amount_to_pay_is_not_claimed(platform: Platform, sql: Sql, ibctl: Run, payout: str) -> None:
    two(platform)
    sql(f'UPDATE "IbCommission" SET "totalPayout" = {payout} WHERE id = \'c-a-10\'')
    create(ibctl)
    assert statuses(sql) == {"a@x.y": "PENDING", "b@x.y": "PROCESSING"}


def test_what_was_booked_since_the_calculation_holds_a_row_back(platform: Platform, sql: Sql, ibctl: Run) -> None:
    two(platform)
    sql(
        'INSERT INTO ibctl.adjustment (id, "userId", year, month, kind, amount, currency, reason, actor, "createdAt")'
        " SELECT %s, id, 2025, 10, 'manual', -20, 'USD', 'r', 'x', now() FROM \"User\" WHERE email = 'a@x.y'",
        ids.cuid(),
    )
    ended = ibctl(*CREATE, "--yes")
    assert (ended.exit_code, "left out, to_calculate: a@x.y" in ended.stderr) == (6, True)
    assert statuses(sql)["a@x.y"] == "PENDING"


def test_without_a_terminal_the_effect_is_named_and_yes_is_asked_for(platform: Platform, sql: Sql, ibctl: Run) -> None:
    two(platform)
    ended = ibctl(*CREATE)
    assert ended.exit_code == 2
    assert "pay out 2025-10 by bank_transfer: 2 IBs, 150.25 USD: nobody is here to confirm; pass --yes" in ended.stderr
    assert payments(sql) == []


def test_a_dry_run_shows_the_batch_and_leaves_everything(platform: Platform, sql: Sql, ibctl: Run) -> None:
    two(platform)
    before = platform.everything()
    ended = ibctl(*CREATE, "--dry-run", "-f", "json")
    assert [row["amount"] for row in json.loads(ended.stdout)] == [100, 50.25]
    assert "dry run: nothing was written" in ended.stderr
    assert platform.everything() == before
    assert payments(sql) == []


# ---------------------------------------------------------------------------------------------------------- currencies


def test_an_ib_is_paid_in_its_own_currency_at_the_stored_rate_which_is_kept(
    platform: Platform, sql: Sql, ibctl: Run
) -> None:
    for email, currency in (("e@x.y", "EUR"), ("j@x.y", "JPY"), ("k@x.y", "KWD"), ("u@x.y", "USD")):
        earner(platform, email, 100)
        payee(platform, email, currency=currency)
    platform.rate("2025-10-29", "EUR", "1.16")
    platform.rate("2025-10-31", "EUR", "1.1571")
    platform.rate("2025-10-27", "JPY", "0.0065")
    platform.rate("2025-10-31", "KWD", "3.2609")
    ended = create(ibctl)
    assert [row[3:] for row in payments(sql)] == [
        ("86.42", "EUR"),
        ("15385", "JPY"),
        ("30.666", "KWD"),
        ("100.00", "USD"),
    ]
    assert "4 IBs, 400.00 USD (sent: 86.42 EUR, 15,385 JPY, 30.666 KWD, 100.00 USD)" in ended.stderr
    rows = json.loads(ibctl(*SHOW, "2025-10-1", "-f", "json").stdout)
    assert [(row["rate"], row["rateDate"], row["rateSource"]) for row in rows] == [
        (1.1571, "2025-10-31", "test"), (0.0065, "2025-10-27", "test"), (3.2609, "2025-10-31", "test"), (1, None, None),
    ]  # fmt: skip


def test_a_rate_that_is_corrected_later_changes_no_payment(platform: Platform, sql: Sql, ibctl: Run) -> None:
    earner(platform, "e@x.y", 100)
    payee(platform, "e@x.y", currency="EUR")
    platform.rate("2025-10-31", "EUR", "1.1571")
    create(ibctl)
    sql("UPDATE ibctl.exchange_rate SET rate = 2")
    assert payments(sql) == [("IB202510B1N00001", "e@x.y", "PROCESSING", "86.42", "EUR")]


def test_no_rate_is_guessed(platform: Platform, sql: Sql, ibctl: Run) -> None:
    two(platform)
    sql("UPDATE ibctl.payee SET currency = 'EUR' WHERE id = (SELECT id FROM \"User\" WHERE email = 'a@x.y')")
    platform.rate("2025-10-23", "EUR", "1.1")  # more than a week before the month's last day
    platform.rate("2025-11-01", "EUR", "1.2")
    ended = ibctl(*CREATE, "--yes")
    assert ended.exit_code == 6
    words = "no rate of EUR from 2025-10-24 to 2025-10-31: `ibctl commissions rates import`"
    assert f"left out, no_rate: a@x.y ({words})" in ended.stderr
    ibctl(*CREATE, "--yes", "--rate-date", "2025-11-01")
    assert [row[1:] for row in payments(sql)] == [("b@x.y", "PROCESSING", "50.25", "USD"),
                                                  ("a@x.y", "PROCESSING", "83.33", "EUR")]  # fmt: skip


def test_what_is_less_than_a_payees_smallest_unit_is_counted_and_named_with_what_to_do(
    platform: Platform, sql: Sql, ibctl: Run
) -> None:
    two(platform)
    platform.rate("2025-10-31", "JPY", "0.0067")
    for email in ("s@x.y", "t@x.y"):
        earner(platform, email, 0.003)
        payee(platform, email, currency="JPY")
    ended = ibctl(*CREATE, "--yes")
    assert ended.exit_code == 6
    words = "less than the smallest unit of JPY: PENDING until `payees set` names another currency"
    assert f"left out, too_small: 2 IBs, s@x.y, t@x.y ({words}; a plan's minimum carries such sums on)" in ended.stderr
    assert {email for email, status in statuses(sql).items() if status == "PENDING"} == {"s@x.y", "t@x.y"}
    alone = ibctl(*CREATE, "--yes")
    assert (alone.exit_code, "left out, too_small: 2 IBs, s@x.y, t@x.y" in alone.stderr) == (3, True)


def test_a_rate_of_a_week_before_holds(platform: Platform, sql: Sql, ibctl: Run) -> None:
    earner(platform, "k@x.y", 100)
    payee(platform, "k@x.y", currency="KWD")
    platform.rate("2025-10-24", "KWD", "3.2609")
    create(ibctl)
    assert payments(sql) == [("IB202510B1N00001", "k@x.y", "PROCESSING", "30.666", "KWD")]


@pytest.mark.parametrize(("method", "amount"), [("paypal", "12503"), ("wise", "12502.50")])
def test_what_paypal_sends_without_decimals_is_due_without_them(
    platform: Platform, sql: Sql, ibctl: Run, method: str, amount: str
) -> None:
    """PayPal takes whole forints; what the bank's file proves and the statement says is what was sent."""
    earner(platform, "h@x.y", 100.02)
    payee(platform, "h@x.y", method=method, currency="HUF", account="h@example.com")
    platform.rate("2025-10-31", "HUF", "0.008")
    create(ibctl, "--method", method)
    assert [row[3:] for row in payments(sql)] == [(amount, "HUF")]
    layout = ("commissions", "payouts", "export", "2025-10-1", "-o", "out", "--layout", method)
    assert ibctl(*layout).exit_code == 0
    text = "".join(path.read_text() for path in Path("out").glob("*.csv"))
    assert f",{amount},HUF" in text or f",{amount},USD,HUF" in text


# --------------------------------------------------------------------------------------------------------------- cancel


def test_cancelling_gives_the_rows_back_to_be_paid_anew(platform: Platform, sql: Sql, ibctl: Run) -> None:
    two(platform)
    before = sql('SELECT id, "totalPayout", "paidAt" FROM "IbCommission" ORDER BY id')
    create(ibctl)
    ended = ibctl(*CANCEL, "2025-10-1", "--yes")
    assert ended.exit_code == 0, ended.stderr
    assert "cancelled of batch 2025-10-1: 2 IBs, 150.25 USD, PENDING again; change set 2" in ended.stderr
    assert statuses(sql) == {"a@x.y": "PENDING", "b@x.y": "PENDING"}
    assert sql('SELECT id, "totalPayout", "paidAt" FROM "IbCommission" ORDER BY id') == before
    create(ibctl)
    assert [row[0] for row in payments(sql) if row[2] == "PROCESSING"] == ["IB202510B2N00001", "IB202510B2N00002"]
    assert ibctl(*CANCEL, "2025-10-1", "--yes").exit_code == 3


def test_one_payment_of_a_batch_can_be_cancelled(platform: Platform, sql: Sql, ibctl: Run) -> None:
    two(platform)
    create(ibctl)
    assert ibctl(*CANCEL, "2025-10-1", "--only", "a@x.y", "--yes").exit_code == 0
    assert statuses(sql) == {"a@x.y": "PENDING", "b@x.y": "PROCESSING"}


def test_no_undo_moves_a_payment_status(platform: Platform, sql: Sql, ibctl: Run) -> None:
    two(platform)
    create(ibctl)
    claimed = ibctl("undo", "1", "--yes")
    assert (claimed.exit_code, statuses(sql)["a@x.y"], len(payments(sql))) == (3, "PROCESSING", 2)
    assert "a payout is not undone: `ibctl commissions payouts cancel`" in claimed.stdout
    ibctl(*CANCEL, "2025-10-1", "--yes")
    for change_set in ("1", "2"):
        assert ibctl("undo", change_set, "--yes").exit_code == 3
    assert statuses(sql) == {"a@x.y": "PENDING", "b@x.y": "PENDING"}
    assert {row[2] for row in payments(sql)} == {"CANCELLED"}


def test_what_an_undo_refuses_is_said_once_and_whole_on_a_narrow_terminal(
    platform: Platform, ibctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    two(platform)
    create(ibctl)
    monkeypatch.setenv("COLUMNS", "80")
    printed = ibctl("undo", "1", "--yes").stdout
    assert max(map(len, printed.splitlines())) <= 80
    why = "a payout is not undone: `ibctl commissions payouts cancel` gives back what is not paid"
    assert " ".join(printed.split()).count(why) == 1
    assert " c-a-10 " in printed


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("PENDING", "2 IBs, 150.25 USD, PENDING again; change set 2"),
        ("HELD", "2 IBs, 150.25 USD, 1 PENDING again, 1 HELD, so not paid anew until it is released; change set 2"),
    ],
)
def test_a_row_that_something_else_moved_is_given_back_all_the_same_and_said_what_it_is(
    platform: Platform, sql: Sql, ibctl: Run, status: str, words: str
) -> None:
    two(platform)
    create(ibctl)
    sql('UPDATE "IbCommission" SET "paymentStatus" = %s WHERE id = \'c-a-10\'', status)
    ended = ibctl(*CANCEL, "2025-10-1", "--yes")
    assert (ended.exit_code, words in ended.stderr) == (0, True), ended.stderr
    assert statuses(sql) == {"a@x.y": status, "b@x.y": "PENDING"}
    assert "payouts:" not in ibctl("doctor").stdout


@pytest.mark.parametrize(
    ("meanwhile", "words"),
    [
        (
            'UPDATE "IbCommission" SET "paymentStatus" = \'HELD\'',
            "1 IB, 100.00 USD, HELD, so not paid anew until it is",
        ),
        ('DELETE FROM "IbCommission"', "1 IB, 100.00 USD, deleted since; change set 2"),
    ],
)
def test_what_is_not_pending_after_its_payment_was_cancelled_is_not_called_so(
    platform: Platform, sql: Sql, ibctl: Run, meanwhile: str, words: str
) -> None:
    two(platform)
    create(ibctl)
    sql(f"{meanwhile} WHERE id = 'c-a-10'")
    ended = ibctl(*CANCEL, "2025-10-1", "--only", "a@x.y", "--yes")
    assert (ended.exit_code, words in ended.stderr, "PENDING" in ended.stderr) == (0, True, False), ended.stderr


def test_a_row_that_something_else_made_paid_is_not_cancelled_and_named(
    platform: Platform, sql: Sql, ibctl: Run
) -> None:
    two(platform)
    create(ibctl)
    sql("UPDATE \"IbCommission\" SET \"paymentStatus\" = 'PAID' WHERE id = 'c-a-10'")
    ended = ibctl(*CANCEL, "2025-10-1", "--yes")
    assert (ended.exit_code, "made the commissions of IB202510B1N00001 PAID" in ended.stderr) == (3, True)
    assert ibctl(*CANCEL, "2025-10-1", "--only", "b@x.y", "--yes").exit_code == 0
    assert statuses(sql) == {"a@x.y": "PAID", "b@x.y": "PENDING"}


# -------------------------------------------------------------------------------------------------------------- approve


def test_the_second_signature_is_somebody_elses(
    platform: Platform, sql: Sql, ibctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    two(platform)
    create(ibctl)
    act_as(monkeypatch, "TESTER")
    own = ibctl(*APPROVE, "2025-10-1", "--yes")
    assert (own.exit_code, "was made by TESTER: somebody else has to approve it" in own.stderr) == (3, True)
    act_as(monkeypatch, "anna")
    signed = ibctl(*APPROVE, "2025-10-1", "--yes")
    assert (signed.exit_code, "approved by anna: 2 IBs, 150.25 USD; change set " in signed.stderr) == (0, True)
    assert "a signature stays; `ibctl commissions payouts cancel 2025-10-1` gives back the whole batch" in signed.stderr
    assert "takes it back" not in signed.stderr
    assert sql('SELECT "approvedBy" FROM ibctl.payout_batch') == [("anna",)]
    assert sql("SELECT actor FROM ibctl.change_set ORDER BY id") == [("tester",), ("anna",)]
    again = ibctl(*APPROVE, "2025-10-1", "--yes")
    assert (again.exit_code, "was approved already, by anna" in again.stderr) == (3, True)
    ibctl("undo", "2", "--yes")
    assert sql('SELECT "approvedBy" FROM ibctl.payout_batch') == [("anna",)]


# ----------------------------------------------------------------------------------------------------------- list, show


def test_the_shell_completes_batches(platform: Platform, ibctl: Run, tab: Tab) -> None:
    two(platform)
    create(ibctl)
    assert tab("commissions payouts show 2025-") == ["2025-10-1"]


def test_batches_are_listed_with_how_far_they_are(platform: Platform, ibctl: Run) -> None:
    two(platform)
    assert "no batches" in ibctl("commissions", "payouts", "list").stderr
    create(ibctl, "--only", "a@x.y")
    create(ibctl)
    ibctl(*CANCEL, "2025-10-1", "--yes")
    rows = json.loads(ibctl("commissions", "payouts", "list", "-f", "json").stdout)
    assert [(row["id"], row["status"], row["items"], row["baseAmount"]) for row in rows] == [
        ("2025-10-2", "CREATED", 1, 50.25), ("2025-10-1", "CANCELLED", 1, 0),
    ]  # fmt: skip
    assert ibctl("commissions", "payouts", "list", "--month", "2025-09", "-f", "json").stdout == "[]\n"


def test_neither_name_nor_account_is_shown_or_recorded(platform: Platform, sql: Sql, ibctl: Run) -> None:
    two(platform)
    ended = [create(ibctl, "-f", "json")]
    for arguments in (
        (*SHOW, "2025-10-1", "-f", "json"),
        ("audit", "show", "1", "-f", "json"),
        (*CANCEL, "2025-10-1", "--yes"),
    ):
        ended.append(ibctl(*arguments))
    said = str(sql("SELECT to_jsonb(c) FROM ibctl.change c")) + "".join(one.stdout + one.stderr for one in ended)
    assert "payout_item" in said
    assert "Vidal" not in said
    assert IBANS[0] not in said


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((*SHOW, "2025-10-1"), 3, "there is no batch '2025-10-1'"),
        ((*SHOW, "first"), 2, "'first' is not a batch: write it like 2025-10-1"),
        ((*CANCEL, "2025-10-1", "--yes"), 3, "there is no batch '2025-10-1'"),
        ((*APPROVE, "2025-10-1", "--yes"), 3, "there is no batch '2025-10-1'"),
        ((*CREATE, "--yes", "--only", "nobody@x.y"), 3, "there is no IB 'nobody@x.y'"),
        ((*CREATE, "--yes", "--rate-date", "31.10.2025"), 2, "--rate-date: '31.10.2025' is not a day"),
        (("commissions", "payouts", "create", "--month", "October", "--yes"), 2, "'October' is not a month"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    database: str, ibctl: Run, arguments: tuple[str, ...], code: int, words: str
) -> None:
    ended = ibctl(*arguments)
    assert (ended.exit_code, ended.stdout) == (code, "")
    assert words in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
