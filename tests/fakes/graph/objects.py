"""Campaigns as lists, and any object by its id."""

from __future__ import annotations

from typing import Any

from tests.fakes.graph import faults, insights
from tests.fakes.graph.identity import picked, the_account
from tests.fakes.graph.routing import Request, paged, route
from tests.fakes.graph.world import OPEN


@route("GET", r"act_(\d+)/campaigns")
def campaigns(request: Request) -> Any:
    """The account's campaigns; archived ones only where they are asked for, deleted ones never."""
    account = the_account(request)
    states = request.params.get("effective_status") or list(OPEN)
    if "DELETED" in states:
        raise faults.invalid("Deleted objects cannot be filtered for on an edge", "effective_status", subcode=1815001)
    mine = [
        one for one in request.world.objects.values()
        if one["kind"] == "campaign" and one["account_id"] == account.id and one["effective_status"] in states
    ]  # fmt: skip
    return paged(request, [picked(one, request.fields) for one in mine])


@route("GET", r"(\d+)")
def node(request: Request) -> Any:
    id_ = request.caught[0]
    if id_ in request.world.reports:
        return insights.report_status(request.world, id_)
    found = request.world.objects.get(id_)
    if found is None:
        raise faults.no_such_object(id_)
    return picked(found, request.fields)
