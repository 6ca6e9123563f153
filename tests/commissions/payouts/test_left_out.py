"""Who is left out of a batch since a payment of another one has, or may have, their money."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commissions.conftest import Platform
from tests.commissions.payout_cases import CANCEL, CREATE, create, payments, statuses, two
from tests.commissions.payouts.returned_cases import paid_to
from tests.conftest import Result

Run = Callable[..., Result]
Sql = Callable[..., list[tuple[Any, ...]]]
RECONCILE = ("commissions", "payouts", "reconcile", "2025-10-1")


@pytest.mark.parametrize(
    ("payment", "words"), [("PROCESSING", "`payouts cancel` takes it out"), ("PAID", "set paymentStatus back to PAID")]
)
def test_a_row_that_was_set_back_to_pending_while_a_batch_has_it_keeps_nobody_else_from_being_paid(
    platform: Platform, sql: Sql, ibctl: Run, payment: str, words: str
) -> None:
    two(platform)
    create(ibctl, "--only", "a@x.y")
    sql('UPDATE "IbCommission" SET "paymentStatus" = \'PENDING\'')
    sql("UPDATE ibctl.payout_item SET status = %s", payment)
    ended = ibctl(*CREATE, "--yes")
    assert (ended.exit_code, words in ended.stderr) == (6, True)
    assert "left out, in_payout: a@x.y (" in ended.stderr
    assert [row[:2] for row in payments(sql)] == [("IB202510B1N00001", "a@x.y"), ("IB202510B2N00001", "b@x.y")]


def reported(*rows: str) -> Path:
    """A bank's file: reference, amount, currency, date, id and direction."""
    path = Path("bank.csv")
    path.write_text("\n".join(["reference,amount,currency,date,id,direction", *rows]) + "\n")
    return path


def test_what_left_for_a_cancelled_payment_is_not_paid_again_until_it_came_back(
    platform: Platform, sql: Sql, ibctl: Run
) -> None:
    two(platform)
    create(ibctl, "--only", "a@x.y")
    ibctl(*CANCEL, "2025-10-1", "--yes")
    out = "IB202510B1N00001,100,USD,2025-11-05,T1,out"
    assert ibctl(*RECONCILE, reported(out)).exit_code == 7
    ended = ibctl(*CREATE, "--yes")
    assert (ended.exit_code, statuses(sql)) == (6, {"a@x.y": "PENDING", "b@x.y": "PROCESSING"})
    assert (
        "left out, money_is_out: a@x.y (100.00 USD left under IB202510B1N00001 of the cancelled 2025-10-1: have it "
        "returned, then reconcile the return)"
    ) in " ".join(ended.stderr.split())
    ibctl(*RECONCILE, reported("IB202510B1N00001,40,USD,2025-11-06,T2,in"))
    refused = ibctl(*CREATE, "--yes")
    assert (refused.exit_code, "60.00 USD left under" in refused.stderr) == (3, True)
    ibctl(*RECONCILE, reported("IB202510B1N00001,60,USD,2025-11-07,T3,in"))
    create(ibctl)
    assert statuses(sql) == {"a@x.y": "PROCESSING", "b@x.y": "PROCESSING"}


@pytest.mark.parametrize("row", ["-100,USD,2025-11-05,T1,", "100,EUR,2025-11-05,T1,out"])
def test_a_cancelled_payment_of_which_it_is_not_clear_what_has_left_is_not_paid_again(
    platform: Platform, sql: Sql, ibctl: Run, row: str
) -> None:
    two(platform)
    create(ibctl, "--only", "a@x.y")
    if row.startswith("100"):
        ibctl(*CANCEL, "2025-10-1", "--yes")
    assert ibctl(*RECONCILE, reported(f"IB202510B1N00001,{row}"), "--paid-is", "positive").exit_code == 7
    ibctl(*CANCEL, "2025-10-1", "--yes")
    ended = ibctl(*CREATE, "--yes")
    assert (ended.exit_code, statuses(sql)) == (6, {"a@x.y": "PENDING", "b@x.y": "PROCESSING"})
    assert "money_is_out: a@x.y (it is not clear whether money has left under IB202510B1N00001" in ended.stderr


# ----------------------------------------------------------------------------------------------- kept back by --exclude

EXPORT = ("commissions", "payouts", "export", "2025-10-1", "-o", "out")
A, B = "IB202510B1N00001", "IB202510B1N00002"


def test_what_came_back_of_a_paid_payment_can_be_kept_back_and_goes_out_when_it_is_not_any_more(
    platform: Platform, sql: Sql, ibctl: Run
) -> None:
    two(platform)
    create(ibctl)
    ibctl(*EXPORT)
    ibctl(*RECONCILE, reported(f"{A},100,USD,2025-11-05,T1,out", f"{B},50.25,USD,2025-11-05,T2,out"))
    ibctl(*RECONCILE, reported(f"{A},100,USD,2025-11-07,T3,in", f"{B},50.25,USD,2025-11-07,T4,in"))
    ended = ibctl(*EXPORT, "--exclude", "a@x.y", "--exclude", "A@x.y")
    assert (ended.exit_code, f"left out, as excluded; it stays left to pay: {A}\n" in ended.stderr) == (0, True)
    assert list(paid_to(2)) == [B]
    both = ibctl(*EXPORT, "--exclude", "a@x.y", "--exclude", "b@x.y")
    assert (both.exit_code, f"{B} of b@x.y went out in file 2 already" in both.stderr) == (3, True)
    none = ibctl(*EXPORT, "--exclude", "a@x.y")
    assert (none.exit_code, "has nothing left to pay but what is excluded" in none.stderr) == (3, True)
    assert ibctl(*EXPORT).exit_code == 0
    assert list(paid_to(3)) == [A]
    assert statuses(sql) == {"a@x.y": "PAID", "b@x.y": "PAID"}


def test_a_payment_can_be_taken_out_of_a_file_that_nobody_has_handed_in(platform: Platform, ibctl: Run) -> None:
    two(platform)
    create(ibctl)
    ibctl(*EXPORT)
    assert ibctl(*EXPORT, "--instead-of", "1", "--exclude", "a@x.y", "--yes").exit_code == 0
    assert list(paid_to(2)) == [B]
    ended = ibctl(*EXPORT, "--instead-of", "2", "--exclude", "a@x.y", "--exclude", "b@x.y", "--yes")
    assert (ended.exit_code, "withdrawn: nothing is left to be written in its place" in ended.stderr) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--exclude", "nobody@x.y"), 3, "nobody@x.y"),
        (("--exclude", "c@x.y"), 3, "has nothing left to pay to c@x.y, so nothing to exclude"),
        (("--again", "1", "--exclude", "a@x.y"), 2, "--again excludes --instead-of and --exclude"),
    ],
)
def test_an_exclusion_that_leaves_nothing_out_is_refused(
    platform: Platform, ibctl: Run, arguments: tuple[str, ...], code: int, words: str
) -> None:
    two(platform)
    platform.user("c@x.y")
    create(ibctl)
    ended = ibctl(*EXPORT, *arguments)
    assert (ended.exit_code, words in " ".join(ended.stderr.split())) == (code, True)
