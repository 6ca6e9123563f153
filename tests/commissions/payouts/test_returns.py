"""Money that came back, or seems to have: what it counts, what it stops, and how it is paid again."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ibctl import config, days
from tests.commissions.conftest import Platform
from tests.commissions.payout_cases import CANCEL, CREATE, IBANS, SHOW, create, statuses, two
from tests.commissions.payouts.bank_samples import ENTRY, camt
from tests.conftest import Result

Run = Callable[..., Result]
Sql = Callable[..., list[tuple[Any, ...]]]
RECONCILE = ("commissions", "payouts", "reconcile", "2025-10-1")
POSITIVE = ("--paid-is", "positive")
EXPORT = ("commissions", "payouts", "export", "2025-10-1", "-o", "out")
A = "IB202510B1N00001"


@pytest.fixture
def batch(platform: Platform, ibctl: Run) -> Platform:
    """Batch 2025-10-1: a@x.y is due 100.00 USD under A, b@x.y 50.25 USD."""
    two(platform)
    create(ibctl)
    return platform


def given(text: str, name: str = "bank.csv") -> Path:
    path = Path(name)
    path.write_text(text)
    return path


def row(amount: str, day: int, number: int = 1, currency: str = "USD") -> str:
    return f"reference,amount,currency,date,id\n{A},{amount},{currency},2025-11-{day:02d},BANK{number}\n"


def told(direction: str, day: int, amount: str = "100.00") -> str:
    return f"reference,amount,currency,date,direction\n{A},{amount},USD,2025-11-{day:02d},{direction}\n"


def exported(number: int = 1) -> list[tuple[str, str, str]]:
    """What is in a file of the batch, by its number."""
    with Path(f"out/payout-2025-10-1{'' if number == 1 else f'-{number}'}.csv").open() as stream:
        return [(one["reference"], one["amount"], one["baseAmount"]) for one in csv.DictReader(stream)]


def in_euros(sql: Sql) -> None:
    for table in ("payout_item", "payee"):
        sql(f"UPDATE ibctl.{table} SET currency = 'EUR'")


def doctor(ibctl: Run) -> list[str]:
    return [one["value"] for one in json.loads(ibctl("doctor", "-f", "json").stdout) if one["check"] == "payouts"]


def account(ibctl: Run) -> tuple[list[tuple[str, str]], str]:
    (found,) = json.loads(ibctl("commissions", "statement", "a@x.y", "2025-11", "-f", "json").stdout)
    return [(one["kind"], one["amount"]) for one in found["entries"]], found["closing"]


# -------------------------------------------------------------------------------------------- signs the wrong way round


def test_a_payment_read_with_the_wrong_sign_is_not_paid_twice(batch: Platform, sql: Sql, ibctl: Run) -> None:
    wrong = given(row("-100.00", 5))
    ended = ibctl(*RECONCILE, wrong, *POSITIVE)
    assert (ended.exit_code, statuses(sql)["a@x.y"]) == (7, "PROCESSING")
    assert f"{A}: turned, money came back of which nothing was seen leaving" in ended.stderr
    assert "`ibctl undo` this and say --paid-is negative" in ended.stderr
    assert len(doctor(ibctl)) == 1
    right = ibctl(*RECONCILE, wrong, "--paid-is", "negative")
    assert (right.exit_code, len(right.stderr.splitlines())) == (3, 1)
    assert "came back, says bank.csv" in right.stderr
    assert "`ibctl undo 2` takes it back" in right.stderr
    assert ibctl("undo", "2", "--yes").exit_code == 0
    right = ibctl(*RECONCILE, wrong, "--paid-is", "negative")
    assert (right.exit_code, statuses(sql)["a@x.y"], doctor(ibctl)) == (0, "PAID", [])
    assert ibctl(*CANCEL, "2025-10-1", "--yes", "--only", "a@x.y").exit_code == 3
    assert ibctl(*CREATE, "--yes").exit_code == 3


def test_what_is_in_doubt_is_neither_exported_nor_believed(batch: Platform, sql: Sql, ibctl: Run) -> None:
    """A payment and its return, of a file whose signs are read the wrong way round."""
    both = f"reference,amount,currency,date,id\n{A},-100,USD,2025-11-05,T1\n{A},100,USD,2025-11-07,T2\n"
    ended = ibctl(*RECONCILE, given(both), *POSITIVE, "-f", "json")
    assert [one["finding"] for one in json.loads(ended.stdout)] == ["turned", "turned"]
    assert (ended.exit_code, statuses(sql)["a@x.y"]) == (7, "PROCESSING")
    again = ibctl(*RECONCILE, given(both), *POSITIVE)
    assert (again.exit_code, "nothing new in the file" in again.stderr) == (7, True)
    ibctl("undo", "2", "--yes")
    ibctl(*RECONCILE, given(row("-100", 5)), *POSITIVE)
    handed = ibctl(*EXPORT)
    assert handed.exit_code == 6
    assert f"left out, until it is clear what has left for them: {A}" in handed.stderr
    assert [reference for reference, _, _ in exported()] == ["IB202510B1N00002"]
    cancelled = ibctl(*CANCEL, "2025-10-1", "--yes")
    assert cancelled.exit_code == 0  # nothing is known to be out
    assert f"Warning: it is not clear whether money has left for {A}: find out" in cancelled.stderr


def test_a_file_that_proved_a_payment_is_not_read_the_other_way_round(batch: Platform, sql: Sql, ibctl: Run) -> None:
    assert ibctl(*RECONCILE, given(row("100.00", 5))).exit_code == 0
    turned = ibctl(*RECONCILE, given(row("100.00", 5)), "--paid-is", "negative")
    assert turned.exit_code == 3
    assert "left, says bank.csv, and by --paid-is negative the same came back" in turned.stderr
    assert "say --paid-is positive" in turned.stderr
    assert "undo" not in turned.stderr
    assert sql("SELECT count(*) FROM ibctl.payout_payment") == [(1,)]
    assert ibctl(*RECONCILE, given(row("-100.00", 8, 2)), *POSITIVE).exit_code == 7
    contrary = ibctl(*RECONCILE, given(row("-100.00", 8, 2)), "--paid-is", "negative")
    assert (contrary.exit_code, "if it was wrong then, `ibctl undo " in contrary.stderr) == (3, True)


def test_a_file_read_before_the_one_with_the_payment_is_made_good_by_it(batch: Platform, sql: Sql, ibctl: Run) -> None:
    assert ibctl(*RECONCILE, given(row("-100.00", 9, 2)), *POSITIVE).exit_code == 7
    assert ibctl(*RECONCILE, given(row("100.00", 5, 1))).exit_code == 7  # it came back since
    assert statuses(sql)["a@x.y"] == "PROCESSING"
    assert ibctl(*RECONCILE, given(row("100.00", 12, 3))).exit_code == 0
    assert statuses(sql)["a@x.y"] == "PAID"


def test_evidence_that_made_a_payment_paid_stays(batch: Platform, sql: Sql, ibctl: Run) -> None:
    ibctl(*RECONCILE, given(row("60", 5, 1)))
    ibctl(*RECONCILE, given(row("40", 6, 2)))
    assert statuses(sql)["a@x.y"] == "PAID"
    for change_set in ("2", "3"):
        ended = ibctl("undo", change_set, "--yes")
        assert (ended.exit_code, "a payment is PAID by it" in ended.stdout) == (3, True)
    ibctl(*RECONCILE, given(told("credit", 8)))
    assert ibctl("undo", "6", "--yes").exit_code == 0
    assert sql('SELECT amount::int FROM ibctl.payout_payment ORDER BY "bookedOn"') == [(60,), (40,)]


# --------------------------------------------------------------------------------------------------- never seen leaving


def refunded(day: int, status: str = "refunded") -> str:
    return f"reference,amount,currency,date,id,status\n{A},100.00,USD,2025-11-{day:02d},P1,{status}\n"


@pytest.mark.parametrize("status", ["refunded", "returned", "failed"])
def test_a_final_status_without_a_payment_counts_nothing(batch: Platform, sql: Sql, ibctl: Run, status: str) -> None:
    ended = ibctl(*RECONCILE, given(refunded(5, status)))
    assert (ended.exit_code, statuses(sql)["a@x.y"]) == (0 if status == "failed" else 7, "PROCESSING")
    assert ("unseen, money came back of which nothing was seen leaving" in ended.stderr) == (status != "failed")
    assert account(ibctl) == ([], "100.00")
    ended = ibctl(*RECONCILE, given(row("100.00", 9, 2)))
    assert (ended.exit_code, statuses(sql)["a@x.y"]) == (0, "PAID")
    assert account(ibctl) == ([("payment", "-100.00")], "0.00")


def test_a_payment_of_which_nothing_is_out_can_be_cancelled(batch: Platform, sql: Sql, ibctl: Run) -> None:
    ibctl(*RECONCILE, given(refunded(5)))
    assert ibctl(*CANCEL, "2025-10-1", "--only", "a@x.y", "--yes").exit_code == 0
    assert (statuses(sql)["a@x.y"], doctor(ibctl)) == ("PENDING", [])


def test_a_payment_of_which_something_is_out_cannot(batch: Platform, ibctl: Run) -> None:
    ibctl(*RECONCILE, given(refunded(5)))
    ibctl(*RECONCILE, given(row("40", 9, 2)))
    ended = ibctl(*CANCEL, "2025-10-1", "--yes")
    assert (ended.exit_code, f"money has left for {A} of batch 2025-10-1" in ended.stderr) == (3, True)


# -------------------------------------------------------------------------------------------------- returned after PAID


@pytest.mark.parametrize("kind", ["csv", "camt"])
def test_what_came_back_after_it_was_paid_is_paid_again(batch: Platform, sql: Sql, ibctl: Run, kind: str) -> None:
    if kind == "camt":
        in_euros(sql)
    currency = "EUR" if kind == "camt" else "USD"
    ibctl(*RECONCILE, given(row("100.00", 3, 1, currency)))
    before = sql("SELECT to_jsonb(c) FROM \"IbCommission\" c WHERE id = 'c-a-10'")
    entry = ENTRY.format(amount="100.00", sign="CRDT", status="BOOK", reference=A, bank="B9")
    back = given(camt(entry), "s.xml") if kind == "camt" else given(told("credit", 4))
    ended = ibctl(*RECONCILE, back)
    assert ended.exit_code == 7
    words = f"returned, 100.00 {currency} came back after it was paid: `ibctl commissions payouts export` pays them"
    assert f"{A}: {words} again, to the payee as it is then" in ended.stderr
    assert sql("SELECT to_jsonb(c) FROM \"IbCommission\" c WHERE id = 'c-a-10'") == before
    assert doctor(ibctl) == [f"1 payment(s) are short, over, double, returned or in a wrong currency: {A}"]
    assert json.loads(ibctl(*SHOW, "2025-10-1", "-f", "json").stdout)[0]["findings"] == "returned"
    assert ibctl(*EXPORT).exit_code == 0
    assert exported() == [(A, "100.00", "100.00"), ("IB202510B1N00002", "50.25", "50.25")]
    ended = ibctl(*RECONCILE, given(row("100.00", 12, 3, currency)))
    assert (ended.exit_code, doctor(ibctl)) == (0, [])
    assert ibctl(*RECONCILE, back).exit_code == 0
    assert account(ibctl) == ([("payment", "-100.00"), ("returned", "100.00"), ("payment", "-100.00")], "0.00")
    rest = ibctl(*EXPORT)
    assert (rest.exit_code, f"not in it again, as more is known of them since: {A}" in rest.stderr) == (0, True)
    assert exported() == [("IB202510B1N00002", "50.25", "50.25")]
    assert sql("SELECT to_jsonb(c) FROM \"IbCommission\" c WHERE id = 'c-a-10'") == before


def test_a_bank_gets_what_is_paid_again_under_a_name_and_a_day_of_its_own(
    batch: Platform, sql: Sql, ibctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bank refuses a second file of the same name, and a day that is over."""
    monkeypatch.setenv("IBCTL_PAYER_NAME", "Broker Ltd")
    monkeypatch.setenv("IBCTL_PAYER_IBAN", IBANS[1])
    config.use_env_file(None)
    in_euros(sql)
    pain = (*EXPORT, "--layout", "pain.001")
    names = ("MsgId", "PmtInfId", "EndToEndId", "InstdAmt", "ReqdExctnDt")

    def handed(name: str, *more: str) -> list[str]:
        assert ibctl(*pain, *more).exit_code == 0
        text = Path(f"out/payout-{name}.xml").read_text()
        return [re.findall(f"<(?:\\w+:)?{name}[^>]*>(?:<(?:\\w+:)?Dt>)?([^<]*)", text)[0] for name in names]

    assert handed("2025-10-1", "--execution-date", "2025-11-02") == [
        "2025-10-1",
        "2025-10-1",
        A,
        "100.00",
        "2025-11-02",
    ]
    ibctl(*RECONCILE, given(row("100.00", 3, 1, "EUR")))
    ibctl(*RECONCILE, given(told("credit", 4).replace("USD", "EUR")))
    again = ["2025-10-1-2", "2025-10-1-2", A, "100.00", days.today("UTC").isoformat()]
    assert handed("2025-10-1-2") == again
    assert handed("2025-10-1-2") == again


def test_of_what_is_short_the_rest_is_exported(batch: Platform, ibctl: Run) -> None:
    ibctl(*RECONCILE, given(row("60.00", 3, 1)))
    assert ibctl(*EXPORT).exit_code == 0
    assert exported() == [(A, "40.00", "40.00"), ("IB202510B1N00002", "50.25", "50.25")]


# ----------------------------------------------------------------------------------------------------- another currency


def test_what_left_in_another_currency_and_came_back_is_settled(batch: Platform, sql: Sql, ibctl: Run) -> None:
    wrong = given(row("90.00", 3, 1, "EUR"))
    ended = ibctl(*RECONCILE, wrong)
    assert (ended.exit_code, "currency, have 90.00 EUR returned, 100.00 USD are due" in ended.stderr) == (7, True)
    assert ibctl(*CANCEL, "2025-10-1", "--only", "a@x.y", "--yes").exit_code == 3
    assert ibctl(*EXPORT).exit_code == 6
    assert [reference for reference, _, _ in exported()] == ["IB202510B1N00002"]
    ibctl(*RECONCILE, given(row("-90.00", 5, 2, "EUR"), "back.csv"), *POSITIVE)
    assert ibctl(*RECONCILE, given(row("100.00", 8, 3), "paid.csv")).exit_code == 0
    assert (statuses(sql)["a@x.y"], doctor(ibctl)) == ("PAID", [])
    for name in ("bank.csv", "back.csv"):
        assert ibctl(*RECONCILE, Path(name)).exit_code == 0
    assert json.loads(ibctl(*SHOW, "2025-10-1", "-f", "json").stdout)[0]["findings"] is None


def test_parts_in_another_currency_add_up_to_the_cent(platform: Platform, sql: Sql, ibctl: Run) -> None:
    two(platform)
    sql('UPDATE "IbCommission" SET "totalPayout" = 100.01 WHERE id = \'c-a-10\'')
    sql("UPDATE ibctl.payee SET currency = 'JPY' WHERE id = (SELECT id FROM \"User\" WHERE email = 'a@x.y')")
    platform.rate("2025-10-31", "JPY", "0.0067")
    create(ibctl)
    for number, amount in enumerate(("4901", "4901", "5125"), 1):
        ibctl(*RECONCILE, given(row(amount, number, number, "JPY")))
    entries, closing = account(ibctl)
    assert (sum(Decimal(amount) for _, amount in entries), closing) == (Decimal("-100.01"), "0.00")
    assert statuses(sql)["a@x.y"] == "PAID"


def came_and_went(reference: str, amount: str, day: int) -> str:
    rows = [f"{reference},{amount},USD,2025-11-{day + n:02d},{way}" for n, way in enumerate(("debit", "credit"))]
    return "reference,amount,currency,date,direction\n" + "\n".join(rows) + "\n"


def test_a_payment_that_is_under_way_goes_into_no_second_file(batch: Platform, ibctl: Run) -> None:
    b = A.replace("N00001", "N00002")
    assert ibctl(*EXPORT).exit_code == 0
    assert [one[0] for one in exported()] == [A, b]
    assert ibctl(*RECONCILE, given(came_and_went(A, "100.00", 3), "one.csv"), "--yes").exit_code == 7
    second = ibctl(*EXPORT)
    assert f"not in it again, as nothing is known since they went out before: {b}" in second.stderr
    assert [one[0] for one in exported(2)] == [A]
    assert ibctl(*RECONCILE, given(came_and_went(b, "50.25", 5), "two.csv"), "--yes").exit_code == 7
    third = ibctl(*EXPORT)
    assert f"went out before: {A}" in third.stderr
    assert [one[0] for one in exported(3)] == [b]
    written = Path("out/payout-2025-10-1-3.csv").read_bytes()
    assert ibctl(*EXPORT).exit_code == 0
    assert Path("out/payout-2025-10-1-3.csv").read_bytes() == written
