"""What Facebook is sent for a campaign, and what is made of what it tells."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibctl.ads.campaigns import calls as campaign_calls
from ibctl.ads.campaigns import rules as campaign_rules
from ibctl.ads.campaigns.calls import Wanted
from ibctl.errors import UsageError

NOW = datetime(2026, 11, 20, 12)
PAST, FUTURE = datetime(2026, 11, 1), datetime(2026, 12, 1)


def wanted(**more: Any) -> Wanted:
    usual: dict[str, Any] = {
        "name": "US 1", "account": "act_900", "currency": "USD", "outcome": "OUTCOME_LEADS",
        "categories": ["FINANCIAL_PRODUCTS_SERVICES"], "targeting": {"geo_locations": {"countries": ["US"]}},
        "page": "7700", "form": "880011", "daily_budget": Decimal(50), "text": "Learn", "headline": "Forex",
    }  # fmt: skip
    return Wanted(**{**usual, **more})


# ---------------------------------------------------------------------------------------------------------------- names


def test_a_tag_follows_from_account_and_name_and_comes_off_again() -> None:
    tag = campaign_rules.tag("act_900", "US 1")
    assert tag == campaign_rules.tag("act_900", "US 1")
    assert len({tag, campaign_rules.tag("act_901", "US 1"), campaign_rules.tag("act_900", "US 2")}) == 3
    assert campaign_rules.untagged(campaign_rules.tagged("US 1", tag)) == ("US 1", tag)
    assert campaign_rules.untagged("US 1 [ibctl:nothex]") == ("US 1 [ibctl:nothex]", None)


@given(st.text(min_size=1, max_size=60).filter(str.strip))
def test_whatever_the_name_its_tag_comes_off(name: str) -> None:
    tag = campaign_rules.tag("act_1", name)
    assert campaign_rules.untagged(campaign_rules.tagged(name, tag)) == (name, tag)


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\0b", "US 1 [ibctl:0123456789]"])
def test_a_name_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--name"):
        campaign_rules.campaign_name(name)


# --------------------------------------------------------------------------------------------------------------- status


@pytest.mark.parametrize(
    ("effective", "stop", "trouble", "before", "expected"),
    [
        ("ACTIVE", None, "", None, ("ACTIVE", None)),
        ("PAUSED", FUTURE, "", "ACTIVE", ("PAUSED", None)),
        ("ACTIVE", PAST, "", "ACTIVE", ("COMPLETED", None)),
        ("PAUSED", PAST, "", "PAUSED", ("COMPLETED", None)),
        ("ARCHIVED", None, "", "ACTIVE", ("COMPLETED", None)),
        ("DELETED", None, "disapproved", "ACTIVE", ("COMPLETED", None)),
        ("WITH_ISSUES", None, "card refused", "ACTIVE", ("ERROR", "card refused")),
        ("WITH_ISSUES", None, "", "ACTIVE", ("ERROR", "Facebook reports issues with it")),
        ("ACTIVE", None, "the ad was disapproved", "ACTIVE", ("ERROR", "the ad was disapproved")),
        ("PAUSED", None, "the ad was disapproved", "ACTIVE", ("PAUSED", None)),
        ("IN_PROCESS", None, "", "ACTIVE", ("ACTIVE", None)),
        ("IN_PROCESS", None, "", None, ("PAUSED", None)),
        ("A_WORD_OF_TOMORROW", None, "", "ERROR", ("ERROR", None)),
    ],
)
def test_status_follows_what_facebook_calls_effective(
    effective: str, stop: datetime | None, trouble: str, before: str | None, expected: tuple[str, str | None]
) -> None:
    state = campaign_rules.state(effective, stop=stop, trouble=trouble, now=NOW, before=before)
    assert (state.status, state.error) == expected


# -------------------------------------------------------------------------------------------------------------- figures


def test_ratios_come_from_the_sums_and_are_0_where_there_is_nothing_to_divide_by() -> None:
    brought = campaign_rules.Figures(Decimal("99.99"), 8000, 120, 4, 2, Decimal("199.98"))
    assert [brought.ctr, brought.cpc, brought.cpl, brought.roas] == [
        Decimal("1.5"), Decimal("0.83325"), Decimal("24.9975"), Decimal(2),
    ]  # fmt: skip
    nothing = campaign_rules.Figures()
    assert not any([nothing.ctr, nothing.cpc, nothing.cpl, nothing.roas])


# ---------------------------------------------------------------------------------------------------------------- calls


def test_a_campaign_for_leads_is_made_paused_with_its_category_and_budget_on_the_ad_set() -> None:
    calls = campaign_calls.calls(wanted())
    name = f"US 1 [{campaign_rules.tag('act_900', 'US 1')}]"
    assert calls["campaign"] == {
        "name": name, "status": "PAUSED", "objective": "OUTCOME_LEADS", "buying_type": "AUCTION",
        "special_ad_categories": ["FINANCIAL_PRODUCTS_SERVICES"], "special_ad_category_country": ["US"],
        "is_adset_budget_sharing_enabled": False,
    }  # fmt: skip
    assert calls["adset"] == {
        "name": name, "status": "PAUSED", "billing_event": "IMPRESSIONS", "bid_strategy": "LOWEST_COST_WITHOUT_CAP",
        "optimization_goal": "LEAD_GENERATION", "destination_type": "ON_AD", "promoted_object": {"page_id": "7700"},
        "daily_budget": 5000,
        "targeting": {
            "age_min": 18, "age_max": 65, "geo_locations": {"countries": ["US"]},
            "targeting_automation": {"advantage_audience": 0},
        },
    }  # fmt: skip
    link = calls["creative"]["object_story_spec"]["link_data"]
    assert (link["link"], link["name"], link["message"]) == ("https://fb.me/", "Forex", "Learn")
    assert link["call_to_action"] == {"type": "LEARN_MORE", "value": {"lead_gen_form_id": "880011"}}
    assert calls["ad"] == {"name": name, "status": "PAUSED"}


@pytest.mark.parametrize(
    ("more", "aim"),
    [
        ({"form": None, "link": "https://x.y/a"}, {"optimization_goal": "LINK_CLICKS"}),
        (
            {"form": None, "link": "https://x.y/a", "pixel": "55"},
            {
                "optimization_goal": "OFFSITE_CONVERSIONS",
                "promoted_object": {"pixel_id": "55", "custom_event_type": "LEAD"},
            },
        ),
        (
            {"form": None, "link": "https://x.y/a", "pixel": "55", "outcome": "OUTCOME_SALES"},
            {
                "optimization_goal": "OFFSITE_CONVERSIONS",
                "promoted_object": {"pixel_id": "55", "custom_event_type": "PURCHASE"},
            },
        ),
        (
            {"form": None, "link": "https://x.y/a", "outcome": "OUTCOME_AWARENESS"},
            {"optimization_goal": "REACH", "promoted_object": {"page_id": "7700"}},
        ),
        (
            {"form": None, "post": "7700_1", "outcome": "OUTCOME_ENGAGEMENT"},
            {
                "optimization_goal": "POST_ENGAGEMENT",
                "destination_type": "ON_POST",
                "promoted_object": {"page_id": "7700"},
            },
        ),
    ],
)
def test_what_an_ad_set_aims_at_follows_metas_table(more: dict[str, Any], aim: dict[str, Any]) -> None:
    call = campaign_calls.calls(wanted(**more))["adset"]
    keys = ("optimization_goal", "destination_type", "promoted_object")
    assert {key: call[key] for key in keys if key in call} == aim


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"form": None}, "give --form or --link"),
        ({"form": None, "outcome": "OUTCOME_TRAFFIC"}, "give --link"),
        ({"outcome": "OUTCOME_TRAFFIC"}, "--form: a lead form is for leads"),
        ({"form": None, "link": "https://x.y", "outcome": "OUTCOME_SALES"}, "--pixel is missing"),
        ({"daily_budget": None}, "give one budget"),
        ({"lifetime_budget": Decimal(5)}, "give one budget"),
        ({"daily_budget": None, "lifetime_budget": Decimal(5)}, "--lifetime-budget needs --end"),
        ({"daily_budget": Decimal("50.5"), "currency": "JPY"}, "--daily-budget: 50.50 JPY is finer"),
        ({"currency": "LKR"}, "'LKR' is not in Meta's table"),
        ({"targeting": {"geo_locations": {"regions": [{"key": "1"}]}}}, "names no country"),
    ],
)
def test_what_does_not_go_together_is_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        campaign_calls.calls(wanted(**more))


def test_budgets_are_minor_units_by_metas_table() -> None:
    assert campaign_calls.calls(wanted(currency="JPY", daily_budget=Decimal(5000)))["adset"]["daily_budget"] == 5000
    assert campaign_calls.calls(wanted(currency="HUF", daily_budget=Decimal(50)))["adset"]["daily_budget"] == 50
    assert campaign_calls.calls(wanted(daily_budget=Decimal("49.90")))["adset"]["daily_budget"] == 4990


def test_both_genders_are_left_out_and_empty_things_too() -> None:
    sent = campaign_calls.sent_targeting({"genders": [2, 1], "interests": [], "age_min": None}, [])
    assert sent == {"targeting_automation": {"advantage_audience": 0}}
    assert campaign_calls.sent_targeting({"genders": [1]}, [])["genders"] == [1]


def test_days_are_the_accounts_and_the_last_one_belongs_to_it() -> None:
    today = date(2026, 11, 20)
    assert campaign_calls.span(None, None, "Asia/Tokyo", today) == (None, None)
    assert campaign_calls.span(today, None, "Asia/Tokyo", today)[0] is None
    first, last = campaign_calls.span(date(2026, 11, 21), date(2026, 11, 30), "Pacific/Kiritimati", today)
    call = campaign_calls.calls(wanted(daily_budget=None, lifetime_budget=Decimal(100), start=first, end=last))["adset"]
    assert (call["start_time"], call["end_time"]) == ("2026-11-21T00:00:00+1400", "2026-11-30T23:59:59+1400")
    assert call["lifetime_budget"] == 10_000


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (date(2026, 11, 19), None, "--start 2026-11-19 has passed"),
        (None, date(2026, 11, 20), "--end 2026-11-20 is not after"),
        (date(2026, 12, 5), date(2026, 12, 4), "is not after 2026-12-05"),
    ],
)
def test_days_that_cannot_be_are_refused(start: date | None, end: date | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        campaign_calls.span(start, end, "UTC", date(2026, 11, 20))


def test_a_boost_of_a_day_lasts_longer_than_a_day_as_facebook_wants_it() -> None:
    begun = datetime(2026, 11, 20, 12, 0, 0, 99, tzinfo=UTC)
    assert (campaign_calls.boosted(1, begun) - begun).total_seconds() > 86_400


def test_the_end_of_a_boost_moves_and_is_no_difference() -> None:
    post = {"form": None, "post": "7700_1", "outcome": "OUTCOME_ENGAGEMENT"}
    first = campaign_calls.calls(wanted(**post, end=datetime(2026, 11, 25, tzinfo=UTC)))["adset"]
    second = campaign_calls.calls(wanted(**post, end=datetime(2026, 11, 26, tzinfo=UTC)))["adset"]
    assert campaign_calls.differences("adset", first, second) == []
    assert campaign_calls.differences("adset", first, {**second, "daily_budget": 1}) == ["daily_budget"]
    of_form = campaign_calls.calls(wanted(end=datetime(2026, 11, 25, tzinfo=UTC)))["adset"]
    assert campaign_calls.differences("adset", of_form, {**of_form, "end_time": "other"}) == ["end_time"]


@pytest.mark.parametrize(
    ("link", "domain"),
    [("https://www.shop.example.com/a", "example.com"), ("https://a.example.co.uk", "example.co.uk")],
)
def test_conversions_are_reported_for_the_registered_domain(link: str, domain: str) -> None:
    calls = campaign_calls.calls(wanted(form=None, link=link, pixel="55"))
    assert calls["ad"]["conversion_domain"] == domain


@pytest.mark.parametrize("text", ["example.com", "ftp://x.y", "https://", "https://x.y/a b"])
def test_a_link_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no address"):
        campaign_calls.web_address("--link", text)
