"""What Facebook would refuse, or change, in an ad made from a template: one function for each rule.

A rule takes an `Ad` and yields what it finds. Its docstring says what it looks for and ends in `Source:`, where that is
written; `ibctl ads templates lint` shows both. An *error* keeps a template from being published and a campaign from
being created; a *warning* is something to know. The rules read what the template says, in the languages that they know:
Facebook's own review reads the picture and the landing page too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ibctl.ads import minor_units, objectives
from ibctl.ads.templates.schema import FINANCIAL, Places, TemplateData

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Ad:
    """What is looked at: a template, with the currency of the account that it is meant for where that is known."""

    name: str
    category: str
    data: TemplateData
    currency: str | None = None

    @property
    def texts(self) -> dict[str, str]:
        """What people will read, by place."""
        data = self.data
        said = {"adCopy": data.adCopy, "headline": data.headline, "description": data.description}
        return {place: text for place, text in said.items() if text}

    @property
    def is_financial(self) -> bool:
        """Whether it runs under the special ad category of financial products."""
        return FINANCIAL in self.data.categories

    @property
    def countries(self) -> frozenset[str]:
        """The countries that it names; places inside a country are not among them."""
        return frozenset(self.data.targeting.geo_locations.countries)


@dataclass(frozen=True)
class Finding:
    """What a rule found: where in the template, and what about it."""

    severity: Severity
    place: str
    message: str


Rule = Callable[[Ad], Iterator[Finding]]

# The European Union, where the Digital Services Act holds.
EU = frozenset({
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU",
    "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
})  # fmt: skip
# Where Meta asks for the financial category: the United States, Canada, and parts of Europe.
CATEGORY_NEEDED = EU | {"US", "CA", "GB", "NO", "IS", "LI", "CH"}

# ------------------------------------------------------------------------------------------------------ what is written

# As people write them; compared without accents, case and signs between letters, so that "C.F.D.s" is "cfds".
_PROHIBITED: Mapping[str, tuple[str, ...]] = {
    "contracts for difference": (
        "CFD", "contract for difference", "contracts for difference", "contract for differences",
        "contracts for differences", "Differenzkontrakt", "Differenzkontrakte", "contrato por diferencia",
        "contratos por diferencia", "contrato por diferença", "contratos por diferença", "contrat pour la différence",
        "contrats pour la différence", "contrat pour différence", "contratto per differenza",
        "contratti per differenza", "контракт на разницу", "контракты на разницу", "差价合约", "差價合約", "差金決済",
    ),
    "binary options": (
        "binary option", "binary trading", "option binaire", "options binaires", "opción binaria", "opciones binarias",
        "opção binária", "opções binárias", "opzione binaria", "opzioni binarie", "binäre Option", "binäre Optionen",
        "бинарный опцион", "бинарные опционы", "бинарных опционов", "бинарными опционами", "二元期权", "二元期權",
        "バイナリーオプション",
    ),
    "initial coin offerings": ("initial coin offering", "ICO"),
    "payday loans": ("payday loan", "payday advance", "paycheck advance"),
    "penny auctions": ("penny auction",),
    "bail bonds": ("bail bond",),
}  # fmt: skip
_PROMISES = re.compile(
    r"\b(?:guaranteed? (\w+ )?(profits?|returns?|incomes?|earnings|gains|money|wins?)|(profits?|returns?) guaranteed"
    r"|risk free|without (any )?risk|no risk|zero risk|(can t|cannot|never) lose|100 ?%? (profit|win|success|accura)\w*"
    r"|get rich|rich quick\w*|double your (money|deposit|account|investment)|quit your job|financial freedom in"
    r"|(no|little to no) work|easy money|fast money|passive income guaranteed|garantierter? gewinne?|ohne risiko"
    r"|sans risque|sin riesgo|sem risco|senza rischio|ganancias? garantizadas?|gains? garantis?|lucro garantido)\b"
)
_SUM = r"(?:[$€£¥] ?\d[\d.,]*|\d[\d.,]* ?(?:[$€£¥%]|(?:usd|eur|gbp|dollars?|euros?|pounds?|percent)\b))"
_EARNINGS_IN_TIME = re.compile(
    rf"\b(?:earn|make|win|gain|profit)\w* (?:up to |over |at least )?{_SUM}(?: \w+)? "
    r"(?:a|per|every|in|within|each|daily|today)\b"
)


def _words(text: str) -> str:
    """Fold a text for comparison: no accents, no case, no dots between letters, one blank between words."""
    flat = unicodedata.normalize("NFKD", text).casefold()
    flat = "".join(c for c in flat if not unicodedata.combining(c))
    flat = re.sub(r"(?<=\b\w)[.\-_*]+(?=\w\b)", "", flat)
    return " ".join(re.sub(r"[^\w$€£¥%.,]+|(?<!\d)[.,]|[.,](?!\d)", " ", flat).split())


def _phrase(text: str) -> str:
    """Return a pattern for a phrase: whole words where the script has words, an English plural too."""
    folded = re.escape(_words(text))
    return folded if ord(text[0]) > _FIRST_IDEOGRAPH else rf"\b{folded}s?\b"


# Chinese and Japanese leave no blanks between words.
_FIRST_IDEOGRAPH = 0x2E80
_PRODUCTS = {product: re.compile("|".join(map(_phrase, names))) for product, names in _PROHIBITED.items()}


def prohibited_product(ad: Ad) -> Iterator[Finding]:
    """Contracts for difference, binary options, coin offerings and the like, which Facebook takes no ads for at all.

    Source: Meta Advertising Standards, Prohibited Financial Products and Services,
    https://transparency.meta.com/policies/ad-standards/deceptive-content/prohibited-financial-products-and-services
    """
    for place, text in {**ad.texts, "name": ad.name}.items():
        words = _words(text)
        for product, names in _PRODUCTS.items():
            if found := names.search(words):
                severity: Severity = "warning" if place == "name" else "error"
                yield Finding(severity, place, f"'{found[0]}': Facebook takes no ads for {product}")


def promised_profit(ad: Ad) -> Iterator[Finding]:
    """Profit that is promised or called certain, riches without work or risk, sums within a time.

    Source: Meta Advertising Standards, Unrealistic Outcomes,
    https://transparency.meta.com/policies/ad-standards/deceptive-content/unrealistic-outcomes
    """
    for place, text in ad.texts.items():
        words = _words(text)
        if found := _PROMISES.search(words) or _EARNINGS_IN_TIME.search(words):
            yield Finding("error", place, f"'{found[0].strip()}' promises what no trade can: Facebook refuses that")


# By country: what is asked for, and the regulated categories (`schema.py`) that say that it is there.
_AUTHORISED: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "GB": ("authorisation by the FCA", ()),
    "AU": ("an Australian financial services licence", ("AUSTRALIA_FINSERV",)),
    "IN": ("a SEBI number", ("INDIA_FINSERV",)),
    "SG": ("a verified beneficiary and payer", ("SINGAPORE_UNIVERSAL",)),
    "TW": ("a verified beneficiary and payer", ("TAIWAN_FINSERV", "TAIWAN_UNIVERSAL")),
}


def authorisation(ad: Ad) -> Iterator[Finding]:
    """Countries where an advertiser of financial services must have been verified by Facebook before, and be named.

    Source: Meta Advertising Standards, Financial and Insurance Products and Services,
    https://transparency.meta.com/policies/ad-standards/restricted-goods-services/financial-services
    """
    for country in sorted(ad.countries & _AUTHORISED.keys()):
        asked, categories = _AUTHORISED[country]
        if not categories:
            place = "targeting.geo_locations.countries"
            yield Finding("warning", place, f"{country}: Facebook asks for {asked} before financial ads run there")
        elif not set(categories) & set(ad.data.regionalRegulatedCategories):
            message = f"{country}: Facebook asks for {asked}; give {' or '.join(categories)}, and its identities"
            yield Finding("warning", "regionalRegulatedCategories", message)


# ------------------------------------------------------------------------------------------- the special ad category


def category_missing(ad: Ad) -> Iterator[Finding]:
    """Financial products shown in the United States, Canada or Europe without their special ad category.

    Source: Meta, Marketing API, Special Ad Category,
    https://developers.facebook.com/documentation/ads-commerce/marketing-api/audiences/special-ad-category
    """
    if ad.is_financial:
        return
    where = ", ".join(sorted(ad.countries & CATEGORY_NEEDED))
    if where:
        yield Finding(
            "error", "specialAdCategories", f"{FINANCIAL} is asked for in {where}: without it ads are rejected"
        )
    else:
        yield Finding("warning", "specialAdCategories", f"not {FINANCIAL}, which an ad for trading usually is")


def category_age(ad: Ad) -> Iterator[Finding]:
    """Any other age than 18 to 65+ under the financial category.

    Source: Meta, Marketing API, Special Ad Category (error 2909035),
    https://developers.facebook.com/documentation/ads-commerce/marketing-api/audiences/special-ad-category
    """
    targeting = ad.data.targeting
    for place, age, fixed in (("age_min", targeting.age_min, 18), ("age_max", targeting.age_max, 65)):
        if ad.is_financial and age is not None and age != fixed:
            yield Finding("error", f"targeting.{place}", f"is {age}: a financial ad goes to everybody from 18 to 65+")


def category_gender(ad: Ad) -> Iterator[Finding]:
    """One gender alone under the financial category.

    Source: Meta, Marketing API, Special Ad Category (error 2909035),
    https://developers.facebook.com/documentation/ads-commerce/marketing-api/audiences/special-ad-category
    """
    if ad.is_financial and len(set(ad.data.targeting.genders)) == 1:
        yield Finding("error", "targeting.genders", "one gender alone: a financial ad goes to all")


_SMALL_PLACES = (
    "zips", "subcities", "neighborhoods", "subneighborhoods", "metro_areas", "small_geo_areas", "electoral_districts",
)  # fmt: skip


def category_places(ad: Ad) -> Iterator[Finding]:
    """Places too small, radii too short, or places left out, under the financial category.

    Source: Meta, Marketing API, Special Ad Category (error 2909035),
    https://developers.facebook.com/documentation/ads-commerce/marketing-api/audiences/special-ad-category
    """
    if not ad.is_financial:
        return
    places = ad.data.targeting.geo_locations
    for kind in _SMALL_PLACES:
        if getattr(places, kind):
            yield Finding("error", f"targeting.geo_locations.{kind}", "too small a place for a financial ad")
    if ad.data.targeting.excluded_geo_locations is not None:
        yield Finding("error", "targeting.excluded_geo_locations", "a financial ad may leave out no place")
    yield from _short_radii(places)


def _short_radii(places: Places) -> Iterator[Finding]:
    for kind in ("cities", "custom_locations", "places"):
        for number, place in enumerate(getattr(places, kind)):
            radius, unit = _radius(place)
            if radius is not None and radius < (25 if unit == "kilometer" else 15):
                where = f"targeting.geo_locations.{kind}[{number}].radius"
                yield Finding("error", where, f"is {radius:g} {unit}s: a financial ad needs 15 miles or 25 km")


def _radius(place: Any) -> tuple[float | None, str]:
    if not isinstance(place, dict) or not isinstance(place.get("radius"), int | float):
        return None, ""
    return place["radius"], str(place.get("distance_unit", "mile"))


def category_interests(ad: Ad) -> Iterator[Finding]:
    """Behaviours, demographics and exclusions under the financial category; interests outside Facebook's list.

    Source: Meta, Marketing API, Special Ad Category (error 2909035),
    https://developers.facebook.com/documentation/ads-commerce/marketing-api/audiences/special-ad-category
    """
    if not ad.is_financial:
        return
    targeting = ad.data.targeting
    demographics = (
        "behaviors", "exclusions", "education_statuses", "relationship_statuses", "life_events", "industries", "income",
        "family_statuses", "work_employers", "work_positions",
    )  # fmt: skip
    for kind in demographics:
        if getattr(targeting, kind):
            yield Finding("error", f"targeting.{kind}", "a financial ad may go by interests only, and exclude nobody")
    for number, spec in enumerate(targeting.flexible_spec):
        for kind in sorted(spec.keys() - {"interests"}):
            where = f"targeting.flexible_spec[{number}].{kind}"
            yield Finding("error", where, "a financial ad may go by interests only")
    if targeting.interests or any("interests" in spec for spec in targeting.flexible_spec):
        yield Finding(
            "warning",
            "targeting.interests",
            "a financial ad may use those of Facebook's own list only: it is asked when a campaign is created",
        )


_STATUS = re.compile(r"high (income|net worth)|low income|credit (score|rating)|debt|bankrupt|wealth|poor|unemployed")


def category_audiences(ad: Ad) -> Iterator[Finding]:
    """Lookalikes, and audiences whose names speak of people's money, under the financial category.

    Source: Meta, Marketing API, Special Ad Category (flagged since 2 September 2025),
    https://developers.facebook.com/documentation/ads-commerce/marketing-api/audiences/special-ad-category
    """
    if not ad.is_financial:
        return
    for kind in ("custom_audiences", "excluded_custom_audiences"):
        for number, audience in enumerate(getattr(ad.data.targeting, kind)):
            words, where = _words(audience.name or ""), f"targeting.{kind}[{number}]"
            if "lookalike" in words:
                yield Finding("error", where, f"'{audience.name}': a financial ad may use no lookalikes")
            elif found := _STATUS.search(words):
                yield Finding("error", where, f"'{audience.name}': audiences named by '{found[0]}' are blocked")


# -------------------------------------------------------------------------------------------------- how it is to be run


def objective_fits(ad: Ad) -> Iterator[Finding]:
    """An objective that the category of the template is not for, or that no template can be used with.

    Source: Meta, Marketing API, Campaign Group reference, Objective Mapping,
    https://developers.facebook.com/documentation/ads-commerce/marketing-api/reference/ad-campaign-group
    """
    outcome = objectives.outcome(ad.data.objective, ad.category)
    if outcome in (objectives.APPS, objectives.ENGAGEMENT):
        what = "an app" if outcome == objectives.APPS else "a post of its own; `ibctl ads boost` promotes one"
        yield Finding("error", "objective", f"{ad.data.objective} ({outcome}) needs {what}, which no template has")
    elif outcome not in objectives.FITTING.get(ad.category, objectives.OUTCOMES):
        yield Finding("warning", "objective", f"{ad.data.objective} ({outcome}) in the category {ad.category}")


# Source: the guide to creating lead ads.
LEAD_BUTTONS = ("APPLY_NOW", "DOWNLOAD", "GET_QUOTE", "LEARN_MORE", "SIGN_UP", "SUBSCRIBE")


def lead_button(ad: Ad) -> Iterator[Finding]:
    """A button that an ad with a lead form cannot have.

    Source: Meta, Marketing API, Lead Ads, Create,
    https://developers.facebook.com/documentation/ads-commerce/marketing-api/guides/lead-ads/create
    """
    is_for_leads = objectives.outcome(ad.data.objective, ad.category) == objectives.LEADS
    if is_for_leads and ad.data.callToAction not in LEAD_BUTTONS:
        yield Finding("warning", "callToAction", f"with a lead form it must be one of {', '.join(LEAD_BUTTONS)}")


def budget_unit(ad: Ad) -> Iterator[Finding]:
    """A budget finer than the account's currency has it at Meta, or in a currency that Meta's table lacks.

    Source: Meta, Marketing API, Currency Codes,
    https://developers.facebook.com/documentation/ads-commerce/marketing-api/currencies
    """
    for place in ("dailyBudget", "lifetimeBudget"):
        amount = getattr(ad.data, place)
        if amount is None:
            continue
        try:
            minor_units.to_minor(amount, ad.currency or "USD")
        except ValueError as exc:
            yield Finding("error", place, str(exc))


def location_types(ad: Ad) -> Iterator[Finding]:
    """`location_types` in the targeting, which Facebook refuses by now.

    Source: Meta, Marketing API, ad set error 1870199,
    https://developers.facebook.com/documentation/ads-commerce/marketing-api/error-reference
    """
    if ad.data.targeting.geo_locations.location_types:
        yield Finding("error", "targeting.geo_locations.location_types", "Facebook refuses it by now: leave it out")


def wider_audience(ad: Ad) -> Iterator[Finding]:
    """An audience that Facebook may widen by itself, beyond the age and the interests that the template names.

    Source: Meta, Marketing API, Targeting Expansion, Advantage Audience (explicit since v23).
    """
    if ad.data.targeting.targeting_automation.get("advantage_audience"):
        where = "targeting.targeting_automation.advantage_audience"
        yield Finding("warning", where, "Facebook will go beyond the ages and interests given here; 0 keeps to them")


def beneficiary(ad: Ad) -> Iterator[Finding]:
    """Ads in the European Union without the names of those who profit from them and pay for them.

    Source: Meta, Marketing API, Ad Account Adsets, dsa_beneficiary and dsa_payor (error 3858152),
    https://developers.facebook.com/documentation/ads-commerce/marketing-api/reference/ad-account/adsets
    """
    where = ", ".join(sorted(ad.countries & EU))
    for place in ("dsaBeneficiary", "dsaPayor"):
        if where and getattr(ad.data, place) is None:
            yield Finding("warning", place, f"asked for in {where}, unless the ad account has a default")


RULES: tuple[Rule, ...] = (
    prohibited_product, promised_profit, authorisation, category_missing, category_age, category_gender,
    category_places, category_interests, category_audiences, objective_fits, lead_button, budget_unit, location_types,
    wider_audience, beneficiary,
)  # fmt: skip


def code(rule: Rule) -> str:
    """Return the name by which a rule is shown and allowed: `prohibited-product`."""
    return rule.__name__.replace("_", "-")


def source(rule: Rule) -> str:
    """Return where a rule is written, from its docstring."""
    return " ".join((rule.__doc__ or "").partition("Source:")[2].split())


def meaning(rule: Rule) -> str:
    """Return what a rule looks for, from its docstring."""
    return " ".join((rule.__doc__ or "").partition("Source:")[0].split())


def findings(ad: Ad) -> Iterator[tuple[Rule, Finding]]:
    """Yield what all rules find, errors first."""
    found = [(rule, finding) for rule in RULES for finding in rule(ad)]
    yield from sorted(found, key=lambda pair: pair[1].severity != "error")
