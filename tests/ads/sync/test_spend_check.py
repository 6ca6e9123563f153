"""`ibctl ads spend check` and `reconcile`: whether the stored spend is right."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.ads.conftest import Ads
from tests.ads.facebook import Connected, back
from tests.conftest import Result
from tests.fakes.graph import Fault, Server
from tests.fakes.graph.world import Account

Run = Callable[..., Result]


@pytest.fixture
def account(connected: Connected, ibctl: Run) -> Account:
    """act_900, read: a live campaign and an archived one, on two days."""
    made = connected.account("900")
    live = connected.server.world.campaign("900", "Live")
    old = connected.server.world.campaign("900", "Old", status="ARCHIVED")
    for days in (1, 3):
        made.spent(back(made, days), "1.10", campaign=live)
        made.spent(back(made, days), "2.20", campaign=old)
    assert ibctl("ads", "sync").exit_code == 0
    return made


def found(run: Result) -> list[tuple[str, str]]:
    return [(row["check"], row["finding"]) for row in json.loads(run.stdout)]


def dated(run: Result) -> list[tuple[str, str, str]]:
    return [(row["check"], row["date"], row["finding"]) for row in json.loads(run.stdout)]


def check(ibctl: Run, *options: str) -> Result:
    return ibctl("ads", "spend", "check", "-f", "json", *options)


def test_what_is_right_is_0(account: Account, ibctl: Run) -> None:
    run = check(ibctl)
    assert (run.exit_code, found(run)) == (0, [])
    assert run.stderr.endswith("findings: 0; accounts held against Facebook, day by day: 1\n")
    assert "the stored ones have only their whole life's total" in run.stderr


@pytest.mark.parametrize("column", ["ctr", "cpc", "cpl", '"cumulativeSpend"', '"cumulativeLeads"'])
def test_a_derived_column_that_is_wrong_is_found_with_7(
    column: str, account: Account, connected: Connected, ibctl: Run
) -> None:
    connected.ads.sql(f'UPDATE "AdSpendHistory" SET {column} = 99 WHERE "date" = %s', back(account, 3))
    run = check(ibctl, "--offline")
    name = column.strip('"')
    assert (run.exit_code, dated(run)) == (
        7, [("derived", str(back(account, 3)), f"{name} is not what the days make of it")],
    )  # fmt: skip


def test_days_between_that_nobody_read_are_a_gap(ads: Ads, ibctl: Run) -> None:
    ibctl("ads", "spend", "import", ads.file("act_1,2025-10-01,1,0,0,0,0", "act_1,2025-10-05,1,0,0,0,0"))
    run = check(ibctl)
    assert (run.exit_code, dated(run)) == (7, [("gap", "2025-10-02", "no row, never read (+2 more days)")])


def test_days_without_delivery_are_no_gap_once_read(account: Account, ibctl: Run) -> None:
    assert found(check(ibctl, "--offline")) == []  # the day before yesterday has no row


def test_an_account_that_was_not_read_lately_is_found(account: Account, connected: Connected, ibctl: Run) -> None:
    connected.ads.sql('UPDATE ibctl.ad_account_state SET "lastDay" = %s', back(account, 3))
    assert ("behind", f"it was read up to {back(account, 3)}: `ibctl ads sync`") in found(check(ibctl, "--offline"))


def test_another_zone_than_facebooks_is_found(account: Account, ibctl: Run) -> None:
    account.timezone = "Asia/Tokyo"
    assert ("zone", "days are cut in UTC, at Facebook in Asia/Tokyo") in found(check(ibctl))


def test_a_zone_that_is_none_is_found(account: Account, connected: Connected, ibctl: Run) -> None:
    connected.ads.sql("""UPDATE "FacebookAdAccount" SET timezone = 'Mars/Olympus'""")
    assert ("zone", "'Mars/Olympus' is no time zone") in found(check(ibctl, "--offline"))


def test_a_stored_day_that_is_not_facebooks_is_named(account: Account, ibctl: Run) -> None:
    account.spent(back(account, 1), "5.00", campaign=next(iter(account.days))[0])
    run = check(ibctl)
    assert dated(run) == [
        ("total", str(back(account, 1)), "stored 3.30 USD, Facebook 7.20 USD: -3.90 USD, provisional"),
    ]  # fmt: skip
    assert "`ibctl ads sync` reads those days again" in run.stderr


def test_two_errors_that_cancel_in_the_sum_are_both_found(account: Account, connected: Connected, ibctl: Run) -> None:
    for days, amount in ((1, 3.3 + 1), (3, 3.3 - 1)):
        connected.ads.sql(
            'UPDATE "AdSpendHistory" SET "dailySpend" = %s WHERE "date" = %s', amount, back(account, days)
        )
    assert [one[:2] for one in dated(check(ibctl)) if one[0] != "derived"] == [
        ("total", str(back(account, 3))), ("total", str(back(account, 1))),
    ]  # fmt: skip


def test_a_day_that_only_one_side_has_is_found(account: Account, connected: Connected, ibctl: Run) -> None:
    account.spent(back(account, 5), "9.99", campaign=next(iter(account.days))[0])
    del account.days[next(iter(account.days))]
    assert [one[:2] for one in dated(check(ibctl))] == [
        ("total", str(back(account, 5))), ("total", str(back(account, 1))),
    ]  # fmt: skip


def test_a_final_day_that_differs_is_not_called_provisional(account: Account, connected: Connected, ibctl: Run) -> None:
    connected.ads.sql('UPDATE ibctl.ad_account_state SET "finalThrough" = "lastDay"')
    account.spent(back(account, 1), "5.00", campaign=next(iter(account.days))[0])
    run = check(ibctl)
    assert found(run) == [("total", "stored 3.30 USD, Facebook 7.20 USD: -3.90 USD")]
    assert "provisional" not in run.stderr


def test_archived_and_deleted_campaigns_belong_to_the_sum(account: Account, facebook: Server, ibctl: Run) -> None:
    campaigns = [one for one in facebook.world.objects.values() if one["kind"] == "campaign"]
    for one in campaigns:
        one["effective_status"] = "DELETED"
    assert check(ibctl).exit_code == 0
    campaigns[0]["effective_status"] = "UNHEARD_OF"
    assert dated(check(ibctl)) == [
        ("campaigns", str(back(account, days)), "account 3.30 USD, campaigns 2.20 USD: 1.10 USD") for days in (3, 1)
    ]


def test_more_campaigns_and_days_than_one_call_gives_are_read_by_reports(
    account: Account, facebook: Server, ibctl: Run
) -> None:
    facebook.world.most_rows = 2  # the account has two rows, its campaigns four
    assert check(ibctl).exit_code == 0
    assert len(facebook.seen("act_900/insights", "POST")) == 1


def test_an_account_that_cannot_be_asked_is_5_alone_and_6_among_others(
    account: Account, connected: Connected, facebook: Server, ibctl: Run
) -> None:
    facebook.fail("^act_900$", Fault(100, None, "(#100) no"), times=2)
    assert check(ibctl, "--account", "act_900").exit_code == 5
    other = connected.account("901")
    ibctl("ads", "sync", "--account", other.node)
    assert check(ibctl).exit_code == 6


def test_an_account_that_is_not_connected_is_checked_by_itself(
    account: Account, connected: Connected, ibctl: Run
) -> None:
    connected.ads.sql('UPDATE "FacebookAdAccount" SET "isConnected" = false')
    run = check(ibctl, "--account", "act_900")
    assert (run.exit_code, "not asked: act_900 is not connected" in run.stderr) == (0, True)


def test_a_span_may_be_given(account: Account, facebook: Server, ibctl: Run) -> None:
    day = back(account, 3)
    assert check(ibctl, "--from", str(day), "--to", str(day)).exit_code == 0
    assert facebook.calls[-1].params["time_range"] == {"since": str(day), "until": str(day)}
    assert check(ibctl, "--from", str(account.today() + timedelta(days=2))).exit_code == 2
    assert check(ibctl, "--account", "act_1").exit_code == 3


# ----------------------------------------------------------------------------------------------------------- invoices


@pytest.fixture
def october(ads: Ads, ibctl: Run) -> Ads:
    ibctl("ads", "spend", "import", ads.file("act_1,2025-10-01,10.10,0,0,0,0", "act_1,2025-10-31,20.20,0,0,0,0"))
    return ads


def test_an_invoice_that_agrees_is_0(october: Ads, ibctl: Run) -> None:
    path = october.file("1,2025-10,20.30", "act_1,2025-10,10.00", header="Account ID,Billing period,Amount due")
    run = ibctl("ads", "spend", "reconcile", path, "-f", "json")
    (row,) = json.loads(run.stdout)
    assert (run.exit_code, row["invoiced"], row["stored"], row["difference"]) == (0, 30.3, 30.3, 0)
    assert (row["adAccountId"], row["month"], row["quality"]) == ("act_1", "2025-10", "provisional")


def test_an_invoice_that_differs_is_7(october: Ads, ibctl: Run) -> None:
    path = october.file("Main,2025-10-15,30.31,usd", header="account,date,amount,currency")
    run = ibctl("ads", "spend", "reconcile", path)
    assert (run.exit_code, "months that differ, in their account's currency: 1 of 1" in run.stderr) == (7, True)
    assert "0.01" in run.stdout


def test_lines_that_cannot_be_read_go_to_a_file_of_their_own(october: Ads, ibctl: Run) -> None:
    path = october.file(
        "act_1,2025-10,30.30,USD", "act_1,2025-10,1,EUR", "act_9,2025-10,1,USD", "act_1,October,1,USD",
        "act_1,2025-10,1.0.0,USD", header="account,month,amount,currency",
    )  # fmt: skip
    run = ibctl("ads", "spend", "reconcile", path)
    assert (run.exit_code, "rows refused: 4" in run.stderr) == (6, True)
    codes = [line.split(",")[1] for line in (october.folder / "spend.csv.rejects.csv").read_text().splitlines()[1:]]
    assert codes == ["currency_mismatch", "account_unknown", "date_invalid", "amount_invalid"]


def test_a_month_that_facebook_never_billed_for_stands_against_nothing(october: Ads, ibctl: Run) -> None:
    path = october.file("act_1,2025-09,5", header="account,month,amount")
    run = ibctl("ads", "spend", "reconcile", path, "-f", "json")
    (row,) = json.loads(run.stdout)
    assert (run.exit_code, row["stored"], row["quality"]) == (7, 0, "provisional")


def test_an_invoice_without_its_columns_is_3(october: Ads, ibctl: Run) -> None:
    assert ibctl("ads", "spend", "reconcile", october.file("1", header="account")).exit_code == 3
