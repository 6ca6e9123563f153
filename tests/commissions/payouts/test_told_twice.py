"""News of an earlier file, told late, in parts or twice, puts no payment into a second file that is live."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ibctl import days
from tests.commissions.conftest import Platform
from tests.commissions.payout_cases import create, two
from tests.conftest import Result

Run = Callable[..., Result]
RECONCILE = ("commissions", "payouts", "reconcile", "2025-10-1", "bank.csv")
EXPORT = ("commissions", "payouts", "export", "2025-10-1", "-o", "out")
A = "IB202510B1N00001"


def told(ibctl: Run, *rows: str) -> None:
    """The bank tells of movements of A: amount, in or out, the day (of November, or a whole one), the bank's name."""
    lines = []
    for row in rows:
        amount, way, day, *name = row.split()
        lines.append(f"{A},{amount},USD,{day if '-' in day else f'2025-11-{day}'},{''.join(name)},{way}")
    Path("bank.csv").write_text("\n".join(["reference,amount,currency,date,id,direction", *lines]) + "\n")
    assert ibctl(*RECONCILE).exit_code in (0, 7)


def exported(ibctl: Run) -> str:
    ended = ibctl(*EXPORT)
    assert ended.exit_code == 0, ended.stderr
    return ended.stderr


def files() -> int:
    return len(list(Path("out").glob("*.csv")))


@pytest.fixture(autouse=True)
def live(platform: Platform, ibctl: Run) -> None:
    """File 1 of batch 2025-10-1 is with the bank: a@x.y's 100.00 USD, and b@x.y's."""
    two(platform)
    create(ibctl)
    exported(ibctl)


def test_what_is_told_again_is_called_that_where_the_batch_is_shown(ibctl: Run) -> None:
    told(ibctl, "100.00 out 05 T1", "100.00 in 07 T2")
    told(ibctl, "100.00 in 07")
    shown = ibctl("commissions", "payouts", "show", "2025-10-1").stderr
    assert "Warning: 1 reported movement tells again of what another file had told of: that counts nothing" in shown
    assert "no single payment" not in shown


@pytest.mark.parametrize(
    "again",
    [
        ["100.00 in 07"],
        ["100.00 in 06"],
        ["100.00 in 08 OTHER"],
        ["100.00 out 05", "100.00 in 07"],
        ["100.00 in 07", "100.00 in 07"],
    ],
)
def test_a_return_that_a_second_bank_file_tells_again_ends_no_later_file(ibctl: Run, again: list[str]) -> None:
    told(ibctl, "100.00 out 05 T1", "100.00 in 07 T2")
    exported(ibctl)
    told(ibctl, *again)
    exported(ibctl)
    assert files() == 2


@pytest.mark.parametrize("day", ["06", "07", "08"])
def test_nor_does_one_that_is_told_twice_before_its_payment_is(ibctl: Run, day: str) -> None:
    told(ibctl, "100.00 in 07 T2")
    exported(ibctl)
    told(ibctl, f"100.00 in {day}")
    exported(ibctl)
    told(ibctl, "100.00 out 05 T1")
    exported(ibctl)
    assert files() == 2


def test_a_file_that_is_rejected_whole_is_followed_by_another_and_that_by_a_third(
    platform: Platform, ibctl: Run
) -> None:
    today = days.today("UTC")
    told(ibctl, "100.00 in 07")
    exported(ibctl)
    told(ibctl, f"100.00 in {today}")
    exported(ibctl)
    assert files() == 2  # it may be the first one's still
    assert ibctl("undo", "5", "--yes").exit_code == 0
    # A bank books nothing that is yet to come, so the file is a day old.
    platform.sql('UPDATE ibctl.payout_order SET "createdAt" = "createdAt" - interval \'1 day\'')
    told(ibctl, "100.00 in 07", f"100.00 in {today}")
    exported(ibctl)
    assert files() == 3


def test_a_payment_after_one_that_was_rejected_can_come_back_too(ibctl: Run) -> None:
    told(ibctl, "100.00 in 07")
    exported(ibctl)
    told(ibctl, "100.00 out 09")
    told(ibctl, "100.00 in 11")
    exported(ibctl)
    assert files() == 3


def test_more_debits_than_files_leave_the_next_file_guarded(ibctl: Run) -> None:
    told(ibctl, "60.00 out 05 T1")
    told(ibctl, "40.00 out 06 T2")
    told(ibctl, "60.00 in 07 T3")
    exported(ibctl)
    told(ibctl, "40.00 in 08 T4")
    live = ibctl(*EXPORT)
    assert (live.exit_code, f"{A} went out in file 2 for 60.00 USD, and 100.00 USD are" in live.stderr) == (3, True)
    assert files() == 2
    told(ibctl, "60.00 out 09 T5")
    exported(ibctl)
    assert files() == 3


def test_news_of_a_later_file_frees_nothing_while_what_is_known_of_an_earlier_one_was_taken_back(ibctl: Run) -> None:
    """60.00 are out in truth; what told of them was undone, and is read again some day."""
    told(ibctl, "60.00 out 05 T1")
    exported(ibctl)
    assert ibctl("undo", "3", "--yes").exit_code == 0
    told(ibctl, "30.00 out 09 T2")
    assert ibctl(*EXPORT).exit_code == 3
    assert files() == 2


def out(ibctl: Run) -> float:
    """What is out for A, as the batch shows it."""
    shown = ibctl("commissions", "payouts", "show", "2025-10-1", "-f", "json")
    return float(json.loads(shown.stdout)[0]["sent"])


@pytest.mark.parametrize("day", ["06", "07", "09"])
@pytest.mark.parametrize("name", ["", " OTHER"])
def test_a_part_that_two_files_tell_of_came_back_once(ibctl: Run, day: str, name: str) -> None:
    told(ibctl, "100 out 05 T1", "40 in 07 T2")
    told(ibctl, f"40 in {day}{name}")
    assert out(ibctl) == 60
    assert (
        "another file told of the same return" in json.loads(ibctl(*RECONCILE, "-f", "json").stdout)[0]["explanation"]
    )


@pytest.mark.parametrize("day", ["07", "09"])
def test_two_equal_parts_that_one_file_shows_came_back_both(ibctl: Run, day: str) -> None:
    told(ibctl, "100 out 05 T1", "40 in 07 T2")
    told(ibctl, "100 out 05 T1", "40 in 07 T2", f"40 in {day} T3")
    assert out(ibctl) == 20


def test_a_file_that_shows_both_under_its_own_names_adds_the_one_that_was_not_known(ibctl: Run) -> None:
    told(ibctl, "100 out 05 T1", "40 in 07 T2")
    told(ibctl, "40 in 08", "40 in 11")
    assert out(ibctl) == 20


def test_an_equal_return_after_more_has_left_is_another_one(ibctl: Run) -> None:
    told(ibctl, "100 out 05 T1", "40 in 07 T2")
    told(ibctl, "40 out 09 T3")
    told(ibctl, "40 in 11 T4")
    assert out(ibctl) == 60


def test_but_not_on_the_day_on_which_it_left_for_the_return_may_have_come_before_it(ibctl: Run) -> None:
    told(ibctl, "100 out 05 T1", "40 in 07 T2", "40 out 08 T3")
    told(ibctl, "40 in 08")
    assert out(ibctl) == 100


def test_a_payment_that_two_files_tell_of_under_two_names_says_how_to_take_one_of_them_back(ibctl: Run) -> None:
    told(ibctl, "100 out 05 T1")
    told(ibctl, "100 out 05")
    shown = json.loads(ibctl(*RECONCILE, "-f", "json").stdout)
    assert shown[0]["explanation"] == (
        "100.00 USD too much: have it returned, or `ibctl undo` this if another file told of the same payment"
    )
