"""What is asked of a whole month works over sets: it costs a few runs of the month, whatever it finds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.benchmarks.conftest import IBS, peak, psql, report, seconds
from tests.conftest import command

pytestmark = pytest.mark.benchmark

RUN = ["commissions", "run", "--month", "2025-05"]
# Every IB that earned in the month, an eighth of them, earns something else.
RESTATED = """
UPDATE "Lead" SET "cpaEarned" = "cpaEarned" + 1 WHERE "qualifiedAt" >= '2025-05-01' AND "qualifiedAt" < '2025-06-01'
"""

# Every IB earns something else in every month, and all that was spent was restated.
EVERYTHING = """
UPDATE "Lead" SET "qualifiedAt" = "leadCapturedAt", "cpaEarned" = "cpaEarned" + 1;
UPDATE "AdSpendHistory" SET "dailySpend" = "dailySpend" + 1;
"""


def test_closing_stating_drift_and_true_up_against_running_the_month(platform_url: str, tmp_path: Path) -> None:
    ran = seconds(command(RUN))
    closing = seconds(command(["commissions", "close", "2025-05", "--dry-run"]))
    report(f"how sure a month of {IBS:,} IBs is, no spend day of it final", closing, ran)
    states, memory = peak(command(["commissions", "statement", "--all", "2025-05", "-o", str(tmp_path)]))
    report(f"{IBS:,} statements as pages", states, ran)
    assert len(list(tmp_path.iterdir())) == IBS
    seconds(command(["commissions", "close", "2025-05", "--yes"]))
    psql(platform_url, RESTATED)
    drifting, used = peak(command(["commissions", "drift", "2025-05"]), code=7)
    report("the drift of a month in which all that was earned was restated", drifting, ran)
    booking = seconds(command(["commissions", "true-up", "2025-05", "--yes"]))
    report("and booking it, looked at first", booking, ran)
    assert closing < 3 * ran
    assert states < 6 * ran
    assert drifting < 4 * ran
    assert booking < 10 * ran
    assert max(memory, used) < 300


def test_a_paid_month_run_again_against_an_open_one(platform_url: str) -> None:
    again = ["commissions", "run", "--month", "2025-11"]
    seconds(command(again))
    is_open = seconds(command(again))
    psql(platform_url, """UPDATE "IbCommission" SET "paymentStatus" = 'PAID' WHERE (year, month) = (2025, 11)""")
    psql(platform_url, RESTATED.replace("-06-", "-12-").replace("-05-", "-11-"))
    paid = seconds(command(again))
    report("a paid month run again, in which all that was earned was restated", paid, is_open)
    assert paid < 2 * is_open


def test_the_drift_of_many_months_holds_no_more_than_that_of_one(platform_url: str) -> None:
    for month in ("2025-06", "2025-07", "2025-08"):
        seconds(command(["commissions", "close", month, "--yes"]))
    psql(platform_url, EVERYTHING)
    _, one = peak(command(["commissions", "drift", "2025-08", "-f", "json"]), code=7)
    _, all_ = peak(command(["commissions", "drift", "-f", "json"]), code=7)
    sys.stdout.write(f"\nthe drift of a month in which everything was restated: {one} MB, of all months: {all_} MB\n")
    assert max(one, all_) < 200
    assert all_ < 1.2 * one
