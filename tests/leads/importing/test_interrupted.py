"""Imports that are killed, and imports that meet."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.conftest import Result, command
from tests.leads.conftest import Platform

Write = Callable[..., Path]
ROWS = 2_000
# Where an import stands when somebody else holds a lock: reading owners, comparing with leads, creating them,
# remembering the file, and writing the change set (the last statement before the commit).
POINTS = {
    "owners": 'LOCK TABLE "User" IN ACCESS EXCLUSIVE MODE',
    "matching": 'LOCK TABLE "Lead" IN ACCESS EXCLUSIVE MODE',
    "creating": 'LOCK TABLE "Lead" IN SHARE MODE',
    "recording": "LOCK TABLE ibctl.change IN SHARE MODE",
    "remembering": "LOCK TABLE ibctl.lead_import IN SHARE MODE",
    "closing": "LOCK TABLE ibctl.change_set IN SHARE MODE",
}


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(["leads", "import", *arguments]),
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ),
    )  # fmt: skip


def waiting(database: str, how_many: int) -> None:
    """Wait until so many other sessions stand still at a lock."""
    with psycopg.connect(database, autocommit=True) as connection:
        for _ in range(600):
            (blocked,) = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchone() or (0,)
            if blocked == how_many:
                return
            time.sleep(0.05)
    raise AssertionError(f"{blocked} sessions wait, not {how_many}")


@contextmanager
def held(database: str, lock: str) -> Iterator[None]:
    with psycopg.connect(database) as connection:
        connection.execute(lock.encode())
        yield


def kill(run: subprocess.Popen[str]) -> None:
    run.send_signal(signal.SIGKILL)
    run.communicate(timeout=10)


def wait_until_gone(database: str) -> None:
    """A killed client's server process ends on its own, once it looks for its next command."""
    with psycopg.connect(database, autocommit=True) as connection:
        for _ in range(400):
            (others,) = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name LIKE 'ibctl%'"
            ).fetchone() or (0,)
            if others == 0:
                return
            time.sleep(0.05)
    raise AssertionError("the killed import's server process is still there")


def leads_file(file: Write, start: int, stop: int, name: str = "leads.csv") -> Path:
    return file(
        "email,phone,ib", *(f"u{n}@x.com,+49170{n:07},ib@x.com" for n in range(start, stop)), "bad,,", name=name
    )


def test_an_import_killed_at_any_point_leaves_no_lead_behind(
    platform: Platform, database: str, process: Callable[..., Result], file: Write
) -> None:
    platform.user("ib@x.com")
    path = leads_file(file, 0, ROWS)
    before = platform.everything()
    for point, lock in POINTS.items():
        with held(database, lock):
            run = start(path)
            waiting(database, 1)
            kill(run)
        wait_until_gone(database)
        assert run.returncode == -signal.SIGKILL, point
        assert platform.everything() == before, point
    done = process("leads", "import", path)
    assert done.exit_code == 6
    assert platform.count() == ROWS
    assert platform.sql("SELECT created, refused FROM ibctl.lead_import") == [(ROWS, 1)]


def test_an_import_killed_at_twenty_random_moments_is_done_or_not_begun(
    platform: Platform, database: str, file: Write
) -> None:
    platform.user("ib@x.com")
    path = leads_file(file, 0, ROWS)
    before = platform.everything()
    whole = time.monotonic()
    first = start(path)
    first.communicate(timeout=60)
    whole = time.monotonic() - whole
    assert first.returncode == 6
    moments = random.Random(2025)
    ended = 0
    for _ in range(20):
        platform.sql(
            'TRUNCATE "Lead", ibctl.lead_import, ibctl.lead_import_reject, ibctl.change_set, ibctl.change CASCADE'
        )
        run = start(path)
        time.sleep(moments.uniform(0.3, 1.0) * whole)
        kill(run)
        wait_until_gone(database)
        if platform.everything() != before:
            ended += 1
            assert platform.sql('SELECT count(*) FROM "Lead"') == [(ROWS,)]
            assert platform.sql('SELECT created, refused, "finishedAt" IS NOT NULL FROM ibctl.lead_import') == [
                (ROWS, 1, True)
            ]
            assert platform.sql("SELECT count(*) FROM ibctl.lead_import_reject") == [(1,)]
            assert platform.sql("SELECT counts FROM ibctl.change_set") == [({"Lead": {"insert": ROWS}},)]
            assert platform.sql("SELECT count(*) FROM ibctl.change") == [(ROWS,)]
    assert ended < 20


def test_an_import_killed_while_it_reads_leaves_no_lead_behind(platform: Platform, database: str, file: Write) -> None:
    platform.user("ib@x.com")
    path = leads_file(file, 0, 60_000)
    before = platform.everything()
    run = start(path)
    with psycopg.connect(database, autocommit=True) as connection:
        for _ in range(2_000):
            copying = connection.execute(
                "SELECT count(*) FROM pg_stat_progress_copy WHERE tuples_processed > 0"
            ).fetchone()
            if copying != (0,):
                break
            time.sleep(0.005)
    assert copying == (1,)
    kill(run)
    wait_until_gone(database)
    assert platform.everything() == before


def test_an_interrupted_import_leaves_no_lead_behind(platform: Platform, database: str, file: Write) -> None:
    platform.user("ib@x.com")
    path = leads_file(file, 0, ROWS)
    before = platform.everything()
    with held(database, POINTS["creating"]):
        run = start(path)
        waiting(database, 1)
        run.send_signal(signal.SIGINT)
        _, stderr = run.communicate(timeout=20)
    assert run.returncode == 130
    assert stderr.strip().endswith("interrupted")
    assert platform.everything() == before
    assert [found.name for found in path.parent.glob("*rejects*")] == []


@pytest.mark.parametrize("same", [True, False], ids=["the same file", "overlapping files"])
def test_two_imports_at_once_create_no_lead_twice(platform: Platform, database: str, file: Write, same: bool) -> None:
    platform.user("ib@x.com")
    one = leads_file(file, 0, ROWS, "one.csv")
    two = one if same else leads_file(file, ROWS // 2, ROWS + ROWS // 2, "two.csv")
    with held(database, 'LOCK TABLE "Lead" IN ACCESS EXCLUSIVE MODE'):
        runs = [start(one), start(two)]
        waiting(database, 2)
    outcomes = [(run.communicate(timeout=60), run.returncode) for run in runs]
    assert "waiting for ibctl leads import" in "".join(stderr for (_, stderr), _ in outcomes)
    assert sorted(code for _, code in outcomes) == ([0, 6] if same else [6, 6])
    expected = ROWS if same else ROWS + ROWS // 2
    assert platform.sql('SELECT count(*), count(DISTINCT email), count(DISTINCT phone) FROM "Lead"') == [
        (expected, expected, expected)
    ]


def test_an_import_that_waits_too_long_says_for_whom(
    platform: Platform, database: str, process: Callable[..., Result], file: Write
) -> None:
    platform.user("ib@x.com")
    path = leads_file(file, 0, 10)
    with held(database, POINTS["creating"]):
        run = start(path)
        waiting(database, 1)
        done = process("leads", "import", path, env={"IBCTL_LOCK_TIMEOUT": "0.3"})
        kill(run)
    assert done.exit_code == 3
    assert "ibctl leads import" in done.stderr
    assert "is still at work after 0.3 s" in done.stderr
