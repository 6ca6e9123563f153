"""What "AdTemplate"."templateData" must look like: the web application's keys, and a few that only ibctl reads.

    targeting            Facebook's targeting spec: geo_locations (with countries), age_min, age_max, genders, …
    adCopy, headline     the text and the headline of the ad; description the line under it
    callToAction         the button: LEARN_MORE, SIGN_UP, …
    objective            LEAD_GENERATION, CONVERSIONS, …, or OUTCOME_LEADS, …
    dailyBudget          in the ad account's currency, in major units (50 is fifty dollars)
    lifetimeBudget       the same for the campaign's whole life; at most one of the two
    specialAdCategories  without it ["FINANCIAL_PRODUCTS_SERVICES"]; [] says that the ad is for nothing of that kind
    dsaBeneficiary       who profits from the ad; shown with it in the European Union
    dsaPayor             who pays for it; likewise
    regionalRegulatedCategories    where a country regulates the ad: TAIWAN_FINSERV, AUSTRALIA_FINSERV, …
    regionalRegulationIdentities   who Facebook has verified for that: taiwan_finserv_beneficiary, …_payer, with an id

A key that is not known is refused: a misspelt `dailyBuget` would otherwise be no budget at all.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, NoReturn, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from ibctl import money
from ibctl.ads import objectives

SpecialCategory = Literal["FINANCIAL_PRODUCTS_SERVICES", "HOUSING", "EMPLOYMENT", "NONE"]
FINANCIAL: SpecialCategory = "FINANCIAL_PRODUCTS_SERVICES"
# Where countries regulate ads of this kind. Names: as users of the API send them; the SDK knows them by number only.
Regulated = Literal[
    "AUSTRALIA_FINSERV", "INDIA_FINSERV", "SINGAPORE_UNIVERSAL", "TAIWAN_FINSERV", "TAIWAN_UNIVERSAL",
]  # fmt: skip
REGULATED: tuple[str, ...] = get_args(Regulated)
# Source: facebook-business, RegionalRegulationIdentities.
ROLES = ("beneficiary", "payer")
IDENTITIES = tuple(f"{name}_{role}" for name in ("universal", *map(str.lower, REGULATED)) for role in ROLES)
# The buttons that a link ad or a lead form may have; source: facebook-business, AdCreativeLinkDataCallToAction.Type.
CALLS_TO_ACTION = (
    "APPLY_NOW", "BOOK_TRAVEL", "CALL_NOW", "CONTACT_US", "DOWNLOAD", "GET_OFFER", "GET_QUOTE", "GET_STARTED",
    "INSTALL_MOBILE_APP", "LEARN_MORE", "LISTEN_NOW", "MESSAGE_PAGE", "NO_BUTTON", "OPEN_LINK", "ORDER_NOW",
    "PLAY_GAME", "REQUEST_TIME", "SEE_MORE", "SHOP_NOW", "SIGN_UP", "SUBSCRIBE", "USE_APP", "WATCH_MORE",
    "WATCH_VIDEO", "WHATSAPP_MESSAGE",
)  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a template: where (`targeting.interests[0].id`), and what."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class SchemaError(ValueError):
    """A template's data do not fit; `problems` has every place."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


# ------------------------------------------------------------------------------------------------------------- the data


def _exact(value: Any) -> Decimal:
    """Take a JSON number as the decimal that was typed; text and true are no amounts."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number, like 50 or 49.90")
    amount = Decimal(repr(value))
    if not 0 < amount < money.LIMIT:
        raise ValueError(f"must be above 0 and below {money.LIMIT:,.0f}")
    return amount


def _one_of(known: Sequence[str], kind: str) -> AfterValidator:
    """Return the check that a word is one of Facebook's for a kind of thing; what it may have been is suggested."""

    def check(word: str) -> str:
        if word not in known:
            raise ValueError(f"'{word}' is no {kind} of Facebook's{_near(word, known)}")
        return word

    return AfterValidator(check)


def _country(code: str) -> str:
    if len(code) != 2 or not (code.isascii() and code.isalpha() and code.isupper()):
        raise ValueError(f"'{code}' is no country: write two capital letters, like DE")
    return code


def _digits(text: str) -> str:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"'{text}' is no id of Facebook's: those are digits")
    return text


def _near(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(close)}?" if close else ""


Amount = Annotated[Decimal, BeforeValidator(_exact)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=5_000, pattern="^[^\0]*$")]
Country = Annotated[str, AfterValidator(_country)]
Digits = Annotated[str, AfterValidator(_digits)]
Identity = Annotated[str, _one_of(IDENTITIES, "identity")]
# Facebook's own limits; source: facebook-business, Targeting (13 is the youngest that the ads API takes).
Age = Annotated[int, Field(ge=13, le=65)]


def unidentified(categories: Iterable[str], identities: Mapping[str, str]) -> str | None:
    """Say who is missing in a regulated category: both the beneficiary and the payer, its own or for all."""
    for category in categories:
        for role in ROLES:
            own = f"{category.lower()}_{role}"
            if own not in identities and f"universal_{role}" not in identities:
                wanted = f"{own} in regionalRegulationIdentities, the id that Facebook verified"
                return f"the category {category} needs {wanted}"
    return None


class _Strict(BaseModel):
    # `strict`: "25" is text, and JavaScript would compare it as text, too.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Named(_Strict):
    """Something of Facebook's that is chosen by id: an interest, an audience."""

    id: Digits
    name: Text | None = None


class Places(_Strict):
    """Where people are. Facebook has many more kinds of places than countries; those are taken as they are."""

    countries: list[Country] = []
    country_groups: list[str] = []
    regions: list[Any] = []
    cities: list[Any] = []
    zips: list[Any] = []
    geo_markets: list[Any] = []
    places: list[Any] = []
    custom_locations: list[Any] = []
    electoral_districts: list[Any] = []
    subcities: list[Any] = []
    neighborhoods: list[Any] = []
    subneighborhoods: list[Any] = []
    metro_areas: list[Any] = []
    small_geo_areas: list[Any] = []
    medium_geo_areas: list[Any] = []
    large_geo_areas: list[Any] = []
    location_types: list[str] = []

    @property
    def named(self) -> dict[str, list[Any]]:
        """The kinds of places that are used."""
        return {kind: value for kind in type(self).model_fields if (value := getattr(self, kind))}


class Targeting(_Strict):
    """Who is to see the ad: Facebook's targeting spec."""

    geo_locations: Places
    excluded_geo_locations: Places | None = None
    age_min: Age | None = None
    age_max: Age | None = None
    # 1 men, 2 women; both, or none named: all.
    genders: list[Literal[1, 2]] = []
    interests: list[Named] = []
    behaviors: list[Named] = []
    flexible_spec: list[dict[str, Any]] = []
    exclusions: dict[str, Any] = {}
    custom_audiences: list[Named] = []
    excluded_custom_audiences: list[Named] = []
    locales: list[int] = []
    education_statuses: list[int] = []
    relationship_statuses: list[int] = []
    life_events: list[Named] = []
    industries: list[Named] = []
    income: list[Named] = []
    family_statuses: list[Named] = []
    work_employers: list[Named] = []
    work_positions: list[Named] = []
    publisher_platforms: list[str] = []
    facebook_positions: list[str] = []
    instagram_positions: list[str] = []
    messenger_positions: list[str] = []
    audience_network_positions: list[str] = []
    device_platforms: list[str] = []
    user_os: list[str] = []
    user_device: list[str] = []
    brand_safety_content_filter_levels: list[str] = []
    targeting_automation: dict[str, Any] = {}

    @model_validator(mode="after")
    def _consistent(self) -> Targeting:
        if not self.geo_locations.named:
            raise ValueError('geo_locations names no place: Facebook wants one, like countries: ["DE"]')
        if self.age_min is not None and self.age_max is not None and self.age_min > self.age_max:
            raise ValueError(f"age_min {self.age_min} is above age_max {self.age_max}")
        return self


class TemplateData(_Strict):
    """The whole of a template's data."""

    targeting: Targeting
    adCopy: Text  # noqa: N815 - the document's own keys
    headline: Text | None = None
    description: Text | None = None
    callToAction: Annotated[str, _one_of(CALLS_TO_ACTION, "button")] = "LEARN_MORE"  # noqa: N815
    objective: Annotated[str, _one_of(objectives.NAMES, "objective")]
    dailyBudget: Amount | None = None  # noqa: N815
    lifetimeBudget: Amount | None = None  # noqa: N815
    specialAdCategories: list[SpecialCategory] = [FINANCIAL]  # noqa: N815
    dsaBeneficiary: Text | None = None  # noqa: N815
    dsaPayor: Text | None = None  # noqa: N815
    regionalRegulatedCategories: list[Regulated] = []  # noqa: N815
    regionalRegulationIdentities: dict[Identity, Digits] = {}  # noqa: N815

    @model_validator(mode="after")
    def _identified(self) -> TemplateData:
        if problem := unidentified(self.regionalRegulatedCategories, self.regionalRegulationIdentities):
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _one_budget(self) -> TemplateData:
        if self.dailyBudget is not None and self.lifetimeBudget is not None:
            raise ValueError("dailyBudget and lifetimeBudget exclude each other: leave one null")
        return self

    @property
    def categories(self) -> list[str]:
        """The special ad categories as Graph takes them: an empty list for none."""
        return [name for name in self.specialAdCategories if name != "NONE"]


# -------------------------------------------------------------------------------------------------------------- reading


def parse(text: str) -> Any:
    """Read JSON text. Raises SchemaError naming line and column, or NaN and its like, which JSON does not have."""

    def refuse(word: str) -> NoReturn:
        raise SchemaError([Problem("", f"{word} is no number of JSON's")])

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as exc:
        raise SchemaError([Problem(f"line {exc.lineno}, column {exc.colno}", exc.msg)]) from None
    except RecursionError:
        raise SchemaError([Problem("", "it is nested too deeply")]) from None


def check(data: Any) -> TemplateData:
    """Return a template's data as typed values. Raises SchemaError with every place that does not fit."""
    try:
        return TemplateData.model_validate(data)
    except ValidationError as exc:
        raise SchemaError([_problem(error) for error in exc.errors(include_url=False)]) from None


def _problem(error: Any) -> Problem:
    place = _place(error["loc"])
    if error["type"] == "extra_forbidden":
        return Problem(place, f"is no key that a template has here{_near(str(error['loc'][-1]), _keys(error['loc']))}")
    if error["type"] == "missing":
        return Problem(place, "is missing")
    if error["type"] in ("model_type", "dict_type"):
        return Problem(place, "must be an object, like {…}")
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    value = error["input"]
    shown = f" (it is {json.dumps(value, ensure_ascii=False)})" if isinstance(value, str | int | float) else ""
    own = error["type"] == "value_error" and "'" in message
    return Problem(place, message[:1].lower() + message[1:] + ("" if own else shown))


def _place(location: Sequence[str | int]) -> str:
    written = ""
    for step in location:
        if step == "[key]":
            break  # what is wrong is the key itself, which is named by now
        written += f"[{step}]" if isinstance(step, int) else f".{step}" if written else step
    return written


def _keys(location: Sequence[str | int]) -> Iterable[str]:
    inside: dict[str, type[BaseModel]] = {"": TemplateData, "targeting": Targeting}
    where = ".".join(str(step) for step in location[:-1])
    model = inside.get(where, Places if where.endswith("geo_locations") else Named)
    return model.model_fields
