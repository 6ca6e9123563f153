"""What came back and is paid again: to which account, and in which file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commissions.conftest import Platform
from tests.commissions.payout_cases import CANCEL, IBANS, SHOW, create, statuses, two
from tests.commissions.payouts.returned_cases import EXPORT, RECONCILE, A, B, paid_to, payee, reported
from tests.conftest import Result

Run = Callable[..., Result]
Sql = Callable[..., list[tuple[Any, ...]]]


# ---------------------------------------------------------------------------------------------------------- to another


def test_what_came_back_goes_to_the_payee_that_was_set_since(returned: Platform, sql: Sql, ibctl: Run) -> None:
    before = sql('SELECT to_jsonb(c) FROM "IbCommission" c ORDER BY id')
    payee(ibctl, "a@x.y")
    ended = ibctl(*EXPORT)
    assert ended.exit_code == 0, ended.stderr
    assert paid_to(2) == {A: ("100.00", IBANS[2])}
    assert f"{A} came back, and goes to another account now, a@x.y's: R… V…, ES… 1332" in ended.stderr
    assert IBANS[2] not in ended.stdout + ended.stderr
    assert sql('SELECT to_jsonb(c) FROM "IbCommission" c ORDER BY id') == before
    rows = json.loads(ibctl(*SHOW, "2025-10-1", "-f", "json").stdout)
    assert [(row["status"], row["file"], row["redirectedTo"]) for row in rows] == [
        ("RETURNED", 2, "R… V…, ES… 1332"), ("PROCESSING", 1, None),
    ]  # fmt: skip
    assert f"{A} came back, and went in file 2 to R… V…, ES… 1332" in ibctl(*SHOW, "2025-10-1").stderr
    reported(ibctl, f"{A} 100.00 09 debit")
    assert [row["status"] for row in json.loads(ibctl(*SHOW, "2025-10-1", "-f", "json").stdout)] == [
        "PAID",
        "PROCESSING",
    ]


def test_what_came_back_and_goes_to_the_same_account_is_said_to(returned: Platform, ibctl: Run) -> None:
    ended = ibctl(*EXPORT)
    assert paid_to(2) == {A: ("100.00", IBANS[0])}
    assert f"{A} came back, and goes to the same account again, a@x.y's: R… V…, DE… 3000; `ibctl" in ended.stderr
    assert "--instead-of 2 writes a file with that" in ended.stderr
    assert [row["redirectedTo"] for row in json.loads(ibctl(*SHOW, "2025-10-1", "-f", "json").stdout)] == [None, None]


def test_a_payment_that_was_never_paid_and_came_back_goes_there_too(platform: Platform, ibctl: Run) -> None:
    two(platform)
    create(ibctl)
    ibctl(*EXPORT)
    reported(ibctl, f"{A} 100.00 04 debit", f"{A} 100.00 06 credit")
    payee(ibctl, "a@x.y")
    ibctl(*EXPORT)
    assert paid_to(2) == {A: ("100.00", IBANS[2])}


def test_what_came_back_less_the_banks_fee_goes_there_too(platform: Platform, ibctl: Run) -> None:
    two(platform)
    create(ibctl)
    ibctl(*EXPORT)
    reported(ibctl, f"{A} 100.00 04 debit", f"{A} 97.50 06 credit")
    payee(ibctl, "a@x.y")
    ended = ibctl(*EXPORT)
    assert paid_to(2) == {A: ("97.50", IBANS[2])}
    assert f"{A} came back, and goes to another account now, a@x.y's: R… V…, ES… 1332" in ended.stderr


def test_the_rest_of_what_is_short_goes_where_the_first_part_went(platform: Platform, ibctl: Run) -> None:
    two(platform)
    create(ibctl)
    ibctl(*EXPORT)
    reported(ibctl, f"{A} 60.00 04 debit")
    payee(ibctl, "a@x.y")
    assert ibctl(*EXPORT).exit_code == 0
    assert paid_to(2) == {A: ("40.00", IBANS[0])}


def test_the_rest_of_what_was_redirected_goes_there_too(returned: Platform, ibctl: Run) -> None:
    payee(ibctl, "a@x.y")
    ibctl(*EXPORT)
    reported(ibctl, f"{A} 60.00 09 debit")
    payee(ibctl, "a@x.y", IBANS[1])
    assert ibctl(*EXPORT).exit_code == 0
    assert paid_to(3) == {A: ("40.00", IBANS[2])}
    reported(ibctl, f"{A} 60.00 10 credit")
    payee(ibctl, "a@x.y", IBANS[0])
    ibctl(*EXPORT)
    assert not Path("out/payout-2025-10-1-4.csv").exists()  # 40.00 are under way still
    reported(ibctl, f"{A} 40.00 11 debit", f"{A} 40.00 12 credit")
    assert ibctl(*EXPORT).exit_code == 0
    assert paid_to(4) == {A: ("100.00", IBANS[0])}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (None, "a@x.y has no payee any more: `ibctl commissions payees set` names one for USD by bank_transfer"),
        (("--method", "wise"), "a@x.y is paid in USD by wise now, not USD by bank_transfer"),
        (("--currency", "EUR"), "a@x.y is paid in EUR by bank_transfer now, not USD by bank_transfer"),
    ],
)
def test_who_has_no_payee_for_it_is_left_out_until_there_is_one(
    returned: Platform, ibctl: Run, arguments: tuple[str, ...] | None, words: str
) -> None:
    if arguments is None:
        assert ibctl("commissions", "payees", "remove", "a@x.y", "--yes").exit_code == 0
    else:
        payee(ibctl, "a@x.y", IBANS[2], *arguments)
    ended = ibctl(*EXPORT)
    assert (ended.exit_code, f"Warning: left out: {A} came back, and {words}" in ended.stderr) == (6, True)
    assert paid_to() == {B: ("50.25", IBANS[0])}
    reported(ibctl, f"{B} 50.25 05 debit")
    alone = ibctl(*EXPORT)
    assert (alone.exit_code, f"has nothing left to pay: {A} came back, and {words}" in alone.stderr) == (3, True)
    payee(ibctl, "a@x.y")
    assert ibctl(*EXPORT).exit_code == 0
    assert paid_to(2) == {A: ("100.00", IBANS[2])}


def test_what_was_paid_is_not_cancelled_when_it_came_back_and_the_way_out_is_named(
    returned: Platform, sql: Sql, ibctl: Run
) -> None:
    ended = ibctl(*CANCEL, "2025-10-1", "--only", "a@x.y", "--yes")
    assert (ended.exit_code, statuses(sql)["a@x.y"]) == (3, "PAID")
    assert "what is PAID stays so: `ibctl commissions payouts export` pays what came back" in ended.stderr


# ------------------------------------------------------------------------------------------------------------ its files


def test_an_earlier_file_can_be_written_again_while_a_later_one_is_under_way(
    platform: Platform, sql: Sql, ibctl: Run
) -> None:
    two(platform)
    create(ibctl)
    # By its sign alone it came back, and was not seen leaving: it waits.
    Path("bank.csv").write_text(f"reference,amount,currency,date\n{B},-50.25,USD,2025-11-04\n")
    assert ibctl(*RECONCILE, "--paid-is", "positive").exit_code == 7
    assert ibctl(*EXPORT, "--execution-date", "2025-11-03").exit_code == 6
    first = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    assert list(paid_to()) == [A]
    assert ibctl("undo", "2", "--yes").exit_code == 0
    assert ibctl(*EXPORT).exit_code == 0
    assert list(paid_to(2)) == [B]
    payee(ibctl, "a@x.y")
    for name in first:
        Path("out", name).unlink()
    again = ibctl(*EXPORT, "--again", "1")
    assert again.exit_code == 0, again.stderr
    assert {name: Path("out", name).read_bytes() for name in first} == first
    assert f"as nothing is known since they went out before: {B}" in again.stderr
    assert sql("SELECT count(*) FROM ibctl.payout_order") == [(2,)]


def test_a_file_that_is_written_again_has_nothing_in_it_that_went_out_later(returned: Platform, ibctl: Run) -> None:
    assert ibctl(*EXPORT).exit_code == 0
    assert list(paid_to(2)) == [A]
    again = ibctl(*EXPORT, "--again", "1")
    assert (again.exit_code, list(paid_to())) == (0, [B])
    assert f"not in it again, as more is known of them since: {A}" in again.stderr
    reported(ibctl, f"{B} 50.25 05 debit")
    nothing = ibctl(*EXPORT, "--again", "1")
    assert (nothing.exit_code, "nothing of file 1 of batch 2025-10-1 is under way" in nothing.stderr) == (3, True)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--again", "3"), 3, "batch 2025-10-1 has no file 3: it has 1"),
        (("--instead-of", "3", "--yes"), 3, "batch 2025-10-1 has no file 3: it has 1"),
        (("--again", "0"), 2, "greater than or equal to 1"),
        (("--again", "1", "--instead-of", "1"), 2, "--again excludes --instead-of"),
        (("--instead-of", "1"), 2, "file 1 of batch 2025-10-1 was not handed in and never will be"),
        (("--instead-of", "1", "--yes"), 3, f"was handed in, as money has moved since for {A}"),
    ],
)
def test_what_cannot_be_written_again_is_said(
    returned: Platform, ibctl: Run, arguments: tuple[str, ...], code: int, words: str
) -> None:
    ended = ibctl(*EXPORT, *arguments)
    assert (ended.exit_code, words in ended.stderr) == (code, True), ended.stderr


def test_a_file_that_was_not_handed_in_is_replaced_by_one_to_the_right_account(
    returned: Platform, sql: Sql, ibctl: Run
) -> None:
    assert ibctl(*EXPORT).exit_code == 0
    assert paid_to(2) == {A: ("100.00", IBANS[0])}
    payee(ibctl, "a@x.y")
    assert ibctl(*EXPORT, "--instead-of", "2", "--dry-run").exit_code == 0
    assert ibctl(*EXPORT).exit_code == 0
    assert paid_to(2) == {A: ("100.00", IBANS[0])}  # as it was, to the byte
    assert ibctl(*EXPORT, "--instead-of", "2", "--yes").exit_code == 0
    assert paid_to(3) == {A: ("100.00", IBANS[2])}
    gone = ibctl(*EXPORT, "--again", "2")
    assert (gone.exit_code, "file 2 of batch 2025-10-1 was withdrawn" in gone.stderr) == (3, True)
    assert json.loads(ibctl(*SHOW, "2025-10-1", "-f", "json").stdout)[0]["file"] == 3


def test_a_file_whose_return_was_misread_can_be_withdrawn_and_is_followed_by_none(
    returned: Platform, sql: Sql, ibctl: Run
) -> None:
    assert ibctl(*EXPORT).exit_code == 0
    assert ibctl("undo", "4", "--yes").exit_code == 0
    ended = ibctl(*EXPORT, "--instead-of", "2", "--yes")
    assert (ended.exit_code, "batch 2025-10-1, file 2, withdrawn: nothing is left to be" in ended.stderr) == (0, True)
    assert sql('SELECT number FROM ibctl.payout_order WHERE "withdrawnAt" IS NOT NULL') == [(2,)]
    assert json.loads(ibctl(*EXPORT, "-f", "json").stdout)[0]["file"] == "payout-2025-10-1.csv"
    reported(ibctl, f"{A} 40.00 07 credit")
    assert ibctl(*EXPORT).exit_code == 0
    assert paid_to(3) == {A: ("40.00", IBANS[0])}


def test_withdrawing_a_file_rewrites_no_other(returned: Platform, sql: Sql, ibctl: Run) -> None:
    """Who is paid by another method now is left out; b@x.y's payment in file 1 is the bank's already."""
    assert ibctl(*EXPORT).exit_code == 0
    payee(ibctl, "a@x.y", IBANS[2], "--method", "wise")
    Path("out/payout-2025-10-1.csv").unlink()
    ended = ibctl(*EXPORT, "--instead-of", "2", "--yes")
    assert (ended.exit_code, f"left out: {A} came back, and a@x.y is paid in USD by wise" in ended.stderr) == (6, True)
    assert "file 2, withdrawn: nothing is left" in ended.stderr
    assert (ended.stdout.count("payout-"), Path("out/payout-2025-10-1.csv").exists()) == (0, False)
    assert sql('SELECT number FROM ibctl.payout_order WHERE "withdrawnAt" IS NULL') == [(1,)]


def test_a_file_is_not_written_again_for_more_than_is_missing_by_now(returned: Platform, ibctl: Run) -> None:
    """It was not all of it that came back."""
    assert ibctl(*EXPORT).exit_code == 0
    assert ibctl("undo", "4", "--yes").exit_code == 0
    reported(ibctl, f"{A} 40.00 07 credit")
    Path("out/payout-2025-10-1-2.csv").unlink()
    ended = ibctl(*EXPORT)
    words = f"{A} went out in file 2 for 100.00 USD, and 40.00 USD are missing now: if nobody has handed that in"
    assert (ended.exit_code, words in ended.stderr) == (3, True), ended.stderr
    assert not Path("out/payout-2025-10-1-2.csv").exists()
    assert ibctl(*EXPORT, "--instead-of", "2", "--yes").exit_code == 0
    assert paid_to(3) == {A: ("40.00", IBANS[0])}


def test_a_second_export_says_that_the_file_is_written_again(platform: Platform, ibctl: Run) -> None:
    two(platform)
    create(ibctl)
    assert "batch 2025-10-1, file 1, exported to " in ibctl(*EXPORT).stderr
    assert "batch 2025-10-1, file 1, written again to " in ibctl(*EXPORT).stderr


def test_what_was_handed_over_is_not_undone(returned: Platform, sql: Sql, ibctl: Run) -> None:
    assert ibctl(*EXPORT).exit_code == 0
    ((number,),) = sql("SELECT max(id) FROM ibctl.change_set")
    assert ibctl("undo", str(number), "--yes").exit_code == 3
    assert sql("SELECT count(*) FROM ibctl.payout_order") == [(2,)]


def test_news_of_an_earlier_file_that_comes_late_puts_no_payment_into_another(platform: Platform, ibctl: Run) -> None:
    """The return is read before the payment that it belongs to; meanwhile it was sent again."""
    two(platform)
    create(ibctl)
    ibctl(*EXPORT)
    reported(ibctl, f"{A} 100.00 06 credit")
    ibctl(*EXPORT)
    assert paid_to(2) == {A: ("100.00", IBANS[0])}
    reported(ibctl, f"{A} 100.00 04 debit")
    late = ibctl(*EXPORT)
    assert (late.exit_code, "file 2, written again to" in late.stderr) == (0, True)
    assert not Path("out/payout-2025-10-1-3.csv").exists()
    reported(ibctl, f"{A} 100.00 09 debit")
    assert "nothing of file 2 of batch 2025-10-1 is under way" in ibctl(*EXPORT, "--again", "2").stderr


def test_evidence_that_was_taken_back_puts_no_payment_into_a_second_file(platform: Platform, ibctl: Run) -> None:
    """60.00 were misread, the rest went out: until the bank tells of that, it is under way, and in no file again."""
    two(platform)
    create(ibctl)
    reported(ibctl, f"{A} 60.00 04 debit")
    assert ibctl(*EXPORT).exit_code == 0
    assert paid_to() == {A: ("40.00", IBANS[0]), B: ("50.25", IBANS[0])}
    assert ibctl("undo", "2", "--yes").exit_code == 0
    ended = ibctl(*EXPORT)
    words = f"left out: {A} went out in file 1 for 40.00 USD, and 100.00 USD are missing now: if nobody has handed that"
    assert (ended.exit_code, words in ended.stderr) == (6, True), ended.stderr
    assert sorted(path.name for path in Path("out").glob("*.csv")) == ["payout-2025-10-1.csv"]
    assert paid_to() == {B: ("50.25", IBANS[0])}


def test_undoing_a_return_names_the_file_that_paid_again_because_of_it(returned: Platform, ibctl: Run) -> None:
    """The return is change set 4, and file 2 is written on its ground in the fifth."""
    assert "written on the ground" not in ibctl("undo", "4", "--dry-run").stderr
    assert ibctl(*EXPORT).exit_code == 0
    words = (
        "Warning: file 2 of batch 2025-10-1 was written on the ground of what is taken back, and pays "
        f"{A} (100.00 USD): if nobody has handed it in, "
        "`ibctl commissions payouts export 2025-10-1 --instead-of 2` withdraws it; else stop it"
    )
    for how in ((), ("--dry-run",), ("--yes",)):
        ended = ibctl("undo", "4", *how)
        assert (ended.exit_code, ended.stderr.count(words)) == (0 if how else 2, 1), ended.stderr


def test_undoing_evidence_of_a_later_file_or_of_one_that_was_withdrawn_names_none(
    returned: Platform, ibctl: Run
) -> None:
    assert ibctl(*EXPORT).exit_code == 0
    reported(ibctl, f"{A} 40.00 09 debit")
    later = ibctl("undo", "6", "--dry-run")
    assert (later.exit_code, "written on the ground" in later.stderr) == (0, False), later.stderr
    assert ibctl("undo", "6", "--yes").exit_code == 0
    ibctl(*EXPORT, "--instead-of", "2", "--yes")
    withdrawn = ibctl("undo", "4", "--dry-run").stderr
    assert "file 2 of batch" not in withdrawn


# --------------------------------------------------------------------------------------------------- what is said of it


def test_a_batch_whose_money_came_back_is_not_listed_as_paid(returned: Platform, ibctl: Run) -> None:
    def listed() -> list[Any]:
        (row,) = json.loads(ibctl("commissions", "payouts", "list", "-f", "json").stdout)
        return [row[name] for name in ("status", "paid", "returned", "basePaid", "baseReturned")]

    assert listed() == ["RETURNED", 0, 1, 0, 100]
    shown = ibctl(*SHOW, "2025-10-1")
    assert "2025-10-1, RETURNED: 0 of 2 paid, 100.00 USD of 1 came back, by bank_transfer" in shown.stderr
    assert " RETURNED " in shown.stdout
    reported(ibctl, f"{A} 40.00 09 debit", f"{B} 50.25 09 debit")
    assert listed() == ["RETURNED", 1, 1, 90.25, 60]
    assert "PART RETURNED" in ibctl(*SHOW, "2025-10-1").stdout
    reported(ibctl, f"{A} 60.00 10 debit")
    assert listed() == ["PAID", 2, 0, 150.25, 0]


def test_the_tables_of_a_batch_tell_of_what_came_back_and_where_it_went_then_and_of_that_alone(
    platform: Platform, ibctl: Run
) -> None:
    def headings(*command: str) -> list[str]:
        return next(
            line.split() for line in ibctl("commissions", "payouts", *command).stdout.splitlines() if line.strip()
        )

    two(platform)
    create(ibctl)
    assert ibctl(*EXPORT).exit_code == 0
    batches = ["id", "method", "status", "items", "paid", "baseAmount", "approvedBy"]
    assert (headings("list"), headings("show", "2025-10-1")) == (batches, ["reference", "email", "pays", "status"])
    reported(ibctl, f"{A} 100.00 04 debit")
    reported(ibctl, f"{A} 100.00 06 credit")
    assert headings("list") == [*batches[:5], "returned", *batches[5:]]
    back = ["reference", "email", "pays", "status", "sent", "file"]
    assert headings("show", "2025-10-1") == back
    payee(ibctl, "a@x.y")
    assert ibctl(*EXPORT).exit_code == 0
    assert headings("show", "2025-10-1") == [*back, "redirectedTo"]


@pytest.mark.parametrize("form", ["html", "md", "json"])
def test_a_statement_does_not_say_paid_of_what_came_back(returned: Platform, ibctl: Run, form: str) -> None:
    def stated() -> str:
        return ibctl("commissions", "statement", "a@x.y", "2025-10", "-f", form).stdout.replace("\\", "")

    assert "The payout of 2025-10, 100.00 USD, has been paid, but all of it came back and is owed again." in stated()
    reported(ibctl, f"{A} 40.00 09 debit")
    assert "has been paid, but 60.00 USD came back and is owed again." in stated()
    if form == "json":
        assert json.loads(stated())[0]["returned"] == "60.00"
    reported(ibctl, f"{A} 60.00 10 debit")
    assert "The payout of 2025-10, 100.00 USD, has been paid." in stated()


def test_commissions_that_came_back_are_warned_of_where_they_are_listed(returned: Platform, ibctl: Run) -> None:
    words = (
        "Warning: came back after it was PAID: a@x.y 2025-10 (100.00 USD, batch 2025-10-1); `ibctl commissions payouts"
    )
    assert words in ibctl("commissions", "list").stderr
    assert words in ibctl("commissions", "list", "--month", "2025-10", "--ib", "a@x.y", "--status", "PAID").stderr
    assert words in ibctl("commissions", "show", "a@x.y", "2025-10").stderr
    for command in (["list", "-f", "json"], ["export", "-f", "json"]):
        rows = json.loads(ibctl("commissions", *command).stdout)
        assert {row["email"]: row["returned"] for row in rows} == {"a@x.y": 100, "b@x.y": None}
    for other in (["list", "--ib", "b@x.y"], ["list", "--status", "PENDING"], ["show", "b@x.y", "2025-10"]):
        assert "came back" not in ibctl("commissions", *other).stderr
