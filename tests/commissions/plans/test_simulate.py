from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commissions.conftest import Platform
from tests.conftest import Result

Run = Callable[..., Result]
PLAN = """
name = "new"
version = 1
from = "2025-01"
[commission]
method = "whole"
tiers = [{ from = 0, rate = 0.25 }, { from = 3, rate = 0.40 }]
"""
SPAN = ("--from", "2025-09", "--to", "2025-10")


@pytest.fixture
def platform_of_two(platform: Platform, ibctl: Run, tmp_path: Path) -> Platform:
    """One IB with 3 leads in October, one with 1 in each month; and the file of a plan with two tiers."""
    big, small = platform.user("big@x.y"), platform.user("small@x.y")
    for _ in range(3):
        platform.lead(big, "2025-10-03", "2025-10-04", 100)
    for month in ("09", "10"):
        platform.lead(small, f"2025-{month}-03", f"2025-{month}-04", 100)
    (tmp_path / "new.toml").write_text(PLAN)
    return platform


def test_it_says_what_the_plan_costs_who_gains_who_loses_and_who_is_near_a_tier(
    platform_of_two: Platform, ibctl: Run
) -> None:
    done = ibctl("commissions", "simulate", "--plan", "new.toml", *SPAN, "-f", "json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout) == [
        {"email": "big@x.y", "current": 90, "simulated": 120, "difference": 30, "near": ["2025-10: 3 of 3 leads"]},
        {"email": "small@x.y", "current": 60, "simulated": 50, "difference": -10, "near": []},
    ]
    assert "new, version 1 costs 170.00 USD instead of 150.00 USD (+20.00, +13.3 %)" in done.stderr
    assert "1 IB would get more, 1 less, 0 the same; 1 are within 5 % of where a tier begins" in done.stderr


def test_the_months_are_compared_with_what_they_were_calculated_by(platform_of_two: Platform, ibctl: Run) -> None:
    for month in ("2025-09", "2025-10"):
        assert ibctl("commissions", "run", "--month", month).exit_code == 0
    ibctl("commissions", "plans", "add", "new.toml")
    ibctl("commissions", "plans", "assign", "--all", "--plan", "new", "--from", "2025-09")
    before = platform_of_two.everything()
    done = ibctl("commissions", "simulate", "--plan", "new", *SPAN, "-f", "json")
    assert [row["current"] for row in json.loads(done.stdout)] == [90, 60]
    assert platform_of_two.everything() == before


def test_whoever_is_an_administrator_now_neither_gains_nor_loses(platform_of_two: Platform, ibctl: Run) -> None:
    for month in ("2025-09", "2025-10"):
        assert ibctl("commissions", "close", month, "--yes").exit_code == 0
    platform_of_two.sql("UPDATE \"User\" SET role = 'ADMIN' WHERE email = 'big@x.y'")
    done = ibctl("commissions", "simulate", "--plan", "new.toml", *SPAN, "-f", "json")
    assert [(row["email"], row["difference"]) for row in json.loads(done.stdout)] == [("small@x.y", -10)]
    assert "costs 50.00 USD instead of 60.00 USD" in done.stderr
    assert "left out, as they are IBs no more: big@x.y" in done.stderr


def test_plot_draws_each_month_now_and_new(platform_of_two: Platform, ibctl: Run) -> None:
    shown = ibctl("commissions", "simulate", "--plan", "new.toml", *SPAN, "--plot").stdout
    lines = [line.rstrip() for line in shown.splitlines() if line.startswith("2025-")]
    assert [line.split()[0] + " " + line.split()[1] for line in lines] == [
        "2025-09 now", "2025-09 new", "2025-10 now", "2025-10 new"
    ]  # fmt: skip
    assert lines[3].endswith("145.00")
    assert lines[3].count("█") == 40


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "--plan is missing"),
        (["--plan", "none"], 3, "there is no plan 'none'"),
        (["--plan", "none.toml"], 3, "cannot read none.toml: No such file or directory"),
        (["--plan", "new.toml", "--from", "2025-10", "--to", "2025-09"], 2, "the earlier one first"),
    ],
)
def test_what_cannot_be_simulated_is_said_in_a_line(
    platform_of_two: Platform, process: Run, arguments: list[str], code: int, message: str
) -> None:
    failed = process("commissions", "simulate", *arguments)
    assert (failed.exit_code, failed.stdout) == (code, "")
    assert message in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1
