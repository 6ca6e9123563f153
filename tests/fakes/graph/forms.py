"""Lead forms of pages and what people filled in; and the pages' posts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tests.fakes.graph import faults
from tests.fakes.graph.identity import picked
from tests.fakes.graph.routing import Request, paged, route
from tests.fakes.graph.world import DAY, World

# What is older cannot be downloaded any more.
DAYS_KEPT = 90
OPERATORS = {"GREATER_THAN", "GREATER_THAN_OR_EQUAL", "LESS_THAN"}
# Only where the caller may advertise for the account.
OF_ADS = ("ad_id", "ad_name", "adset_id", "adset_name", "campaign_id", "campaign_name")


def form(world: World, page: str, name: str, *, id_: str = "", status: str = "ACTIVE", **more: Any) -> str:
    """Add a form of a page; returns its id."""
    id_ = id_ or world.new_id()
    world.objects[id_] = {
        "id": id_, "kind": "form", "account_id": "", "page_id": page, "name": name, "status": status,
        "effective_status": status, "locale": "en_US",
        "questions": [{"key": key, "type": key.upper()} for key in ("full_name", "email", "phone_number")],
        **more,
    }  # fmt: skip
    return id_


def lead(world: World, form_id: str, answers: Mapping[str, str | list[str]], *, ago: float = 0, **more: Any) -> str:
    """Let somebody fill a form in, `ago` seconds before now; returns the lead's id."""
    id_ = world.new_id()
    world.objects[id_] = {
        "id": id_, "kind": "lead", "account_id": "", "effective_status": "ACTIVE", "form_id": form_id,
        "at": time.time() - ago, "is_organic": "campaign_id" not in more, "platform": "fb",
        "field_data": [
            {"name": name, "values": [value] if isinstance(value, str) else value} for name, value in answers.items()
        ],
        **more,
    }  # fmt: skip
    return id_


def post(world: World, page: str, number: str, **more: Any) -> str:
    """Add a post of a page; returns its id."""
    id_ = f"{page}_{number}"
    world.objects[id_] = {
        "id": id_, "kind": "post", "account_id": "", "effective_status": "ACTIVE", "page_id": page,
        "is_published": True, "is_eligible_for_promotion": True, "promotable_id": id_, **more,
    }  # fmt: skip
    return id_


def _require_page(request: Request, page: str) -> None:
    if page not in request.world.pages:
        raise faults.no_such_object(page)
    if request.token is None or request.token.page != page:
        raise faults.Fault(190, None, "This method must be called with a Page Access Token")


@route("GET", r"(\d+)/leadgen_forms")
def forms(request: Request) -> Any:
    page = request.caught[0]
    _require_page(request, page)
    request.require("pages_manage_ads", "leads_retrieval")
    mine = [one for one in request.world.objects.values() if one["kind"] == "form" and one["page_id"] == page]
    return paged(request, [picked(one, request.fields) for one in mine])


@route("GET", r"(\d+)/leads")
def leads(request: Request) -> Any:
    """A form's leads of the last 90 days, the newest first, as Graph has them."""
    request.require("leads_retrieval")
    found = request.world.objects.get(request.caught[0])
    if found is None or found["kind"] != "form":
        raise faults.no_such_object(request.caught[0])
    oldest = time.time() - DAYS_KEPT * DAY
    rows = [
        one for one in request.world.objects.values()
        if one["kind"] == "lead" and one["form_id"] == found["id"] and one["at"] >= oldest
        and all(_passes(one, each) for each in request.params.get("filtering") or [])
    ]  # fmt: skip
    rows.sort(key=lambda one: (one["at"], one["id"]), reverse=True)
    return paged(request, [_shown(request, one) for one in rows])


def _passes(row: Mapping[str, Any], one: Mapping[str, Any]) -> bool:
    if one["field"] != "time_created" or one["operator"] not in OPERATORS:
        raise faults.invalid("Filtering field or operator is not supported", "filtering")
    at, value = int(row["at"]), int(one["value"])
    return {"GREATER_THAN": at > value, "GREATER_THAN_OR_EQUAL": at >= value, "LESS_THAN": at < value}[one["operator"]]


def _shown(request: Request, row: Mapping[str, Any]) -> dict[str, Any]:
    created = datetime.fromtimestamp(row["at"], UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")
    hidden = () if request.user.permissions.get("ads_management") == "granted" else OF_ADS
    whole = {**row, "created_time": created}
    return picked(whole, [name for name in request.fields if name not in hidden])


@route("GET", r"(\d+)_(\d+)")
def page_post(request: Request) -> Any:
    """A page's post, to the page's own token."""
    page, number = request.caught
    _require_page(request, page)
    found = request.world.objects.get(f"{page}_{number}")
    if found is None:
        raise faults.Fault(100, 33, f"Object with ID '{page}_{number}' does not exist")
    return picked(found, request.fields)
