"""What the Tab key fills in for months, plans, groups and the words of options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from freezegun import freeze_time

from tests.commissions.conftest import Platform
from tests.conftest import Result, Tab

Run = Callable[..., Result]
PLAN = 'name = "gold"\nversion = {version}\nfrom = "{since}"\n[commission]\nrate = 0.3\n'


def test_a_statement_is_of_an_ib_and_then_of_a_month(platform: Platform, tab: Tab) -> None:
    platform.user("ib@x.y")
    assert tab("commissions statement ") == ["ib@x.y"]
    months = tab("commissions statement ib@x.y ")
    assert len(months) == 13
    assert all(len(month) == len("2025-10") for month in months)
    assert tab("commissions statement --all ") == months
    assert tab(f"commissions statement ib@x.y {months[-1]}") == [months[-1]]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("list --status ", ["PENDING", "HELD", "PROCESSING", "PAID"]),
        ("export --status P", ["PENDING", "PROCESSING", "PAID"]),
        ("clawback a@x.y --code c", ["chargeback"]),
        ("adjustments --kind c", ["clawback", "carry"]),
    ],
)
def test_the_words_of_an_option_are_completed(tab: Tab, words: str, found: list[str]) -> None:
    assert tab(f"commissions {words}") == found


def test_plans_and_groups_are_completed_by_name(platform: Platform, ibctl: Run, tab: Tab, tmp_path: Path) -> None:
    platform.user("ib@x.y")
    for version, since in ((1, "2025-01"), (2, "2025-06")):
        (tmp_path / "gold.toml").write_text(PLAN.format(version=version, since=since))
        assert ibctl("commissions", "plans", "add", "gold.toml").exit_code == 0
    assert ibctl("commissions", "groups", "add", "big ones", "ib@x.y").exit_code == 0
    assert tab("commissions plans show ") == ["gold"]
    assert tab("commissions simulate --plan ") == ["gold"]
    assert tab("commissions simulate --plan new.to") == []
    assert tab("commissions plans assign ib@x.y --plan ") == ["gold", "default"]
    assert tab("commissions plans assign ib@x.y --plan d") == ["default"]
    # Bash puts in what it is given, so a blank in a name comes with its backslash.
    assert tab("commissions groups add ") == tab("commissions plans assign --group b") == ["big\\ ones"]
    assert tab("commissions groups add silver i") == ["ib@x.y"]


def test_only_a_closed_month_can_be_opened_again(platform: Platform, ibctl: Run, tab: Tab) -> None:
    platform.lead(platform.user("ib@x.y"), "2025-09-03", "2025-09-04", 100)
    assert tab("commissions reopen ") == []
    for month in ("2025-09", "2025-10"):
        assert ibctl("commissions", "close", month, "--yes").exit_code == 0
    assert tab("commissions reopen ") == ["2025-10", "2025-09"]
    assert tab("commissions reopen 2025-09") == ["2025-09"]


@freeze_time("2025-11-20")
def test_only_an_open_month_can_be_closed(platform: Platform, ibctl: Run, tab: Tab) -> None:
    platform.lead(platform.user("ib@x.y"), "2025-09-03", "2025-09-04", 100)
    assert ibctl("commissions", "close", "2025-09", "--yes").exit_code == 0
    assert tab("commissions close ")[:3] == ["2025-11", "2025-10", "2025-08"]


@pytest.mark.parametrize("words", ["reopen ", "plans show ", "groups add ", "simulate --plan "])
def test_completion_is_silent_where_the_database_does_not_answer(
    tab: Tab, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@127.0.0.1:1/nowhere")
    assert tab(f"commissions {words}") == []
