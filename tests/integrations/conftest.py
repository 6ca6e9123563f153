"""The real SDK, through ibctl's client, against the Graph server of `tests/fakes`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from ibctl import config
from ibctl.integrations.facebook import client
from ibctl.integrations.facebook.client import Graph, Line
from tests.fakes.graph import Server, World

TOKEN = "EAAtokenOfUserOne0001"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:  # not the database's: no test here needs one
    """A user with the ad account act_900, and the settings that lead to it."""
    world = World()
    world.user("1", "One")
    world.token(TOKEN, "1")
    world.account("900", "1")
    with Server(world) as graph:
        monkeypatch.setenv("IBCTL_GRAPH_URL", graph.url)
        monkeypatch.setenv("FACEBOOK_APP_ID", world.app_id)
        monkeypatch.setenv("FACEBOOK_APP_SECRET", world.app_secret)
        monkeypatch.setenv("IBCTL_HTTP_TIMEOUT", "0.5")
        config.use_env_file(None)
        yield graph


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody waits, though the clock moves on as if; how long it would have been is kept."""
    waited: list[float] = []
    monkeypatch.setattr(client, "monotonic", lambda: time.monotonic() + sum(waited))

    def pause(seconds: float, stop: threading.Event) -> None:
        waited.append(seconds)

    monkeypatch.setattr(client, "pause", pause)
    return waited


@pytest.fixture
def line(server: Server, pauses: list[float]) -> Iterator[Line]:
    with Line() as made:
        yield made


@pytest.fixture
def graph(line: Line) -> Graph:
    return line.graph(TOKEN)
