"""Whose a token is, what it may do, and which pages, businesses and ad accounts it reaches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ibctl.integrations.facebook import failures
from ibctl.integrations.facebook.client import Graph, Inner, Line
from ibctl.integrations.facebook.failures import GraphError

# `account_status`: 1 ACTIVE and 9 IN_GRACE_PERIOD deliver, the others do not.
DELIVERING = (1, 9)
STATUSES: Mapping[int, str] = {
    1: "ACTIVE", 2: "DISABLED", 3: "UNSETTLED", 7: "PENDING_RISK_REVIEW", 8: "PENDING_SETTLEMENT", 9: "IN_GRACE_PERIOD",
    100: "PENDING_CLOSURE", 101: "CLOSED", 201: "ANY_ACTIVE", 202: "ANY_CLOSED",
}  # fmt: skip
_ACCOUNT_FIELDS = "id,name,account_status,currency,timezone_name,business,user_tasks"


@dataclass(frozen=True)
class Page:
    """A page that the user has a task on, with the token that acts for it."""

    id: str
    name: str
    token: str = field(repr=False)
    tasks: frozenset[str]


@dataclass(frozen=True)
class Business:
    """A business portfolio."""

    id: str
    name: str


@dataclass(frozen=True)
class AdAccount:
    """An ad account; `id` is with `act_`, `status` Facebook's number."""

    id: str
    name: str
    currency: str
    zone: str
    status: int
    business: Business | None
    tasks: frozenset[str]


@dataclass(frozen=True)
class TokenFacts:
    """What Facebook knows of a token. Times are naive UTC; `expires_at` None: never."""

    valid: bool
    why: str
    expires_at: datetime | None
    data_access_expires_at: datetime | None
    scopes: frozenset[str]


def permissions(graph: Graph) -> dict[str, str]:
    """Return what was asked of the user: `{"ads_management": "granted"}`, or declined, or expired."""
    return {row["permission"]: row["status"] for row in graph.rows("me/permissions")}


def pages(graph: Graph) -> list[Page]:
    """Return the user's pages. Needs pages_show_list."""
    return [
        Page(row["id"], row.get("name", ""), row.get("access_token", ""), frozenset(row.get("tasks", ())))
        for row in graph.rows("me/accounts", {"fields": "id,name,access_token,tasks"})
    ]


def businesses(graph: Graph) -> list[Business]:
    """Return the user's business portfolios. Needs business_management."""
    return [Business(row["id"], row.get("name", "")) for row in graph.rows("me/businesses", {"fields": "id,name"})]


def ad_accounts(graph: Graph) -> list[AdAccount]:
    """Return the ad accounts that the user has a task on. Needs ads_management or ads_read."""
    return [_ad_account(row) for row in graph.rows("me/adaccounts", {"fields": _ACCOUNT_FIELDS})]


def ad_account(graph: Graph, id_: str) -> AdAccount:
    """Return one ad account by its `act_…` id."""
    return _ad_account(graph.get(id_, {"fields": _ACCOUNT_FIELDS}))


def _ad_account(row: Mapping[str, Any]) -> AdAccount:
    business = row.get("business")
    return AdAccount(
        id=row["id"],
        name=row.get("name", ""),
        currency=row["currency"],
        zone=row["timezone_name"],
        status=int(row.get("account_status", 0)),
        business=Business(business["id"], business.get("name", "")) if business else None,
        tasks=frozenset(row.get("user_tasks", ())),
    )


# --------------------------------------------------------------------------------------------------------------- tokens


def exchange(line: Line, token: str) -> tuple[str, datetime | None]:
    """Exchange a living user token for a long-lived one (about 60 days); returns it and when it expires, if said.

    By POST, so that token and secret are in the body. Raises ConfigError without the app's id and secret, GraphError.
    """
    app_id, secret = line.app_credentials()
    answer = line.graph(None).post(
        "oauth/access_token",
        {"grant_type": "fb_exchange_token", "client_id": app_id, "client_secret": secret, "fb_exchange_token": token},
        again=True,
    )
    seconds = answer.get("expires_in")
    # A value from Facebook's clock is as good as ours: only the day matters.
    expires = (
        datetime.now(UTC).replace(tzinfo=None, microsecond=0) + timedelta(seconds=int(seconds)) if seconds else None
    )
    return answer["access_token"], expires


def inspect(line: Line, token: str) -> TokenFacts:
    """Ask Facebook about a token (`debug_token`). Raises ConfigError without the app's id and secret, GraphError.

    No TokenError: what is wrong with the token is in the facts, with the app's own it is WrongAppError.
    As the inner call of a batch, since as a call of its own it would carry the token in its URL.
    """
    (answer,) = line.app().batch([Inner("GET", "debug_token", {"input_token": token})], again=True)
    if isinstance(answer, GraphError):
        raise answer
    data = answer.get("data", {})
    error = data.get("error") or {}
    why = str(error.get("message", "")).replace(token, "…")
    failure = failures.kind({**error, "message": why, "error_subcode": error.get("subcode")}) if error else None
    if isinstance(failure, failures.UserHeldError):
        raise failure  # it only sleeps
    return TokenFacts(
        valid=data.get("is_valid") is True,
        why=why,
        expires_at=_time(data.get("expires_at")),
        data_access_expires_at=_time(data.get("data_access_expires_at")),
        scopes=frozenset(data.get("scopes", ())),
    )


def _time(seconds: Any) -> datetime | None:
    return datetime.fromtimestamp(int(seconds), UTC).replace(tzinfo=None) if seconds else None
