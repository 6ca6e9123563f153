"""Runs that are killed, and runs that meet."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.commissions.conftest import Platform
from tests.conftest import Result, command

RUN = ["commissions", "run", "--month", "2025-10"]
POINTS = 10


@pytest.fixture
def month(platform: Platform) -> Platform:
    """40 IBs with 25 leads each, and one commission that is already there and will change."""
    platform.sql(
        'INSERT INTO "User" (id, email, password, role, "updatedAt")'
        " SELECT 'u' || n, 'ib' || n || '@x.y', 'x', 'IB', now() FROM generate_series(1, 40) n"
    )
    platform.sql(
        'INSERT INTO "Lead" (id, "userId", email, "leadCapturedAt", "qualifiedAt", "cpaEarned", "updatedAt")'
        " SELECT 'l' || n, 'u' || (n % 40 + 1), n || '@x.com', '2025-10-03', '2025-10-04', n % 97 + 0.15, now()"
        " FROM generate_series(1, 1000) n"
    )
    platform.sql(
        'INSERT INTO "IbCommission" (id, "userId", month, year, "totalPayout", "updatedAt")'
        " VALUES ('old', 'u1', 10, 2025, 1, now())"
    )
    return platform


def start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(RUN), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ)
    )


def figures(platform: Platform) -> list[tuple[Any, ...]]:
    """What a run decides: no ids and times, which differ between two runs of the same month."""
    return platform.sql(
        'SELECT c."userId", c."totalLeads", c."totalCpaEarned", c."totalPayout", n.digest'
        ' FROM "IbCommission" c LEFT JOIN ibctl.commission_state s ON s.id = c.id'
        ' LEFT JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId" ORDER BY 1'
    )


def records(platform: Platform) -> tuple[int, int]:
    ((sets, changes),) = platform.sql(
        "SELECT (SELECT count(*) FROM ibctl.change_set), (SELECT count(*) FROM ibctl.change)"
    )
    return sets, changes


def wait_until_gone(database: str) -> None:
    """A killed client's server process ends on its own, a moment later."""
    for _ in range(100):
        with psycopg.connect(database) as connection:
            (others,) = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND backend_type = 'client backend'"
            ).fetchone() or (0,)
        if others == 0:
            return
        time.sleep(0.05)
    raise AssertionError("the killed run's server process is still there")


def test_a_run_killed_at_any_point_leaves_the_month_as_before_or_as_after(
    month: Platform, database: str, process: Callable[..., Result]
) -> None:
    before = figures(month)
    began = time.monotonic()
    assert process(*RUN, "--dry-run").exit_code == 0
    duration = time.monotonic() - began
    after: list[tuple[Any, ...]] = []
    outcomes = set()
    for point in range(POINTS):
        run = start()
        time.sleep(duration * (point + 1) / POINTS)
        run.send_signal(signal.SIGKILL)
        run.communicate()
        wait_until_gone(database)
        found = figures(month)
        if found != before:
            after = after or found
            assert found == after
            assert records(month)[0] == 1
        else:
            assert records(month) == (0, 0)
        outcomes.add(found == before)
    assert True in outcomes, "no kill came early enough to matter"
    assert process(*RUN).exit_code == 0
    assert len(figures(month)) == 40
    assert not after or figures(month) == after


# Each blocks the run inside its one transaction: at the write to that table.
@pytest.mark.parametrize(
    "table",
    ['"IbCommission"', "ibctl.commission_snapshot", "ibctl.commission_state", "ibctl.change", "ibctl.change_set"],
)
def test_a_run_killed_in_the_middle_of_its_transaction_leaves_nothing(
    month: Platform, database: str, process: Callable[..., Result], table: str
) -> None:
    before = figures(month)
    with psycopg.connect(database) as connection:
        connection.execute(f"LOCK TABLE {table} IN SHARE MODE".encode())
        run = start()
        waiting = (
            "SELECT count(*) FROM pg_locks WHERE NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        for _ in range(200):
            if (connection.execute(waiting).fetchone() or (0,))[0]:
                break
            time.sleep(0.05)
        else:
            raise AssertionError(f"the run never came to write to {table}")
        run.send_signal(signal.SIGKILL)
        run.communicate()
    wait_until_gone(database)
    assert figures(month) == before
    assert records(month) == (0, 0)
    assert process(*RUN).exit_code == 0
    assert len(figures(month)) == 40


def test_ctrl_c_ends_with_130_and_leaves_nothing(month: Platform, database: str) -> None:
    before = figures(month)
    with psycopg.connect(database) as connection:
        connection.execute('LOCK TABLE "IbCommission" IN SHARE MODE')
        run = start()
        time.sleep(3)
        run.send_signal(signal.SIGINT)
        _, stderr = run.communicate(timeout=20)
    assert (run.returncode, stderr.strip()) == (130, "Error: interrupted")
    assert figures(month) == before


def test_two_runs_at_once_give_what_one_gives(month: Platform, process: Callable[..., Result]) -> None:
    runs = [start() for _ in range(4)]
    ended = [(run.communicate(timeout=60), run.returncode) for run in runs]
    assert [code for _, code in ended] == [0] * 4
    assert len(figures(month)) == 40
    assert records(month)[0] == 1
    assert month.sql("SELECT count(*) FROM ibctl.commission_snapshot") == [(40,)]


def test_a_run_that_finds_another_at_work_says_who_it_is_and_gives_up_in_time(
    month: Platform, database: str, process: Callable[..., Result]
) -> None:
    before = figures(month)
    with psycopg.connect(database) as blocker:
        blocker.execute('LOCK TABLE "IbCommission" IN SHARE MODE')
        first = start()
        while not (blocker.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() or (0,))[0]:
            time.sleep(0.05)
        second = process(*RUN, env={"IBCTL_LOCK_TIMEOUT": "1"})
        first.kill()
        first.communicate()
    assert second.exit_code == 3
    assert "waiting for ibctl commissions run by tester@" in second.stderr
    assert "is still at work after 1 s: try again later" in second.stderr
    assert figures(month) == before
