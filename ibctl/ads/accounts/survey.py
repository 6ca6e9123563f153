"""Asks Facebook what a token reaches. Network only: nothing is read from the database or written to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from ibctl.ads.accounts import rules as account_rules
from ibctl.ads.accounts.rules import Assets, Setup
from ibctl.errors import ConfigError, RequestError
from ibctl.integrations.facebook import identity
from ibctl.integrations.facebook.client import Graph, Line
from ibctl.integrations.facebook.failures import PermissionMissingError, RefusedError, TokenError, UserHeldError
from ibctl.integrations.facebook.identity import AdAccount, Business, Page

T = TypeVar("T")


@dataclass(frozen=True)
class Token:
    """A user's token as it is to be stored. Times are naive UTC; None: not known, or never."""

    text: str = field(repr=False)
    expires_at: datetime | None
    data_access_expires_at: datetime | None


@dataclass(frozen=True)
class Survey:
    """Who may do what, and the pages, businesses and ad accounts that a token reaches."""

    token: Token
    permissions: dict[str, str]
    pages: Sequence[Page]
    businesses: Sequence[Business]
    accounts: Sequence[AdAccount]

    def page(self, id_: str | None) -> Page | None:
        """Return one of the pages."""
        return next((page for page in self.pages if page.id == id_), None)

    def business(self, account: AdAccount | None) -> Business | None:
        """Return the ad account's business; without an ad account the only one that there is."""
        if account is not None:
            return account.business
        return self.businesses[0] if len(self.businesses) == 1 else None

    def setup(self, account: AdAccount | None, page: Page | None) -> Setup:
        """Return how far the set-up goes for one of the ad accounts (None: there is none), and what is missing."""
        return account_rules.setup(
            Assets(
                permissions=self.permissions,
                page_tasks=page.tasks if page else None,
                has_business=bool(self.businesses),
                account_status=identity.STATUSES.get(account.status, f"in state {account.status}") if account else None,
                account_tasks=account.tasks if account else frozenset(),
                delivers=account is not None and account.status in identity.DELIVERING,
            )
        )


def has_app(line: Line) -> bool:
    """Whether the app's id and secret are set, so that tokens can be exchanged and looked into."""
    try:
        line.app_credentials()
    except ConfigError:
        return False
    return True


def first(line: Line, text: str) -> Survey:
    """Make a new token last, and look around with it. Raises RequestError where Facebook refuses it, GraphError."""
    try:
        return look(line, lasting(line, text))
    except (TokenError, UserHeldError, RefusedError) as exc:
        raise RequestError(f"the token was refused, nothing was stored. {exc}") from None


def lasting(line: Line, text: str) -> Token:
    """Exchange a user's token for a long-lived one, and find out how long that holds. Raises GraphError.

    Without the app's id and secret, returns it as it is.
    """
    if not has_app(line):
        return Token(text, None, None)
    exchanged, expires = identity.exchange(line, text)
    facts = identity.inspect(line, exchanged)
    if not facts.valid:
        raise TokenError(f"Facebook does not know the token that it gave: {facts.why}")
    # What Facebook says of the token outweighs what it said while giving it.
    return Token(exchanged, facts.expires_at or expires, facts.data_access_expires_at)


def look(line: Line, token: Token) -> Survey:
    """Look around with a token. Raises GraphError."""
    graph = line.graph(token.text)
    permissions = identity.permissions(graph)
    return Survey(
        token=token,
        permissions=permissions,
        pages=_allowed(graph, permissions, identity.pages, "pages_show_list"),
        businesses=_allowed(graph, permissions, identity.businesses, "business_management"),
        accounts=_allowed(graph, permissions, identity.ad_accounts, "ads_management", "ads_read"),
    )


def _allowed(
    graph: Graph, permissions: dict[str, str], ask: Callable[[Graph], Sequence[T]], *needs: str
) -> Sequence[T]:
    """Ask only for what was granted: what is missing is a finding, not a failure."""
    if not account_rules.granted(permissions, *needs):
        return []
    try:
        return ask(graph)
    except PermissionMissingError:
        return []
