"""What the tests of payouts share: IBs whose month has been calculated, their payees, and looks at the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ibctl import config, crypto
from tests.commissions.conftest import Platform
from tests.conftest import Result

Run = Callable[..., Result]
Sql = Callable[..., list[tuple[Any, ...]]]
IBANS = ("DE89370400440532013000", "FR1420041010050500013M02606", "ES9121000418450200051332")
MONTH = ("--month", "2025-10")
CREATE = ("commissions", "payouts", "create", *MONTH)
CANCEL = ("commissions", "payouts", "cancel")
SHOW = ("commissions", "payouts", "show")


def earner(platform: Platform, email: str, payout: float, status: str = "PENDING", *, month: int = 10) -> str:
    """An IB with a commission of 2025, as the web application would have made it; returns the commission's id."""
    known = platform.sql('SELECT id FROM "User" WHERE email = %s', email)
    user = known[0][0] if known else platform.user(email)
    commission = f"c-{email.partition('@')[0]}-{month}"
    platform.sql(
        'INSERT INTO "IbCommission" (id, "userId", month, year, "totalPayout", "commissionAmount", "paymentStatus",'
        ' "updatedAt") VALUES (%s, %s, %s, 2025, %s, %s, %s, now())',
        commission, user, month, payout, payout, status,
    )  # fmt: skip
    return commission


def payee(
    platform: Platform, email: str, *, method: str = "bank_transfer", currency: str = "USD", name: str = "Rosa Vidal",
    account: str = IBANS[0],
) -> None:  # fmt: skip
    platform.sql(
        'INSERT INTO ibctl.payee (id, method, currency, name, account, "createdAt", "changedAt")'
        ' SELECT id, %s, %s, %s, %s, now(), now() FROM "User" WHERE email = %s',
        method, currency, crypto.seal(name).text, crypto.seal(account).text, email,
    )  # fmt: skip


def two(platform: Platform) -> None:
    """a@x.y is due 100.00 USD and b@x.y 50.25 USD, both by bank transfer."""
    for email, payout in (("a@x.y", 100), ("b@x.y", 50.25)):
        earner(platform, email, payout)
        payee(platform, email)


def statuses(sql: Sql) -> dict[str, str]:
    """The payment status of every commission by its IB's email."""
    rows = sql('SELECT u.email, c."paymentStatus" FROM "IbCommission" c JOIN "User" u ON u.id = c."userId" ORDER BY 1')
    return dict(rows)


def payments(sql: Sql) -> list[tuple[Any, ...]]:
    """Every payment of every batch: reference, email, status, amount and currency."""
    return sql(
        "SELECT i.reference, u.email, i.status, i.amount::text, i.currency FROM ibctl.payout_item i"
        ' JOIN "User" u ON u.id = i."userId" ORDER BY 1'
    )


def create(ibctl: Run, *arguments: str) -> Result:
    ended = ibctl(*CREATE, "--yes", *arguments)
    assert ended.exit_code == 0, ended.stderr
    return ended


def act_as(monkeypatch: pytest.MonkeyPatch, actor: str) -> None:
    """Be this administrator from now on."""
    monkeypatch.setenv("IBCTL_ACTOR", actor)
    config.use_env_file(None)
