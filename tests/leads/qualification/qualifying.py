"""Brokers with their terms, and leads that trade there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ibctl import db, ids
from ibctl.leads.qualification import rules as programme_rules
from ibctl.leads.qualification import service as qualification
from tests.leads.conftest import Platform

# When it was closed, its volume, its profit.
Close = tuple[str, float, float]


def trading(*volumes: float) -> list[Close]:
    """Trades of these volumes, closed hour after hour on 7 October 2025."""
    return [(f"2025-10-07 {hour:02}:00", volume, 0.0) for hour, volume in enumerate(volumes, start=1)]


@dataclass(frozen=True)
class Broker:
    """Puts rows into the tables outside ibctl, and asks the services."""

    platform: Platform

    def asks(
        self, broker: str = "Axi", *, since: str = "2025-10-01", min_deposit: str = "0", min_lots: str = "0",
        days: int | None = None, cpa: str = "400",
    ) -> str:  # fmt: skip
        terms = programme_rules.terms(
            broker, since=since, min_deposit=min_deposit, min_lots=min_lots, days_allowed=days, cpa=cpa
        )
        with db.transaction() as session:
            return qualification.set_programme(session, terms)

    def lead(
        self, email: str, *, captured: str = "2025-10-05 09:00", broker: str | None = "Axi",
        trades: Iterable[Close] = (), balance: float | None = None, **fields: object,
    ) -> str:  # fmt: skip
        lead = self.platform.lead(email=email, leadCapturedAt=captured, broker=broker, **fields)
        if trades or balance is not None:
            self.account(lead, trades, balance=balance)
        return lead

    def account(
        self, lead: str, trades: Iterable[Close] = (), *, balance: float | None = None, login: str = "1001",
        read_at: str | None = "2025-10-20",
    ) -> None:  # fmt: skip
        credential = ids.cuid()
        self.platform.sql(
            'INSERT INTO "InvestorCredential" (id, "leadId", login, password, server, balance, "lastScrapedAt",'
            " \"updatedAt\") VALUES (%s, %s, %s, '', 'Axi-Live', %s, %s, now())",
            credential, lead, login, balance, read_at,
        )  # fmt: skip
        for number, (closed, volume, profit) in enumerate(trades):
            self.platform.sql(
                'INSERT INTO "Trade" (id, "credentialId", ticket, symbol, type, volume, "openPrice", profit,'
                " \"openTime\", \"closeTime\", \"updatedAt\")"
                " VALUES (%s, %s, %s, 'EURUSD', 'buy', %s, 1, %s, %s, %s, now())",
                ids.cuid(), credential, str(number), volume, profit, closed, closed,
            )  # fmt: skip

    def qualify(self, *names: str) -> qualification.Qualified:
        with db.transaction() as session:
            return qualification.qualify(session, names)
