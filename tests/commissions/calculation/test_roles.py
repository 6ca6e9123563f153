"""Whoever was an IB and is one no more: nothing that is booked vanishes, and nothing more is earned."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.commissions.conftest import Platform, Strict
from tests.conftest import Result, ok

Run = Callable[..., Result]
PLAN_WITH_BONUS = """
name = "bonus"
version = 1
from = "2025-01"
[commission]
by = "cpa"
method = "whole"
tiers = [{ from = 0, rate = 0.30 }]
[bonus]
tiers = [{ from = 0, percent = 5 }]
"""


@pytest.fixture
def do(ibctl: Run) -> Callable[..., Result]:
    return lambda *words: ok(ibctl("commissions", *words))


@pytest.fixture
def become(ibctl: Run, platform: Platform) -> Callable[[str], None]:
    """Give the IB a role; somebody else stays an administrator."""
    platform.user("boss@x.y", role="ADMIN")

    def become(role: str) -> None:
        ok(ibctl("users", "set-role", "ib@x.y", "--role", role, "--yes"))

    return become


@pytest.fixture
def ib(platform: Platform) -> str:
    return platform.user("ib@x.y")


def rows(platform: Platform) -> dict[int, tuple[Any, ...]]:
    found = platform.sql(
        'SELECT month, "totalPayout"::numeric, "totalLeads", "paymentStatus" FROM "IbCommission" ORDER BY month'
    )
    return {month: tuple(rest) for month, *rest in found}


def test_a_balance_gets_through_months_in_which_its_ib_was_an_administrator(
    platform: Platform, do: Callable[..., Result], become: Callable[[str], None], ib: str, strict: Strict
) -> None:
    strict()
    platform.lead(ib, "2025-06-03", "2025-06-04", 100)
    do("close", "2025-06", "--yes")
    become("ADMIN")
    # Earned by no IB: it counts for nobody.
    platform.lead(ib, "2025-07-03", "2025-07-04", 1000)
    platform.spend(ib, platform.account(ib), "2025-07-03", 10)
    do("run", "--month", "2025-07")
    assert rows(platform)[7] == (0, 0, "PENDING")
    assert "role      ADMIN: leads and spend count only for IBs" in do("explain", "ib@x.y", "2025-07").stdout
    do("close", "2025-07", "--yes")
    assert "nothing is different" in do("drift").stderr
    assert "findings: 0" in do("verify").stderr
    become("IB")
    platform.lead(ib, "2025-08-03", "2025-08-04", 100)
    do("run", "--month", "2025-08")
    assert rows(platform)[8] == (60, 1, "PENDING")


def test_what_a_true_up_takes_back_from_an_ib_that_was_is_a_row_and_stays_owed(
    platform: Platform, ibctl: Run, do: Callable[..., Result], become: Callable[[str], None], ib: str
) -> None:
    lead = platform.lead(ib, "2025-07-03", "2025-07-04", 1000)
    do("close", "2025-07", "--yes")
    become("ADMIN")
    ok(ibctl("leads", "edit", lead, "--cpa-earned", "10"))
    do("true-up", "2025-07", "--yes")
    do("run", "--month", "2025-08")
    found = json.loads(do("show", "ib@x.y", "2025-08", "-f", "json").stdout)[0]
    assert (found["adjustments"], found["carriedOut"], found["totalPayout"]) == (-297, -297, 0)
    do("close", "2025-08", "--yes")
    assert platform.sql("SELECT sum(amount) FROM ibctl.adjustment WHERE month = 9") == [(-297,)]


def test_a_held_row_of_an_ib_that_was_follows_what_is_booked_and_counts_no_leads(
    platform: Platform, do: Callable[..., Result], become: Callable[[str], None], ib: str
) -> None:
    platform.lead(ib, "2025-09-03", "2025-09-04", 1000)
    do("run", "--month", "2025-09")
    do("hold", "ib@x.y", "2025-09", "--reason", "r")
    become("ADMIN")
    do("run", "--month", "2025-09")
    assert rows(platform)[9] == (0, 0, "HELD")
    do("adjust", "ib@x.y", "2025-09", "70", "--reason", "agreed", "--yes")
    closed = do("close", "2025-09", "--yes")
    assert "2025-09 is closed: 1 IB, 70.00 USD" in closed.stderr
    do("release", "ib@x.y", "2025-09", "--reason", "r")
    assert rows(platform)[9] == (70, 0, "PENDING")


def test_what_an_ib_earned_in_a_closed_month_stays_earned_and_that_of_an_open_one_is_calculated_again(
    platform: Platform, ibctl: Run, do: Callable[..., Result], become: Callable[[str], None], ib: str
) -> None:
    platform.lead(ib, "2025-08-03", "2025-08-04", 1000)
    platform.lead(ib, "2025-09-03", "2025-09-04", 900)
    do("close", "2025-08", "--yes")
    do("run", "--month", "2025-09")
    asked = ibctl("users", "set-role", "ib@x.y", "--role", "ADMIN")
    assert asked.exit_code == 2
    assert (
        "2 leads and 1 unpaid commission (300.00 USD) of closed months or in payouts stay as they are" in asked.stderr
    )
    assert "the next run calculates 1 unpaid commission (270.00 USD) of open months without" in asked.stderr
    become("ADMIN")
    do("run", "--month", "2025-09")
    assert rows(platform) == {8: (300, 1, "PENDING")}
    assert "nothing is different" in do("drift").stderr
    assert "findings: 0" in do("verify").stderr


def test_a_role_before_the_first_run_names_the_leads_that_will_earn_nothing(
    platform: Platform, ibctl: Run, do: Callable[..., Result], become: Callable[[str], None], ib: str
) -> None:
    platform.lead(ib, "2025-08-03", "2025-08-04", 500)
    do("close", "2025-08", "--yes")
    platform.lead(ib, "2025-09-03", "2025-09-04", 70)
    platform.lead(ib, "2025-10-03", None, 30)
    do("run", "--month", "2025-09")
    admin = ("users", "set-role", "ib@x.y", "--role", "ADMIN")
    platform.user("boss2@x.y", role="ADMIN")
    assert "in no commission yet" not in ibctl(*admin, "--dry-run").stderr
    platform.lead(ib, "2025-09-03", "2025-09-05", 1000)
    moved = platform.lead(platform.user("other@x.y"), "2025-10-03", "2025-10-04", 5)
    platform.sql(
        'INSERT INTO ibctl.lead_transfer (id, "leadId", "fromUserId", "toUserId", "effectiveAt", "createdAt")'
        " VALUES ('t', %s, %s, 'x', '2025-10-20', now())",
        moved, ib,
    )  # fmt: skip
    lost = "2 qualified leads of open months, with a CPA of 1,005.00 USD, are in no commission yet and will earn"
    assert f"{lost} nothing, unless their months are closed first" in ibctl(*admin).stderr
    assert f"{lost} nothing; what is owed of it" in ok(ibctl(*admin, "--yes")).stderr
    assert "in no commission yet" not in ok(ibctl(*admin, "--yes")).stderr


def test_a_run_names_with_the_sum_whom_an_open_month_pays_no_more(
    platform: Platform, ibctl: Run, do: Callable[..., Result], become: Callable[[str], None], ib: str
) -> None:
    platform.lead(ib, "2025-09-03", "2025-09-04", 900)
    do("run", "--month", "2025-09")
    become("ADMIN")
    for words in (["--dry-run", "--quiet"], ["--format", "json"]):
        result = do("run", "--month", "2025-09", *words)
        said = " ".join(result.stderr.split())
        assert "Warning: ib@x.y is ADMIN now, and 2025-09 earns no 270.00 USD any more" in said
        assert "if it is owed, book it: `ibctl commissions adjust ib@x.y 2025-09 270.00`" in said
    (row,) = json.loads(result.stdout)
    assert (row["removed"], row["former"]) == (1, [{"email": "ib@x.y", "role": "ADMIN", "earned": 270}])
    # It has happened, and is not said again.
    assert "ADMIN" not in do("run", "--month", "2025-09").stderr


def test_a_row_that_stays_for_what_is_booked_is_named_as_well(
    platform: Platform, do: Callable[..., Result], become: Callable[[str], None], ib: str
) -> None:
    platform.lead(ib, "2025-09-03", "2025-09-04", 900)
    do("run", "--month", "2025-09")
    become("ADMIN")
    booked = do("adjust", "ib@x.y", "2025-09", "5", "--reason", "agreed", "--yes")
    assert "2025-09 earns no 270.00 USD any more" in " ".join(booked.stderr.split())
    assert rows(platform)[9] == (5, 0, "PENDING")


def test_closing_a_month_names_whom_it_pays_no_more_before_it_asks(
    platform: Platform, ibctl: Run, do: Callable[..., Result], become: Callable[[str], None], ib: str
) -> None:
    platform.lead(ib, "2025-09-03", "2025-09-04", 900)
    do("run", "--month", "2025-09")
    become("ADMIN")
    asked = ibctl("commissions", "close", "2025-09", "--format", "json")
    assert asked.exit_code == 2
    assert "ib@x.y is ADMIN now, and 2025-09 earns no 270.00 USD any more" in " ".join(asked.stderr.split())
    (row,) = (row for row in json.loads(asked.stdout) if row["of"] == "former IBs")
    assert (row["count"], row["sum"]) == (1, 270)


def test_verify_says_before_the_run_what_a_role_changes(
    platform: Platform, ibctl: Run, do: Callable[..., Result], become: Callable[[str], None], ib: str
) -> None:
    platform.lead(ib, "2025-09-03", "2025-09-04", 900)
    platform.spend(ib, platform.account(ib), "2025-09-03", 10)
    do("run", "--month", "2025-09")
    become("ADMIN")
    ok(ibctl("users", "edit", "ib@x.y", "--verified"))
    found = ibctl("commissions", "verify", "2025-09", "--format", "json")
    assert found.exit_code == 7
    (row,) = json.loads(found.stdout)
    assert [row[name] for name in ("email", "kind", "what", "before", "after", "id")] == [
        "ib@x.y", "user", "role", "IB", "ADMIN", ib,
    ]  # fmt: skip
    assert "users set-role ib@x.y" in row["by"]


def test_a_month_that_was_closed_while_somebody_was_an_administrator_earns_nothing_later(
    platform: Platform, ibctl: Run, do: Callable[..., Result], become: Callable[[str], None], ib: str
) -> None:
    do("adjust", "ib@x.y", "2025-08", "5", "--reason", "agreed", "--yes")
    become("ADMIN")
    platform.lead(ib, "2025-08-03", "2025-08-04", 1000)
    platform.lead(ib, "2025-09-03", "2025-09-04", 900)
    do("close", "2025-08", "--yes")
    do("close", "2025-09", "--yes")
    assert rows(platform) == {8: (5, 0, "PENDING")}
    become("IB")
    assert "nothing is different" in do("drift").stderr
    assert "findings: 0" in do("verify").stderr
    for month in ("2025-08", "2025-09"):
        (row,) = json.loads(do("why-not", "ib@x.y", month, "--format", "json").stdout)[month == "2025-08" :][:1]
        assert (row["code"], row["why"]) == ("not_an_ib", "counts only for IBs, and ib@x.y was ADMIN")
    none = ibctl("commissions", "explain", "ib@x.y", "2025-09")
    assert (none.exit_code, "its role was ADMIN" in none.stderr) == (3, True)


def test_a_late_lead_of_a_closed_month_counts_for_whoever_was_an_ib_then(
    platform: Platform, ibctl: Run, do: Callable[..., Result], become: Callable[[str], None], ib: str
) -> None:
    do("close", "2025-09", "--yes")
    become("ADMIN")
    platform.lead(ib, "2025-09-03", "2025-09-04", 900)
    # Whoever came since has the role of now.
    platform.lead(platform.user("later@x.y", role="ADMIN"), "2025-09-03", "2025-09-04", 900)
    found = ibctl("commissions", "drift", "--format", "json")
    assert [(row["email"], row["difference"]) for row in json.loads(found.stdout)] == [("ib@x.y", 270)]


def test_what_a_paid_row_earned_is_not_said_to_differ_because_of_a_role(
    platform: Platform, do: Callable[..., Result], become: Callable[[str], None], ib: str
) -> None:
    do("adjust", "ib@x.y", "2025-09", "5", "--reason", "agreed", "--yes")
    become("ADMIN")
    platform.lead(ib, "2025-09-03", "2025-09-04", 900)
    do("run", "--month", "2025-09")
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = \'PAID\'')
    become("IB")
    assert "would be different" not in do("run", "--month", "2025-09").stderr
    assert "nothing is different" in do("drift").stderr


def test_what_a_true_up_booked_is_taken_back_by_no_role(
    platform: Platform, do: Callable[..., Result], become: Callable[[str], None], ib: str
) -> None:
    do("close", "2025-07", "--yes")
    platform.lead(ib, "2025-07-03", "2025-07-04", 1000)
    do("true-up", "2025-07", "--yes")
    become("ADMIN")
    assert "nothing is different" in do("drift", "2025-07").stderr
    do("true-up", "2025-07", "--yes")
    assert platform.sql("SELECT sum(amount) FROM ibctl.adjustment") == [(300,)]


@pytest.mark.parametrize(
    "words",
    [
        ["statement", "ib@x.y", "2025-08"], ["dossier", "ib@x.y", "2025-08"], ["payees", "show", "ib@x.y"],
        ["explain", "ib@x.y", "2025-08"], ["show", "ib@x.y", "2025-08"],
        ["payouts", "create", "--month", "2025-08", "--exclude", "ib@x.y", "--yes"],
        ["payouts", "create", "--month", "2025-08", "--only", "ib@x.y", "--yes"],
        ["release", "ib@x.y", "2025-08", "--reason", "r"],
    ],
)  # fmt: skip
def test_whoever_has_commissions_is_found_whatever_the_role(
    platform: Platform, ibctl: Run, do: Callable[..., Result], become: Callable[[str], None], ib: str, words: list[str]
) -> None:
    platform.lead(ib, "2025-08-03", "2025-08-04", 1000)
    do("run", "--month", "2025-08")
    become("ADMIN")
    result = ibctl("commissions", *words)
    assert "there is no IB" not in result.stderr
    other = ibctl("commissions", *(word.replace("ib@x.y", "boss@x.y") for word in words))
    assert other.exit_code == 3


def test_why_not_names_the_role_as_the_reason(
    platform: Platform, do: Callable[..., Result], become: Callable[[str], None], ib: str
) -> None:
    platform.lead(ib, "2025-08-03", "2025-08-04", 1000)
    become("ADMIN")
    shown = do("why-not", "ib@x.y", "2025-08", "--format", "json")
    (row,) = json.loads(shown.stdout)
    assert (row["code"], row["why"]) == ("not_an_ib", "counts only for IBs, and ib@x.y is ADMIN")
    do("close", "2025-08", "--yes")
    (row,) = json.loads(do("why-not", "ib@x.y", "2025-08", "--format", "json").stdout)
    assert row["code"] == "not_an_ib"
    assert Decimal(0) == sum(sum_ for sum_, *_ in rows(platform).values())


def test_a_commission_that_is_none_is_explained_by_the_role(
    platform: Platform, ibctl: Run, become: Callable[[str], None], ib: str
) -> None:
    platform.lead(ib, "2025-08-03", "2025-08-04", 1000)
    become("ADMIN")
    refused = ibctl("commissions", "explain", "ib@x.y", "2025-08")
    assert (refused.exit_code, "its role is ADMIN, and leads and ad spend count only for" in refused.stderr) == (
        3,
        True,
    )


def test_what_a_role_takes_is_named_to_the_cent(
    platform: Platform, ibctl: Run, do: Callable[..., Result], become: Callable[[str], None], ib: str, tmp_path: Path
) -> None:
    # 0.015 + 0.005 are 0.02, and not the 0.02 + 0.01 that each comes to alone.
    (tmp_path / "plan.toml").write_text(PLAN_WITH_BONUS)
    do("plans", "add", str(tmp_path / "plan.toml"))
    do("plans", "assign", "--all", "--plan", "bonus", "--from", "2025-01")
    platform.lead(ib, "2025-09-03", "2025-09-04", 0.05)
    platform.spend(ib, platform.account(ib), "2025-09-03", 0.10)
    do("run", "--month", "2025-09")
    become("ADMIN")
    assert "2025-09 earns no 0.02 USD any more" in " ".join(do("run", "--month", "2025-09").stderr.split())
