from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from ibctl import db, ids
from ibctl.commissions.payouts import payable
from tests.commissions.conftest import Platform
from tests.commissions.payout_cases import create, payee
from tests.conftest import Result

Run = Callable[..., Result]
OVER = date(2025, 11, 1)


def state(day: date = OVER) -> tuple[Any, str | None]:
    with db.reading() as session:
        (row,) = payable.rows(session, today=day)
    return row["amount"], row["obstacle"]


@pytest.fixture
def ib(platform: Platform, ibctl: Run) -> str:
    ib = platform.user("ib@x.y")
    platform.lead(ib, "2025-10-03", "2025-10-04", 100)
    ibctl("commissions", "run", "--month", "2025-10")
    return ib


def test_a_pending_row_can_be_paid_once_its_month_is_over(ib: str) -> None:
    assert state(date(2025, 10, 31)) == (30, "early")
    assert state() == (30, None)


@pytest.mark.parametrize("status", ["HELD", "PROCESSING", "PAID"])
def test_a_row_of_another_status_cannot(ib: str, platform: Platform, status: str) -> None:
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = %s', status)
    assert state() == (30, status)


def test_a_row_that_a_batch_has_claimed_cannot_whatever_it_says(ib: str, platform: Platform, ibctl: Run) -> None:
    payee(platform, "ib@x.y")
    create(ibctl)
    assert state() == (30, "PROCESSING")
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = \'PENDING\'')
    assert state() == (30, "claimed")


def test_a_row_that_does_not_know_of_an_adjustment_has_to_be_calculated_again(
    ib: str, platform: Platform, ibctl: Run
) -> None:
    platform.sql(
        'INSERT INTO ibctl.adjustment (id, "userId", year, month, kind, amount, currency, reason, actor, "createdAt")'
        " VALUES (%s, %s, 2025, 10, 'manual', -12.5, 'USD', 'why', 'me', now())", ids.cuid(), ib,
    )  # fmt: skip
    assert state() == (30, "stale")
    ibctl("commissions", "run", "--month", "2025-10")
    assert state() == (Decimal("17.50"), None)


def test_a_row_whose_sum_was_edited_elsewhere_cannot(ib: str, platform: Platform) -> None:
    platform.sql('UPDATE "IbCommission" SET "totalPayout" = 3000')
    assert state() == (3000, "stale")


def test_a_row_that_comes_to_nothing_cannot(platform: Platform, ibctl: Run) -> None:
    platform.lead(platform.user("ib@x.y"), "2025-10-03")
    ibctl("commissions", "run", "--month", "2025-10")
    assert state() == (0, "nothing")
