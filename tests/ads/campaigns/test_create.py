"""`ibctl ads campaigns create` and `ibctl ads boost`: made once, whatever happens on the way."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from ibctl import config
from tests.ads.campaigning import CREATED, FORM, PAGE, Shop, shop
from tests.ads.conftest import Ads
from tests.ads.templates.test_template_rules import CLEAN
from tests.conftest import command
from tests.fakes.graph import Broken, Fault, Server, forms


@pytest.fixture
def anna(ads: Ads, facebook: Server, pauses: list[float], ibctl: Any, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("IBCTL_HTTP_TIMEOUT", "20")  # nothing here tests slowness, and the machine may be busy
    config.use_env_file(None)
    return shop(ads, facebook, ibctl)


def made(anna: Shop, kind: str) -> dict[str, Any]:
    (found,) = anna.at_facebook(kind)
    return found


# ---------------------------------------------------------------------------------------------------------- making it


def test_campaign_ad_set_creative_and_ad_are_made_paused(anna: Shop) -> None:
    run = anna.create()
    assert run.exit_code == 0, run.stderr
    assert "made 'US 1' in act_900: paused; `ibctl ads campaigns resume 'US 1'` lets it run" in run.stderr
    assert [made(anna, kind)["status"] for kind in ("campaign", "adset", "ad")] == ["PAUSED"] * 3
    assert made(anna, "campaign")["objective"] == "OUTCOME_LEADS"
    assert (made(anna, "adset")["daily_budget"], made(anna, "adset")["campaign_id"]) == (
        "5000", made(anna, "campaign")["id"],
    )  # fmt: skip
    ids = (made(anna, "campaign")["id"], made(anna, "adset")["id"], made(anna, "ad")["id"])
    assert anna.row('"fbCampaignId", "fbAdSetId", "fbAdId"') == ids
    columns = 'status, objective, "campaignType", "dailyBudget", "adCopy", "callToAction", "errorMessage", "errorCount"'
    assert anna.row(columns) == (
        "PAUSED", "LEAD_GENERATION", "CAMPAIGN", 50.0, CLEAN["adCopy"], "LEARN_MORE", None, 0,
    )  # fmt: skip
    assert anna.uses() == 1


def test_the_options_budget_wins_and_a_picture_is_uploaded(anna: Shop, tmp_path: Path) -> None:
    (tmp_path / "ad.png").write_bytes(b"\x89PNG not really")
    run = anna.create("--budget", "75.50", "--image", str(tmp_path / "ad.png"))
    assert run.exit_code == 0, run.stderr
    assert made(anna, "adset")["daily_budget"] == "7550"
    hashed = made(anna, "creative")["object_story_spec"]["link_data"]["image_hash"]
    assert anna.row('"imageUrl", "dailyBudget"') == (f"https://scontent.example/{hashed}.jpg", 75.5)


def test_a_budget_for_life_has_an_end_in_the_accounts_zone(anna: Shop) -> None:
    run = anna.create("--lifetime-budget", "300", "--end", "2199-11-30", "--start", "2199-11-01")
    assert run.exit_code == 0, run.stderr
    assert made(anna, "adset")["lifetime_budget"] == "30000"
    assert (made(anna, "adset")["start_time"], made(anna, "adset")["end_time"]) == (
        "2199-11-01T00:00:00-0400", "2199-11-30T23:59:59-0500",
    )  # fmt: skip
    assert "daily_budget" not in made(anna, "adset")


def test_activate_asks_and_then_lets_all_of_it_run(anna: Shop) -> None:
    run = anna.create("--activate")
    assert (run.exit_code, anna.counts()) == (2, [0, 0, 0, 0])
    assert "'US 1' spends up to 50.00 USD a day from act_900 as soon as it is made" in run.stderr
    run = anna.create("--activate", "--yes")
    assert (run.exit_code, anna.row("status")) == (0, ("ACTIVE",))
    assert [made(anna, kind)["status"] for kind in ("campaign", "adset", "ad")] == ["ACTIVE"] * 3
    # Ad first, campaign last: nothing runs before all of it may.
    switched = [call.params["batch"][0]["relative_url"].strip("/") for call in anna.server.calls[-3:]]
    assert switched == [made(anna, kind)["id"] for kind in ("ad", "adset", "campaign")]


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--form", FORM, "--link", "https://x.y"], 2, "--form and --link exclude each other"),
        (["--link", "x.y"], 2, "--link 'x.y' is no address"),
        (["--form", "abc"], 2, "--form 'abc' is no id of Facebook's"),
        (["--budget", "0"], 2, "--daily-budget: '0' is no budget"),
        (["--budget", "5", "--lifetime-budget", "5"], 2, "exclude each other"),
        (["--lifetime-budget", "5"], 2, "--lifetime-budget needs --end"),
        (["--budget", "0.50"], 3, "--daily-budget 0.50 is too little for act_900: Facebook takes 1 USD a day or more"),
        (["--image", "none.png"], 2, "neither a file nor the hash"),
        (["--start", "2020-01-01"], 2, "--start 2020-01-01 has passed"),
        (["--allow", "nothing"], 2, "there is no rule 'nothing'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(
    anna: Shop, more: list[str], code: int, message: str
) -> None:  # fmt: skip
    run = anna.create(*more)
    assert (run.exit_code, message in run.stderr) == (code, True), run.stderr
    assert anna.counts() == [0, 0, 0, 0]
    assert anna.ads.sql('SELECT count(*) FROM "AdCampaign"') == [(0,)]


def test_a_template_has_to_be_published_and_to_break_no_rule(anna: Shop) -> None:
    anna.run("templates", "unpublish", "US leads")
    run = anna.create()
    assert (run.exit_code, "is not published" in run.stderr) == (3, True)
    data = '{"dailyBudget": 50.505}'
    anna.ads.sql('UPDATE "AdTemplate" SET "isActive" = true, "templateData" = "templateData" || %s::jsonb', data)
    run = anna.create()
    assert (run.exit_code, "budget-unit" in run.stderr) == (3, True)
    assert anna.counts() == [0, 0, 0, 0]


def test_an_account_that_may_not_or_does_not_deliver_is_refused(anna: Shop) -> None:
    anna.world.accounts["900"].status = 3
    assert "act_900 shows no ads: it is UNSETTLED" in anna.create().stderr
    anna.ads.sql('UPDATE "FacebookAdAccount" SET "canCreateCampaigns" = false, "setupTier" = 2')
    run = anna.create()
    assert (run.exit_code, "cannot create campaigns (set-up tier 2)" in run.stderr) == (3, True)
    assert anna.counts() == [0, 0, 0, 0]


def test_what_facebook_refuses_is_told_counted_and_can_be_mended(anna: Shop) -> None:
    run = anna.create("--form", "999")
    assert (run.exit_code, anna.counts()) == (5, [1, 1, 0, 0])
    assert "There is no form 999" in run.stderr
    assert (
        "made of 'US 1' so far: campaign, adset; mend what is wrong, and the same command makes the rest" in run.stderr
    )
    status, message, count = anna.row('status, "errorMessage", "errorCount"')
    assert (status, count, "There is no form 999" in message) == ("ERROR", 1, True)
    run = anna.create()
    assert (run.exit_code, anna.counts()) == (0, [1, 1, 1, 1])
    assert "finished 'US 1'" in run.stderr
    assert anna.row('status, "errorMessage", "errorCount"') == ("PAUSED", None, 1)
    assert anna.uses() == 1


def test_the_same_name_again_is_refused_once_it_is_finished(anna: Shop) -> None:
    anna.create()
    run = anna.create()
    assert (run.exit_code, anna.counts()) == (3, [1, 1, 1, 1])
    assert "there is a campaign 'US 1' in act_900 already" in run.stderr
    assert anna.create(name="US 2").exit_code == 0
    assert anna.uses() == 2


# ------------------------------------------------------------------------------------------------- lost on the way


@pytest.mark.parametrize("kind", ["dropped", "truncated"])
@pytest.mark.parametrize("number", range(4))
def test_a_call_whose_answer_is_lost_is_looked_for_not_repeated(anna: Shop, number: int, kind: Any) -> None:
    edge = ("campaigns", "adsets", "adcreatives", "ads")[number]
    anna.server.fail(f"act_900/{edge}$", Broken(kind), method="POST")
    run = anna.create()
    assert run.exit_code == 0, run.stderr
    assert anna.counts() == [1, 1, 1, 1]


@pytest.mark.parametrize("number", range(4))
def test_a_call_that_never_arrived_ends_in_5_and_the_next_run_finishes(anna: Shop, number: int) -> None:
    edge = ("campaigns", "adsets", "adcreatives", "ads")[number]
    anna.server.fail(f"act_900/{edge}$", Broken("refused"), method="POST", times=1)
    run = anna.create()
    assert (run.exit_code, anna.counts()) == (5, [1] * number + [0] * (4 - number))
    assert "whether it was carried out is not known" in run.stderr
    assert anna.row("status") == ("ERROR",)
    assert anna.create().exit_code == 0
    assert (anna.counts(), anna.row("status"), anna.uses()) == ([1, 1, 1, 1], ("PAUSED",), 1)


NEW = ["campaigns", "create", "--template", "US leads", "--account", "act_900", "--name", "US 1", "--form", FORM]
BOOST = ["boost", "--post", "7700_1001", "--account", "act_900", "--budget", "10", "--days", "5", "--name", "US 1"]
EDGES = ("campaigns", "adsets", "adcreatives", "ads")


def killed_at(anna: Shop, arguments: list[str], called: str) -> None:
    """Kill a run once a call of it has reached Graph, which carries it out all the same."""
    killed = subprocess.Popen(command(["ads", *arguments]), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    wait_until(lambda: bool(anna.server.seen(called, "POST")))
    killed.kill()
    killed.wait()


@pytest.mark.parametrize("arguments", [NEW, BOOST], ids=["create", "boost"])
@pytest.mark.parametrize("number", range(4))
def test_a_run_killed_at_any_step_is_finished_by_the_next_and_nothing_is_doubled(
    anna: Shop, number: int, arguments: list[str]
) -> None:
    forms.post(anna.world, PAGE, "1001")
    # Carried out after the one who asked is dead.
    anna.server.fail(f"act_900/{EDGES[number]}$", Broken("slow", seconds=0.4), method="POST")
    killed_at(anna, arguments, f"act_900/{EDGES[number]}$")
    wait_until(lambda: anna.counts()[number] == 1)
    assert anna.row("status") == ("DRAFT",)
    run = anna.run(*arguments)
    assert (run.exit_code, "finished 'US 1'" in run.stderr) == (0, True), run.stderr
    assert (anna.counts(), anna.row("status")) == ([1, 1, 1, 1], ("PAUSED",))
    assert anna.uses() == (1 if arguments is NEW else 0)


def test_a_run_killed_while_its_picture_went_up_is_finished_with_the_same_picture(anna: Shop, tmp_path: Path) -> None:
    (tmp_path / "ad.png").write_bytes(b"\x89PNG not really")
    arguments = [*NEW, "--image", str(tmp_path / "ad.png")]
    anna.server.fail("act_900/adimages$", Broken("slow", seconds=0.4), method="POST")
    killed_at(anna, arguments, "act_900/adimages$")
    assert anna.run(*arguments).exit_code == 0
    assert (anna.counts(), anna.uses()) == ([1, 1, 1, 1], 1)
    assert sum(one["kind"] == "image" for one in anna.world.objects.values()) == 1


@pytest.mark.parametrize("switched", range(3))
def test_a_run_killed_while_it_let_its_campaign_run_is_finished_by_the_next(anna: Shop, switched: int) -> None:
    anna.server.latency = 0.15
    killed = subprocess.Popen(command(["ads", *NEW, "--activate", "--yes"]), stderr=subprocess.DEVNULL)
    wait_until(lambda: len(anna.server.seen("^v26.0$", "POST")) > switched)
    killed.kill()
    killed.wait()
    anna.server.latency = 0
    run = anna.create("--activate", "--yes")
    assert (run.exit_code, "finished 'US 1'" in run.stderr) == (0, True), run.stderr
    assert (anna.counts(), anna.row("status"), anna.uses()) == ([1, 1, 1, 1], ("ACTIVE",), 1)
    assert [made(anna, kind)["status"] for kind in ("campaign", "adset", "ad")] == ["ACTIVE"] * 3
    assert anna.create("--activate", "--yes").exit_code == 3  # it runs: there is nothing to finish


def test_what_a_killed_run_made_may_be_listed_late(anna: Shop) -> None:
    anna.server.fail("act_900/campaigns$", Broken("slow", seconds=0.4), method="POST")
    killed_at(anna, NEW, "act_900/campaigns$")
    wait_until(lambda: anna.counts()[0] == 1)
    anna.server.fail("act_900/campaigns$", Broken("raw", text='{"data": []}'), method="GET")
    assert anna.run(*NEW).exit_code == 0
    assert anna.counts() == [1, 1, 1, 1]


@pytest.mark.parametrize("number", [0, 1, 3])
def test_what_got_lost_and_shows_late_is_found_by_the_next_run(anna: Shop, number: int) -> None:
    """The answer is lost, and Graph's list lags behind for longer than the run looks."""
    edge, listed = EDGES[number], ("act_900/campaigns$", r"\d/adsets$", r"\d/ads$", r"\d/ads$")[number]
    anna.server.fail(f"act_900/{edge}$", Broken("dropped"), method="POST")
    # One look before it is made, two for what became of it, and the first of the next run.
    anna.server.fail(listed, Broken("raw", text='{"data": []}'), method="GET", times=3 + (number == 0))
    assert anna.create().exit_code == 5
    assert anna.create().exit_code == 0
    assert anna.counts() == [1, 1, 1, 1]
    assert anna.server.unused == 0


def test_a_refusal_to_let_it_run_is_told_and_the_same_command_tries_again(anna: Shop) -> None:
    anna.create()
    anna.server.fail(f"^{made(anna, 'adset')['id']}$", Fault(100, 1487033, "(#100) Its end has passed"))
    run = anna.create("--activate", "--yes")
    assert (run.exit_code, "Its end has passed" in run.stderr) == (5, True)
    assert anna.row('status, "errorCount"') == ("PAUSED", 1)
    assert anna.create("--activate", "--yes").exit_code == 0
    assert anna.row('status, "errorMessage", "errorCount"') == ("ACTIVE", None, 1)


def wait_until(true: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_it_is_found_even_where_the_database_knows_nothing_of_it(anna: Shop) -> None:
    """A backup was restored: the tag follows from account and name alone."""
    anna.create()
    anna.ads.sql('DELETE FROM "AdCampaign"')
    anna.ads.sql("DELETE FROM ibctl.campaign_build")
    assert anna.create().exit_code == 0
    assert (anna.counts(), anna.row("status")) == ([1, 1, 1, 1], ("PAUSED",))


def test_a_sync_in_between_does_not_make_a_second_row(anna: Shop) -> None:
    anna.server.fail("act_900/adsets$", Broken("refused"), method="POST")
    anna.create()
    anna.ads.sql('UPDATE "AdCampaign" SET "fbCampaignId" = NULL')
    assert anna.run("campaigns", "sync").exit_code == 0
    assert anna.ads.sql('SELECT count(*) FROM "AdCampaign"') == [(1,)]
    assert anna.row('status, "fbCampaignId"') == ("ERROR", made(anna, "campaign")["id"])
    assert anna.create().exit_code == 0
    assert anna.counts() == [1, 1, 1, 1]


def test_what_was_made_from_other_settings_is_not_passed_off_as_these(anna: Shop) -> None:
    anna.create("--form", "999")
    run = anna.create("--budget", "60")
    assert (run.exit_code, anna.counts()) == (3, [1, 1, 0, 0])
    assert "the adset of 'US 1' was made already" in run.stderr
    assert "with another daily_budget" in run.stderr


def test_two_runs_at_once_make_one_campaign(anna: Shop) -> None:
    anna.server.latency = 0.05
    arguments = ["ads", "campaigns", "create", "--template", "US leads", "--account", "act_900", "--name", "US 1"]
    runs = [
        subprocess.Popen([*command(arguments), "--form", FORM], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    told = [run.communicate(timeout=60)[1] for run in runs]
    assert sorted(run.returncode for run in runs) == [0, 3], told
    assert (anna.counts(), anna.uses()) == ([1, 1, 1, 1], 1)


def test_a_dead_token_makes_the_account_not_connected(anna: Shop) -> None:
    anna.server.fail("act_900", Fault(190, 463, "Session has expired"))
    run = anna.create()
    assert run.exit_code == 5
    assert anna.ads.sql('SELECT "isConnected" FROM "FacebookAdAccount"') == [(False,)]


# -------------------------------------------------------------------------------------------------------------- dry run


def test_a_dry_run_shows_what_would_be_sent_and_makes_nothing(anna: Shop) -> None:
    run = anna.create("--dry-run", "-f", "json")
    assert run.exit_code == 0, run.stderr
    rows = {row["object"]: row for row in json.loads(run.stdout)}
    assert list(rows) == list(CREATED)
    assert rows["campaign"]["verdict"] == rows["creative"]["verdict"] == "Facebook would take it"
    assert rows["adset"]["verdict"].startswith("not asked")
    assert rows["adset"]["sent"]["daily_budget"] == 5000
    assert (anna.counts(), anna.ads.change_sets()) == ([0, 0, 0, 0], 0)
    assert anna.ads.sql('SELECT count(*) FROM "AdCampaign"') == [(0,)]
    assert [call.params["execution_options"] for call in anna.server.seen("act_900/", "POST")] == [
        ["validate_only"]
    ] * 2


TAIWAN = {
    "regionalRegulatedCategories": ["TAIWAN_FINSERV"],
    "regionalRegulationIdentities": {"taiwan_finserv_beneficiary": "71", "taiwan_finserv_payer": "72"},
}


def test_where_a_country_regulates_the_ad_who_was_verified_for_it_is_sent(anna: Shop) -> None:
    abroad = {**CLEAN, "targeting": {**CLEAN["targeting"], "geo_locations": {"countries": ["TW"]}}}
    anna.template("TW leads", {**abroad, **TAIWAN})
    anna.template("TW bare", abroad)
    assert anna.create(template="TW leads").exit_code == 0
    assert made(anna, "adset")["regional_regulated_categories"] == ["TAIWAN_FINSERV"]
    assert made(anna, "adset")["regional_regulation_identities"] == TAIWAN["regionalRegulationIdentities"]
    run = anna.create(template="TW bare", name="US 2")
    assert (run.exit_code, "about regional_regulated_categories" in run.stderr) == (5, True)


def test_a_dry_run_says_what_facebook_refuses(anna: Shop) -> None:
    run = anna.create("--dry-run", "--form", "999")
    assert (run.exit_code, "There is no form 999" in run.stderr) == (5, True)


def test_a_dry_run_of_one_that_is_half_made_asks_about_the_rest(anna: Shop) -> None:
    anna.server.fail("act_900/adsets$", Broken("refused"), method="POST")
    anna.create()
    rows = {row["object"]: row for row in json.loads(anna.create("--dry-run", "-f", "json").stdout)}
    assert rows["campaign"]["verdict"].startswith("made already: 12021")
    assert rows["adset"]["verdict"] == "Facebook would take it"


# ---------------------------------------------------------------------------------------------------------------- boost


def boost(anna: Shop, *more: str, post: str = "7700_1001") -> Any:
    return anna.run("boost", "--post", post, "--account", "act_900", "--budget", "10", "--days", "5", *more)


NAME = "Boost of 7700_1001"


def test_a_boost_is_a_campaign_for_engagement_with_the_post(anna: Shop) -> None:
    forms.post(anna.world, PAGE, "1001")
    run = boost(anna)
    assert run.exit_code == 0, run.stderr
    assert anna.counts(NAME) == [1, 1, 1, 1]
    (ad_set,), (creative,) = anna.at_facebook("adset", NAME), anna.at_facebook("creative", NAME)
    assert (ad_set["optimization_goal"], ad_set["daily_budget"]) == ("POST_ENGAGEMENT", "1000")
    assert (ad_set["promoted_object"], creative["object_story_id"]) == ({"page_id": PAGE}, "7700_1001")
    assert ad_set["targeting"]["geo_locations"] == {"countries": ["US"]}
    columns = 'status, "campaignType", "fbPostId", "dailyBudget", objective'
    assert anna.row(columns, NAME) == ("PAUSED", "BOOST", "7700_1001", 10.0, "POST_ENGAGEMENT")


def test_a_dry_run_of_a_boost_makes_nothing(anna: Shop) -> None:
    forms.post(anna.world, PAGE, "1001")
    rows = {row["object"]: row for row in json.loads(boost(anna, "--dry-run", "-f", "json").stdout)}
    assert rows["creative"]["sent"]["object_story_id"] == "7700_1001"
    assert rows["campaign"]["verdict"] == "Facebook would take it"
    assert (anna.counts(NAME), anna.ads.change_sets()) == ([0, 0, 0, 0], 0)


def test_a_post_may_be_named_without_its_page_and_other_countries(anna: Shop) -> None:
    forms.post(anna.world, PAGE, "1001")
    assert boost(anna, "--countries", "us,ca", "--name", "B", post="1001").exit_code == 0
    (ad_set,) = anna.at_facebook("adset", "B")
    assert ad_set["targeting"]["geo_locations"] == {"countries": ["US", "CA"]}
    assert boost(anna, "--countries", "usa").exit_code == 2


@pytest.mark.parametrize("number", range(4))
def test_a_boost_that_died_is_finished_not_doubled(anna: Shop, number: int) -> None:
    forms.post(anna.world, PAGE, "1001")
    edge = ("campaigns", "adsets", "adcreatives", "ads")[number]
    anna.server.fail(f"act_900/{edge}$", Broken("refused"), method="POST")
    assert boost(anna).exit_code == 5
    time.sleep(0.01)  # its end would now be another
    assert boost(anna).exit_code == 0
    assert anna.counts(NAME) == [1, 1, 1, 1]


def test_who_is_behind_a_boost_is_named_where_a_law_wants_it(anna: Shop) -> None:
    forms.post(anna.world, PAGE, "1001")
    assert boost(anna, "--countries", "DE", "--name", "DE").exit_code == 5
    named = ("--dsa-beneficiary", "IB One LLC", "--dsa-payor", "IB One LLC")
    run = boost(anna, "--countries", "DE", "--name", "DE", *named)
    assert run.exit_code == 0, run.stderr
    (ad_set,) = anna.at_facebook("adset", "DE")
    assert (ad_set["dsa_beneficiary"], ad_set["dsa_payor"]) == ("IB One LLC", "IB One LLC")
    verified = ("--identity", "taiwan_finserv_beneficiary=71", "--identity", "taiwan_finserv_payer=72")
    assert boost(anna, "--countries", "TW", "--name", "TW", "--regulated", "TAIWAN_FINSERV", *verified).exit_code == 0
    (ad_set,) = anna.at_facebook("adset", "TW")
    assert ad_set["regional_regulation_identities"] == TAIWAN["regionalRegulationIdentities"]
    for wrong in (["--regulated", "MARS"], ["--regulated", "TAIWAN_FINSERV"], ["--identity", "payer=1"]):
        assert boost(anna, "--name", "no", *wrong).exit_code == 2


def test_a_post_that_cannot_be_promoted_is_refused(anna: Shop) -> None:
    forms.post(anna.world, PAGE, "1", is_published=False)
    forms.post(anna.world, PAGE, "2", is_eligible_for_promotion=False)
    assert "it is not published" in boost(anna, post="7700_1").stderr
    assert "Facebook does not let it be promoted" in boost(anna, post="7700_2").stderr
    assert boost(anna, post="7700_3").exit_code == 5
    assert boost(anna, post="abc").exit_code == 2
    assert anna.ads.sql('SELECT count(*) FROM "AdCampaign"') == [(0,)]


def test_a_user_with_a_page_alone_cannot_boost(anna: Shop) -> None:
    anna.ads.sql('UPDATE "FacebookAdAccount" SET "canBoostPosts" = false, "setupTier" = 1')
    run = boost(anna)
    assert (run.exit_code, "cannot boost posts (set-up tier 1)" in run.stderr) == (3, True)
