"""Rows of the shared tables, as the web application writes them: outside ibctl."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ibctl import ids


@dataclass(frozen=True)
class Rows:
    """Puts rows into the shared tables; each slice's tests add the tables that they are about."""

    sql: Callable[..., list[tuple[Any, ...]]]

    def user(self, email: str, role: str = "IB", active: bool = True) -> str:
        user = ids.cuid()
        self.sql(
            'INSERT INTO "User" (id, email, password, role, "isActive", "updatedAt")'
            " VALUES (%s, %s, %s, %s, %s, now())",
            user, email, "x", role, active,
        )  # fmt: skip
        return user

    def commission(self, user: str, year: int, month: int, status: str) -> str:
        commission = ids.cuid()
        self.sql(
            'INSERT INTO "IbCommission" (id, "userId", year, month, "commissionRate", "paymentStatus", "updatedAt")'
            " VALUES (%s, %s, %s, %s, 0.3, %s, now())",
            commission, user, year, month, status,
        )  # fmt: skip
        return commission
