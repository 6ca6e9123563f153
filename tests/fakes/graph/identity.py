"""Who the caller is, what was granted, which assets there are; and what is known of a token."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from tests.fakes.graph import faults
from tests.fakes.graph.faults import Fault
from tests.fakes.graph.routing import Request, paged, route
from tests.fakes.graph.world import DAY, Account, Token

OFFSETLESS = {"CLP", "COP", "CRC", "HUF", "ISK", "IDR", "JPY", "KRW", "PYG", "TWD", "VND"}


def picked(row: Mapping[str, Any], fields: list[str]) -> dict[str, Any]:
    """Only the asked fields that are there, and the id, which always comes."""
    return {name: row[name] for name in ("id", *fields) if row.get(name) is not None}


@route("GET", "me")
def me(request: Request) -> Any:
    if request.token is not None and request.token.page:
        page = request.world.pages[request.token.page]
        return {"id": page.id, "name": page.name}
    return {"id": request.user.id, "name": request.user.name}


@route("GET", "me/permissions")
def permissions(request: Request) -> Any:
    return {"data": [{"permission": name, "status": status} for name, status in request.user.permissions.items()]}


@route("GET", "me/accounts")
def pages(request: Request) -> Any:
    request.require("pages_show_list")
    mine = [page for page in request.world.pages.values() if request.user.id in page.tasks]
    rows = [
        {"id": page.id, "name": page.name, "category": page.category, "access_token": page.token,
         "tasks": page.tasks[request.user.id]}
        for page in mine
    ]  # fmt: skip
    return paged(request, [picked(row, request.fields) for row in rows])


@route("GET", "me/businesses")
def businesses(request: Request) -> Any:
    request.require("business_management")
    mine = [one for one in request.world.businesses.values() if request.user.id in one.users]
    rows = [{"id": one.id, "name": one.name, "verification_status": "verified"} for one in mine]
    return paged(request, [picked(row, request.fields) for row in rows])


@route("GET", "me/adaccounts")
def accounts(request: Request) -> Any:
    request.require("ads_management", "ads_read")
    mine = [one for one in request.world.accounts.values() if request.user.id in one.users]
    return paged(request, [picked(account_row(request, one), request.fields) for one in mine])


@route("GET", r"act_(\d+)")
def account(request: Request) -> Any:
    return picked(account_row(request, the_account(request)), request.fields)


def the_account(request: Request, *permissions: str) -> Account:
    """The account that the path names. Raises Fault where the caller may not see it."""
    request.require(*(permissions or ("ads_read", "ads_management")))
    found = request.world.accounts.get(request.caught[0])
    if found is None or request.user.id not in found.users:
        raise faults.no_such_object(f"act_{request.caught[0]}")
    return found


def account_row(request: Request, one: Account) -> dict[str, Any]:
    spent = sum((stats.spend for stats in one.days.values()), start=0)
    business = request.world.businesses.get(one.business or "")
    return {
        "id": one.node, "account_id": one.id, "name": one.name, "account_status": one.status, "disable_reason": 0,
        "currency": one.currency, "timezone_name": one.timezone,
        "business": {"id": business.id, "name": business.name} if business else None,
        "amount_spent": str(int(spent * (1 if one.currency in OFFSETLESS else 100))),
        "min_daily_budget": one.min_daily_budget, "user_tasks": one.users.get(request.user.id),
        "business_country_code": one.country,
    }  # fmt: skip


# --------------------------------------------------------------------------------------------------------------- tokens


@route("GET", "oauth/access_token")
@route("POST", "oauth/access_token")
def exchange(request: Request) -> Any:
    """Give a long-lived token for a living one of a user."""
    params, world = request.params, request.world
    if (str(params.get("client_id")), params.get("client_secret")) != (world.app_id, world.app_secret):
        raise Fault(1, None, "Error validating client secret.")
    if params.get("grant_type") != "fb_exchange_token":
        raise faults.invalid("Invalid grant_type", "grant_type")
    old = world.known(str(params.get("fb_exchange_token")))
    if old is None or old.refusal() is not None:
        raise faults.bad_token(463 if old is None else old.refusal() or 463)
    new = world.token(f"EAALONG{len(world.tokens):04}of{old.user}", old.user, long_lived=True)
    return {"access_token": new.text, "token_type": "bearer", "expires_in": new.expires_at - int(time.time())}


@route("GET", "debug_token")
def debug_token(request: Request) -> Any:
    """Tell about a token, to the app that it belongs to."""
    if request.token is None or request.token.kind != "APP":
        raise faults.invalid("You must provide an app access token, or a user access token that is an owner of the app")
    return {"data": _told(request, str(request.params.get("input_token")))}


def _told(request: Request, text: str) -> dict[str, Any]:
    token = request.world.known(text)
    if token is None or token.refusal() is not None:
        subcode = 467 if token is None else token.refusal()
        error = {"code": 190, "subcode": subcode, "message": faults.bad_token(subcode or 467).error["message"]}
        return {"app_id": request.world.app_id, "is_valid": False, "error": error, "scopes": []}
    return _facts(request, token)


def _facts(request: Request, token: Token) -> dict[str, Any]:
    granted = request.world.users[token.user].permissions if token.user else {}
    facts = {
        "app_id": request.world.app_id, "type": token.kind, "application": "ibctl", "is_valid": True,
        "expires_at": token.expires_at, "data_access_expires_at": token.data_access_expires_at,
        "scopes": [name for name, status in granted.items() if status == "granted"], "user_id": token.user,
    }  # fmt: skip
    return {**facts, "issued_at": int(time.time()) - DAY} if token.long_lived else facts
