"""What a campaign is for: the objectives of old, what Meta calls them today, and what an ad set under each asks for.

The shared tables keep the word that the web application knows (`LEAD_GENERATION`); Graph gets the new one
(`OUTCOME_LEADS`), since the old ones may be refused.

Source: Meta, Marketing API, Campaign Group reference, "Objective Mapping"
(https://developers.facebook.com/documentation/ads-commerce/marketing-api/reference/ad-campaign-group).
"""

from __future__ import annotations

from collections.abc import Mapping

LEADS, SALES, TRAFFIC = "OUTCOME_LEADS", "OUTCOME_SALES", "OUTCOME_TRAFFIC"
AWARENESS, ENGAGEMENT, APPS = "OUTCOME_AWARENESS", "OUTCOME_ENGAGEMENT", "OUTCOME_APP_PROMOTION"
OUTCOMES = (LEADS, SALES, TRAFFIC, AWARENESS, ENGAGEMENT, APPS)

_LEGACY: Mapping[str, str] = {
    "LEAD_GENERATION": LEADS,
    "LINK_CLICKS": TRAFFIC,
    "POST_ENGAGEMENT": ENGAGEMENT,
    "PAGE_LIKES": ENGAGEMENT,
    "EVENT_RESPONSES": ENGAGEMENT,
    "MESSAGES": ENGAGEMENT,
    "VIDEO_VIEWS": AWARENESS,
    "BRAND_AWARENESS": AWARENESS,
    "REACH": AWARENESS,
    "STORE_VISITS": AWARENESS,
    "APP_INSTALLS": APPS,
    "PRODUCT_CATALOG_SALES": SALES,
}
# Meta's table maps it to sales, leads or engagement: the template's category says which is meant.
_CONVERSIONS: Mapping[str, str] = {"lead_generation": LEADS, "conversion": SALES, "awareness": AWARENESS}
NAMES = (*OUTCOMES, *_LEGACY, "CONVERSIONS")

# What each category of templates is for.
FITTING: Mapping[str, tuple[str, ...]] = {
    "lead_generation": (LEADS,),
    "conversion": (SALES, LEADS, TRAFFIC),
    "awareness": (AWARENESS, ENGAGEMENT, TRAFFIC),
}
CATEGORIES = tuple(FITTING)


def outcome(objective: str, category: str) -> str:
    """Return what Graph is sent for an objective, old or new. Raises ValueError for one that Meta never had."""
    if objective in OUTCOMES:
        return objective
    if objective == "CONVERSIONS":
        return _CONVERSIONS.get(category, SALES)
    if objective in _LEGACY:
        return _LEGACY[objective]
    raise ValueError(f"'{objective}' is no objective of Facebook's")
