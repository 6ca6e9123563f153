"""A sync of 1,000 ad accounts against the Graph server, which takes 50 ms for each answer."""

from __future__ import annotations

import multiprocessing
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import psycopg
import pytest

from ibctl import crypto
from tests.benchmarks.conftest import report
from tests.conftest import KEY, command
from tests.fakes.graph import Server, World

pytestmark = pytest.mark.benchmark

ACCOUNTS, DAYS, LATENCY, PARALLEL = 1_000, 28, 0.05, 4
TOKEN = "EAAbenchmarkToken0001"


def world(accounts: int = ACCOUNTS) -> World:
    made = World()
    made.user("1", "One")
    made.token(TOKEN, "1")
    for number in range(accounts):
        account = made.account(str(900_000 + number), "1")
        for back in range(DAYS):
            day = account.today() - timedelta(days=back)
            account.spent(day, f"{10 + number % 90}.{back:02}", actions={"lead": back % 5, "purchase": back % 2})
    return made


def serve(pipe: Connection) -> None:
    """Answer in a process of its own, as Facebook does; says at the end how often."""
    with Server(world(), latency=LATENCY) as server:
        pipe.send(server.url)
        while pipe.recv() != "stop":
            pipe.send(len(server.calls))


@dataclass
class Graph:
    url: str
    pipe: Connection

    def calls(self) -> int:
        self.pipe.send("count")
        return int(self.pipe.recv())


@pytest.fixture(scope="module")
def graph() -> Iterator[Graph]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,))
    process.start()
    yield Graph(ours.recv(), ours)
    ours.send("stop")
    process.join(10)


@pytest.fixture
def accounts(platform_url: str) -> str:
    """The accounts of the world, connected, on a platform with 730,000 other spend days."""
    os.environ["ENCRYPTION_KEY"] = KEY
    cipher = crypto.encrypt(TOKEN, KEY)
    with psycopg.connect(platform_url, autocommit=True) as connection:
        connection.execute('UPDATE "FacebookAdAccount" SET "accessToken" = NULL')
        connection.execute(
            'INSERT INTO "FacebookAdAccount" (id, "userId", "adAccountId", "accessToken", "isConnected", "updatedAt")'
            " SELECT 'f' || n, 'u' || (1 + n), 'act_' || (900000 + n), %s, true, now() FROM generate_series(0, %s) n"
            ' ON CONFLICT (id) DO UPDATE SET "accessToken" = excluded."accessToken"',
            (cipher, ACCOUNTS - 1),
        )
    return platform_url


def sync(url: str, graph: Graph, *options: str) -> tuple[float, int]:
    """Seconds, and the most memory in MB, of a whole process."""
    env = {**os.environ, "DATABASE_URL": url, "IBCTL_GRAPH_URL": graph.url, "ENCRYPTION_KEY": KEY}
    began = time.monotonic()
    run = subprocess.Popen(command(["ads", "sync", "--quiet", "--parallel", str(PARALLEL), *options]), env=env)
    peak = [0]
    watcher = threading.Thread(target=_watch, args=(run, peak))
    watcher.start()
    assert run.wait(300) == 0
    watcher.join()
    return time.monotonic() - began, peak[0]


def _watch(run: subprocess.Popen[bytes], peak: list[int]) -> None:
    while run.poll() is None:
        try:
            pages = int(Path(f"/proc/{run.pid}/statm").read_text().split()[1])
            peak[0] = max(peak[0], pages * resource.getpagesize() // 1_000_000)
        except OSError:
            return
        time.sleep(0.05)


def test_a_sync_of_1000_accounts_takes_hardly_longer_than_its_calls(accounts: str, graph: Graph) -> None:
    for what in ("all days new", "nothing new"):
        before = graph.calls()
        seconds, memory = sync(accounts, graph)
        calls = graph.calls() - before
        limit = calls * LATENCY / PARALLEL
        report(f"{ACCOUNTS:,} accounts × {DAYS} days, {what}, {calls} calls, peak {memory} MB", seconds, limit)
        assert calls == ACCOUNTS
        assert seconds <= 1.3 * limit


def test_memory_does_not_grow_with_the_accounts(accounts: str, graph: Graph) -> None:
    _, few = sync(accounts, graph, *(f"--account=act_{900_000 + n}" for n in range(100)))
    _, many = sync(accounts, graph)
    sys.stdout.write(f"\npeak memory: {few} MB for 100 accounts, {many} MB for {ACCOUNTS:,}\n")
    assert many < few + 15
