"""What a campaign is to be, from what the command line says: by a template, or as the boost of a post."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import Session

from ibctl import days, money
from ibctl.ads import objectives
from ibctl.ads.accounts import service as accounts
from ibctl.ads.accounts.service import Connection
from ibctl.ads.campaigns import calls as campaign_calls
from ibctl.ads.campaigns import rules
from ibctl.ads.campaigns.calls import Disclosed, Wanted
from ibctl.ads.campaigns.creation import Intent
from ibctl.ads.templates import schema
from ibctl.ads.templates import service as templates
from ibctl.errors import RequestError, UsageError

_HASH = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Options:
    """What `campaigns create` was given besides template and account, as it was typed."""

    name: str
    page: str | None = None
    form: str | None = None
    link: str | None = None
    pixel: str | None = None
    image: str | None = None
    daily_budget: str | None = None
    lifetime_budget: str | None = None
    start: str | None = None
    end: str | None = None


def connection(session: Session, account: str, *, for_post: bool = False) -> Connection:
    """Return an account that campaigns can be made in. Raises NotFoundError, RequestError."""
    row = accounts.find(session, account)
    known = accounts.connections(session, [row.id])
    if known.closed:
        raise known.closed[0][2]
    able = row.can_boost_posts if for_post else row.can_create_campaigns
    if not able:
        what = "boost posts" if for_post else "create campaigns"
        raise RequestError(
            f"{row.ad_account_id} cannot {what} (set-up tier {row.setup_tier}): "
            f"`ibctl ads accounts refresh {row.ad_account_id}` says what is missing"
        )
    return known.usable[0]


# ---------------------------------------------------------------------------------------------------------- by template


def from_template(
    session: Session, account: Connection, template: str, options: Options, allow: frozenset[str]
) -> Intent:  # fmt: skip
    """Read the options of `campaigns create`. The template has to be published and to break no rule.

    Raises NotFoundError, RequestError, and UsageError naming the option.
    """
    found = templates.find(session, template)
    if not found.is_active:
        raise RequestError(
            f"the template '{found.name}' is not published: `ibctl ads templates publish '{found.name}'`"
        )
    templates.require_clean(found, allow, account.currency)
    data = schema.check(found.template_data)
    daily, lifetime = _budgets(options, data)
    start, end = _span(account, options)
    image, hashed = _image(options.image)
    wanted = Wanted(
        name=rules.campaign_name(options.name), account=account.name, currency=account.currency,
        outcome=objectives.outcome(data.objective, found.category), categories=data.categories,
        targeting=found.template_data["targeting"], page=_page(account, options.page), daily_budget=daily,
        lifetime_budget=lifetime, start=start, end=end, form=_digits("--form", options.form),
        link=None if options.link is None else campaign_calls.web_address("--link", options.link),
        pixel=_digits("--pixel", options.pixel), text=data.adCopy, headline=data.headline,
        description=data.description, button=data.callToAction, image=hashed,
        disclosed=Disclosed(
            data.dsaBeneficiary, data.dsaPayor, data.regionalRegulatedCategories, data.regionalRegulationIdentities
        ),
    )  # fmt: skip
    if wanted.form is not None and wanted.link is not None:
        raise UsageError("--form and --link exclude each other: an ad leads to one place")
    return Intent(wanted, campaign_calls.calls(wanted), "CAMPAIGN", data.objective, found.id, image)


def _budgets(options: Options, data: schema.TemplateData) -> tuple[Decimal | None, Decimal | None]:
    """The options' budget, or else the template's."""
    if options.daily_budget is not None and options.lifetime_budget is not None:
        raise UsageError("--daily-budget and --lifetime-budget exclude each other")
    if options.daily_budget is not None:
        return amount("--daily-budget", options.daily_budget), None
    if options.lifetime_budget is not None:
        return None, amount("--lifetime-budget", options.lifetime_budget)
    return data.dailyBudget, data.lifetimeBudget


def amount(option: str, text: str) -> Decimal:
    """Read a budget in major units. Raises UsageError."""
    try:
        value = money.parse(text)
    except ValueError as exc:
        raise UsageError(f"{option}: {exc}") from None
    if value <= 0:
        raise UsageError(f"{option}: '{text}' is no budget: it has to be above 0")
    return value


def _span(account: Connection, options: Options) -> tuple[datetime | None, datetime | None]:
    first, last = _day("--start", options.start), _day("--end", options.end)
    return campaign_calls.span(first, last, account.zone, days.today(account.zone))


def _day(option: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return days.parse(text)
    except ValueError as exc:
        raise UsageError(f"{option}: {exc}") from None


def _image(text: str | None) -> tuple[Path | None, str | None]:
    """A picture's file, or the hash of one that Facebook has."""
    if text is None:
        return None, None
    if (path := Path(text)).is_file():
        return path, None
    if _HASH.fullmatch(text):
        return None, text
    raise UsageError(f"--image '{text}' is neither a file nor the hash of a picture at Facebook (32 hex digits)")


def _page(account: Connection, named: str | None) -> str:
    page = _digits("--page", named) or account.page_id
    if page is None:
        raise UsageError(f"--page is missing: {account.name} has no page of its own")
    return page


def _digits(option: str, text: str | None) -> str | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"{option} '{text}' is no id of Facebook's: those are digits")
    return text


# ------------------------------------------------------------------------------------------------------------- by post


def post_id(account: Connection, post: str, page: str | None) -> str:
    """Return a post's id as Graph has it: `<page>_<post>`. Raises UsageError."""
    if re.fullmatch(r"\d+_\d+", post):
        return post
    return f"{_page(account, page)}_{_digits('--post', post)}"


def disclosed(
    beneficiary: str | None, payor: str | None, categories: Sequence[str], identities: Sequence[str]
) -> Disclosed:
    """Read who is behind a boost: `identities` are like `taiwan_finserv_payer=123`. Raises UsageError."""
    for category in categories:
        if category not in schema.REGULATED:
            raise UsageError(f"--regulated '{category}': there are {', '.join(schema.REGULATED)}")
    known = {}
    for text in identities:
        key, _, id_ = text.partition("=")
        if key not in schema.IDENTITIES or not (id_.isascii() and id_.isdigit()):
            raise UsageError(f"--identity '{text}': write one like taiwan_finserv_payer=123")
        known[key] = id_
    if problem := schema.unidentified(categories, known):
        raise UsageError(f"--identity: {problem}")
    return Disclosed(beneficiary, payor, categories, known)


def from_post(
    account: Connection, post: str, *, budget: str, length: int, name: str | None, countries: list[str],
    category: str | None, disclosed: Disclosed,
) -> Intent:  # fmt: skip
    """Return the boost of a post (`<page>_<post>`): so much a day, for so many days, from now on. Raises UsageError."""
    targeting: dict[str, Any] = {"geo_locations": {"countries": countries}}
    wanted = Wanted(
        name=rules.campaign_name(name or f"Boost of {post}"), account=account.name, currency=account.currency,
        outcome=objectives.ENGAGEMENT, categories=[category] if category else [], targeting=targeting,
        page=post.partition("_")[0], daily_budget=amount("--budget", budget), post=post, disclosed=disclosed,
        end=campaign_calls.boosted(length, datetime.now(UTC)).astimezone(ZoneInfo(account.zone)),
    )  # fmt: skip
    return Intent(wanted, campaign_calls.calls(wanted), "BOOST", "POST_ENGAGEMENT")
