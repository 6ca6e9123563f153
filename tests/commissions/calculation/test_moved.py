"""What of a month's inputs is said to have moved."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commissions.conftest import Platform
from tests.conftest import Result, ok

Run = Callable[..., Result]
PLAN = """
name = "steps"
version = 1
from = "2025-01"
[commission]
method = "marginal"
tiers = [{ from = 0, rate = 0.1 }, { from = 2, rate = 0.5 }]
"""


def rows(result: Result) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


@pytest.fixture
def october(platform: Platform, ibctl: Run) -> str:
    """A closed October with two leads that qualified within a minute, and 10.10 USD of spend; the first lead's id."""
    Path("p.toml").write_text(PLAN)
    ok(ibctl("commissions", "plans", "add", "p.toml"))
    ok(ibctl("commissions", "plans", "assign", "--all", "--plan", "steps", "--from", "2025-01"))
    ib = platform.user("ib@x.y")
    lead = platform.lead(ib, "2025-10-03", "2025-10-04T10:00:10", 100)
    platform.lead(ib, "2025-10-03", "2025-10-04T10:00:20", 1000)
    platform.spend(ib, platform.account(ib), "2025-10-02", 10.1)
    ok(ibctl("commissions", "close", "2025-10", "--yes"))
    return lead


@pytest.mark.parametrize(
    ("moment", "before", "after"),
    [
        ("2025-10-04T10:00:40Z", "2025-10-04 10:00:10", "2025-10-04 10:00:40"),
        ("2025-10-04T10:00:10.005Z", "2025-10-04 10:00:10.000", "2025-10-04 10:00:10.005"),
        ("2025-10-04T10:07:10Z", "2025-10-04 10:00", "2025-10-04 10:07"),
    ],
)
def test_a_moment_that_moved_within_its_minute_is_named(
    october: str, platform: Platform, ibctl: Run, moment: str, before: str, after: str
) -> None:
    ok(ibctl("leads", "edit", october, "--qualified-at", moment))
    (row,) = rows(ibctl("commissions", "verify", "2025-10", "-f", "json"))
    assert (row["what"], row["before"], row["after"]) == (f"{october} qualifiedAt", before, after)
    assert f"ibctl leads edit {october}" in row["by"]


def test_drift_that_comes_of_the_order_of_leads_names_what_moved(october: str, ibctl: Run) -> None:
    ok(ibctl("leads", "edit", october, "--qualified-at", "2025-10-04T10:00:40Z"))
    (row,) = rows(ibctl("commissions", "drift", "2025-10", "-f", "json"))
    assert row["difference"] == -360
    assert row["moved"] == [f"lead {october} qualifiedAt: 2025-10-04 10:00:10 → 2025-10-04 10:00:40"]
    assert len(row["causes"]) == 1


def test_an_account_that_is_called_otherwise_is_named_and_not_its_days(
    october: str, platform: Platform, ibctl: Run
) -> None:
    ((id_, name),) = platform.sql('SELECT id, "adAccountId" FROM "FacebookAdAccount"')
    platform.sql("""UPDATE "FacebookAdAccount" SET "adAccountId" = 'act_9'""")
    (row,) = rows(ibctl("commissions", "verify", "2025-10", "-f", "json"))
    assert (row["kind"], row["what"], row["before"], row["after"]) == ("account", f"{name} adAccountId", name, "act_9")
    assert (row["id"], row["by"]) == (id_, "written outside ibctl")


def test_an_account_in_another_currency_is_named_once(october: str, platform: Platform, ibctl: Run) -> None:
    platform.rate("2025-10-02", "EUR", "1.1")
    platform.sql("""UPDATE "FacebookAdAccount" SET currency = 'EUR'""")
    (row,) = rows(ibctl("commissions", "verify", "2025-10", "-f", "json"))
    assert (row["kind"], row["before"], row["after"]) == ("account", "USD", "EUR")


def test_a_day_that_is_another_accounts_says_so(october: str, platform: Platform, ibctl: Run) -> None:
    ((ib, name),) = platform.sql('SELECT "userId", "adAccountId" FROM "FacebookAdAccount"')
    other = platform.account(ib)
    platform.sql('UPDATE "AdSpendHistory" SET "adAccountId" = %s', other)
    (row,) = rows(ibctl("commissions", "verify", "2025-10", "-f", "json"))
    assert (row["before"], row["after"]) == (f"{name} 2025-10-02 10.10 USD", f"act_{other} 2025-10-02 10.10 USD")
