"""Any object by its id."""

from __future__ import annotations

from typing import Any

from tests.fakes.graph import faults, insights
from tests.fakes.graph.identity import picked
from tests.fakes.graph.routing import Request, route


@route("GET", r"(\d+)")
def node(request: Request) -> Any:
    id_ = request.caught[0]
    if id_ in request.world.reports:
        return insights.report_status(request.world, id_)
    found = request.world.objects.get(id_)
    if found is None:
        raise faults.no_such_object(id_)
    return picked(found, request.fields)
