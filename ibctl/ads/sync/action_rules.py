"""Which of Facebook's actions count as leads and as conversions, each thing once.

Facebook reports one thing under several action types: `purchase`, `omni_purchase`, `onsite_web_purchase` and
`offsite_conversion.fb_pixel_purchase` are one *family*. `lead` is the sum of all leads,
`onsite_conversion.lead_grouped` of those on Facebook, of which `leadgen_grouped` is a part;
`offsite_conversion.fb_pixel_lead` are those on the web site (AdsActionStats reference). Types are compared as a whole:
a custom conversion may have "lead" in its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from ibctl.errors import UsageError

LEADS = ("lead",)
CONVERSIONS = ("complete_registration", "purchase")
_TYPE = re.compile(r"[a-z0-9_]+(\.[A-Za-z0-9_:]+)*")
# In order: the longest first.
_PREFIXES = (
    "offsite_conversion.fb_pixel_", "onsite_web_app_", "onsite_app_", "onsite_web_", "onsite_conversion.",
    "app_custom_event.fb_mobile_", "web_in_store_", "web_app_in_store_", "offline_conversion.", "omni_",
)  # fmt: skip
# What the members of the family of leads are made of; two that share a part count it twice.
_LEAD_PARTS: Mapping[str, frozenset[str]] = {
    "lead": frozenset({"messenger and instant forms", "elsewhere on Facebook", "web site"}),
    "onsite_conversion.lead_grouped": frozenset({"messenger and instant forms", "elsewhere on Facebook"}),
    "onsite_conversion.lead": frozenset({"messenger and instant forms", "elsewhere on Facebook"}),
    "leadgen_grouped": frozenset({"messenger and instant forms"}),
    "leadgen.other": frozenset({"messenger and instant forms"}),
    "offsite_conversion.fb_pixel_lead": frozenset({"web site"}),
    "onsite_web_lead": frozenset({"web site"}),
}


@dataclass(frozen=True)
class Counted:
    """The action types that count as leads, and as conversions."""

    leads: Sequence[str] = LEADS
    conversions: Sequence[str] = CONVERSIONS


USUAL = Counted()


def counted(leads: Sequence[str] | None, conversions: Sequence[str] | None) -> Counted:
    """Return what counts for an account; None: the usual."""
    return Counted(LEADS if leads is None else leads, CONVERSIONS if conversions is None else conversions)


def read(text: str) -> list[str]:
    """Read action types with commas between them; none at all means that nothing counts.

    Raises UsageError for what is no action type, and for two names of one thing.
    """
    types = list(dict.fromkeys(one.strip() for one in text.split(",") if one.strip()))
    for one in types:
        if not _TYPE.fullmatch(one):
            raise UsageError(f"'{one}' is no action type: write them like purchase,complete_registration")
    for number, first in enumerate(types):
        for second in types[number + 1 :]:
            if _overlap(first, second):
                raise UsageError(f"{first} and {second} are two names of the same actions: they would count twice")
    return types


def _overlap(first: str, second: str) -> bool:
    if first in _LEAD_PARTS and second in _LEAD_PARTS:
        return bool(_LEAD_PARTS[first] & _LEAD_PARTS[second])
    return family(first) == family(second)


def family(action_type: str) -> str:
    """Return the name that all names of one thing share."""
    if action_type in _LEAD_PARTS:
        return "lead"
    for prefix in _PREFIXES:
        if action_type.startswith(prefix):
            return action_type.removeprefix(prefix)
    return action_type


def total(actions: Mapping[str, Decimal], types: Sequence[str]) -> int:
    """Return how many actions of these types there were, rounded half up: Facebook also reports modelled fractions."""
    exact = sum((actions.get(one, Decimal(0)) for one in types), start=Decimal(0))
    return int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))
