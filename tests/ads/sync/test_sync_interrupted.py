"""A sync that is killed, two at once, and what never comes out of one: in processes of their own."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.ads.facebook import Connected, back
from tests.conftest import Result, command
from tests.fakes.graph import Broken, Fault, Server, faults

Run = Callable[..., Result]
SYNC = ["ads", "sync", "--parallel", "3"]


@pytest.fixture
def many(connected: Connected) -> Connected:
    """Twelve accounts of four days each, behind a server that takes a moment for each answer."""
    for number in range(900, 912):
        account = connected.account(str(number))
        for days in range(4):
            account.spent(back(account, days), f"{number}.{days:02}", actions={"lead": days})
    connected.server.latency = 0.05
    return connected


def stored(connected: Connected) -> tuple[Any, ...]:
    """All that a sync writes, without its times and ids."""
    return (
        connected.ads.days(
            '"dailySpend", impressions, clicks, leads, ctr, cpc, cpl, "cumulativeSpend", "cumulativeLeads"'
        ),
        connected.state('a."adAccountId", "firstDay", "lastDay", "finalThrough", problem'),
        connected.ads.sql('SELECT "date", field, old, new FROM ibctl.spend_restatement ORDER BY 1, 2, 3'),
    )


def test_a_sync_killed_at_ten_points_and_run_again_ends_as_one_that_was_not(
    many: Connected, process: Run, database: str
) -> None:
    dice = random.Random(20261126)
    for _ in range(10):
        run = subprocess.Popen(command(SYNC), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # Start-up takes most of a second; what follows takes about as long.
        _wait_for_call(many.server, run)
        time.sleep(dice.uniform(0, 0.5))
        run.send_signal(signal.SIGKILL)
        run.wait()
        _require_whole_accounts(many)
    assert process(*SYNC).exit_code == 0
    after_kills = stored(many)
    many.ads.sql('TRUNCATE "AdSpendHistory", ibctl.ad_account_state, ibctl.spend_restatement')
    assert process(*SYNC).exit_code == 0
    assert stored(many) == after_kills
    assert len(after_kills[0]) == 48


def _wait_for_call(server: Server, run: subprocess.Popen[bytes]) -> None:
    before, until = len(server.calls), time.monotonic() + 30
    while len(server.calls) == before and run.poll() is None and time.monotonic() < until:
        time.sleep(0.01)


def _require_whole_accounts(connected: Connected) -> None:
    """An account has all of its days with all that goes with them, or none."""
    counts = connected.ads.sql(
        'SELECT a.id, count(h.id), max(s."lastDay") IS NOT NULL FROM "FacebookAdAccount" a'
        ' LEFT JOIN "AdSpendHistory" h ON h."adAccountId" = a.id'
        " LEFT JOIN ibctl.ad_account_state s ON s.id = a.id GROUP BY 1"
    )
    assert {(count, known) for _, count, known in counts} <= {(0, False), (4, True)}


def test_two_syncs_at_once_end_as_one(many: Connected, process: Run, database: str) -> None:
    runs = [subprocess.Popen(command(SYNC), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) for _ in range(2)]
    told = [run.communicate(timeout=60)[1].decode() for run in runs]
    # Whoever asked Facebook earlier than the other wrote leaves the newer answer alone, and says so.
    assert all(run.returncode == 0 or "what it wrote is newer" in text for run, text in zip(runs, told, strict=True))
    at_once = stored(many)
    many.ads.sql('TRUNCATE "AdSpendHistory", ibctl.ad_account_state, ibctl.spend_restatement')
    many.ads.sql('UPDATE "FacebookAdAccount" SET "lastSyncAt" = NULL')
    assert process(*SYNC).exit_code == 0
    assert stored(many)[0] == at_once[0]


def test_ctrl_c_ends_at_once_with_130_though_facebook_is_slow(many: Connected, database: str) -> None:
    many.server.fail("insights", Broken("slow", seconds=20), times=99)
    run = subprocess.Popen(
        command(SYNC), stderr=subprocess.PIPE, env={**os.environ, "IBCTL_HTTP_TIMEOUT": "3"}, text=True
    )
    while len(many.server.calls) < 3:
        time.sleep(0.02)
    began = time.monotonic()
    run.send_signal(signal.SIGINT)
    _, stderr = run.communicate(timeout=30)
    assert (run.returncode, stderr.splitlines()[-1]) == (130, "Error: interrupted")
    # As long as one answer may take at most, not as long as all retries.
    assert time.monotonic() - began < 6
    assert many.ads.days() == []


def test_no_token_is_in_any_output_when_connections_fail(many: Connected, ibctl: Run) -> None:
    many.server.latency = 0
    runs = [ibctl("ads", "sync", "--days", "1"), ibctl("ads", "accounts", "refresh"), ibctl("ads", "tokens", "check")]
    for broken in (Broken("refused"), Broken("dropped"), Broken("truncated"), Broken("slow", seconds=0.8), faults.HTML):
        many.server.fail("", broken, times=6)
        runs.append(ibctl("ads", "accounts", "refresh", "act_900"))
        assert runs[-1].exit_code == 5
    for fault in (faults.bad_token(), Fault(190, None, "Malformed access token EAAtokenOfIb900")):
        many.server.fail("", fault)
        many.ads.sql('UPDATE "FacebookAdAccount" SET "isConnected" = true')
        runs.append(ibctl("ads", "sync", "--account", "act_900"))
    runs += [ibctl("ads", "accounts", "list", "-f", "json"), ibctl("audit", "show", "1", "-f", "json")]
    assert_silent(many, "".join(run.stdout + run.stderr for run in runs))
    assert sum("127.0.0.1" in run.stderr for run in runs) >= 3


def test_no_token_is_in_a_traceback(many: Connected, process: Run, database: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import requests.adapters\n"
        "def fail(self, request, **k): raise RuntimeError(request.url)\n"
        "requests.adapters.HTTPAdapter.send = fail\n"
    )
    run = process("ads", "sync", "--account", "act_900", env={"PYTHONPATH": str(tmp_path)})
    assert (run.exit_code, "Traceback" in run.stderr) == (1, True)
    assert_silent(many, run.stdout + run.stderr)


def assert_silent(connected: Connected, text: str) -> None:
    secrets = [*connected.server.world.tokens, connected.server.world.app_secret]
    assert [secret for secret in secrets if secret in text] == []


def test_no_token_is_in_the_list_of_processes(connected: Connected, database: str) -> None:
    connected.account("900")
    connected.server.world.token("EAAsecretFromStdin01", "900")
    connected.server.fail("me/permissions", Broken("slow", seconds=1.5))
    run = subprocess.Popen(
        command(["ads", "accounts", "connect", "--user", "ib900@x.y"]), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={**os.environ, "IBCTL_HTTP_TIMEOUT": "5"}, text=True,
    )  # fmt: skip
    assert run.stdin is not None
    run.stdin.write("EAAsecretFromStdin01\n")
    run.stdin.close()
    while not connected.server.seen("me/permissions") and run.poll() is None:
        time.sleep(0.02)
    listed = "".join(
        Path(f"/proc/{run.pid}/{name}").read_text(errors="replace") for name in ("cmdline", "environ")
    )  # fmt: skip
    assert "connect" in listed
    assert "EAAsecretFromStdin01" not in listed
    assert run.wait(30) == 0
    for stream in (run.stdout, run.stderr):
        assert stream is not None
        stream.close()
