"""What an undo leaves of a hold, the status of its commission, and the balance that its release carries on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.commissions.conftest import Platform, Strict
from tests.conftest import Result, ok

Run = Callable[..., Result]


def last(platform: Platform) -> str:
    ((number,),) = platform.sql("SELECT max(id) FROM ibctl.change_set")
    return str(number)


def do(ibctl: Run, verb: str, month: str = "2025-09") -> None:
    ok(ibctl("commissions", verb, "ib@x.y", month, "--reason", "r"))


def close(ibctl: Run, month: str = "2025-09") -> None:
    ok(ibctl("commissions", "close", month, "--yes"))


def books(platform: Platform) -> dict[str, Any]:
    """The status of each commission, the holds in force, and what is carried on."""
    return {
        "status": [row[0] for row in platform.sql('SELECT "paymentStatus" FROM "IbCommission" ORDER BY year, month')],
        "holds": platform.sql('SELECT count(*) FROM ibctl.commission_hold WHERE "releasedAt" IS NULL')[0][0],
        "carried": platform.sql("SELECT coalesce(sum(amount), 0) FROM ibctl.adjustment WHERE kind = 'carry'")[0][0],
    }


@pytest.fixture
def ib(platform: Platform, ibctl: Run, strict: Strict) -> str:
    """An IB whose September comes to 30, below its plan's minimum of 50."""
    strict()
    ib = platform.user("ib@x.y")
    platform.lead(ib, "2025-09-03", "2025-09-04", 100)
    ok(ibctl("commissions", "run", "--month", "2025-09"))
    return ib


@pytest.fixture
def held(ib: str, ibctl: Run) -> str:
    do(ibctl, "hold")
    return ib


def test_the_release_of_a_closed_month_goes_back_and_forth_with_what_it_carried_on(
    held: str, platform: Platform, ibctl: Run
) -> None:
    close(ibctl)
    do(ibctl, "release")
    states = [{"status": ["HELD"], "holds": 1, "carried": 0}, {"status": ["PENDING"], "holds": 0, "carried": 30}]
    assert books(platform) == states[1]
    for state in (states[0], states[1], states[0]):
        ok(ibctl("undo", last(platform), "--yes"))
        assert books(platform) == state


def test_a_release_is_not_undone_once_what_it_carried_on_is_in_a_closed_month(
    held: str, platform: Platform, ibctl: Run
) -> None:
    close(ibctl)
    do(ibctl, "release")
    release = last(platform)
    close(ibctl, "2025-10")
    released = books(platform)
    refused = ibctl("undo", release, "--yes", "-f", "json")
    assert (refused.exit_code, books(platform)) == (3, released)
    assert "`ibctl commissions hold ib@x.y 2025-09` holds it again, or says where it went" in refused.stdout
    refused = ibctl("commissions", "hold", "ib@x.y", "2025-09", "--reason", "r")
    assert (refused.exit_code, books(platform)) == (3, released)
    assert "30.00 USD of 2025-09 went on into 2025-10: hold that one" in refused.stderr


def test_a_hold_of_a_closed_month_goes_back_and_forth(ib: str, platform: Platform, ibctl: Run) -> None:
    platform.lead(ib, "2025-09-03", "2025-09-05", 100)
    close(ibctl)
    do(ibctl, "hold")
    hold, states = last(platform), [
        {"status": ["HELD"], "holds": 1, "carried": 0}, {"status": ["PENDING"], "holds": 0, "carried": 0}
    ]  # fmt: skip
    for state in (states[1], states[0]):
        ok(ibctl("undo", last(platform), "--yes"))
        assert books(platform) == state
    ok(ibctl("commissions", "reopen", "2025-09", "--reason", "r", "--yes"))
    close(ibctl)
    assert ibctl("undo", hold, "--yes").exit_code == 3
    assert books(platform) == states[0]


def test_a_hold_is_not_undone_once_its_month_was_closed_without_its_balance(
    held: str, platform: Platform, ibctl: Run
) -> None:
    hold = last(platform)
    close(ibctl)
    refused = ibctl("undo", hold, "--yes", "-f", "json")
    assert (refused.exit_code, books(platform)) == (3, {"status": ["HELD"], "holds": 1, "carried": 0})
    assert "`ibctl commissions release ib@x.y 2025-09` lets it go" in refused.stdout
    do(ibctl, "release")
    assert books(platform) == {"status": ["PENDING"], "holds": 0, "carried": 30}


@pytest.mark.parametrize("verb", ["hold", "release"])
def test_in_an_open_month_a_hold_and_its_status_go_back_and_forth_together(
    held: str, platform: Platform, ibctl: Run, verb: str
) -> None:
    states = [{"status": ["HELD"], "holds": 1, "carried": 0}, {"status": ["PENDING"], "holds": 0, "carried": 0}]
    if verb == "release":
        do(ibctl, "release")
        states.reverse()
    for state in (states[1], states[0], states[1]):
        ok(ibctl("undo", last(platform), "--yes"))
        assert books(platform) == state


def test_a_hold_whose_row_was_calculated_again_is_released_not_undone(
    held: str, platform: Platform, ibctl: Run
) -> None:
    hold = last(platform)
    platform.lead(held, "2025-09-03", "2025-09-05", 100)
    ok(ibctl("commissions", "run", "--month", "2025-09"))
    refused = ibctl("undo", hold, "--yes")
    assert (refused.exit_code, books(platform)["status"], books(platform)["holds"]) == (3, ["HELD"], 1)


def test_the_undo_of_an_undone_hold_leaves_no_hold_on_a_row_that_is_pending(
    held: str, platform: Platform, ibctl: Run
) -> None:
    ok(ibctl("undo", last(platform), "--yes"))
    undone = last(platform)
    close(ibctl)
    assert ibctl("undo", undone, "--yes").exit_code == 3
    assert books(platform) == {"status": ["PENDING"], "holds": 0, "carried": 30}


def test_a_hold_that_was_there_before_its_row_is_not_undone_past_it(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    do(ibctl, "hold")
    hold = last(platform)
    platform.lead(ib, "2025-09-03", "2025-09-04", 100)
    ok(ibctl("commissions", "run", "--month", "2025-09"))
    refused = ibctl("undo", hold, "--yes")
    assert (refused.exit_code, books(platform)) == (3, {"status": ["HELD"], "holds": 1, "carried": 0})


def test_an_undone_release_makes_no_second_hold_of_a_month_without_a_row(platform: Platform, ibctl: Run) -> None:
    platform.user("ib@x.y")
    do(ibctl, "hold")
    do(ibctl, "release")
    release = last(platform)
    do(ibctl, "hold")
    assert ibctl("undo", release, "--yes").exit_code == 3
    assert books(platform)["holds"] == 1


def test_a_row_that_a_run_removed_does_not_come_back_pending_beside_a_hold(
    ib: str, platform: Platform, ibctl: Run
) -> None:
    platform.sql('DELETE FROM "Lead"')
    ok(ibctl("commissions", "run", "--month", "2025-09"))
    removed = last(platform)
    do(ibctl, "hold")
    refused = ibctl("undo", removed, "--yes")
    assert (refused.exit_code, books(platform)) == (3, {"status": [], "holds": 1, "carried": 0})
    do(ibctl, "release")
    ok(ibctl("undo", removed, "--yes"))
    assert books(platform)["status"] == ["PENDING"]


def test_an_undone_run_leaves_other_holds_alone(held: str, platform: Platform, ibctl: Run) -> None:
    platform.lead(platform.user("other@x.y"), "2025-09-03", "2025-09-05", 100)
    platform.lead(held, "2025-09-03", "2025-09-05", 100)
    ok(ibctl("commissions", "run", "--month", "2025-09"))
    ok(ibctl("undo", last(platform), "--yes"))
    assert books(platform) == {"status": ["HELD"], "holds": 1, "carried": 0}


def test_what_a_hold_in_force_is_about_is_not_paid_whatever_its_row_says(
    held: str, platform: Platform, ibctl: Run
) -> None:
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = \'PENDING\', "totalPayout" = 30')
    platform.sql('UPDATE ibctl.commission_snapshot SET figures = figures || \'{"totalPayout": "30.00"}\'')
    refused = ibctl("commissions", "payouts", "create", "--month", "2025-09", "--method", "paypal", "--yes")
    assert (refused.exit_code, "left out, held: ib@x.y (a hold is in force" in refused.stderr) == (3, True)


def test_a_release_carries_on_what_the_web_application_has_set_pending(
    held: str, platform: Platform, ibctl: Run
) -> None:
    close(ibctl)
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = \'PENDING\'')
    do(ibctl, "release")
    assert books(platform) == {"status": ["PENDING"], "holds": 0, "carried": 30}
