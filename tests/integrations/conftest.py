"""The real SDK, through ibctl's client, against the Graph server of `tests/fakes`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ibctl.integrations.facebook.client import Graph, Line
from tests.fakes.graph import Server

TOKEN = "EAAtokenOfUserOne0001"


@pytest.fixture
def server(facebook: Server) -> Server:  # not the database's: no test here needs one
    """Graph, with a user who has the ad account act_900."""
    facebook.world.user("1", "One")
    facebook.world.token(TOKEN, "1")
    facebook.world.account("900", "1")
    return facebook


@pytest.fixture
def line(server: Server, pauses: list[float]) -> Iterator[Line]:
    with Line() as made:
        yield made


@pytest.fixture
def graph(line: Line) -> Graph:
    return line.graph(TOKEN)
