"""What Facebook is sent to make a campaign: campaign, ad set, creative and ad, all of them paused.

Source of the parameters: Meta, Marketing API, reference of ad-campaign-group, ad-account/adsets and adcreatives, and
the guide to lead ads (https://developers.facebook.com/documentation/ads-commerce/marketing-api/).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from ibctl.ads import minor_units, objectives
from ibctl.ads.campaigns import rules
from ibctl.ads.templates.schema import FINANCIAL
from ibctl.errors import UsageError

Calls = dict[str, dict[str, Any]]
# In the order in which they are made.
STEPS = ("campaign", "adset", "creative", "ad")


# ------------------------------------------------------------------------------------------------------- what is wanted


@dataclass(frozen=True)
class Disclosed:
    """Who is behind an ad, where a law wants it named: in the European Union, and in countries that regulate the ad.

    `categories` and `identities` are as in the templates' `schema.py`.
    """

    dsa_beneficiary: str | None = None
    dsa_payor: str | None = None
    categories: Sequence[str] = ()
    identities: Mapping[str, str] = field(default_factory=dict)

    @property
    def params(self) -> dict[str, Any]:
        """What an ad set is sent about it."""
        told = {
            "dsa_beneficiary": self.dsa_beneficiary, "dsa_payor": self.dsa_payor,
            "regional_regulated_categories": list(self.categories),
            "regional_regulation_identities": dict(self.identities),
        }  # fmt: skip
        return {name: value for name, value in told.items() if value}


@dataclass(frozen=True)
class Wanted:
    """What a campaign is to be. Budgets are in major units of `currency`; exactly one of the two is given.

    Leads come by `form`, by `link`, or with `pixel` on the page behind it; a boost has `post` and none of these. Times
    are in the account's zone.
    """

    name: str
    account: str
    currency: str
    outcome: str
    categories: Sequence[str]
    targeting: Mapping[str, Any]
    page: str
    daily_budget: Decimal | None = None
    lifetime_budget: Decimal | None = None
    start: datetime | None = None
    end: datetime | None = None
    form: str | None = None
    link: str | None = None
    pixel: str | None = None
    post: str | None = None
    text: str = ""
    headline: str | None = None
    description: str | None = None
    button: str = "LEARN_MORE"
    image: str | None = None
    disclosed: Disclosed = Disclosed()

    @property
    def tag(self) -> str:
        """The mark by which all that is made for it is found again."""
        return rules.tag(self.account, self.name)


def calls(wanted: Wanted) -> Calls:
    """Return what Facebook is sent: everything is made paused, and ids that it gives are put in as they come.

    Raises UsageError for what does not go together.
    """
    return {
        "campaign": _campaign(wanted),
        "adset": _ad_set(wanted),
        "creative": _creative(wanted),
        "ad": _ad(wanted),
    }


def _named(wanted: Wanted) -> dict[str, Any]:
    return {"name": rules.tagged(wanted.name, wanted.tag), "status": "PAUSED"}


def _campaign(wanted: Wanted) -> dict[str, Any]:
    call = {
        **_named(wanted),
        "objective": wanted.outcome,
        "buying_type": "AUCTION",
        "special_ad_categories": list(wanted.categories),
        # Budgets live on ad sets, and none lends a fifth of its own to another.
        "is_adset_budget_sharing_enabled": False,
    }
    if wanted.categories:
        call["special_ad_category_country"] = _countries(wanted)
    return call


def _countries(wanted: Wanted) -> list[str]:
    places = wanted.targeting.get("geo_locations", {})
    inside = (place for kind in ("regions", "cities", "zips", "custom_locations") for place in places.get(kind, []))
    named = {place["country"] for place in inside if isinstance(place, Mapping) and "country" in place}
    countries = sorted({*places.get("countries", []), *named})
    if not countries:
        raise UsageError(
            "the targeting names no country, which the special ad category needs: add geo_locations.countries"
        )
    return countries


def _ad_set(wanted: Wanted) -> dict[str, Any]:
    call = {
        **_named(wanted),
        "billing_event": "IMPRESSIONS",
        # Without it Facebook takes LOWEST_COST_WITH_BID_CAP, and asks for a bid.
        "bid_strategy": "LOWEST_COST_WITHOUT_CAP",
        "targeting": sent_targeting(wanted.targeting, wanted.categories),
        **_aim(wanted),
        **_budget(wanted),
        **wanted.disclosed.params,
    }
    for name, moment in (("start_time", wanted.start), ("end_time", wanted.end)):
        if moment is not None:
            call[name] = moment.strftime("%Y-%m-%dT%H:%M:%S%z")
    return call


def _aim(wanted: Wanted) -> dict[str, Any]:
    """Return what the ad set is optimised for, where people are taken, and what is promoted.

    Source: Objective Mapping of the campaign group's reference.
    """
    page = {"page_id": wanted.page}
    if wanted.post is not None:
        return {"optimization_goal": "POST_ENGAGEMENT", "destination_type": "ON_POST", "promoted_object": page}
    if wanted.form is not None:
        if wanted.outcome != objectives.LEADS:
            raise UsageError(f"--form: a lead form is for leads, but the template is for {wanted.outcome}; give --link")
        return {"optimization_goal": "LEAD_GENERATION", "destination_type": "ON_AD", "promoted_object": page}
    if wanted.pixel is not None:
        event = "LEAD" if wanted.outcome == objectives.LEADS else "PURCHASE"
        promoted = {"pixel_id": wanted.pixel, "custom_event_type": event}
        return {"optimization_goal": "OFFSITE_CONVERSIONS", "promoted_object": promoted}
    if wanted.outcome == objectives.SALES:
        raise UsageError(f"--pixel is missing: {wanted.outcome} is measured by one")
    if wanted.outcome == objectives.AWARENESS:
        return {"optimization_goal": "REACH", "promoted_object": page}
    return {"optimization_goal": "LINK_CLICKS"}


def _budget(wanted: Wanted) -> dict[str, int]:
    if (wanted.daily_budget is None) == (wanted.lifetime_budget is None):
        raise UsageError("give one budget: --daily-budget X, or --lifetime-budget X with --end")
    if wanted.lifetime_budget is not None and wanted.end is None:
        raise UsageError("--lifetime-budget needs --end: until when it is to last")
    name = "daily_budget" if wanted.daily_budget is not None else "lifetime_budget"
    try:
        return {name: minor_units.to_minor(getattr(wanted, name), wanted.currency)}
    except ValueError as exc:
        raise UsageError(f"--{name.replace('_', '-')}: {exc}") from None


def sent_targeting(targeting: Mapping[str, Any], categories: Iterable[str]) -> dict[str, Any]:
    """Return a targeting as Facebook wants it: both genders are none, and the audience is kept as it is given."""
    sent = {name: value for name, value in targeting.items() if value not in (None, [], {})}
    if set(sent.get("genders", [])) == {1, 2}:
        del sent["genders"]
    if FINANCIAL in categories:
        sent = {"age_min": 18, "age_max": 65, **sent}
    # Asked for since v23: without it Facebook would widen the audience by itself.
    sent["targeting_automation"] = {"advantage_audience": 0, **sent.get("targeting_automation", {})}
    return sent


def _creative(wanted: Wanted) -> dict[str, Any]:
    name = {"name": rules.tagged(wanted.name, wanted.tag)}
    if wanted.post is not None:
        return {**name, "object_story_id": wanted.post}
    if wanted.form is None and wanted.link is None:
        wished = "--form or --link" if wanted.outcome == objectives.LEADS else "--link"
        raise UsageError(f"where does the ad lead to? give {wished}")
    # The guide to lead ads: the link "can only be https://fb.me/".
    link = wanted.link if wanted.form is None else "https://fb.me/"
    value = {"link": link} if wanted.form is None else {"lead_gen_form_id": wanted.form}
    data: dict[str, Any] = {
        "link": link,
        "message": wanted.text,
        # The headline is called name here; title is another thing.
        "name": wanted.headline,
        "description": wanted.description,
        "image_hash": wanted.image,
        "call_to_action": {"type": wanted.button, "value": value},
    }
    story = {key: value for key, value in data.items() if value is not None}
    return {**name, "object_story_spec": {"page_id": wanted.page, "link_data": story}}


def _ad(wanted: Wanted) -> dict[str, Any]:
    call = _named(wanted)
    if wanted.pixel is not None and wanted.link is not None:
        call["conversion_domain"] = _registered_domain(wanted.link)
    return call


def _registered_domain(link: str) -> str:
    """Return the domain that somebody registered: example.com, example.co.uk."""
    labels = (urlsplit(link).hostname or "").split(".")
    short = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in ("co", "com", "org", "net", "gov", "ac", "edu")
    return ".".join(labels[-3:] if short else labels[-2:])


def web_address(option: str, text: str) -> str:
    """Read the address of a web page. Raises UsageError."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or set(text) & set(" \t\r\n\0"):
        raise UsageError(f"{option} '{text}' is no address: write one like https://example.com/start")
    return text


def span(start: date | None, end: date | None, zone: str, today: date) -> tuple[datetime | None, datetime | None]:
    """Return from and until when a campaign runs, in the account's zone; None: at once, without end.

    `end` belongs to it. Raises UsageError for days that have passed, or in the wrong order.
    """
    if start is not None and start < today:
        raise UsageError(f"--start {start} has passed: in the account's zone ({zone}) it is {today}")
    if end is not None and end <= (start or today):
        raise UsageError(f"--end {end} is not after {start or today}: Facebook wants more than a day")
    local = ZoneInfo(zone)
    first = None if start in (None, today) else datetime.combine(start, time(0), local)
    return first, None if end is None else datetime.combine(end, time(23, 59, 59), local)


def boosted(days: int, now: datetime) -> datetime:
    """Return when a boost of so many days ends. Facebook wants a daily budget to last for more than a day."""
    return now.replace(microsecond=0) + timedelta(days=days, minutes=1)


def differences(step: str, made: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return the parameters in which what was made differs from what is wanted now; the end of a boost always does."""
    passing = {"end_time"} if step == "adset" and made.get("destination_type") == "ON_POST" else set()
    keys = (made.keys() | wanted.keys()) - passing
    return sorted(key for key in keys if made.get(key) != wanted.get(key))
