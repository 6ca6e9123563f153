from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commissions.conftest import Platform
from tests.conftest import ROOT, Result

Run = Callable[..., Result]
PLAN = """
name = "{name}"
version = {version}
from = "{since}"
[commission]
rate = {rate}
"""


def write(path: Path, *, name: str = "gold", version: int = 1, since: str = "2025-01", rate: str = "0.40") -> Path:
    path.write_text(PLAN.format(name=name, version=version, since=since, rate=rate))
    return path


@pytest.fixture
def add(database: str, ibctl: Run, tmp_path: Path) -> Callable[..., Result]:
    """Add a plan: `add(version=2, rate="0.5")`."""
    return lambda **values: ibctl("commissions", "plans", "add", write(tmp_path / "plan.toml", **values))


def rates(platform: Platform, ibctl: Run, month: str = "2025-10") -> dict[str, Any]:
    assert ibctl("commissions", "run", "--month", month).exit_code == 0
    year, number = month.split("-")
    return dict(
        platform.sql(
            'SELECT email, "commissionRate" FROM "IbCommission" c JOIN "User" u ON u.id = c."userId"'
            " WHERE year = %s AND month = %s", int(year), int(number),
        )
    )  # fmt: skip


def assign(ibctl: Run, *arguments: str) -> Result:
    done = ibctl("commissions", "plans", "assign", *arguments)
    assert done.exit_code == 0, done.stderr
    return done


@pytest.fixture
def ibs(platform: Platform) -> dict[str, str]:
    found = {name: platform.user(f"{name}@x.y") for name in ("one", "two", "three")}
    for ib in found.values():
        for month in ("2025-09", "2025-10", "2025-11"):
            platform.lead(ib, f"{month}-03", f"{month}-04", 100)
    return found


def test_an_ibs_own_plan_goes_before_its_groups_and_that_before_the_one_of_all(
    ibs: dict[str, str], platform: Platform, ibctl: Run, add: Callable[..., Result]
) -> None:
    for name, rate in (("own", "0.10"), ("grouped", "0.20"), ("everybody", "0.25")):
        assert add(name=name, rate=rate).exit_code == 0
    assert rates(platform, ibctl) == dict.fromkeys(("one@x.y", "two@x.y", "three@x.y"), 0.30)
    assign(ibctl, "--all", "--plan", "everybody", "--from", "2025-10")
    assert ibctl("commissions", "groups", "add", "silver", "one@x.y", "two@x.y", "--from", "2025-10").exit_code == 0
    assign(ibctl, "--group", "silver", "--plan", "grouped", "--from", "2025-10")
    assign(ibctl, "one@x.y", "--plan", "own", "--from", "2025-10")
    assert rates(platform, ibctl) == {"one@x.y": 0.10, "two@x.y": 0.20, "three@x.y": 0.25}
    assert rates(platform, ibctl, "2025-09") == dict.fromkeys(("one@x.y", "two@x.y", "three@x.y"), 0.30)


def test_a_plan_is_taken_away_by_the_default_one_and_a_group_left_from_a_month_on(
    ibs: dict[str, str], platform: Platform, ibctl: Run, add: Callable[..., Result]
) -> None:
    add()
    ibctl("commissions", "groups", "add", "silver", "one@x.y", "two@x.y", "--from", "2025-09")
    assign(ibctl, "--group", "silver", "--plan", "gold", "--from", "2025-09")
    assign(ibctl, "two@x.y", "--plan", "default", "--from", "2025-10")
    ibctl("commissions", "groups", "remove", "one@x.y", "--from", "2025-11")
    expected = {"2025-09": (0.4, 0.4), "2025-10": (0.4, 0.3), "2025-11": (0.3, 0.3)}
    for month, (one, two) in expected.items():
        found = rates(platform, ibctl, month)
        assert (found["one@x.y"], found["two@x.y"]) == (one, two)
    listed = json.loads(ibctl("commissions", "groups", "list", "--from", "2025-11", "-f", "json").stdout)
    assert [row["email"] for row in listed] == ["two@x.y"]


def test_a_later_version_holds_from_its_month_on_and_history_says_so(
    ibs: dict[str, str], platform: Platform, ibctl: Run, add: Callable[..., Result]
) -> None:
    add()
    add(version=2, since="2025-10", rate="0.45")
    assign(ibctl, "one@x.y", "--plan", "gold", "--from", "2025-09")
    assert [rates(platform, ibctl, month)["one@x.y"] for month in ("2025-09", "2025-10")] == [0.40, 0.45]
    history = json.loads(ibctl("commissions", "plans", "history", "one@x.y", "-f", "json").stdout)
    assert [(row["since"], row["plan"], row["version"]) for row in history] == [
        ("2025-10", "gold", 2), ("2025-09", "gold", 1), ("the beginning", "default", 1)
    ]  # fmt: skip
    assert [row["by"] for row in history][::2] == ["assigned to the IB", "nothing is assigned"]


def test_the_explanation_names_plan_and_version_and_keeps_the_text(
    ibs: dict[str, str], platform: Platform, ibctl: Run
) -> None:
    assert ibctl("commissions", "plans", "add", ROOT / "examples" / "plan.toml").exit_code == 0
    assign(ibctl, "one@x.y", "--plan", "gold", "--from", "2025-10")
    rates(platform, ibctl)
    assert "plan      gold, version 1, rate 0.30, from 10 qualified leads on 0.35" in ibctl(
        "commissions", "explain", "one@x.y", "2025-10"
    ).stdout  # fmt: skip
    ((text,),) = platform.sql("SELECT plan->>'text' FROM ibctl.commission_snapshot WHERE plan->>'name' = 'gold'")
    assert text == (ROOT / "examples" / "plan.toml").read_text()
    assert ibctl("commissions", "plans", "show", "gold").stdout == text
    # The first of November and 14 hold days.
    (shown,) = json.loads(ibctl("commissions", "show", "one@x.y", "2025-10", "-f", "json").stdout)
    assert shown["payableFrom"] == "2025-11-15"


def test_the_same_file_again_changes_nothing_and_an_unused_version_may_be_changed(
    ibs: dict[str, str], platform: Platform, ibctl: Run, add: Callable[..., Result]
) -> None:
    assert "added: gold, version 1" in add().stderr
    assert "unchanged: gold" in add().stderr
    assign(ibctl, "one@x.y", "--plan", "gold", "--from", "2025-10")
    assert rates(platform, ibctl)["one@x.y"] == 0.40
    assert "changed: gold" in add(rate="0.41").stderr
    assert rates(platform, ibctl)["one@x.y"] == 0.41


# Bug class: a rule edited after the close, that changed the past.
def test_a_version_that_a_paid_month_used_cannot_be_changed_only_succeeded(
    ibs: dict[str, str], platform: Platform, ibctl: Run, add: Callable[..., Result]
) -> None:
    add()
    assign(ibctl, "one@x.y", "--plan", "gold", "--from", "2025-10")
    rates(platform, ibctl)
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = \'PAID\'')
    before = platform.commissions()
    refused = add(rate="0.50")
    assert refused.exit_code == 3
    assert "made commissions of 2025-10, which is closed, being paid or paid" in refused.stderr
    assert "version = 2" in refused.stderr
    assert add(version=2, since="2025-11", rate="0.50").exit_code == 0
    rates(platform, ibctl)
    assert platform.commissions() == before
    assert rates(platform, ibctl, "2025-11")["one@x.y"] == 0.50


def test_a_version_that_comes_later_may_not_hold_earlier(add: Callable[..., Result]) -> None:
    add(since="2025-10")
    refused = add(version=2, since="2025-09")
    assert (refused.exit_code, "has to hold from a later month on, not 2025-09" in refused.stderr) == (3, True)
    assert add(version=2, since="2025-11").exit_code == 0


def test_a_plan_whose_versions_are_gone_stops_the_run_and_names_the_ibs(
    ibs: dict[str, str], platform: Platform, ibctl: Run, add: Callable[..., Result]
) -> None:
    add()
    assign(ibctl, "one@x.y", "--plan", "gold", "--from", "2025-10")
    assert ibctl("undo", "1", "--yes").exit_code == 0
    stopped = ibctl("commissions", "run", "--month", "2025-10")
    assert stopped.exit_code == 3
    assert "1 IB(s) are assigned to a plan of which no version is in force in 2025-10: one@x.y" in stopped.stderr
    assert platform.commissions() == []
    history = ibctl("commissions", "plans", "history", "one@x.y", "-f", "json")
    newest = json.loads(history.stdout)[0]
    assert (history.exit_code, newest["plan"], newest["version"]) == (0, "gold", None)
    assert newest["terms"] == "no version is in force"


def test_a_version_does_not_move_past_the_month_from_which_on_it_is_assigned(
    ibs: dict[str, str], platform: Platform, ibctl: Run, add: Callable[..., Result]
) -> None:
    add()
    assign(ibctl, "one@x.y", "--plan", "gold", "--from", "2025-10")
    refused = add(since="2025-11")
    assert refused.exit_code == 3
    assert "gold is assigned from 2025-10 on, and no version of it would be in force before 2025-11" in refused.stderr
    assert add(since="2025-10").exit_code == 0
    assert rates(platform, ibctl)["one@x.y"] == 0.40


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["assign", "one@x.y"], 2, "--plan is missing"),
        (["assign", "--plan", "gold"], 2, "name IBs, or pass --group, or --all"),
        (["assign", "one@x.y", "--all", "--plan", "gold"], 2, "name IBs, or pass --group, or --all"),
        (["assign", "one@x.y", "--plan", "none"], 3, "there is no plan 'none'"),
        (["assign", "one@x.y", "--plan", "gold", "--from", "2024-12"], 3, "gold holds from 2025-01 on"),
        (["assign", "nobody@x.y", "--plan", "gold"], 3, "nobody@x.y"),
        (["show", "none"], 3, "there is no plan 'none'"),
        (["show", "gold", "--version", "9"], 3, "there is no version 9 of a plan 'gold'"),
        (["add", "nowhere.toml"], 3, "cannot read nowhere.toml: No such file or directory"),
        (["check", "nowhere.toml"], 3, "cannot read nowhere.toml"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    ibs: dict[str, str], add: Callable[..., Result], process: Run, arguments: list[str], code: int, message: str
) -> None:
    add()
    failed = process("commissions", "plans", *arguments)
    assert (failed.exit_code, failed.stdout) == (code, "")
    assert message in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1


def test_check_prints_the_boundaries_and_ends_with_7_where_more_pays_less(ibctl: Run, tmp_path: Path) -> None:
    good = ibctl("commissions", "plans", "check", ROOT / "examples" / "plan.toml", "--cpa", "400", "-f", "json")
    assert good.exit_code == 0
    first = json.loads(good.stdout)[:3]
    assert [(row["at"], row["value"], row["payout"]) for row in first] == [
        ("below", 9, 1080), ("at", 10, 1220), ("above", 11, 1360)
    ]  # fmt: skip
    path = write(tmp_path / "falling.toml")
    path.write_text(path.read_text().replace("rate = 0.40", "tiers = [{from = 0, rate = 0.4}, {from = 5, rate = 0.1}]"))
    falling = ibctl("commissions", "plans", "check", path)
    assert falling.exit_code == 7
    assert "4 earns 480.00 USD, 5 only 150.00 USD: gold, version 1 falls at 5 leads" in falling.stderr


def test_list_shows_every_version_and_the_default(ibctl: Run, add: Callable[..., Result]) -> None:
    add()
    add(version=2, since="2025-10", rate="0.45")
    rows = json.loads(ibctl("commissions", "plans", "list", "-f", "json").stdout)
    assert [(row["name"], row["version"], row["terms"]) for row in rows] == [
        ("gold", 2, "rate 0.45"), ("gold", 1, "rate 0.40"), ("default", 1, "rate 0.30")
    ]  # fmt: skip


def test_a_plan_that_a_paid_month_rests_on_is_not_undone(
    ibs: dict[str, str], platform: Platform, ibctl: Run, add: Callable[..., Result]
) -> None:
    add()
    assign(ibctl, "one@x.y", "--plan", "gold", "--from", "2025-10")
    rates(platform, ibctl)
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = \'PAID\'')
    refused = ibctl("undo", "1", "--yes", "-f", "json")
    assert refused.exit_code == 3
    assert "commissions of 2025-10 were calculated by gold, version 1" in refused.stdout
    assert platform.sql("SELECT name FROM ibctl.commission_plan") == [("gold",)]


@pytest.mark.parametrize("undone", ["the assignment", "the group", "a plan that made no row"])
def test_what_set_the_terms_of_a_closed_month_is_not_undone(
    ibs: dict[str, str], platform: Platform, ibctl: Run, add: Callable[..., Result], undone: str
) -> None:
    add(rate="0.10")
    late = platform.user("late@x.y")
    assert ibctl("commissions", "groups", "add", "silver", "late@x.y", "--from", "2025-09").exit_code == 0
    assign(ibctl, "--group", "silver", "--plan", "gold", "--from", "2025-09")
    assert ibctl("commissions", "close", "2025-09", "--yes").exit_code == 0
    platform.lead(late, "2025-09-03", "2025-09-04", 1000)
    number = {"a plan that made no row": "1", "the group": "2", "the assignment": "3"}[undone]
    refused = ibctl("undo", number, "--yes", "-f", "json")
    assert refused.exit_code == 3
    assert "holds in 2025-09, which is closed: assign anew what is to hold from 2025-10 on" in refused.stdout
    drift = json.loads(ibctl("commissions", "drift", "2025-09", "-f", "json").stdout)
    assert [(row["email"], row["difference"]) for row in drift] == [("late@x.y", 100)]


def test_terms_of_months_that_are_open_are_undone(
    ibs: dict[str, str], platform: Platform, ibctl: Run, add: Callable[..., Result]
) -> None:
    add()
    assert ibctl("commissions", "close", "2025-09", "--yes").exit_code == 0
    assign(ibctl, "one@x.y", "--plan", "gold", "--from", "2025-10")
    ((number,),) = platform.sql("SELECT max(id) FROM ibctl.change_set")
    assert ibctl("undo", str(number), "--yes").exit_code == 0
    assert ibctl("undo", "1", "--yes").exit_code == 0  # a plan that nobody was ever assigned to
