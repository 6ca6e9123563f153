"""`ibctl ads campaigns sync|list|show|pause|resume|archive`, as they are used."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ibctl import config
from tests.ads.campaigning import TOKEN, Shop, shop
from tests.ads.conftest import Ads
from tests.fakes.graph import Broken, Fault, Server

TODAY = datetime.now(UTC).date()


@pytest.fixture
def anna(ads: Ads, facebook: Server, pauses: list[float], ibctl: Any, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("IBCTL_HTTP_TIMEOUT", "20")  # nothing here tests slowness, and the machine may be busy
    config.use_env_file(None)
    return shop(ads, facebook, ibctl)


def campaign(anna: Shop, name: str, *, status: str = "ACTIVE", account: str = "900", **more: Any) -> str:
    return anna.world.campaign(account, name, status=status, **more)


def spent(anna: Shop, id_: str, spend: str, *, ago: int = 1, account: str = "900", **more: Any) -> None:
    anna.world.accounts[account].spent(day(ago), spend, campaign=id_, **more)


def day(ago: int) -> date:
    return TODAY - timedelta(days=ago)


def sync(anna: Shop, *more: str) -> dict[str, Any]:
    """One account's row of a sync, which has to go well."""
    run = anna.run("campaigns", "sync", "-f", "json", *more)
    assert run.exit_code == 0, run.stderr
    (row,) = json.loads(run.stdout)
    return dict(row)


# -------------------------------------------------------------------------------------------------------------- syncing


def test_a_campaign_comes_in_with_its_budget_times_and_figures(anna: Shop) -> None:
    id_ = campaign(anna, "Leads", daily_budget="5000", stop_time="2199-12-31T23:59:59-0500")
    actions = {"lead": 4, "complete_registration": 2, "purchase": 1, "link_click": 90}
    spent(anna, id_, "60.00", impressions=5000, clicks=80, actions=actions, values={"purchase": "199.98"})
    spent(anna, id_, "39.99", ago=400, impressions=3000, clicks=40)
    row = sync(anna)
    assert (row["created"], row["spend"], row["residual"]) == (1, 99.99, 0)
    columns = 'status, "dailyBudget", "totalSpent", impressions, clicks, leads, conversions, objective, "campaignType"'
    assert anna.row(columns, "Leads") == ("ACTIVE", 50.0, 99.99, 8000, 120, 4, 3, "OUTCOME_LEADS", "CAMPAIGN")
    assert anna.row("ctr, cpc, cpl, roas", "Leads") == (1.5, 0.83325, 24.9975, 2.0)
    assert anna.row('"endDate"', "Leads") == (datetime(2200, 1, 1, 4, 59, 59),)


def test_a_second_sync_creates_nothing_and_says_what_changed(anna: Shop) -> None:
    id_ = campaign(anna, "Leads")
    spent(anna, id_, "10")
    sync(anna)
    assert (sync(anna)["created"], sync(anna)["updated"]) == (0, 0)
    spent(anna, id_, "11")
    row = sync(anna)
    assert (row["created"], row["updated"], anna.row('"totalSpent"', "Leads")) == (0, 1, (11.0,))


def test_archived_and_deleted_campaigns_are_in_it_so_that_the_sum_is_the_accounts(anna: Shop) -> None:
    for number, status in enumerate(("ACTIVE", "PAUSED", "ARCHIVED", "DELETED", "WITH_ISSUES")):
        spent(anna, campaign(anna, status, status=status), f"{number + 1}.25")
    row = sync(anna)
    assert (row["campaigns"], row["spend"], row["campaignSpend"], row["residual"]) == (5, 16.25, 16.25, 0)
    assert dict(anna.ads.sql('SELECT name, status FROM "AdCampaign" ORDER BY name')) == {
        "ACTIVE": "ACTIVE", "ARCHIVED": "COMPLETED", "DELETED": "COMPLETED", "PAUSED": "PAUSED",
        "WITH_ISSUES": "ERROR",
    }  # fmt: skip


def test_a_campaign_that_no_list_names_any_more_is_read_by_its_id(anna: Shop) -> None:
    id_ = campaign(anna, "Leads")
    spent(anna, id_, "10")
    sync(anna)
    anna.world.objects[id_] |= {"status": "DELETED", "effective_status": "DELETED"}
    # Facebook's list by campaign may leave deleted ones out in spite of the filter.
    anna.server.fail("act_900/insights", Broken("raw", text='{"data": []}'), times=1)
    row = sync(anna)
    assert (row["spend"], row["campaignSpend"], row["residual"]) == (10, 10, 0)
    assert anna.row('status, "totalSpent"', "Leads") == ("COMPLETED", 10.0)


def test_deleted_campaigns_are_looked_at_fifty_in_a_call(anna: Shop) -> None:
    ids = [campaign(anna, f"C{number}") for number in range(60)]
    sync(anna)
    for id_ in ids:
        anna.world.objects[id_] |= {"status": "DELETED", "effective_status": "DELETED"}
    before = len(anna.server.calls)
    assert sync(anna)["updated"] == 60
    # Campaigns, ad sets, ads, figures by campaign and of the account; and twice two batches for the deleted ones.
    assert len(anna.server.calls) - before == 5 + 4


def test_what_facebook_has_no_longer_is_completed_and_says_so(anna: Shop) -> None:
    id_ = campaign(anna, "Leads")
    sync(anna)
    del anna.world.objects[id_]
    sync(anna)
    assert anna.row('status, "errorMessage", "errorCount"', "Leads") == (
        "COMPLETED", "Facebook has this campaign no longer", 0,
    )  # fmt: skip


def test_the_residual_is_shown_where_campaigns_do_not_add_up(anna: Shop) -> None:
    spent(anna, campaign(anna, "Leads"), "10")
    spent(anna, campaign(anna, "Gone", status="DELETED"), "2.50")
    # The first list, by campaign, lacks the deleted one; nobody here knows its id.
    left = {"campaign_id": "1", "account_currency": "USD", "spend": "10", "date_start": str(day(1))}
    anna.server.fail("act_900/insights", Broken("raw", text=json.dumps({"data": [left]})), times=1)
    run = anna.run("campaigns", "sync")
    assert run.exit_code == 0
    assert "2.50 USD that act_900 spent are in no campaign that Facebook names" in run.stderr


def test_budgets_of_ad_sets_are_the_campaigns(anna: Shop) -> None:
    anna.create()
    anna.create("--budget", "25", name="US 2")
    sync(anna)
    assert anna.row('"dailyBudget", status, objective') == (50.0, "PAUSED", "LEAD_GENERATION")
    assert anna.row('"dailyBudget"', "US 2") == (25.0,)


def test_a_campaign_all_of_whose_ads_were_disapproved_is_an_error_counted_once(anna: Shop) -> None:
    anna.create("--activate", "--yes")
    (ad,) = anna.at_facebook("ad")
    issue = {"error_code": 1870087, "error_summary": "Promises of profit"}
    ad |= {"effective_status": "DISAPPROVED", "issues_info": [issue]}
    sync(anna)
    sync(anna)
    message = "the ad was disapproved: Promises of profit (code 1870087)"
    assert anna.row('status, "errorMessage", "errorCount"') == ("ERROR", message, 1)
    ad |= {"effective_status": "ACTIVE", "issues_info": None}
    sync(anna)
    assert anna.row('status, "errorMessage", "errorCount"') == ("ACTIVE", None, 1)


def test_amounts_are_by_metas_minor_units(anna: Shop) -> None:
    anna.world.account("901", "1001", "Anna JPY", currency="JPY", timezone="Asia/Tokyo")
    anna.connect("901")
    spent(anna, campaign(anna, "Yen", account="901", daily_budget="5000"), "1234", account="901")
    sync(anna, "--account", "act_901")
    assert anna.row('"dailyBudget", "totalSpent"', "Yen") == (5000.0, 1234.0)


def test_which_actions_count_is_the_accounts_own_choice(anna: Shop) -> None:
    id_ = campaign(anna, "Leads")
    spent(anna, id_, "10", actions={"lead": 4, "submit_application_total": 3})
    run = anna.run("accounts", "edit", "act_900", "--conversions", "submit_application_total")
    assert run.exit_code == 0, run.stderr
    sync(anna)
    assert anna.row("leads, conversions", "Leads") == (4, 3)


def test_an_account_that_fails_stops_no_other_and_the_run_ends_with_6(anna: Shop) -> None:
    anna.world.account("901", "1001", "Second")
    anna.connect("901")
    campaign(anna, "First")
    campaign(anna, "Second", account="901")
    anna.server.fail("act_900/campaigns", Fault(200, None, "(#200) Requires ads_read permission"), times=9)
    run = anna.run("campaigns", "sync")
    assert (run.exit_code, "act_900 failed" in run.stderr, "ads_read" in run.stderr) == (6, True, True)
    assert anna.ads.sql('SELECT name FROM "AdCampaign"') == [("Second",)]
    assert anna.run("campaigns", "sync", "--account", "act_900").exit_code == 5


def test_a_dead_token_is_noted_and_skipped_later(anna: Shop) -> None:
    anna.server.fail("act_900", Fault(190, 460, "password changed"))
    assert anna.run("campaigns", "sync").exit_code == 5
    run = anna.run("campaigns", "sync")
    assert (run.exit_code, "skipped: act_900 is not connected" in run.stderr) == (0, True)


def test_a_failure_in_the_middle_writes_nothing_of_the_account(anna: Shop) -> None:
    campaign(anna, "Leads")
    anna.server.fail("act_900/ads$", Fault(100, None, "(#100) bad"))
    assert anna.run("campaigns", "sync").exit_code == 5
    assert anna.ads.sql('SELECT count(*) FROM "AdCampaign"') == [(0,)]


def test_a_name_that_no_database_takes_and_a_count_beyond_its_column(anna: Shop) -> None:
    odd = campaign(anna, "a\0b \ud83d")
    assert anna.run("campaigns", "sync").exit_code == 0
    assert anna.ads.sql('SELECT name FROM "AdCampaign"') == [("a\ufffdb \ufffd",)]
    spent(anna, odd, "1", impressions=2**31)
    run = anna.run("campaigns", "sync")
    assert (run.exit_code, "has 2,147,483,648 impressions, more than the column can hold" in run.stderr) == (5, True)


def test_quiet_is_silent_when_all_is_well_and_only_then(anna: Shop) -> None:
    campaign(anna, "Leads")
    run = anna.run("campaigns", "sync", "--quiet")
    assert (run.exit_code, run.stdout, run.stderr) == (0, "", "")
    anna.server.fail("act_900/ads$", Fault(100, None, "(#100) bad"))
    assert "act_900 failed" in anna.run("campaigns", "sync", "--quiet").stderr


def test_a_limit_that_lasts_longer_than_one_may_wait_parks_the_account(anna: Shop, pauses: list[float]) -> None:
    usage = {"X-Business-Use-Case-Usage": '{"900":[{"type":"ads_management","estimated_time_to_regain_access":20}]}'}
    anna.server.fail("act_900/campaigns", Fault(80004, 2446079, "too many calls", headers=usage), times=9)
    run = anna.run("campaigns", "sync", "--max-wait", "5m")
    assert (run.exit_code, "act_900 parked" in run.stderr, pauses) == (5, True, [])


def test_a_dry_run_of_a_sync_writes_nothing(anna: Shop) -> None:
    campaign(anna, "Leads")
    assert anna.run("campaigns", "sync", "--dry-run").exit_code == 0
    assert anna.ads.sql('SELECT count(*) FROM "AdCampaign"') == [(0,)]


def test_many_campaigns_over_many_pages_with_empty_ones_between(anna: Shop) -> None:
    anna.world.empty_pages = True
    for number in range(450):
        spent(anna, campaign(anna, f"C{number}"), "0.10")
    row = sync(anna)
    assert (row["created"], row["spend"], row["residual"]) == (450, 45, 0)


# -------------------------------------------------------------------------------------------------------------- looking


def test_list_filters_by_account_ib_status_and_type(anna: Shop) -> None:
    campaign(anna, "On")
    campaign(anna, "Off", status="PAUSED")
    sync(anna)
    names = ("-f", "csv", "--columns", "name")
    assert anna.run("campaigns", "list", "--status", "PAUSED", *names).stdout == "name\nOff\n"
    assert anna.run("campaigns", "list", "--account", "act_900", "--ib", "anna@x.y", *names).stdout.count("\n") == 3
    assert "no campaigns" in anna.run("campaigns", "list", "--type", "BOOST").stderr
    assert anna.run("campaigns", "list", "--limit", "1").stderr == "the newest 1 of 2 campaigns; --limit 0 shows all\n"


def test_show_finds_by_name_id_and_facebook_id(anna: Shop) -> None:
    id_ = campaign(anna, "Leads")
    sync(anna)
    for name in ("leads", id_, anna.row("id", "Leads")[0]):
        run = anna.run("campaigns", "show", name, "-f", "json")
        assert [row["fbCampaignId"] for row in json.loads(run.stdout)] == [id_]
    assert "did you mean Leads?" in anna.run("campaigns", "show", "lea").stderr
    campaign(anna, "leads")
    sync(anna)
    assert "'Leads' means 2 campaigns, " in anna.run("campaigns", "show", "Leads").stderr


# ------------------------------------------------------------------------------------------------------------ switching


def test_pausing_goes_to_facebook_and_is_stored(anna: Shop) -> None:
    id_ = campaign(anna, "Leads")
    sync(anna)
    run = anna.run("campaigns", "pause", "leads", "--reason", "spent")
    assert (run.exit_code, "campaigns paused: 1" in run.stderr) == (0, True)
    assert anna.world.objects[id_]["status"] == "PAUSED"
    assert anna.row("status", "Leads") == ("PAUSED",)


def test_resuming_asks_with_the_money_it_may_cost(anna: Shop) -> None:
    ids = [campaign(anna, f"C{n}", status="PAUSED", daily_budget="5000") for n in range(3)]
    sync(anna)
    run = anna.run("campaigns", "resume", "C0", "C1", "C2")
    assert (run.exit_code, "campaigns that run again: 3, up to 150.00 USD a day" in run.stderr) == (2, True)
    assert anna.run("campaigns", "resume", "C0", "C1", "C2", "--yes").exit_code == 0
    assert [anna.world.objects[id_]["status"] for id_ in ids] == ["ACTIVE"] * 3


def test_one_that_never_ran_is_started_whole_and_later_only_itself(anna: Shop) -> None:
    anna.create()
    anna.run("campaigns", "resume", "US 1", "--yes")
    levels = [anna.at_facebook(kind)[0] for kind in ("campaign", "adset", "ad")]
    assert [one["status"] for one in levels] == ["ACTIVE"] * 3
    levels[1]["status"] = "PAUSED"  # by hand, in Ads Manager
    anna.run("campaigns", "pause", "US 1")
    anna.run("campaigns", "resume", "US 1", "--yes")
    assert [one["status"] for one in levels] == ["ACTIVE", "PAUSED", "ACTIVE"]


def test_archiving_asks_and_is_for_good(anna: Shop) -> None:
    campaign(anna, "Leads")
    sync(anna)
    assert anna.run("campaigns", "archive", "Leads").exit_code == 2
    assert anna.run("campaigns", "archive", "Leads", "--yes").exit_code == 0
    assert anna.row("status", "Leads") == ("COMPLETED",)
    run = anna.run("campaigns", "resume", "Leads", "--yes")
    assert (run.exit_code, "it cannot run again" in run.stderr) == (3, True)


def test_one_that_has_ended_is_not_resumed(anna: Shop) -> None:
    campaign(anna, "Leads", status="PAUSED", stop_time="2026-01-31T23:59:59+0000")
    sync(anna)
    run = anna.run("campaigns", "resume", "Leads", "--yes")
    assert (run.exit_code, "ended on 2026-01-31 23:59 UTC" in run.stderr) == (3, True)


def test_one_whose_ads_were_all_disapproved_is_not_resumed_and_the_others_are(anna: Shop) -> None:
    anna.create()
    anna.create(name="US 2")
    (ad,) = anna.at_facebook("ad")
    ad |= {"effective_status": "DISAPPROVED", "issues_info": [{"error_code": 1815869, "error_summary": "Prohibited"}]}
    run = anna.run("campaigns", "resume", "US 1", "US 2", "--yes", "-f", "json")
    told = {row["name"]: row["outcome"] for row in json.loads(run.stdout)}
    assert (run.exit_code, told["US 2"]) == (6, "resumed")
    assert told["US 1"].startswith("nothing of it would be shown: the ad was disapproved: Prohibited (code 1815869)")
    assert [one["status"] for one in anna.at_facebook("campaign")] == ["PAUSED"]


def test_nothing_is_resumed_in_an_account_that_shows_no_ads(anna: Shop) -> None:
    id_ = campaign(anna, "Leads", status="PAUSED")
    sync(anna)
    anna.world.accounts["900"].status = 2
    run = anna.run("campaigns", "resume", "Leads", "--yes")
    assert (run.exit_code, "act_900 shows no ads: it is DISABLED" in run.stdout) == (3, True)
    assert (anna.world.objects[id_]["status"], anna.row("status", "Leads")) == ("PAUSED", ("PAUSED",))


def test_all_of_an_account_and_a_list_on_stdin(anna: Shop) -> None:
    for number in range(3):
        campaign(anna, f"C{number}")
    sync(anna)
    assert "campaigns paused: 2" in anna.run("campaigns", "pause", "-", input="C0\n\nC1\n").stderr
    assert "campaigns paused: 3" in anna.run("campaigns", "pause", "--account", "act_900").stderr
    assert anna.run("campaigns", "pause").exit_code == 2


def test_what_facebook_refuses_is_told_and_the_rest_is_done(anna: Shop) -> None:
    good, bad = campaign(anna, "Good"), campaign(anna, "Bad")
    sync(anna)
    anna.world.objects[bad]["effective_status"] = "DELETED"
    run = anna.run("campaigns", "pause", "Good", "Bad", "-f", "json")
    outcomes = {row["name"]: row["outcome"] for row in json.loads(run.stdout)}
    assert (run.exit_code, outcomes["Good"]) == (6, "paused")
    assert "A deleted object cannot be changed" in outcomes["Bad"]
    assert anna.world.objects[good]["status"] == "PAUSED"
    assert anna.row('"errorCount"', "Bad") == (1,)
    assert anna.run("campaigns", "pause", "Bad").exit_code == 5


def test_a_dead_token_fails_the_accounts_campaigns_and_no_others(anna: Shop) -> None:
    anna.world.account("901", "1001", "Second")
    anna.world.token("EAAanotherToken0001", "1001")
    anna.connect("901", token="EAAanotherToken0001")
    campaign(anna, "First")
    campaign(anna, "Second", account="901")
    assert anna.run("campaigns", "sync").exit_code == 0
    anna.world.tokens[TOKEN].dead = 460
    run = anna.run("campaigns", "pause", "First", "Second")
    assert (run.exit_code, "campaigns paused: 1" in run.stderr) == (6, True)
    assert sorted(anna.ads.sql('SELECT "isConnected" FROM "FacebookAdAccount"')) == [(False,), (True,)]
    run = anna.run("campaigns", "pause", "First")
    assert (run.exit_code, "act_900 is not connected" in run.stderr) == (3, True)


def test_budgets_for_life_are_named_when_resuming(anna: Shop) -> None:
    campaign(anna, "A", status="PAUSED", lifetime_budget="30000")
    campaign(anna, "B", status="PAUSED")
    sync(anna)
    asked = anna.run("campaigns", "resume", "A", "B").stderr
    assert "2, up to 300.00 USD in all, and 1 with a budget that is not known here" in asked
    assert "with budgets that are not known here" in anna.run("campaigns", "resume", "B").stderr


def test_a_dry_run_lets_facebook_judge_and_changes_nothing(anna: Shop) -> None:
    id_ = campaign(anna, "Leads")
    sync(anna)
    run = anna.run("campaigns", "pause", "Leads", "--dry-run")
    assert (run.exit_code, anna.world.objects[id_]["status"], anna.row("status", "Leads")) == (0, "ACTIVE", ("ACTIVE",))
    assert "dry run: nothing was changed" in run.stderr


def test_one_that_is_made_only_in_part_is_archived_but_not_let_run(anna: Shop) -> None:
    assert anna.create("--form", "999").exit_code == 5
    run = anna.run("campaigns", "resume", "US 1", "--yes")
    assert (run.exit_code, "'US 1' is made only in part" in run.stderr) == (3, True)
    assert "campaigns resumed: 0" in anna.run("campaigns", "resume", "--account", "act_900", "--yes").stderr
    assert anna.run("campaigns", "archive", "US 1", "--yes").exit_code == 0
    assert anna.create().exit_code == 0  # a new one of the same name
    assert anna.row('status, "errorMessage"') == ("PAUSED", None)


def test_a_draft_is_at_facebook_not_yet(anna: Shop) -> None:
    anna.server.fail("act_900/campaigns$", Broken("refused"), method="POST")
    anna.create()
    run = anna.run("campaigns", "pause", "US 1")
    assert (run.exit_code, "Facebook has no such campaign (yet)" in run.stderr) == (3, True)


def test_fifty_edits_are_one_call(anna: Shop) -> None:
    for number in range(50):
        campaign(anna, f"C{number}")
    sync(anna)
    before = len(anna.server.calls)
    assert "campaigns paused: 50" in anna.run("campaigns", "pause", "--account", "act_900").stderr
    assert len(anna.server.calls) - before == 1
