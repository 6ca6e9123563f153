"""A small platform to compute commissions on: IBs, leads and spend, written as the web application would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ibctl import ids
from tests.conftest import Result, ok
from tests.rows import Rows

Sql = Callable[..., list[tuple[Any, ...]]]
Strict = Callable[..., None]
STRICT = """
name = "strict"
version = 1
from = "2025-01"
[commission]
rate = 0.30
[payout]
minimum = 50
negative = "{negative}"
"""


@dataclass(frozen=True)
class Platform(Rows):
    """Puts rows into the shared tables, outside ibctl."""

    def lead(
        self, user: str | None, captured: str, qualified: str | None = None, cpa: float = 0, lead_type: str = "trader"
    ) -> str:
        lead = ids.cuid()
        self.sql(
            'INSERT INTO "Lead" (id, "userId", email, "leadType", "leadCapturedAt", "qualifiedAt", "cpaEarned",'
            ' "totalEarned", "updatedAt") VALUES (%s, %s, %s, %s, %s, %s, %s, %s, now())',
            lead, user, f"{lead}@x.com", lead_type, datetime.fromisoformat(captured),
            datetime.fromisoformat(qualified) if qualified else None, cpa, cpa,
        )  # fmt: skip
        return lead

    def account(self, user: str, currency: str = "USD", zone: str = "UTC") -> str:
        account = ids.cuid()
        self.sql(
            'INSERT INTO "FacebookAdAccount" (id, "userId", "adAccountId", currency, timezone, "updatedAt")'
            " VALUES (%s, %s, %s, %s, %s, now())",
            account, user, f"act_{account}", currency, zone,
        )  # fmt: skip
        return account

    def spend(self, user: str, account: str, day: str, amount: float) -> str:
        spend = ids.cuid()
        self.sql(
            'INSERT INTO "AdSpendHistory" (id, "userId", "adAccountId", date, "dailySpend", "updatedAt")'
            " VALUES (%s, %s, %s, %s, %s, now())",
            spend, user, account, day, amount,
        )  # fmt: skip
        return spend

    def rate(self, day: str, currency: str, rate: str) -> None:
        self.sql(
            'INSERT INTO ibctl.exchange_rate (id, date, currency, "baseCurrency", rate, source, "createdAt")'
            " VALUES (%s, %s, %s, 'USD', %s, 'test', now())",
            ids.cuid(), day, currency, rate,
        )  # fmt: skip

    def commissions(self) -> list[tuple[Any, ...]]:
        return self.sql('SELECT * FROM "IbCommission" ORDER BY year, month, "userId"')

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All that a run may write, to compare before and after."""
        tables = [
            '"IbCommission"',
            "ibctl.commission_snapshot",
            "ibctl.commission_state",
            "ibctl.change_set",
            "ibctl.change",
        ]
        return {table: self.sql(f"SELECT to_jsonb(t) FROM {table} t ORDER BY to_jsonb(t)::text") for table in tables}


@pytest.fixture
def platform(sql: Sql) -> Platform:
    return Platform(sql)


@pytest.fixture
def strict(database: str, ibctl: Callable[..., Result], tmp_path: Path) -> Strict:
    """Give all a plan that pays nothing below 50; `negative` says what becomes of less than nothing."""

    def assign(negative: str = "carry") -> None:
        (tmp_path / "strict.toml").write_text(STRICT.format(negative=negative))
        ok(ibctl("commissions", "plans", "add", "strict.toml"))
        ok(ibctl("commissions", "plans", "assign", "--all", "--plan", "strict", "--from", "2025-01"))

    return assign
