"""Accounts that are connected to the Graph server, for the tests of sync, report and check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from ibctl import crypto, ids
from tests.ads.conftest import Ads
from tests.fakes.graph import Server
from tests.fakes.graph.world import Account

Sql = Callable[..., list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Connected:
    """Puts accounts into Graph's world and, connected, into the platform."""

    ads: Ads
    server: Server

    def account(self, number: str, *, email: str = "", currency: str = "USD", zone: str = "UTC") -> Account:
        """An IB of its own with a connected ad account."""
        user = self.ads.user(email or f"ib{number}@x.y")
        self.server.world.user(number, f"User {number}")
        self.server.world.token(f"EAAtokenOfIb{number}", number)
        account = self.server.world.account(number, number, currency=currency, timezone=zone)
        self.ads.sql(
            'INSERT INTO "FacebookAdAccount" (id, "userId", "adAccountId", currency, timezone, "accessToken",'
            ' "isConnected", "setupTier", "updatedAt") VALUES (%s, %s, %s, %s, %s, %s, true, 3, now())',
            ids.cuid(), user, account.node, currency, zone, crypto.seal(f"EAAtokenOfIb{number}").text,
        )  # fmt: skip
        return account

    def token(self, number: str) -> Any:
        return self.server.world.tokens[f"EAAtokenOfIb{number}"]

    def state(self, columns: str) -> list[tuple[Any, ...]]:
        return self.ads.sql(
            f'SELECT {columns} FROM ibctl.ad_account_state s JOIN "FacebookAdAccount" a ON a.id = s.id ORDER BY'
            ' a."adAccountId"'
        )


def back(account: Account, days: int) -> date:
    """A day before today, in the account's zone."""
    return account.today() - timedelta(days=days)
