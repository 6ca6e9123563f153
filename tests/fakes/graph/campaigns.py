"""Making campaigns, ad sets, creatives and ads, with the refusals that Graph has for them; switching; listing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from tests.fakes.graph import faults
from tests.fakes.graph.identity import picked, the_account
from tests.fakes.graph.routing import Request, paged, route
from tests.fakes.graph.world import OPEN, Account, World

OUTCOMES = {
    "OUTCOME_LEADS", "OUTCOME_SALES", "OUTCOME_TRAFFIC", "OUTCOME_AWARENESS", "OUTCOME_ENGAGEMENT",
    "OUTCOME_APP_PROMOTION",
}  # fmt: skip
# By objective: which goals an ad set may have.
GOALS = {
    "OUTCOME_LEADS": {"LEAD_GENERATION", "QUALITY_LEAD", "OFFSITE_CONVERSIONS", "LINK_CLICKS", "LANDING_PAGE_VIEWS"},
    "OUTCOME_SALES": {"OFFSITE_CONVERSIONS"},
    "OUTCOME_TRAFFIC": {"LINK_CLICKS", "LANDING_PAGE_VIEWS", "REACH", "IMPRESSIONS"},
    "OUTCOME_AWARENESS": {"REACH", "IMPRESSIONS", "AD_RECALL_LIFT"},
    "OUTCOME_ENGAGEMENT": {"POST_ENGAGEMENT", "REACH", "PAGE_LIKES"},
}
EU = {
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV",
    "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
}  # fmt: skip
FINANCIAL = "FINANCIAL_PRODUCTS_SERVICES"
LEAD_BUTTONS = {"APPLY_NOW", "DOWNLOAD", "GET_QUOTE", "LEARN_MORE", "SIGN_UP", "SUBSCRIBE"}
NOW = "2026-11-01T00:00:00+0000"


def refusal(subcode: int, title: str, detail: str, *fields: str) -> faults.Fault:
    return faults.invalid("Invalid parameter", *fields, subcode=subcode, title=title, detail=detail)


def _made(request: Request, kind: str, account: Account, **more: Any) -> dict[str, Any]:
    """Keep a new object, unless it is only to be validated."""
    if "validate_only" in (request.params.get("execution_options") or []):
        return {"success": True}
    id_, status = request.world.new_id(), request.params.get("status", "PAUSED")
    sent = {name: value for name, value in request.params.items() if name not in ("execution_options", "access_token")}
    request.world.objects[id_] = {
        **sent, "id": id_, "kind": kind, "account_id": account.id, "status": status, "configured_status": status,
        "effective_status": status, "created_time": NOW, "updated_time": NOW, **more,
    }  # fmt: skip
    return {"id": id_}


def _needs(request: Request, *names: str) -> None:
    for name in names:
        if request.params.get(name) in (None, ""):
            raise faults.invalid(f"Missing parameter: {name}", name)
    if request.params.get("status", "PAUSED") not in ("ACTIVE", "PAUSED"):
        raise faults.invalid("status must be one of ACTIVE, PAUSED", "status")


def _minor(request: Request, name: str) -> int | None:
    """Read a budget: whole minor units, nothing else."""
    value = request.params.get(name)
    if value is None:
        return None
    if not str(value).isdigit():
        raise faults.invalid(f"Param {name} must be an integer", name)
    return int(str(value))


# ------------------------------------------------------------------------------------------------------------ campaigns


@route("POST", r"act_(\d+)/campaigns")
def create_campaign(request: Request) -> Any:
    account = the_account(request, "ads_management")
    _needs(request, "name", "objective", "special_ad_categories")
    if request.params["objective"] not in OUTCOMES:
        raise faults.invalid(f"objective {request.params['objective']} is no longer supported", "objective")
    categories = request.params["special_ad_categories"]
    if not isinstance(categories, list):
        raise faults.invalid("special_ad_categories must be an array", "special_ad_categories")
    if categories and not request.params.get("special_ad_category_country"):
        raise refusal(2909034, "Country missing", "Name the countries of the category", "special_ad_category_country")
    _one_budget_rule(request)
    return _made(request, "campaign", account, start_time=NOW)


def _one_budget_rule(request: Request) -> None:
    has_budget = _minor(request, "daily_budget") or _minor(request, "lifetime_budget")
    shared = request.params.get("is_adset_budget_sharing_enabled")
    if not has_budget and shared is None:
        raise faults.invalid("Specify is_adset_budget_sharing_enabled", "is_adset_budget_sharing_enabled")


# -------------------------------------------------------------------------------------------------------------- ad sets


@route("POST", r"act_(\d+)/adsets")
def create_ad_set(request: Request) -> Any:
    account = the_account(request, "ads_management")
    _needs(request, "name", "campaign_id", "billing_event", "optimization_goal", "targeting")
    campaign = _of_kind(request.world, request.params["campaign_id"], "campaign", account)
    goal = request.params["optimization_goal"]
    if goal not in GOALS.get(campaign["objective"], set()):
        detail = f"{goal} is not for {campaign['objective']}"
        raise refusal(2490408, "Optimization goal invalid", detail, "optimization_goal")
    _check_promoted(request)
    _check_budget(request, account, campaign)
    _check_targeting(request, campaign)
    return _made(request, "adset", account)


def _check_promoted(request: Request) -> None:
    promoted = request.params.get("promoted_object") or {}
    if request.params.get("destination_type") in ("ON_AD", "ON_POST") and not promoted.get("page_id"):
        raise refusal(1885154, "Page missing", "promoted_object needs a page_id", "promoted_object")
    if request.params["optimization_goal"] == "OFFSITE_CONVERSIONS" and not promoted.get("pixel_id"):
        raise refusal(1815430, "Pixel missing", "promoted_object needs a pixel_id", "promoted_object")
    if (page := promoted.get("page_id")) and page not in request.world.pages:
        raise refusal(1885029, "Page mismatch", f"There is no page {page}", "promoted_object")


def _check_budget(request: Request, account: Account, campaign: Mapping[str, Any]) -> None:
    daily, lifetime = _minor(request, "daily_budget"), _minor(request, "lifetime_budget")
    on_campaign = campaign.get("daily_budget") or campaign.get("lifetime_budget")
    if on_campaign and (daily or lifetime):
        raise refusal(1885621, "Two budgets", "The campaign has a budget already", "daily_budget")
    if not on_campaign and bool(daily) == bool(lifetime):
        raise faults.invalid("Give exactly one budget", "daily_budget")
    if daily and daily < account.min_daily_budget:
        detail = f"Your budget must be at least {account.min_daily_budget}"
        raise refusal(1885272, "Budget is too low", detail, "daily_budget")
    start, end = _moment(request, "start_time"), _moment(request, "end_time")
    if lifetime and end is None:
        raise refusal(1885023, "End date missing", "A lifetime budget needs an end_time", "end_time")
    if end is not None and start is not None and end <= start:
        raise refusal(1487094, "Times", "The end is not after the start", "end_time")


def _moment(request: Request, name: str) -> datetime | None:
    text = request.params.get(name)
    if not text or text == "0":
        return None
    try:
        return datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        raise faults.invalid(f"Param {name} is no time", name) from None


def _check_targeting(request: Request, campaign: Mapping[str, Any]) -> None:
    targeting = request.params["targeting"]
    places = targeting.get("geo_locations") or {}
    if "location_types" in places:
        raise refusal(1870199, "location_types", "location_types is not supported any more", "targeting")
    if not any(places.values()):
        raise refusal(1885364, "Location missing", "Name at least one place", "targeting")
    automation = targeting.get("targeting_automation") or {}
    if automation.get("advantage_audience") not in (0, 1):
        raise refusal(1870227, "Advantage audience", "Set advantage_audience to 0 or 1", "targeting")
    if set(places.get("countries", [])) & EU and not (
        request.params.get("dsa_beneficiary") and request.params.get("dsa_payor")
    ):
        raise refusal(3858152, "Beneficiary missing", "Ads in the EU need dsa_beneficiary and dsa_payor", "dsa_payor")
    if FINANCIAL in campaign["special_ad_categories"]:
        _check_financial(targeting)
        _check_regulated(request, places.get("countries", []))


def _check_financial(targeting: Mapping[str, Any]) -> None:
    for name, fixed in (("age_min", 18), ("age_max", 65)):
        if targeting.get(name, fixed) != fixed:
            raise refusal(2909035, "Special ad category", f"{name} must be {fixed}", "targeting")
    if targeting.get("genders") or targeting.get("excluded_geo_locations") or targeting.get("behaviors"):
        raise refusal(2909035, "Special ad category", "This targeting is not available", "targeting")


REGULATED = {
    "AU": {"AUSTRALIA_FINSERV"}, "IN": {"INDIA_FINSERV"}, "SG": {"SINGAPORE_UNIVERSAL"},
    "TW": {"TAIWAN_FINSERV", "TAIWAN_UNIVERSAL"},
}  # fmt: skip


def _check_regulated(request: Request, countries: list[str]) -> None:
    """Finance in some countries: a category of theirs, and who was verified for it."""
    named = request.params.get("regional_regulated_categories") or []
    verified = request.params.get("regional_regulation_identities") or {}
    for country in countries:
        if country in REGULATED and not REGULATED[country] & set(named):
            raise faults.invalid(f"Ads in {country} need a regulated category", "regional_regulated_categories")
    for name in named:
        if not {f"{name.lower()}_beneficiary", f"{name.lower()}_payer"} <= verified.keys():
            raise faults.invalid(f"{name} needs beneficiary and payer", "regional_regulation_identities")


# -------------------------------------------------------------------------------------------------- creatives, pictures


@route("POST", r"act_(\d+)/adimages")
def upload(request: Request) -> Any:
    account = the_account(request, "ads_management")
    if not request.files:
        raise faults.invalid("No file was uploaded", "filename")
    images = {}
    for name, data in request.files.values():
        hashed = hashlib.md5(data, usedforsecurity=False).hexdigest()
        request.world.objects[f"image:{account.id}:{hashed}"] = {
            "id": hashed, "kind": "image", "account_id": account.id, "effective_status": "ACTIVE",
        }  # fmt: skip
        images[name] = {"hash": hashed, "url": f"https://scontent.example/{hashed}.jpg"}
    return {"images": images}


@route("POST", r"act_(\d+)/adcreatives")
def create_creative(request: Request) -> Any:
    account = the_account(request, "ads_management")
    _needs(request, "name")
    if story := request.params.get("object_story_id"):
        if request.world.objects.get(str(story), {}).get("kind") != "post":
            raise refusal(1885557, "Post unavailable", f"The post {story} is not available", "object_story_id")
    else:
        _check_story(request, account)
    return _made(request, "creative", account)


def _check_story(request: Request, account: Account) -> None:
    story = request.params.get("object_story_spec") or {}
    link = story.get("link_data") or {}
    if story.get("page_id") not in request.world.pages:
        raise refusal(1487390, "Adcreative create failed", "The page is not available", "object_story_spec")
    if (hashed := link.get("image_hash")) and f"image:{account.id}:{hashed}" not in request.world.objects:
        raise refusal(1487390, "Adcreative create failed", "The image hash is invalid", "image_hash")
    button = link.get("call_to_action") or {}
    form = (button.get("value") or {}).get("lead_gen_form_id")
    if form is None:
        if not str(link.get("link", "")).startswith("http"):
            raise refusal(2446383, "Website URL required", "Name the website", "link")
        return
    if request.world.objects.get(str(form), {}).get("kind") != "form":
        raise refusal(1487390, "Adcreative create failed", f"There is no form {form}", "lead_gen_form_id")
    if button.get("type") not in LEAD_BUTTONS or link.get("link") != "https://fb.me/":
        raise refusal(1487390, "Adcreative create failed", "Not for a lead form", "call_to_action")


# ------------------------------------------------------------------------------------------------------------------ ads


@route("POST", r"act_(\d+)/ads")
def create_ad(request: Request) -> Any:
    account = the_account(request, "ads_management")
    _needs(request, "name", "adset_id", "creative")
    ad_set = _of_kind(request.world, request.params["adset_id"], "adset", account)
    _of_kind(request.world, request.params["creative"].get("creative_id"), "creative", account)
    return _made(request, "ad", account, campaign_id=ad_set["campaign_id"], effective_status="PENDING_REVIEW")


# ---------------------------------------------------------------------------------------------------------- all of them


KINDS = {"campaigns": "campaign", "adsets": "adset", "adcreatives": "creative", "ads": "ad"}


@route("GET", r"act_(\d+)/(campaigns|adsets|adcreatives|ads)")
def of_account(request: Request) -> Any:
    """What an account has; archived things only where they are asked for, deleted ones never."""
    account = the_account(request)
    return _listed(request, KINDS[request.caught[1]], lambda one: one["account_id"] == account.id)


@route("GET", r"(\d+)/(adsets|ads)")
def of_parent(request: Request) -> Any:
    """The ad sets of a campaign, and the ads of an ad set."""
    request.require("ads_read", "ads_management")
    parent, edge = request.caught
    under = {"adsets": "campaign_id", "ads": "adset_id"}[edge]
    return _listed(request, KINDS[edge], lambda one: str(one.get(under)) == parent)


@route("POST", r"(\d+)")
def update(request: Request) -> Any:
    """Change an object's status, name or budget."""
    request.require("ads_management")
    found = request.world.objects.get(request.caught[0])
    if found is None or found["kind"] not in ("campaign", "adset", "ad"):
        raise faults.no_such_object(request.caught[0])
    if found["effective_status"] == "DELETED":
        raise refusal(1487056, "Deleted", "A deleted object cannot be changed", "status")
    status = request.params.get("status")
    if status not in (None, "ACTIVE", "PAUSED", "ARCHIVED", "DELETED"):
        raise faults.invalid("status is none of ACTIVE, PAUSED, ARCHIVED, DELETED", "status")
    if "validate_only" in (request.params.get("execution_options") or []):
        return {"success": True}
    if status:
        reviewed = found["kind"] == "ad" and status == "ACTIVE" and found["effective_status"] == "PENDING_REVIEW"
        found |= {"status": status, "configured_status": status}
        found["effective_status"] = found["effective_status"] if reviewed else status
    return {"success": True}


def _of_kind(world: World, id_: Any, kind: str, account: Account) -> Mapping[str, Any]:
    found = world.objects.get(str(id_))
    if found is None or found["kind"] != kind or found["account_id"] != account.id:
        raise faults.invalid(f"There is no {kind} {id_} in act_{account.id}", f"{kind}_id")
    return found


def _listed(request: Request, kind: str, belongs: Callable[[Mapping[str, Any]], bool]) -> Any:
    states = request.params.get("effective_status") or [*OPEN, "PENDING_REVIEW", "CAMPAIGN_PAUSED", "DISAPPROVED"]
    if "DELETED" in states:
        raise faults.invalid("Deleted objects cannot be filtered for on an edge", "effective_status", subcode=1815001)
    rows = [
        one for one in request.world.objects.values()
        if one["kind"] == kind and one["effective_status"] in states and belongs(one)
        and _passes(one, kind, request.params.get("filtering") or [])
    ]  # fmt: skip
    return paged(request, [picked(one, request.fields) for one in rows])


def _passes(row: Mapping[str, Any], kind: str, filters: list[Mapping[str, Any]]) -> bool:
    for one in filters:
        if kind == "creative":
            raise faults.invalid("Filtering is not supported on this edge", "filtering")
        if (one["field"], one["operator"]) != ("name", "CONTAIN"):
            raise faults.invalid(f"Filtering by {one['field']} {one['operator']} is not supported", "filtering")
        if one["value"] not in row.get("name", ""):
            return False
    return True
