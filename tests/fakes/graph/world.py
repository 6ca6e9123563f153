"""Who and what there is. Plain mutable records: a test changes them and looks what ibctl makes of it."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

APP_ID, APP_SECRET = "4242", "fake-app-secret-0123456789abcdef"
DAY = 86_400
ALL_PERMISSIONS = (
    "public_profile", "pages_show_list", "business_management", "ads_management", "ads_read", "leads_retrieval",
    "pages_read_engagement", "pages_manage_ads",
)  # fmt: skip
FIRST_ID = 120_210_000_000_000_001
# A token that was exchanged, with whose it is.
LONG_LIVED = re.compile(r"EAALONG\d{4,}of(\d+)")
OPEN = ("ACTIVE", "PAUSED", "IN_PROCESS", "WITH_ISSUES")


@dataclass
class User:
    id: str
    name: str
    # granted, declined or expired
    permissions: dict[str, str] = field(default_factory=lambda: dict.fromkeys(ALL_PERMISSIONS, "granted"))


@dataclass
class Token:
    """A token; `user` is None for an app's. `expires_at` is in Unix seconds, 0: never."""

    text: str
    user: str | None
    kind: str = "USER"
    page: str | None = None
    long_lived: bool = False
    expires_at: int = 0
    data_access_expires_at: int = 0
    # Set: refused with 190 and this subcode.
    dead: int | None = None

    def refusal(self) -> int | None:
        """The subcode with which it is refused, if it is."""
        if self.dead is None and self.expires_at and self.expires_at <= time.time():
            return 463
        return self.dead


@dataclass
class Page:
    id: str
    name: str
    # By user id: what they may do on it.
    tasks: dict[str, list[str]]
    token: str
    category: str = "Finance"
    leadgen_tos_accepted: bool = True


@dataclass
class Business:
    id: str
    name: str
    users: list[str]


@dataclass
class Stats:
    """What a campaign did on a day."""

    spend: Decimal = Decimal(0)
    impressions: int = 0
    clicks: int = 0
    actions: dict[str, int] = field(default_factory=dict)
    action_values: dict[str, Decimal] = field(default_factory=dict)

    def __add__(self, other: Stats) -> Stats:
        return Stats(
            self.spend + other.spend,
            self.impressions + other.impressions,
            self.clicks + other.clicks,
            {
                name: self.actions.get(name, 0) + other.actions.get(name, 0)
                for name in {**self.actions, **other.actions}
            },
            {
                name: self.action_values.get(name, Decimal(0)) + other.action_values.get(name, Decimal(0))
                for name in {**self.action_values, **other.action_values}
            },
        )


@dataclass
class Account:
    """An ad account. `id` is without `act_`; `days` is by campaign id and day of its own zone."""

    id: str
    name: str
    currency: str = "USD"
    timezone: str = "UTC"
    status: int = 1
    business: str | None = None
    # By user id: DRAFT, ANALYZE, ADVERTISE, MANAGE.
    users: dict[str, list[str]] = field(default_factory=dict)
    days: dict[tuple[str, date], Stats] = field(default_factory=dict)
    # In minor units of the currency, as Graph gives it.
    min_daily_budget: int = 100
    # Where its business is at home.
    country: str | None = "US"

    @property
    def node(self) -> str:
        return f"act_{self.id}"

    def today(self) -> date:
        return datetime.now(ZoneInfo(self.timezone)).date()

    def spent(
        self, day: date, spend: str, *, campaign: str = "1", impressions: int = 1000, clicks: int = 10,
        actions: Mapping[str, int] | None = None, values: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Say what happened on a day, in place of what was said before."""
        self.days[campaign, day] = Stats(
            Decimal(spend), impressions, clicks, dict(actions or {}),
            {name: Decimal(value) for name, value in (values or {}).items()},
        )  # fmt: skip


@dataclass
class World:
    """All there is. `objects` holds campaigns, ad sets, ads, creatives, forms and leads as Graph shows them, by id."""

    app_id: str = APP_ID
    app_secret: str = APP_SECRET
    users: dict[str, User] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    pages: dict[str, Page] = field(default_factory=dict)
    businesses: dict[str, Business] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    # Report runs by id.
    reports: dict[str, Any] = field(default_factory=dict)
    # Whether lists have empty pages in their middle.
    empty_pages: bool = False
    # Whether each call of a user's token has to prove that it comes from the app.
    require_proof: bool = False
    # More rows than this in one answer is refused as too much data (100/1487534); None: any number.
    most_rows: int | None = None
    # How often a report run is looked at before it is done, and how it ends.
    report_polls: int = 1
    report_ends: str = "Job Completed"
    # Whether an earlier start of this world is remembered: the long-lived tokens that it gave are good.
    restarted: bool = False
    _ids: Any = field(default_factory=lambda: itertools.count(FIRST_ID), repr=False)

    def new_id(self) -> str:
        """The id of a new object, as long as Graph's are."""
        return str(next(self._ids))

    def known(self, text: str) -> Token | None:
        """Return a token, if it is one."""
        given = LONG_LIVED.fullmatch(text)
        if given and self.restarted and text not in self.tokens and given[1] in self.users:
            self.token(text, given[1], long_lived=True)
        return self.tokens.get(text)

    def begin_ids(self, number: int) -> None:
        """Give new objects ids from a number on, so that they are none of an earlier start's."""
        self._ids = itertools.count(FIRST_ID + number)

    def user(
        self, id_: str, name: str = "", *, declined: Iterable[str] = (), only: Iterable[str] | None = None
    ) -> User:
        permissions = dict.fromkeys(ALL_PERMISSIONS if only is None else only, "granted")
        permissions.update(dict.fromkeys(declined, "declined"))
        self.users[id_] = User(id_, name or f"User {id_}", permissions)
        return self.users[id_]

    def token(self, text: str, user: str | None, *, days: float = 60, long_lived: bool = False, **more: Any) -> Token:
        """Give a user a token that holds for some days; 0: for ever."""
        expires = int(time.time() + days * DAY) if days else 0
        self.tokens[text] = Token(
            text, user, long_lived=long_lived, expires_at=expires,
            data_access_expires_at=int(time.time() + 90 * DAY), **more,
        )  # fmt: skip
        return self.tokens[text]

    def page(self, id_: str, name: str, user: str, *tasks: str) -> Page:
        allowed = list(tasks or ("ADVERTISE", "ANALYZE", "CREATE_CONTENT", "MANAGE"))
        page = Page(id_, name, {user: allowed}, f"EAAPAGE{id_}token")
        self.pages[id_] = page
        self.token(page.token, user, days=0, kind="PAGE", page=id_, long_lived=True)
        return page

    def business(self, id_: str, name: str, *users: str) -> Business:
        self.businesses[id_] = Business(id_, name, list(users))
        return self.businesses[id_]

    def account(
        self, id_: str, user: str, name: str = "", *, tasks: Iterable[str] | None = None, **more: Any
    ) -> Account:
        allowed = list(tasks if tasks is not None else ("DRAFT", "ANALYZE", "ADVERTISE", "MANAGE"))
        self.accounts[id_] = Account(id_, name or f"Account {id_}", users={user: allowed}, **more)
        return self.accounts[id_]

    def campaign(self, account: str, name: str, *, id_: str = "", status: str = "ACTIVE", **more: Any) -> str:
        """Add a campaign of an account (its id without `act_`); returns its id."""
        id_ = id_ or self.new_id()
        self.objects[id_] = {
            "id": id_, "kind": "campaign", "account_id": account, "name": name, "objective": "OUTCOME_LEADS",
            "status": status, "configured_status": status, "effective_status": status, "special_ad_categories": [],
            "start_time": "2026-01-01T00:00:00+0000", "created_time": "2026-01-01T00:00:00+0000",
            "updated_time": "2026-01-01T00:00:00+0000", **more,
        }  # fmt: skip
        return id_
