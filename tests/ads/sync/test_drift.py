"""Spend that Facebook restates after its month was closed: `commissions drift` names the days."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from freezegun import freeze_time

from ibctl.commissions import commands as _  # noqa: F401 - pydantic cannot make models of frozen dates
from tests.ads.facebook import Connected
from tests.conftest import Result

PLAN = """
name = "spender"
version = 1
from = "2025-10"
[commission]
by = "qualified-leads"
method = "whole"
tiers = [{ from = 0, rate = 0.30 }]
[bonus]
tiers = [{ from = 1, percent = 10 }]
"""
Run = Callable[..., Result]


def test_a_closed_month_with_restated_spend_names_the_days(connected: Connected, ibctl: Run) -> None:
    plan = connected.ads.folder / "plan.toml"
    plan.write_text(PLAN)
    assert ibctl("commissions", "plans", "add", plan).exit_code == 0
    assign = ["commissions", "plans", "assign", "--all", "--plan", "spender", "--from", "2025-10"]
    assert ibctl(*assign, "--yes").exit_code == 0
    with freeze_time("2025-11-10 12:00:00", tick=True):
        account = connected.account("900")
        account.spent(date(2025, 10, 20), "10.00")
        account.spent(date(2025, 10, 21), "20.00")
        assert ibctl("ads", "sync").exit_code == 0
        assert ibctl("commissions", "run", "--month", "2025-10").exit_code == 0
        closed = ibctl("commissions", "close", "2025-10", "--yes")
        assert closed.exit_code == 0, closed.stderr
        account.spent(date(2025, 10, 20), "12.50")
        assert ibctl("ads", "sync").exit_code == 0
    run = ibctl("commissions", "drift", "2025-10", "--format", "json")
    assert run.exit_code == 7, run.stdout + run.stderr
    told = run.stdout + run.stderr
    assert "2025-10-20" in told, told
    assert "2025-10-21" not in told
    assert "act_900" in told
