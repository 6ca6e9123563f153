"""`ibctl ads spend report`: what the ads cost, for a lead and for a qualified lead."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ibctl import ids
from tests.ads.conftest import Ads
from tests.conftest import Result

Run = Callable[..., Result]


@pytest.fixture
def spent(ads: Ads, ibctl: Run) -> Ads:
    """Anna spent USD and JPY in October and November 2025, Bo EUR in October."""
    ((anna,),) = ads.sql('SELECT id FROM "User"')
    ads.account(anna, "act_2", "Japan", currency="JPY")
    ads.account(ads.user("bo@x.y"), "act_3", "Bo", currency="EUR")
    path = ads.file(
        "act_1,2025-10-30,10.10,100,10,2,0", "act_1,2025-11-01,5,0,0,0,0", "act_2,2025-10-31,1500,100,5,3,0",
        "act_3,2025-10-31,100,1,1,7,0",
    )  # fmt: skip
    assert ibctl("ads", "spend", "import", path).exit_code == 0
    rates = ads.folder / "rates.csv"
    rates.write_text("date,currency,rate,source\n2025-10-31,JPY,0.0066,ECB\n2025-10-31,EUR,1.2,ECB\n")
    assert ibctl("commissions", "rates", "import", rates).exit_code == 0
    for email, at in [
        ("anna@x.y", "2025-10-31 12:00"),
        ("anna@x.y", "2025-11-01 00:00"),
        ("bo@x.y", "2025-10-01 00:00"),
    ]:
        ads.sql(
            'INSERT INTO "Lead" (id, "userId", "qualifiedAt", "updatedAt")'
            ' SELECT %s, id, %s, now() FROM "User" WHERE email = %s',
            ids.cuid(), at, email,
        )  # fmt: skip
    return ads


def rows(run: Result) -> list[dict[str, Any]]:
    assert run.exit_code == 0, run.stderr
    found: list[dict[str, Any]] = json.loads(run.stdout)
    return found


def test_by_month_in_the_base_currency_at_each_days_rate(spent: Ads, ibctl: Run) -> None:
    november, october = rows(ibctl("ads", "spend", "report", "-f", "json"))
    # 10.10 + 1500 × 0.0066 + 100 × 1.2
    assert (october["month"], october["spend"], october["currency"], october["leads"]) == ("2025-10", 140, "USD", 12)
    assert (october["cpl"], october["qualifiedLeads"], october["cpql"]) == (11.67, 2, 70)
    assert (november["spend"], november["cpl"], november["cpql"]) == (5, None, 5)


def test_by_ib_of_a_month(spent: Ads, ibctl: Run) -> None:
    run = ibctl("ads", "spend", "report", "--by", "ib", "--month", "2025-10", "-f", "json")
    assert [(row["ib"], row["spend"], row["qualifiedLeads"]) for row in rows(run)] == [
        ("bo@x.y", 120, 1), ("anna@x.y", 20, 1),
    ]  # fmt: skip


def test_a_lead_counts_for_whose_it_was_when_it_qualified(spent: Ads, ibctl: Run) -> None:
    ((lead,),) = spent.sql("""SELECT id FROM "Lead" WHERE "qualifiedAt" = '2025-10-31 12:00'""")
    assert ibctl("leads", "transfer", lead, "--to", "bo@x.y", "--effective", "2025-11-15", "--yes").exit_code == 0
    run = ibctl("ads", "spend", "report", "--by", "ib", "--month", "2025-10", "-f", "json")
    assert [(row["ib"], row["qualifiedLeads"]) for row in rows(run)] == [("bo@x.y", 1), ("anna@x.y", 1)]


def test_by_account_nothing_is_converted_and_currencies_stay_apart(spent: Ads, ibctl: Run) -> None:
    run = ibctl("ads", "spend", "report", "--by", "account", "--ib", "anna@x.y", "-f", "json")
    assert [(row["account"], row["spend"], row["currency"], row["cpl"]) for row in rows(run)] == [
        ("act_2", 1500, "JPY", 500), ("act_1", 15.1, "USD", 7.55),
    ]  # fmt: skip


def test_by_account_only_leads_of_its_forms_count_as_qualified(spent: Ads, ibctl: Run) -> None:
    ((lead, user),) = spent.sql("""SELECT id, "userId" FROM "Lead" WHERE "qualifiedAt" = '2025-10-31 12:00'""")
    spent.sql(
        'INSERT INTO "AdCampaign" (id, "userId", "adAccountId", "fbCampaignId", name, objective, "campaignType",'
        ' "targetingData", "totalSpent", leads, "updatedAt") SELECT %s, %s, id, %s, %s, %s, %s, %s, 9.99, 3, now() FROM'
        ' "FacebookAdAccount" WHERE "adAccountId" = %s',
        ids.cuid(), user, "77", "Autumn", "OUTCOME_LEADS", "CAMPAIGN", "{}", "act_1",
    )  # fmt: skip
    spent.sql(
        'INSERT INTO ibctl.form_lead (id, "formId", "leadId", "campaignId", "createdAt")'
        " VALUES (%s, %s, %s, %s, now())",
        "1", "2", lead, "77",
    )  # fmt: skip
    by_account = rows(ibctl("ads", "spend", "report", "--by", "account", "-f", "json"))
    assert {row["account"]: row["qualifiedLeads"] for row in by_account} == {"act_1": 1, "act_2": 0, "act_3": 0}
    (campaign,) = rows(ibctl("ads", "spend", "report", "--by", "campaign", "-f", "json"))
    assert (campaign["campaign"], campaign["spend"], campaign["cpl"], campaign["cpql"]) == (
        "Autumn", 9.99, 3.33, 9.99,
    )  # fmt: skip


def test_a_day_without_a_rate_leaves_its_sum_out_and_is_named(spent: Ads, ibctl: Run) -> None:
    ibctl("ads", "spend", "import", spent.file("act_2,2025-10-30,1000,0,0,0,0"))
    run = ibctl("ads", "spend", "report", "-f", "json")
    assert [row["spend"] for row in rows(run)] == [5, None]
    assert "1 days in JPY, the first 2025-10-30, have no exchange rate to USD" in run.stderr


def test_plot_draws_each_sum_as_a_part_of_the_largest(spent: Ads, ibctl: Run) -> None:
    lines = ibctl("ads", "spend", "report", "--by", "ib", "--month", "2025-10", "--plot").stdout.splitlines()
    drawn = {line.split()[0]: line.count("█") for line in lines if "@" in line}
    assert drawn == {"bo@x.y": 20, "anna@x.y": 3}
    assert "█" not in ibctl("ads", "spend", "report").stdout


def test_what_does_not_go_together_is_2(spent: Ads, ibctl: Run) -> None:
    assert ibctl("ads", "spend", "report", "--by", "campaign", "--month", "2025-10").exit_code == 2
    assert ibctl("ads", "spend", "report", "--by", "ib", "--account", "act_1").exit_code == 2
    assert ibctl("ads", "spend", "report", "--by", "day").exit_code == 2
    assert ibctl("ads", "spend", "report", "--ib", "nobody@x.y").exit_code == 3


def test_nothing_spent_is_said(ads: Ads, ibctl: Run) -> None:
    run = ibctl("ads", "spend", "report")
    assert (run.exit_code, run.stdout, run.stderr) == (0, "", "no spend, and no qualified leads\n")
