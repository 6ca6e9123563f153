"""Fifty edits of campaigns by one batch call, against one call each."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import pytest

from ibctl.integrations.facebook import campaigns
from ibctl.integrations.facebook.client import Line
from tests.fakes.graph import Server

LATENCY = 0.05
EDITS = 50
TOKEN = "EAAbenchmarkToken01"


def measured(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


@pytest.mark.benchmark
def test_fifty_edits_cost_one_call(facebook: Server) -> None:
    world = facebook.world
    world.user("1", "One")
    world.token(TOKEN, "1")
    world.account("900", "1")
    ids = [world.campaign("900", f"C{number}") for number in range(EDITS)]
    facebook.latency = LATENCY
    with Line() as line:
        graph = line.graph(TOKEN)
        campaigns.set_status(graph, ids[:1], "ACTIVE")  # connected, SDK loaded
        calls = len(facebook.calls)
        together = measured(lambda: campaigns.set_status(graph, ids, "PAUSED"))
        sent = len(facebook.calls) - calls
        apart = measured(lambda: [campaigns.set_status(graph, [id_], "ACTIVE") for id_ in ids])
    sys.stdout.write(f"\n{EDITS} edits: {together * 1000:.0f} ms in {sent} call, {apart * 1000:.0f} ms in {EDITS}\n")
    assert sent == 1
    assert together < 3 * LATENCY
    assert together < apart / 10
