from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.commissions.conftest import Platform
from tests.conftest import Result, ok

Run = Callable[..., Result]


@pytest.fixture
def ib(platform: Platform, ibctl: Run) -> str:
    ib = platform.user("ib@x.y")
    platform.lead(ib, "2025-10-03", "2025-10-04", 100)
    platform.rate("2025-10-02", "EUR", "1.10")
    platform.spend(ib, platform.account(ib, "EUR"), "2025-10-02", 10)
    assert ibctl("commissions", "run", "--month", "2025-10").exit_code == 0
    return ib


def findings(ibctl: Run) -> list[dict[str, Any]]:
    found = ibctl("commissions", "verify", "2025-10", "-f", "json")
    rows: list[dict[str, Any]] = json.loads(found.stdout)
    assert found.exit_code == (7 if rows else 0)
    return rows


def test_what_is_as_it_was_verifies(ib: str, ibctl: Run) -> None:
    assert findings(ibctl) == []
    assert "commissions verified: 1; months: 1; findings: 0" in ibctl("commissions", "verify").stderr


@pytest.mark.parametrize(
    ("statement", "kind", "what"),
    [
        ('UPDATE "IbCommission" SET "totalPayout" = 31', "row", "totalPayout"),
        ("UPDATE ibctl.commission_snapshot SET \"leadCpas\" = '{1000}'", "snapshot", "contents do not have the digest"),
        ('UPDATE "Lead" SET "cpaEarned" = 90', "lead", ""),
        ('DELETE FROM "Lead"', "lead", ""),
        ('UPDATE "AdSpendHistory" SET "dailySpend" = 11', "spend", "2025-10-02"),
        ("UPDATE ibctl.exchange_rate SET rate = 1.2", "rate", "EUR 2025-10-02"),
    ],
)
def test_whatever_moved_is_named(ib: str, platform: Platform, ibctl: Run, statement: str, kind: str, what: str) -> None:
    platform.sql(statement)
    found = findings(ibctl)
    assert kind in [row["kind"] for row in found]
    assert what in next(row["what"] for row in found if row["kind"] == kind)


def test_a_snapshot_that_was_altered_with_its_digest_no_longer_calculates(
    ib: str, platform: Platform, ibctl: Run
) -> None:
    platform.sql('UPDATE ibctl.commission_snapshot SET figures = figures || \'{"totalPayout": "3000.00"}\'')
    kinds = {(row["kind"], row["what"]) for row in findings(ibctl)}
    assert ("calculation", "totalPayout") in kinds
    assert ("row", "totalPayout") in kinds


def test_an_input_that_ibctl_moved_is_named_with_the_change_set(ib: str, platform: Platform, ibctl: Run) -> None:
    ((lead,),) = platform.sql('SELECT id FROM "Lead"')
    ibctl("leads", "edit", lead, "--cpa-earned", "90")
    (row,) = findings(ibctl)
    assert (row["what"], row["by"]) == (f"{lead} cpaEarned", f"change set 2 (tester: ibctl leads edit {lead})")
    assert (row["before"], row["after"]) == ("100.00", "90.00")


def test_an_ib_without_a_row_that_would_get_one_is_a_finding(ib: str, platform: Platform, ibctl: Run) -> None:
    other = platform.user("other@x.y")
    assert findings(ibctl) == []
    assert ibctl("leads", "add", "--email", "a@x.com", "--ib", "other@x.y").exit_code == 0
    platform.sql('UPDATE "Lead" SET "leadCapturedAt" = \'2025-10-05\' WHERE "userId" = %s', other)
    (lead,) = findings(ibctl)
    assert (lead["email"], lead["kind"], lead["what"], lead["after"]) == ("other@x.y", "row", "is missing", "0.00")
    assert lead["by"].startswith("change set 2 (tester: ibctl leads add")
    platform.lead(other, "2025-10-03", "2025-10-04", 5000)
    (row,) = findings(ibctl)
    assert (row["after"], row["settled"]) == ("1,500.00", False)
    assert "row is missing: would pay 1,500.00" in " ".join(ibctl("commissions", "verify").stdout.split())


def test_a_row_that_is_missing_in_a_closed_month_is_settled_by_a_true_up(
    ib: str, platform: Platform, ibctl: Run
) -> None:
    assert ibctl("commissions", "close", "2025-10", "--yes").exit_code == 0
    other = platform.user("other@x.y")
    platform.lead(other, "2025-10-03")
    assert [row["settled"] for row in json.loads(ibctl("commissions", "verify", "-f", "json").stdout)] == [True]
    platform.lead(other, "2025-10-03", "2025-10-04", 5000)
    assert [row["settled"] for row in findings(ibctl)] == [False]
    assert ibctl("commissions", "true-up", "--yes").exit_code == 0
    verified = ibctl("commissions", "verify", "-f", "json")
    assert (verified.exit_code, [row["settled"] for row in json.loads(verified.stdout)]) == (0, [True])


def test_a_lead_in_a_month_that_was_closed_with_nothing_in_it_is_found(platform: Platform, ibctl: Run) -> None:
    assert ibctl("commissions", "close", "2025-10", "--yes").exit_code == 0
    assert ibctl("commissions", "verify").exit_code == 0
    platform.lead(platform.user("ib@x.y"), "2025-10-03", "2025-10-04", 5000)
    assert ibctl("commissions", "verify").exit_code == 7


def test_what_moved_and_is_settled_is_named_and_no_finding_any_more(ib: str, platform: Platform, ibctl: Run) -> None:
    assert ibctl("commissions", "close", "2025-10", "--yes").exit_code == 0
    platform.sql('UPDATE "Lead" SET "cpaEarned" = 90')
    assert [row["settled"] for row in findings(ibctl)] == [False]
    assert ibctl("commissions", "true-up", "--yes").exit_code == 0
    verified = ibctl("commissions", "verify", "2025-10", "-f", "json")
    assert (verified.exit_code, [row["settled"] for row in json.loads(verified.stdout)]) == (0, [True])
    assert "findings: 1, of which settled: 1" in verified.stderr
    platform.sql('UPDATE "Lead" SET "cpaEarned" = 80')
    assert [row["settled"] for row in findings(ibctl)] == [False]


def test_what_moved_in_a_closed_month_and_is_worth_nothing_is_settled(ib: str, platform: Platform, ibctl: Run) -> None:
    assert ibctl("commissions", "close", "2025-10", "--yes").exit_code == 0
    platform.lead(ib, "2025-10-05")
    verified = ibctl("commissions", "verify", "2025-10", "-f", "json")
    assert (verified.exit_code, [row["settled"] for row in json.loads(verified.stdout)]) == (0, [True])


def test_a_rate_that_is_gone_is_named(ib: str, platform: Platform, ibctl: Run) -> None:
    platform.sql("DELETE FROM ibctl.exchange_rate")
    (row,) = [row for row in findings(ibctl) if row["kind"] == "rate"]
    assert (row["before"], row["after"]) == ("1.10", "missing")


def test_the_findings_fit_a_terminal(ib: str, platform: Platform, ibctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    platform.sql('UPDATE "Lead" SET "cpaEarned" = 90')
    platform.sql('UPDATE "AdSpendHistory" SET "dailySpend" = 11')
    shown = ibctl("commissions", "verify")
    assert shown.exit_code == 7
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert "100.00 → 90.00" in " ".join(shown.stdout.split())


def test_rows_of_the_web_application_are_counted_and_not_verified(platform: Platform, ibctl: Run) -> None:
    platform.sql(
        'INSERT INTO "IbCommission" (id, "userId", month, year, "totalPayout", "updatedAt")'
        " VALUES ('web', %s, 10, 2025, 29.99, now())", platform.user("ib@x.y"),
    )  # fmt: skip
    found = ibctl("commissions", "verify")
    assert found.exit_code == 0
    assert "nothing to verify them by: 1 commission" in found.stderr


def test_a_month_that_was_never_calculated_is_not_verified(platform: Platform, ibctl: Run) -> None:
    platform.lead(platform.user("ib@x.y"), "2025-10-03", "2025-10-04", 100)
    refused = ibctl("commissions", "verify", "2025-10")
    assert refused.exit_code == 3
    assert "nothing of 2025-10 is stored: `ibctl commissions run --month 2025-10` calculates it first" in refused.stderr


def test_what_a_closed_month_owes_and_did_not_carry_on_is_a_fault(
    platform: Platform, ibctl: Run, strict: Callable[..., None]
) -> None:
    strict()
    ib = platform.user("ib@x.y")
    platform.lead(ib, "2025-10-03", "2025-10-04", 100)  # 30.00, and 50 is the least that is paid
    ok(ibctl("commissions", "close", "2025-10", "--yes"))
    assert findings(ibctl) == []
    platform.sql("DELETE FROM ibctl.adjustment WHERE kind = 'carry'")
    (found,) = findings(ibctl)
    assert (found["kind"], found["what"], found["before"], found["after"]) == ("carry", "carriedOut", "30.00", "0.00")
    assert "carry carriedOut: 30.00 → 0.00" in " ".join(ibctl("commissions", "verify").stdout.split())
