"""How far a Facebook user's set-up goes, and what is missing for the next step. Plain values only.

    tier 0   a profile
    tier 1   and a page on which they may advertise       permission pages_show_list
    tier 2   a business                                   permission business_management
    tier 3   an ad account that can deliver ads           permission ads_management

Posts can be boosted from tier 1 on, with an ad account: a boost is an ad like any other, and Graph has no other way.
Tier 3 can be there without 2: a personal ad account belongs to no business. A permission that was granted without the
asset counts for nothing: Facebook lets its users grant it for some of their pages and accounts only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ibctl.errors import UsageError

# What each of ibctl's uses of Facebook needs.
NEEDED: Mapping[str, str] = {
    "pages_show_list": "pages and boosts",
    "business_management": "businesses",
    "ads_management": "campaigns",
    "ads_read": "spend",
    "leads_retrieval": "form leads",
}
ADVERTISING = frozenset({"ADVERTISE", "MANAGE"})


@dataclass(frozen=True)
class Assets:
    """What a token reaches, as far as it matters to one ad account (`account_status` None: no ad account)."""

    # {"ads_management": "granted"}
    permissions: Mapping[str, str]
    page_tasks: frozenset[str] | None
    has_business: bool
    account_status: str | None
    account_tasks: frozenset[str]
    delivers: bool


@dataclass(frozen=True)
class Setup:
    """The tier, what can be done, and why it is not more."""

    tier: int
    can_boost_posts: bool
    can_create_campaigns: bool
    missing: Sequence[str]


def setup(assets: Assets) -> Setup:
    """Find out the tier, and name what is missing for each one that was not reached."""
    lacks = {1: _page_lack(assets), 2: _business_lack(assets), 3: _account_lack(assets)}
    reached = [tier for tier, lack in lacks.items() if lack is None]
    return Setup(
        tier=max(reached, default=0),
        can_boost_posts=lacks[1] is None,
        can_create_campaigns=lacks[3] is None,
        missing=[f"no tier {tier}: {lack}" for tier, lack in lacks.items() if lack is not None],
    )


def _page_lack(assets: Assets) -> str | None:
    if lack := _permission_lack(assets.permissions, "pages_show_list"):
        return lack
    if assets.page_tasks is None:
        return "no page (the user has none, or did not tick it for this app)"
    if not assets.page_tasks & ADVERTISING:
        return f"the page allows only {', '.join(sorted(assets.page_tasks)) or 'nothing'}: ADVERTISE is needed"
    return None


def _business_lack(assets: Assets) -> str | None:
    lack = _permission_lack(assets.permissions, "business_management")
    return lack or (None if assets.has_business else "no business portfolio")


def _account_lack(assets: Assets) -> str | None:
    if lack := _permission_lack(assets.permissions, "ads_management"):
        return lack
    if assets.account_status is None:
        return "no ad account (the user has none, or did not tick it for this app)"
    if not assets.delivers:
        return f"the ad account is {assets.account_status}"
    if not assets.account_tasks & ADVERTISING:
        return f"the ad account allows only {', '.join(sorted(assets.account_tasks)) or 'nothing'}: ADVERTISE is needed"
    return None


def _permission_lack(permissions: Mapping[str, str], name: str) -> str | None:
    status = permissions.get(name, "not asked for")
    return None if status == "granted" else f"permission {name} is {status}"


def granted(permissions: Mapping[str, str], *names: str) -> bool:
    """Whether any of these permissions was granted."""
    return any(permissions.get(name) == "granted" for name in names)


def act(text: str) -> str:
    """Return an ad account's id as Graph has it, `act_900`, from `900` or `act_900`. Raises UsageError."""
    digits = text.strip().lower().removeprefix("act_")
    if not (digits.isascii() and digits.isdigit()):
        raise UsageError(f"--account: '{text}' is no ad account id: write it like act_123456")
    return f"act_{digits}"


# --------------------------------------------------------------------------------------------------------------- tokens


def expires(expires_at: datetime | None, data_access: datetime | None) -> datetime | None:
    """Return when a token stops working for whichever of the two reasons comes first; None: not known, or never."""
    return min((moment for moment in (expires_at, data_access) if moment is not None), default=None)


def days_left(moment: datetime | None, now: datetime) -> int | None:
    """Return the whole days until a moment; negative: it has passed."""
    return None if moment is None else (moment - now) // timedelta(days=1)


def lacking(scopes: Collection[str]) -> list[str]:
    """Name the permissions that a token lacks, with what they are for; ads_management includes reading."""
    have = set(scopes) | ({"ads_read"} if "ads_management" in scopes else set())
    return [f"{name} ({what})" for name, what in NEEDED.items() if name not in have]
