"""`ibctl ads accounts`: connecting with a token, and what is known afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ibctl import config, crypto
from tests.ads.conftest import Ads
from tests.conftest import KEY, Result
from tests.fakes.graph import Broken, Fault, Server, World

Run = Callable[..., Result]
TOKEN = "EAAshortTokenOfAnna01"


@pytest.fixture
def world(facebook: Server, pauses: list[float]) -> World:
    """Anna at Facebook: a page, a business, and act_900 in USD."""
    made = facebook.world
    made.user("1001", "Anna")
    made.token(TOKEN, "1001", days=0.05)
    made.page("7700", "Anna's page", "1001")
    made.business("5500", "Anna Ltd", "1001")
    made.account("900", "1001", "Anna USD", timezone="America/New_York", business="5500")
    return made


@pytest.fixture
def anna(ads: Ads) -> Ads:
    """The IB anna@x.y, without any account of the fixture's."""
    ads.sql('DELETE FROM "FacebookAdAccount"')
    return ads


def connect(ibctl: Run, *more: str, token: str = TOKEN) -> Result:
    return ibctl("ads", "accounts", "connect", "--user", "anna@x.y", *more, input=f"{token}\n")


def row(ads: Ads, columns: str) -> tuple[Any, ...]:
    (found,) = ads.sql(f'SELECT {columns} FROM "FacebookAdAccount"')
    return found


# ---------------------------------------------------------------------------------------------------------- connecting


def test_a_token_with_one_ad_account_connects_it_in_full(anna: Ads, world: World, ibctl: Run) -> None:
    run = connect(ibctl)
    assert (run.exit_code, run.stdout) == (0, "act_900 (USD, America/New_York) of anna@x.y: connected, tier 3\n")
    assert run.stderr == "accounts connected for anna@x.y: 1; change set 1, `ibctl undo 1` takes it back\n"
    columns = '"adAccountId", "adAccountName", currency, timezone, "setupTier", "isConnected"'
    assert row(anna, columns) == ("act_900", "Anna USD", "USD", "America/New_York", 3, True)
    assert row(anna, '"canBoostPosts", "canCreateCampaigns", "pageId", "pageName", "businessId", "businessName"') == (
        True, True, "7700", "Anna's page", "5500", "Anna Ltd",
    )  # fmt: skip


def test_the_token_is_exchanged_and_stored_encrypted_with_its_end(anna: Ads, world: World, ibctl: Run) -> None:
    connect(ibctl)
    sealed, page, days = row(
        anna, '"accessToken", "pageAccessToken", round(extract(epoch FROM "tokenExpiresAt" - now()) / 86400)'
    )
    long_lived = crypto.decrypt(sealed, KEY)
    assert long_lived.startswith("EAALONG")
    assert (crypto.decrypt(page, KEY), days) == ("EAAPAGE7700token", 60)
    assert TOKEN not in sealed


def test_without_the_app_the_token_stays_as_it_is_and_that_is_said(
    anna: Ads, world: World, ibctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FACEBOOK_APP_SECRET")
    config.use_env_file(None)
    run = connect(ibctl)
    assert run.exit_code == 0
    assert "not exchanged" in run.stderr
    sealed, expires = row(anna, '"accessToken", "tokenExpiresAt"')
    assert (crypto.decrypt(sealed, KEY), expires) == (TOKEN, None)


@pytest.mark.parametrize("subcode", [458, 459, 460, 463, 464, 467])
def test_a_token_that_facebook_refuses_is_3_and_stores_nothing(
    subcode: int, anna: Ads, world: World, ibctl: Run
) -> None:
    world.tokens[TOKEN].dead = subcode
    run = connect(ibctl)
    assert (run.exit_code, anna.sql('SELECT 1 FROM "FacebookAdAccount"'), anna.change_sets()) == (3, [], 0)
    assert f"code 190/{subcode}" in run.stderr
    assert TOKEN not in run.stdout + run.stderr


def test_facebook_out_of_reach_is_5(anna: Ads, world: World, ibctl: Run, facebook: Server) -> None:
    facebook.fail("", Broken("refused"), times=99)
    run = connect(ibctl)
    assert (run.exit_code, anna.change_sets()) == (5, 0)


def test_a_wrong_app_secret_is_4(anna: Ads, world: World, ibctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEBOOK_APP_SECRET", "wrong-secret-123456")
    config.use_env_file(None)
    run = connect(ibctl)
    assert (run.exit_code, "FACEBOOK_APP_SECRET" in run.stderr) == (4, True)
    assert "wrong-secret" not in run.stderr


def test_no_encryption_key_is_4_before_facebook_is_asked(
    anna: Ads, world: World, ibctl: Run, facebook: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ENCRYPTION_KEY")
    config.use_env_file(None)
    assert (connect(ibctl).exit_code, facebook.calls) == (4, [])


def test_a_key_that_opens_nothing_of_what_is_stored_seals_nothing(
    anna: Ads, world: World, ibctl: Run, facebook: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = crypto.encrypt("secret", "v" * 32)
    anna.sql('INSERT INTO "SystemeConfig" (id, "apiKey", "updatedAt") VALUES (\'s\', %s, now())', sealed)
    run = connect(ibctl)
    assert (run.exit_code, facebook.calls, anna.change_sets()) == (4, [], 0)
    assert run.stderr.startswith("Error: ENCRYPTION_KEY opens none of 1 encrypted values that are stored")
    assert run.stderr.count("\n") == 1
    # One that opens is enough: the others are damaged.
    anna.sql('INSERT INTO "SystemeConfig" (id, "apiKey", "updatedAt") VALUES (\'a\', %s, now())', crypto.seal("x").text)
    assert connect(ibctl).exit_code == 0


def test_ad_accounts_are_an_ibs(anna: Ads, world: World, ibctl: Run, facebook: Server) -> None:
    anna.sql("UPDATE \"User\" SET role = 'ADMIN'")
    run = connect(ibctl)
    assert (run.exit_code, facebook.calls) == (3, [])
    assert "there is no IB 'anna@x.y': that account's role is ADMIN" in run.stderr


def test_several_ad_accounts_have_to_be_chosen_from(anna: Ads, world: World, ibctl: Run) -> None:
    world.account("901", "1001", "Anna JPY", currency="JPY")
    run = connect(ibctl)
    assert (run.exit_code, anna.sql('SELECT 1 FROM "FacebookAdAccount"')) == (2, [])
    assert "act_900 (Anna USD, USD), act_901 (Anna JPY, JPY)" in run.stderr
    assert connect(ibctl, "--account", "901").exit_code == 0
    assert row(anna, '"adAccountId", currency') == ("act_901", "JPY")
    assert connect(ibctl, "--all").exit_code == 0
    assert anna.sql('SELECT "adAccountId" FROM "FacebookAdAccount" ORDER BY 1') == [("act_900",), ("act_901",)]


def test_several_pages_have_to_be_chosen_from(anna: Ads, world: World, ibctl: Run) -> None:
    world.page("7701", "Second", "1001")
    run = connect(ibctl)
    assert (run.exit_code, "--page ID: 7700 (Anna's page), 7701 (Second)" in run.stderr) == (2, True)
    connect(ibctl, "--page", "7701")
    assert row(anna, '"pageId"') == ("7701",)
    assert connect(ibctl, "--page", "1").exit_code == 3


def test_an_ad_account_out_of_reach_is_named_with_those_in_reach(anna: Ads, world: World, ibctl: Run) -> None:
    run = connect(ibctl, "--account", "act_999")
    assert (run.exit_code, "does not reach act_999: it reaches act_900" in run.stderr) == (3, True)
    assert connect(ibctl, "--account", "nine").exit_code == 2
    assert connect(ibctl, "--account", "900", "--all").exit_code == 2


def test_a_user_without_an_ad_account_is_stored_with_the_tier(anna: Ads, world: World, ibctl: Run) -> None:
    world.accounts.clear()
    run = connect(ibctl)
    assert run.stdout == "no ad account of anna@x.y: connected, tier 2\n"
    assert "no tier 3: no ad account" in run.stderr
    assert row(anna, '"adAccountId", "setupTier", "isConnected", "businessName"') == (None, 2, True, "Anna Ltd")
    connect(ibctl)
    assert anna.sql('SELECT count(*) FROM "FacebookAdAccount"') == [(1,)]


def test_connecting_again_changes_only_what_is_different(anna: Ads, world: World, ibctl: Run) -> None:
    connect(ibctl)
    before = row(anna, '"pageAccessToken", "createdAt"')
    connect(ibctl)
    assert row(anna, '"pageAccessToken", "createdAt"') == before


def test_a_row_of_an_import_is_taken_over_whichever_way_its_id_is_written(anna: Ads, world: World, ibctl: Run) -> None:
    (user,) = anna.sql('SELECT id FROM "User"')[0]
    anna.account(user, "900", "From a file", zone="America/New_York")
    assert connect(ibctl).exit_code == 0
    assert row(anna, '"adAccountId", "adAccountName"') == ("act_900", "Anna USD")


def test_an_ad_account_has_one_ib(anna: Ads, world: World, ibctl: Run) -> None:
    anna.account(anna.user("bo@x.y"), "act_900")
    run = connect(ibctl)
    assert (run.exit_code, "act_900 belongs to bo@x.y already" in run.stderr) == (3, True)


def test_another_currency_than_the_stored_days_have_is_refused(anna: Ads, world: World, ibctl: Run) -> None:
    ((user,),) = anna.sql('SELECT id FROM "User"')
    anna.account(user, "act_900", currency="EUR", zone="UTC")
    ibctl("ads", "spend", "import", anna.file("act_900,2025-10-01,1,0,0,0,0"))
    run = connect(ibctl)
    assert (run.exit_code, "has USD at Facebook, but its stored days are in EUR" in run.stderr) == (3, True)


def test_another_zone_than_the_stored_days_were_cut_in_is_warned_of(anna: Ads, world: World, ibctl: Run) -> None:
    ((user,),) = anna.sql('SELECT id FROM "User"')
    anna.account(user, "act_900", zone="UTC")
    ibctl("ads", "spend", "import", anna.file("act_900,2025-10-01,1,0,0,0,0"))
    run = connect(ibctl)
    assert "Warning: act_900 cuts its days in America/New_York, but its stored ones were cut in UTC" in run.stderr
    assert row(anna, "timezone") == ("America/New_York",)


def test_a_dry_run_connects_nothing(anna: Ads, world: World, ibctl: Run) -> None:
    run = connect(ibctl, "--dry-run")
    assert (run.exit_code, "dry run: nothing was written" in run.stderr) == (0, True)
    assert anna.sql('SELECT 1 FROM "FacebookAdAccount"') == []


def test_lists_with_empty_pages_in_their_middle_are_read_to_their_end(anna: Ads, world: World, ibctl: Run) -> None:
    world.empty_pages = True
    for number in range(1000, 1450):
        world.account(str(number), "1001")
    assert connect(ibctl, "--all").exit_code == 0
    assert anna.sql('SELECT count(*) FROM "FacebookAdAccount"') == [(451,)]


# ---------------------------------------------------------------------------------------------------------------- tiers


@pytest.mark.parametrize(
    ("declined", "tier", "said"),
    [
        ("ads_management", 2, "no tier 3: permission ads_management is declined"),
        ("business_management", 3, "no tier 2: permission business_management is declined"),
        ("pages_show_list", 3, "no tier 1: permission pages_show_list is declined"),
    ],
)
def test_a_declined_permission_is_named(
    declined: str, tier: int, said: str, anna: Ads, world: World, ibctl: Run
) -> None:
    world.users["1001"].permissions[declined] = "declined"
    run = connect(ibctl)
    assert (f"tier {tier}" in run.stdout, said in run.stderr) == (True, True)


def test_an_account_that_cannot_deliver_is_connected_below_tier_3(anna: Ads, world: World, ibctl: Run) -> None:
    world.accounts["900"].status = 3
    run = connect(ibctl)
    assert "no tier 3: the ad account is UNSETTLED" in run.stderr
    assert row(anna, '"setupTier", "isConnected", "canCreateCampaigns"') == (2, True, False)


# -------------------------------------------------------------------------------------------------- refresh, disconnect


def test_refresh_takes_over_what_has_changed(anna: Ads, world: World, ibctl: Run) -> None:
    connect(ibctl)
    world.accounts["900"].name, world.accounts["900"].status = "Renamed", 2
    run = ibctl("ads", "accounts", "refresh")
    assert (run.exit_code, run.stdout) == (0, "act_900 of anna@x.y: tier 2\n")
    assert row(anna, '"adAccountName", "setupTier"') == ("Renamed", 2)


def test_refresh_asks_once_for_accounts_with_one_token(anna: Ads, world: World, ibctl: Run, facebook: Server) -> None:
    world.account("901", "1001")
    connect(ibctl, "--all")
    asked = len(facebook.seen("me/adaccounts"))
    ibctl("ads", "accounts", "refresh")
    assert len(facebook.seen("me/adaccounts")) == asked + 1


def test_a_dead_token_makes_its_account_not_connected_and_stops_no_other(anna: Ads, world: World, ibctl: Run) -> None:
    connect(ibctl)
    world.user("1002", "Bo")
    world.token("EAAtokenOfBo00001", "1002")
    world.account("910", "1002")
    anna.user("bo@x.y")
    ibctl("ads", "accounts", "connect", "--user", "bo@x.y", input="EAAtokenOfBo00001\n")
    for token in world.tokens.values():
        token.dead = 460 if token.user == "1001" and token.kind == "USER" else None
    run = ibctl("ads", "accounts", "refresh")
    assert (run.exit_code, run.stdout) == (6, "act_910 of bo@x.y: tier 3\n")
    assert "act_900 failed: Facebook says: Error validating access token" in run.stderr
    assert anna.sql('SELECT "adAccountId", "isConnected" FROM "FacebookAdAccount" ORDER BY 1') == [
        ("act_900", False), ("act_910", True),
    ]  # fmt: skip
    again = ibctl("ads", "accounts", "refresh")
    assert (again.exit_code, "skipped: act_900 is not connected" in again.stderr) == (0, True)
    named = ibctl("ads", "accounts", "refresh", "act_900")
    assert (named.exit_code, named.stderr.count("ads accounts connect`")) == (3, 1)


def test_the_only_account_asked_for_failing_is_5(anna: Ads, world: World, ibctl: Run, facebook: Server) -> None:
    connect(ibctl)
    facebook.fail("me/permissions", Fault(2), times=6)
    assert ibctl("ads", "accounts", "refresh", "act_900").exit_code == 5
    shown = json.loads(ibctl("ads", "accounts", "show", "act_900", "-f", "json").stdout)[0]
    assert (shown["isConnected"], "code 2" in shown["problem"]) == (True, True)
    ibctl("ads", "accounts", "refresh")
    assert json.loads(ibctl("ads", "accounts", "show", "act_900", "-f", "json").stdout)[0]["problem"] is None


def test_an_expired_version_ends_the_run_with_4(anna: Ads, world: World, ibctl: Run, facebook: Server) -> None:
    connect(ibctl)
    facebook.fail("me/permissions", Fault(2635, None, "(#2635) You are calling a deprecated version of the Ads API"))
    run = ibctl("ads", "accounts", "refresh")
    assert (run.exit_code, "IBCTL_GRAPH_VERSION" in run.stderr) == (4, True)


def test_an_account_lost_to_the_token_is_named(anna: Ads, world: World, ibctl: Run) -> None:
    connect(ibctl)
    del world.accounts["900"].users["1001"]
    run = ibctl("ads", "accounts", "refresh", "act_900")
    assert (run.exit_code, "no longer reaches it" in run.stderr) == (5, True)


@pytest.mark.parametrize("words", [["accounts", "refresh"], ["tokens", "extend"], ["tokens", "extend", "--quiet"]])
def test_a_page_that_is_not_listed_for_a_while_stays_the_accounts_page(
    words: list[str], anna: Ads, world: World, ibctl: Run
) -> None:
    connect(ibctl)
    world.users["1001"].permissions["pages_show_list"] = "declined"
    run = ibctl("ads", *words)
    assert run.exit_code == 0
    assert "Warning: the page 7700 (Anna's page) of act_900 is not among those that the token reaches" in run.stderr
    assert row(anna, '"pageId", "pageName", "pageAccessToken", "canBoostPosts"') == ("7700", "Anna's page", None, False)
    world.users["1001"].permissions["pages_show_list"] = "granted"
    again = ibctl("ads", *words)
    assert "Warning" not in again.stderr
    page, sealed, boosts = row(anna, '"pageId", "pageAccessToken", "canBoostPosts"')
    assert (page, crypto.decrypt(sealed, KEY), boosts) == ("7700", "EAAPAGE7700token", True)


def test_connecting_again_with_a_token_that_lists_no_page_forgets_none(anna: Ads, world: World, ibctl: Run) -> None:
    connect(ibctl)
    world.users["1001"].permissions["pages_show_list"] = "declined"
    run = connect(ibctl)
    assert (run.exit_code, "Warning: the page 7700" in run.stderr) == (0, True)
    assert row(anna, '"pageId", "pageAccessToken"') == ("7700", None)


def test_disconnect_asks_and_forgets_the_tokens_only(anna: Ads, world: World, ibctl: Run) -> None:
    connect(ibctl)
    asked = ibctl("ads", "accounts", "disconnect", "act_900")
    assert (asked.exit_code, "the tokens of act_900 are removed" in asked.stderr) == (2, True)
    assert ibctl("ads", "accounts", "disconnect", "act_900", "--yes").exit_code == 0
    assert row(anna, '"accessToken", "pageAccessToken", "isConnected", "adAccountId"') == (None, None, False, "act_900")
    assert "nothing to do" in ibctl("ads", "accounts", "disconnect", "act_900", "--yes").stderr


def test_undo_brings_the_tokens_back(anna: Ads, world: World, ibctl: Run) -> None:
    connect(ibctl)
    before = row(anna, '"accessToken", "isConnected"')
    ibctl("ads", "accounts", "disconnect", "act_900", "--yes")
    assert ibctl("undo", "2", "--yes").exit_code == 0
    assert row(anna, '"accessToken", "isConnected"') == before


def test_undo_tells_of_secrets_that_the_key_does_not_open(
    anna: Ads, world: World, ibctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(ibctl)
    ibctl("ads", "accounts", "disconnect", "act_900", "--yes")
    monkeypatch.setenv("ENCRYPTION_KEY", "v" * 32)
    config.use_env_file(None)
    for words in (["--dry-run"], ["--yes"]):
        run = ibctl("undo", "2", *words)
        assert run.exit_code == 0
        assert "Warning: this ENCRYPTION_KEY does not open 2 secret(s) in the rows that go back" in run.stderr
    monkeypatch.setenv("ENCRYPTION_KEY", KEY)
    config.use_env_file(None)
    assert "Warning" not in ibctl("undo", "3", "--yes").stderr


def test_another_key_is_one_clear_line(anna: Ads, world: World, ibctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(ibctl)
    monkeypatch.setenv("ENCRYPTION_KEY", "v" * 32)
    config.use_env_file(None)
    run = ibctl("ads", "accounts", "refresh")
    assert (run.exit_code, "cannot be decrypted" in run.stderr, run.stderr.count("\n")) == (3, True, 1)


# ------------------------------------------------------------------------------------------------------------- listing


def test_accounts_are_found_by_id_name_and_ib(anna: Ads, world: World, ibctl: Run) -> None:
    connect(ibctl)
    for name in ("act_900", "900", "Anna USD", "anna@x.y"):
        assert "America/New_York" in ibctl("ads", "accounts", "show", name).stdout
    assert ibctl("ads", "accounts", "show", "act_1").exit_code == 3
    assert "act_900" in ibctl("ads", "accounts", "list", "--connected").stdout
    assert ibctl("ads", "accounts", "list", "--not-connected").stderr == "no ad accounts\n"
    listed = ibctl("ads", "accounts", "list", "-f", "json").stdout
    assert "encrypted" not in listed
    assert json.loads(listed)[0]["hasToken"] is True


def test_what_counts_is_set_by_account(anna: Ads, world: World, ibctl: Run) -> None:
    connect(ibctl)
    run = ibctl("ads", "accounts", "edit", "act_900", "--conversions", "submit_application_total,purchase")
    assert run.exit_code == 0
    shown = json.loads(ibctl("ads", "accounts", "show", "act_900", "-f", "json").stdout)[0]
    assert (shown["leadActions"], shown["conversionActions"]) == (None, ["submit_application_total", "purchase"])
    again = ibctl("ads", "accounts", "edit", "act_900", "--conversions", "submit_application_total,purchase")
    assert "nothing to do" in again.stderr
    ibctl("ads", "accounts", "edit", "act_900", "--usual")
    assert anna.sql("SELECT count(*) FROM ibctl.ad_action_types") == [(0,)]


@pytest.mark.parametrize(
    "options",
    [
        ["--leads", "lead,onsite_conversion.lead_grouped"],
        ["--leads", "leadgen_grouped,onsite_conversion.lead_grouped"],
        ["--conversions", "purchase,omni_purchase"],
        ["--conversions", "complete_registration,offsite_conversion.fb_pixel_complete_registration"],
        ["--leads", "two words"],
        ["--usual", "--leads", "lead"],
        [],
    ],
)
def test_a_list_that_would_count_twice_is_refused(options: list[str], anna: Ads, world: World, ibctl: Run) -> None:
    connect(ibctl)
    assert ibctl("ads", "accounts", "edit", "act_900", *options).exit_code == 2
    assert anna.sql("SELECT count(*) FROM ibctl.ad_action_types") == [(0,)]


def test_leads_on_facebook_and_on_the_web_site_are_different_ones(anna: Ads, world: World, ibctl: Run) -> None:
    connect(ibctl)
    both = "onsite_conversion.lead_grouped,offsite_conversion.fb_pixel_lead"
    assert ibctl("ads", "accounts", "edit", "act_900", "--leads", both).exit_code == 0


# --------------------------------------------------------------------------------------------------------------- tokens


def test_tokens_are_listed_by_when_they_end(anna: Ads, world: World, ibctl: Run) -> None:
    connect(ibctl)
    run = ibctl("ads", "tokens", "list", "-f", "json")
    assert json.loads(run.stdout)[0]["daysLeft"] == 59
    assert ibctl("ads", "tokens", "list", "--expiring", "14d").stderr == "no token expires within 14d\n"
    assert "act_900" in ibctl("ads", "tokens", "list", "--expiring", "61").stdout
    assert ibctl("ads", "tokens", "list", "--expiring", "soon").exit_code == 2


def test_extend_exchanges_what_expires_soon(anna: Ads, world: World, ibctl: Run) -> None:
    connect(ibctl)
    (before,) = row(anna, '"accessToken"')
    assert "no token expires" in ibctl("ads", "tokens", "extend", "--expiring", "14d").stderr
    assert row(anna, '"accessToken"') == (before,)
    quiet = ibctl("ads", "tokens", "extend", "--expiring", "14d", "--quiet")
    assert (quiet.stdout, quiet.stderr) == ("", "")
    run = ibctl("ads", "tokens", "extend", "--expiring", "90d")
    assert (run.exit_code, "act_900 of anna@x.y: holds until 20" in run.stdout) == (0, True)
    assert crypto.decrypt(row(anna, '"accessToken"')[0], KEY) != crypto.decrypt(before, KEY)


def test_a_token_that_has_expired_cannot_be_extended(anna: Ads, world: World, ibctl: Run) -> None:
    connect(ibctl)
    for token in world.tokens.values():
        token.expires_at = 1
    run = ibctl("ads", "tokens", "extend")
    assert (run.exit_code, "code 190/463" in run.stderr) == (5, True)
    assert row(anna, '"isConnected"') == (False,)


def test_check_says_what_is_valid_and_what_a_token_lacks(anna: Ads, world: World, ibctl: Run) -> None:
    connect(ibctl)
    assert ibctl("ads", "tokens", "check").exit_code == 0
    world.users["1001"].permissions["leads_retrieval"] = "declined"
    run = ibctl("ads", "tokens", "check", "-f", "json")
    found = json.loads(run.stdout)[0]
    assert (run.exit_code, found["valid"], found["missing"]) == (0, True, "leads_retrieval (form leads)")


def test_a_wrong_app_secret_makes_no_account_disconnected(
    anna: Ads, world: World, ibctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(ibctl)
    monkeypatch.setenv("FACEBOOK_APP_SECRET", "typo-secret-123456")
    config.use_env_file(None)
    run = ibctl("ads", "tokens", "check")
    assert (run.exit_code, run.stderr.count("\n")) == (4, 1)
    assert "Malformed access token" in run.stderr
    assert "check FACEBOOK_APP_ID and FACEBOOK_APP_SECRET" in run.stderr
    assert (row(anna, '"isConnected"'), anna.change_sets()) == ((True,), 1)
    assert anna.sql("SELECT problem FROM ibctl.ad_account_state") == [(None,)]
    monkeypatch.setenv("FACEBOOK_APP_SECRET", world.app_secret)
    config.use_env_file(None)
    assert ibctl("ads", "tokens", "check").exit_code == 0


def test_the_change_set_of_a_failure_is_named(anna: Ads, world: World, ibctl: Run) -> None:
    connect(ibctl)
    for token in world.tokens.values():
        token.dead = 460
    run = ibctl("ads", "accounts", "refresh")
    assert (run.exit_code, "accounts looked at: 0; change set 2, `ibctl undo 2` takes it back" in run.stderr) == (
        5,
        True,
    )


def test_check_finds_a_dead_token_with_7(anna: Ads, world: World, ibctl: Run) -> None:
    connect(ibctl)
    for token in world.tokens.values():
        token.dead = 460
    run = ibctl("ads", "tokens", "check")
    assert (run.exit_code, row(anna, '"isConnected"')) == (7, (False,))


def test_check_does_not_give_up_a_token_whose_user_has_to_log_in_first(anna: Ads, world: World, ibctl: Run) -> None:
    connect(ibctl)
    for token in world.tokens.values():
        token.dead = 459 if token.kind == "USER" else None
    run = ibctl("ads", "tokens", "check")
    assert (run.exit_code, "www.facebook.com" in run.stderr) == (5, True)
    assert anna.sql('SELECT "isConnected" FROM "FacebookAdAccount"') == [(True,)]


def test_tokens_need_the_app(anna: Ads, world: World, ibctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(ibctl)
    monkeypatch.delenv("FACEBOOK_APP_ID")
    config.use_env_file(None)
    for command in ("extend", "check"):
        assert ibctl("ads", "tokens", command).exit_code == 4


def test_no_token_is_in_any_url(anna: Ads, world: World, ibctl: Run, facebook: Server) -> None:
    connect(ibctl)
    for words in (["accounts", "refresh"], ["tokens", "extend"], ["tokens", "check"]):
        assert ibctl("ads", *words).exit_code == 0
    targets = " ".join(call.target for call in facebook.calls)
    assert [token for token in world.tokens if token in targets] == []
    assert world.app_secret not in targets
    assert len(facebook.calls) > 12
