"""Measurements: ratios against the limit of what the server can do, in the same run. `pytest -m benchmark -s`.

On a server with its default durability (fsync on), unlike the one of the tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ibctl import config, db, embedded
from ibctl.embedded import programs
from tests.conftest import command

# IBCTL_BENCH_IBS=10000 is the size that the limits in the tests were set for; seeding it takes minutes.
IBS = int(os.environ.get("IBCTL_BENCH_IBS", "2000"))
LEADS = 100 * IBS
FULL_SIZE = IBS >= 10_000

SEED = f"""
INSERT INTO "User" (id, email, password, role, "updatedAt")
  SELECT 'u' || n, 'ib' || n || '@x.y', 'x', 'IB', now() FROM generate_series(1, {IBS}) n;
INSERT INTO "FacebookAdAccount" (id, "userId", "adAccountId", "updatedAt")
  SELECT 'a' || n, 'u' || n, 'act_' || n, now() FROM generate_series(1, {IBS}) n;
INSERT INTO "Lead" (id, "userId", email, "trackingToken", "leadCapturedAt", "qualifiedAt", "cpaEarned", "updatedAt")
  SELECT 'l' || lpad(n::text, 8, '0'), 'u' || (1 + n::bigint * 7919 % {IBS}), n || '@x.com', 't' || n, at,
    CASE WHEN n % 8 = 0 THEN at + interval '5 days' END, CASE WHEN n % 8 = 0 THEN 200.15 + n % 97 ELSE 0 END, now()
  FROM generate_series(1, {LEADS}) n,
    LATERAL (SELECT timestamp '2024-11-01' + n * (interval '365 days' / {LEADS})) x (at);
INSERT INTO "AdSpendHistory" (id, "userId", "adAccountId", date, "dailySpend", "updatedAt")
  SELECT 's' || u || '_' || d, 'u' || u, 'a' || u, date '2024-11-01' + d, 10 + (u * d % 1000) / 100.0, now()
  FROM generate_series(1, {IBS}) u, generate_series(0, 364) d;
ANALYZE;
"""


@pytest.fixture(scope="module")
def durable() -> Iterator[str]:
    """A server with its defaults, and a platform on it: for each IB 100 leads and 365 spend days, over a year."""
    folder = Path(tempfile.mkdtemp(prefix="ibctl-bench-", dir="/tmp"))
    folder.chmod(0o711)
    url = embedded.start(folder / "pg")
    subprocess.run(command(["db", "upgrade"]), env={"DATABASE_URL": url}, check=True, capture_output=True)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SEED.encode())
    yield url
    embedded.stop(folder / "pg")
    shutil.rmtree(folder)


@pytest.fixture
def platform_url(durable: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DATABASE_URL", durable)
    config.use_env_file(None)
    db.forget()
    return durable


def seconds(arguments: list[str]) -> float:
    """How long a process takes from its start to its end; it has to succeed."""
    began = time.monotonic()
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - began


def peak(arguments: list[str], code: int = 0) -> tuple[float, int]:
    """How long a process takes that ends with `code`, and the most memory that it held, in MB."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as stderr:
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=stderr)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        stderr.seek(0)
        assert process.returncode == code, stderr.read()
    return time.monotonic() - began, used.ru_maxrss // 1024


def psql(url: str, statement: str) -> float:
    return seconds([str(programs.wheel()[0] / "psql"), "-q", "-v", "ON_ERROR_STOP=1", url, "-c", statement])


def report(what: str, ours: float, limit: float) -> None:
    sys.stdout.write(f"\n{what}: {ours:.2f} s, limit {limit:.2f} s, ratio {ours / limit:.2f}\n")
