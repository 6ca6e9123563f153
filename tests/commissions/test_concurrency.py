"""Several administrators at once: one after the other, and nothing is lost or done twice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tests.commissions.conftest import Platform
from tests.commissions.payout_cases import CREATE, earner, payee, payments, statuses
from tests.conftest import ROOT, Result, command

Run = Callable[..., Result]
Sql = Callable[..., list[tuple[Any, ...]]]


def at_once(*commands: list[str]) -> list[tuple[int, str]]:
    """Start all commands at the same moment, each in a process of its own; how they ended, and what they said."""
    started = [
        subprocess.Popen(command(one), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ))
        for one in commands
    ]
    ended = [(one.communicate(timeout=120)[1], one.returncode) for one in started]
    return [(code, said) for said, code in ended]


# Bug class: two operators run close or payout at once, and both claim the same rows.
def test_two_administrators_at_once_claim_no_row_twice(platform: Platform, sql: Sql) -> None:
    for number in range(20):
        earner(platform, f"ib{number}@x.y", 10)
        payee(platform, f"ib{number}@x.y")
    ended = at_once(*[[*CREATE, "--yes"]] * 4)
    assert sorted(code for code, _ in ended) == [0, 3, 3, 3], ended
    assert len(payments(sql)) == 20
    assert set(statuses(sql).values()) == {"PROCESSING"}


def test_eight_processes_that_run_hold_pay_and_reconcile_lose_and_double_nothing(
    platform: Platform, sql: Sql, ibctl: Run
) -> None:
    for number in range(1, 13):
        user = platform.user(f"ib{number}@x.y")
        platform.lead(user, "2025-10-03", "2025-10-04", 100 + number)
        payee(platform, f"ib{number}@x.y")
    assert ibctl("commissions", "run", "--month", "2025-10").exit_code == 0
    before = sql('SELECT id, "totalPayout" FROM "IbCommission" ORDER BY id')
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    workers = [
        subprocess.Popen(
            [sys.executable, str(ROOT / "tests/commissions/concurrency_worker.py"), str(seed), "7"], env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for seed in range(8)
    ]  # fmt: skip
    ended = [(*worker.communicate(timeout=120), worker.returncode) for worker in workers]
    assert ended == [("", "", 0)] * 8
    assert sql('SELECT id, "totalPayout" FROM "IbCommission" ORDER BY id') == before
    require_consistent(sql)


def require_consistent(sql: Sql) -> None:
    """Each commission stands where its one living payment does, and what is PAID is proven to the cent."""
    rows = sql(
        """
        SELECT c."paymentStatus", array_agg(i.status) FILTER (WHERE i.status <> 'CANCELLED'), c."totalPayout"::numeric,
          coalesce(sum(i.amount) FILTER (WHERE i.status <> 'CANCELLED'), 0), coalesce(sum(p.sent), 0)
        FROM "IbCommission" c LEFT JOIN ibctl.payout_item i ON i."commissionId" = c.id
        LEFT JOIN (SELECT "itemId", sum(CASE direction WHEN 'debit' THEN amount ELSE -amount END) AS sent
                   FROM ibctl.payout_payment WHERE finding IS NULL GROUP BY 1) p ON p."itemId" = i.id
        GROUP BY c.id
        """
    )
    assert len(rows) == 12
    for status, living, payout, due, sent in rows:
        assert due == (payout if living else Decimal(0))
        assert living == ([status] if status in ("PROCESSING", "PAID") else None)
        assert sent == (payout if status == "PAID" else Decimal(0))
    assert {row[0] for row in rows} & {"PAID", "PROCESSING"}, "nothing was paid out: the test would prove nothing"


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
