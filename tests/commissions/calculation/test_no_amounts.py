"""What the web application stored and is no amount: shown as it is, in no sum, and never paid."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commissions.conftest import Platform
from tests.conftest import Result

Run = Callable[..., Result]


@pytest.fixture(params=["NaN", "Infinity", "-Infinity"])
def bad(request: pytest.FixtureRequest, platform: Platform, ibctl: Run) -> str:
    """Two IBs with 30.00 in October; of one the row says something that is no amount."""
    for email in ("ib@x.y", "other@x.y"):
        platform.lead(platform.user(email), "2025-10-03", "2025-10-04", 100)
    assert ibctl("commissions", "run", "--month", "2025-10").exit_code == 0
    platform.sql(
        'UPDATE "IbCommission" SET "totalPayout" = %s WHERE "userId" = (SELECT id FROM "User" WHERE email = %s)',
        request.param, "ib@x.y",
    )  # fmt: skip
    return str(request.param)


def test_lists_show_it_as_it_is_and_add_up_the_rest(bad: str, ibctl: Run) -> None:
    listed = ibctl("commissions", "list")
    assert (listed.exit_code, bad in listed.stdout) == (0, True)
    assert "2 commissions, totalPayout 30.00 USD" in listed.stderr
    assert f"no amounts, and in no sum: ib@x.y 2025-10 ({bad})" in listed.stderr
    rows = {row["email"]: row["totalPayout"] for row in json.loads(ibctl("commissions", "list", "-f", "json").stdout)}
    assert rows == {"ib@x.y": None, "other@x.y": 30}
    assert ibctl("commissions", "export", "--columns", "email,totalPayout").stdout.splitlines()[1:] in (
        ["ib@x.y,", "other@x.y,30.0"], ["other@x.y,30.0", "ib@x.y,"],
    )  # fmt: skip


def test_one_is_shown_and_explained(bad: str, ibctl: Run) -> None:
    shown = ibctl("commissions", "show", "ib@x.y", "2025-10")
    assert (shown.exit_code, bad in shown.stdout) == (0, True)
    explained = ibctl("commissions", "explain", "ib@x.y", "2025-10")
    assert f"totalPayout is stored as {bad} USD, but derives to 30.00 USD" in explained.stderr
    verified = ibctl("commissions", "verify", "2025-10", "-f", "json")
    assert [(row["before"], row["after"]) for row in json.loads(verified.stdout)] == [("30.00", bad)]


@pytest.mark.parametrize("arguments", [["ib@x.y", "2025-10"], ["--all", "2025-11", "-o", "all"]])
def test_a_statement_names_the_row_instead_of_a_balance(bad: str, ibctl: Run, arguments: list[str]) -> None:
    refused = ibctl("commissions", "statement", *arguments)
    assert (refused.exit_code, refused.stdout) == (3, "")
    assert f"what is no amount adds up to no balance: ib@x.y 2025-10 ({bad})" in refused.stderr
    assert not list(Path().glob("all/*"))
    if arguments[0] == "ib@x.y":
        assert ibctl("commissions", "statement", "other@x.y", "2025-10").exit_code == 0


def test_it_is_not_paid_and_a_run_sets_it_right(bad: str, platform: Platform, ibctl: Run) -> None:
    ibctl("commissions", "payouts", "create", "--month", "2025-10", "--method", "paypal", "--yes")
    assert platform.sql('SELECT DISTINCT "paymentStatus" FROM "IbCommission"') == [("PENDING",)]
    assert ibctl("commissions", "run", "--month", "2025-10").exit_code == 0
    assert platform.sql('SELECT "totalPayout" FROM "IbCommission"') == [(30,), (30,)]
