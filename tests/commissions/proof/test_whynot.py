from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from freezegun import freeze_time

from tests.commissions.conftest import Platform
from tests.conftest import Result

Run = Callable[..., Result]


@pytest.fixture
def leads(platform: Platform, ibctl: Run) -> dict[str, str]:
    """An IB with a lead for every reason there is."""
    ib, other = platform.user("ib@x.y"), platform.user("other@x.y")
    found = {
        "counted": platform.lead(ib, "2025-10-03", "2025-10-04", 100),
        "clawed_back": platform.lead(ib, "2025-10-03", "2025-10-04", 50),
        "captured_later": platform.lead(ib, "2025-11-03"),
        "rejected": platform.lead(ib, "2025-10-03"),
        "not_qualified": platform.lead(ib, "2025-10-03"),
        "qualified_earlier": platform.lead(ib, "2025-09-03", "2025-09-04", 100),
        "qualified_later": platform.lead(ib, "2025-10-03", "2025-11-04", 100),
        "other_owner": platform.lead(ib, "2025-10-03", "2025-10-20", 100),
    }
    platform.sql("UPDATE \"Lead\" SET status = 'rejected' WHERE id = %s", found["rejected"])
    done = ibctl("leads", "transfer", found["other_owner"], "--to", "other@x.y", "--effective", "2025-10-10", "--yes")
    assert (done.exit_code, other) == (0, other), done.stderr
    assert ibctl("commissions", "run", "--month", "2025-10").exit_code == 0
    claw = ibctl("commissions", "clawback", found["clawed_back"], "--reason", "r", "--yes")
    assert claw.exit_code == 0, claw.stderr
    found["not_calculated"] = platform.lead(ib, "2025-10-03", "2025-10-30", 100)
    return found


def asked(ibctl: Run, *arguments: str) -> tuple[list[dict[str, Any]], str]:
    found = ibctl("commissions", "why-not", "ib@x.y", "2025-10", *arguments, "-f", "json")
    assert found.exit_code == 0, found.stderr
    return json.loads(found.stdout), found.stderr


def test_every_lead_counts_or_has_its_reason_and_the_two_sides_add_up(leads: dict[str, str], ibctl: Run) -> None:
    rows, said = asked(ibctl)
    assert {row["code"]: row["id"] for row in rows} == {code: lead for code, lead in leads.items() if code != "counted"}
    assert "ib@x.y 2025-10: 9 leads = 1 counted + 1 captured_later + 1 qualified_earlier + 1" in said


def test_a_lead_that_was_taken_back_is_missing_in_its_own_month_alone(leads: dict[str, str], ibctl: Run) -> None:
    def code(ib: str, month: str, lead: str) -> str:
        found = ibctl("commissions", "why-not", ib, month, leads[lead], "-f", "json")
        return str(json.loads(found.stdout)[0]["code"])

    months = ("2025-09", "2025-10", "2025-11")
    assert [code("ib@x.y", month, "clawed_back") for month in months] == [
        "qualified_later", "clawed_back", "qualified_earlier",
    ]  # fmt: skip
    assert ibctl("commissions", "run", "--month", "2025-10").exit_code == 0
    taken = ibctl("commissions", "clawback", leads["other_owner"], "--reason", "r", "--yes")
    assert taken.exit_code == 0, taken.stderr
    assert [code(ib, "2025-10", "other_owner") for ib in ("ib@x.y", "other@x.y")] == ["other_owner", "clawed_back"]


def test_a_lead_that_was_taken_back_and_lost_its_date_would_not_count_with_one(
    leads: dict[str, str], platform: Platform, ibctl: Run
) -> None:
    platform.sql('UPDATE "Lead" SET "qualifiedAt" = NULL WHERE id = %s', leads["clawed_back"])
    (row,), _ = asked(ibctl, leads["clawed_back"])
    assert (row["code"], row["fix"]) == ("clawed_back", "")


def test_one_lead_is_answered_for_by_name_even_where_it_counts(leads: dict[str, str], ibctl: Run) -> None:
    (row,), _ = asked(ibctl, leads["counted"])
    assert (row["code"], row["why"]) == ("counted", "counts")
    (row,), _ = asked(ibctl, leads["other_owner"])
    assert row["why"] == "was other@x.y's when it qualified"
    (row,), _ = asked(ibctl, leads["not_calculated"])
    assert row["fix"] == "`ibctl commissions run` counts it"


def test_a_lead_that_was_never_the_ibs_is_refused(leads: dict[str, str], platform: Platform, ibctl: Run) -> None:
    foreign = platform.lead(platform.user("third@x.y"), "2025-10-03")
    refused = ibctl("commissions", "why-not", "ib@x.y", "2025-10", foreign)
    assert (refused.exit_code, "is not, and never was, one of ib@x.y" in refused.stderr) == (3, True)


@freeze_time("2025-10-20")
def test_the_nearest_fix_says_what_is_missing_and_until_when(platform: Platform, ibctl: Run) -> None:
    lead = platform.lead(platform.user("ib@x.y"), "2025-10-15")
    platform.sql("UPDATE \"Lead\" SET broker = 'Axi', \"depositedAt\" = '2025-10-16'")
    ibctl(
        "leads", "programmes", "set", "Axi", "--from", "2025-01-01", "--min-deposit", "0", "--min-lots", "2",
        "--days", "30", "--cpa", "300",
    )  # fmt: skip
    platform.sql(
        'INSERT INTO "InvestorCredential" (id, "leadId", login, password, server, "lastScrapedAt", "updatedAt")'
        " VALUES ('c', %s, '1', '{}', 's', '2025-10-19 15:00', now())", lead,
    )  # fmt: skip
    platform.sql(
        'INSERT INTO "Trade" (id, "credentialId", ticket, symbol, type, volume, "openPrice", "openTime", "closeTime",'
        " profit, swap, commission, \"updatedAt\") VALUES ('t', 'c', '1', 'EURUSD', 'buy', 1.63, 1, '2025-10-16',"
        " '2025-10-17', 0, 0, 0, now())"
    )
    (row,), _ = asked(ibctl)
    assert row["fix"] == (
        "needs 0.37 lots by 2025-11-14 00:00 UTC; accounts read 2025-10-19 15:00 UTC, 9 hours ago"
    )  # fmt: skip


def test_after_the_close_a_late_lead_is_for_the_true_up(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    platform.lead(ib, "2025-10-03", "2025-10-04", 100)
    ibctl("commissions", "close", "2025-10", "--yes")
    platform.lead(ib, "2025-10-03", "2025-10-05", 100)
    (row,), _ = asked(ibctl)
    assert (row["code"], "true-up books it" in row["why"]) == ("sealed_before", True)
