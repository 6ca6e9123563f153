"""Several administrators at once: one after the other, and nothing is lost or done twice."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commissions.conftest import Platform
from tests.commissions.payout_cases import payee
from tests.conftest import Result, command

Run = Callable[..., Result]
IBS = 12
MONTH = ("--month", "2025-10")


def at_once(*commands: list[str]) -> list[tuple[int, str]]:
    """Start all commands at the same moment, each in a process of its own; how they ended, and what they said."""
    started = [
        subprocess.Popen(command(one), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ))
        for one in commands
    ]
    ended = [(one.communicate(timeout=120)[1], one.returncode) for one in started]
    return [(code, said) for said, code in ended]


@pytest.fixture
def month(platform: Platform, ibctl: Run) -> Platform:
    """Twelve IBs of 30.00 each with payees, calculated."""
    for number in range(IBS):
        email = f"ib{number}@x.y"
        platform.lead(platform.user(email), "2025-10-03", "2025-10-04", 100)
        payee(platform, email)
    assert ibctl("commissions", "run", *MONTH).exit_code == 0
    return platform


def payments(platform: Platform) -> int:
    """How many payments there are, each for a commission of its own, of 30.00, that is in a payout or paid."""
    rows = platform.sql(
        'SELECT i."commissionId", i.amount, c."paymentStatus", c."totalPayout" FROM ibctl.payout_item i'
        ' JOIN "IbCommission" c ON c.id = i."commissionId" WHERE i.status <> \'CANCELLED\''
    )
    assert len({row[0] for row in rows}) == len(rows)
    assert all(row[1] == row[3] == 30 and row[2] in ("PROCESSING", "PAID") for row in rows)
    return len(rows)


# Bug class: two operators run close or payout at once, and both claim the same rows.
def test_eight_processes_that_run_hold_pay_and_reconcile_lose_and_double_nothing(
    month: Platform, ibctl: Run, tmp_path: Path
) -> None:
    create = ["commissions", "payouts", "create", *MONTH, "--method", "bank_transfer", "--yes"]
    assert ibctl(*create, "--only", "ib0@x.y").exit_code == 0
    ((batch, reference, amount),) = month.sql('SELECT "batchId", reference, amount FROM ibctl.payout_item')
    evidence = tmp_path / "bank.csv"
    evidence.write_text(f"reference,amount,currency,date,id\n{reference},{amount},USD,2025-11-10,T1\n")
    ended = at_once(
        ["commissions", "run", *MONTH],
        create,
        ["commissions", "hold", "ib1@x.y", "2025-10", "--reason", "r"],
        ["commissions", "payouts", "reconcile", batch, str(evidence)],
        ["commissions", "run", *MONTH],
        create,
        ["commissions", "hold", "ib2@x.y", "2025-10", "--reason", "r"],
        ["commissions", "payouts", "reconcile", batch, str(evidence)],
    )
    assert all(code in (0, 3, 6, 7) for code, _ in ended), ended
    assert (
        payments(month) + month.sql('SELECT count(*) FROM "IbCommission" WHERE "paymentStatus" = \'HELD\'')[0][0] == IBS
    )
    assert month.sql('SELECT sum("totalPayout") FROM "IbCommission"') == [(30 * IBS,)]
    assert month.sql("SELECT count(*) FROM ibctl.payout_payment") == [(1,)]
    assert month.sql('SELECT count(*) FROM "IbCommission" WHERE "paymentStatus" = \'PAID\'') == [(1,)]


def test_of_two_closings_at_once_one_wins_and_balances_are_carried_once(platform: Platform, ibctl: Run) -> None:
    platform.user("ib@x.y")
    assert ibctl("commissions", "adjust", "ib@x.y", "2025-10", "-5", "--reason", "r", "--yes").exit_code == 0
    ended = at_once(*[["commissions", "close", "2025-10", "--yes"]] * 3)
    assert sorted(code for code, _ in ended) == [0, 3, 3], ended
    assert platform.sql("SELECT amount FROM ibctl.adjustment WHERE kind = 'carry'") == [(-5,)]


def test_of_two_true_ups_at_once_one_books(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    platform.lead(ib, "2025-10-03", "2025-10-04", 100)
    assert ibctl("commissions", "close", "2025-10", "--yes").exit_code == 0
    platform.lead(ib, "2025-10-03", "2025-10-05", 100)
    ended = at_once(*[["commissions", "true-up", "--yes"]] * 3)
    assert [code for code, _ in ended] == [0, 0, 0], ended
    assert platform.sql("SELECT amount FROM ibctl.adjustment") == [(30,)]
