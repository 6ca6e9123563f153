"""Leads that qualify: who, when and for how much, against a reckoning of the same terms in plain Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ibctl import clock, config, db
from ibctl.leads.qualification import service as qualification
from tests.leads.conftest import Platform
from tests.leads.qualification.qualifying import Broker, trading

START = datetime(2025, 3, 1)
Sql = Callable[..., list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Programme:
    broker: str
    since: date
    deposit: Decimal
    lots: Decimal
    days: int | None
    cpa: Decimal


@dataclass(frozen=True)
class Trade:
    ticket: str
    closed: datetime | None
    volume: float
    # Profit, swap and commission.
    result: tuple[float, float, float]


@dataclass(frozen=True)
class Account:
    login: str
    balance: float | None
    read_at: datetime | None
    trades: Sequence[Trade]


@dataclass(frozen=True)
class Lead:
    broker: str | None
    status: str
    captured: datetime
    deposited: datetime | None
    qualified: datetime | None
    accounts: Sequence[Account] = field(default=())


@pytest.fixture
def broker(platform: Platform) -> Broker:
    return Broker(platform)


# --------------------------------------------------------------------------------------------- the same in plain Python


def expected(lead: Lead, programmes: Sequence[Programme], zone: ZoneInfo, now: datetime) -> tuple[Any, Any]:
    """When a lead qualifies and what it earns."""
    if lead.qualified is not None or lead.status == "rejected":
        return lead.qualified, Decimal(0)
    local_day = lead.captured.replace(tzinfo=UTC).astimezone(zone).date()
    name = (lead.broker or "").strip().lower()
    known = [one for one in programmes if one.broker.strip().lower() == name and one.since <= local_day]
    if not known or lead.captured > now:
        return None, Decimal(0)
    terms = max(known, key=lambda one: one.since)
    end = now if terms.days is None else min(now, lead.captured + timedelta(hours=24 * terms.days))
    moments = [lead.captured]
    if terms.deposit:
        paid = paid_in(lead.accounts)
        if lead.deposited is None or lead.deposited > end or (paid is not None and paid < terms.deposit):
            return None, Decimal(0)
        moments.append(lead.deposited)
    if terms.lots:
        sums, reached = Decimal(0), None
        closed = [(trade.closed, trade) for _, trade in distinct(lead.accounts) if trade.closed is not None]
        for moment, trade in sorted(closed, key=lambda one: one[0]):
            if lead.captured <= moment <= end:
                sums += Decimal(str(trade.volume))
                if sums >= terms.lots and reached is None:
                    reached = moment
        if reached is None:
            return None, Decimal(0)
        moments.append(reached)
    return max(moments), terms.cpa


def distinct(accounts: Sequence[Account]) -> list[tuple[str, Trade]]:
    """Each closed trade of an account once, however often the account was entered."""
    found: dict[tuple[str, str], Trade] = {}
    for account in accounts:
        for trade in account.trades:
            if trade.closed is not None:
                key = account.login, trade.ticket
                other = found.get(key)
                if other is None or other.closed is None or trade.closed < other.closed:
                    found[key] = trade
    return [(login, trade) for (login, _), trade in found.items()]


def paid_in(accounts: Sequence[Account]) -> Decimal | None:
    known: dict[str, Account] = {}
    for account in accounts:
        if account.balance is None:
            continue
        other = known.get(account.login)
        if other is None or (account.read_at or datetime.min) > (other.read_at or datetime.min):
            known[account.login] = account
    if not known:
        return None
    total = sum((Decimal(str(one.balance)) for one in known.values()), Decimal(0))
    return total - sum(
        (Decimal(str(part)) for login, trade in distinct(accounts) if login in known for part in trade.result),
        Decimal(0),
    )


# ------------------------------------------------------------------------------------------------------- random worlds


def some_moment(random: Random) -> datetime:
    """A moment of the first days of March, often the same as another or a millisecond beside it."""
    return START + timedelta(hours=6 * random.randint(0, 20), milliseconds=random.choice([0, 0, 0, 1, -1]))


def some_programmes(random: Random) -> list[Programme]:
    return [
        Programme(
            broker=broker,
            since=since,
            deposit=random.choice([Decimal(0), Decimal(100), Decimal("200.5")]),
            lots=random.choice([Decimal(0), Decimal("0.3"), Decimal("0.5")]),
            days=random.choice([None, 1, 2, 4]),
            cpa=random.choice([Decimal(0), Decimal(400), Decimal("333.33")]),
        )
        for broker in ("Axi", "Prime XBT")
        for since in random.sample([(START + timedelta(days=n - 1)).date() for n in range(4)], random.randint(1, 3))
    ]


def some_lead(random: Random) -> Lead:
    accounts = [
        Account(
            login=random.choice("12"),
            balance=random.choice([None, 50.0, 100.0, 100.1, 150.0, 200.5]),
            # The two of a lead are never read at the same time.
            read_at=START + timedelta(days=place) if place else None,
            trades=[some_trade(random, ticket) for ticket in random.sample("abcd", random.randint(0, 4))],
        )
        for place in range(random.randint(0, 2))
    ]
    return Lead(
        broker=random.choice([None, "", " axi\t", "AXI", "Axi", "Prime XBT", "prime xbt", "Prime XBT ", "Other"]),
        status=random.choice(["captured", "captured", "contacted", "qualified", "rejected"]),
        captured=random.choice([START] * 5 + [some_moment(random) for _ in range(10)] + [datetime(2150, 1, 1)]),
        deposited=random.choice([None, some_moment(random), some_moment(random)]),
        qualified=random.choice([None] * 9 + [START]),
        accounts=accounts,
    )


def some_trade(random: Random, ticket: str) -> Trade:
    return Trade(
        ticket=ticket,
        closed=random.choice([None, some_moment(random), some_moment(random), some_moment(random)]),
        volume=random.choice([0.1, 0.2, 0.3, 0.05]),
        result=random.choice([(0, 0, 0), (0, 0, 0), (50, 0, 0), (-50, 0, 0), (0.1, 0, 0), (0, -0.2, -0.7)]),
    )


def store(database: str, leads: Sequence[Lead], programmes: Sequence[Programme]) -> None:
    """Put a world in place of the one before."""
    owned = [(f"{n}.{place}", f"{n}", one) for n, lead in enumerate(leads) for place, one in enumerate(lead.accounts)]
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute('TRUNCATE "Lead", "InvestorCredential", "Trade", ibctl.lead_programme CASCADE')
        cursor.executemany(
            "INSERT INTO ibctl.lead_programme VALUES (%s, %s, %s, %s, %s, %s, %s, now())",
            [(f"{n}", x.broker, x.since, x.deposit, x.lots, x.days, x.cpa) for n, x in enumerate(programmes)],
        )
        cursor.executemany(
            'INSERT INTO "Lead" (id, broker, status, "leadCapturedAt", "depositedAt", "qualifiedAt", "updatedAt")'
            " VALUES (%s, %s, %s, %s, %s, %s, now())",
            [(f"{n}", x.broker, x.status, x.captured, x.deposited, x.qualified) for n, x in enumerate(leads)],
        )
        cursor.executemany(
            'INSERT INTO "InvestorCredential" (id, "leadId", login, password, server, balance, "lastScrapedAt",'
            " \"updatedAt\") VALUES (%s, %s, %s, '', 's', %s, %s, now())",
            [(id_, lead, x.login, x.balance, x.read_at) for id_, lead, x in owned],
        )
        cursor.executemany(
            'INSERT INTO "Trade" (id, "credentialId", ticket, symbol, type, volume, "openPrice", profit, swap,'
            ' commission, "openTime", "closeTime", "updatedAt")'
            " VALUES (%s, %s, %s, 'EURUSD', 'buy', %s, 1, %s, %s, %s, '2025-01-01', %s, now())",
            [
                (f"{id_}.{one.ticket}", id_, one.ticket, one.volume, *one.result, one.closed)
                for id_, _, x in owned
                for one in x.trades
            ],
        )


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), zone=st.sampled_from(["UTC", "America/New_York", "Asia/Tokyo"]))
def test_leads_qualify_exactly_when_a_reckoning_by_hand_says_so(
    database: str, sql: Sql, monkeypatch: pytest.MonkeyPatch, seed: int, zone: str
) -> None:
    random = Random(seed)
    leads, programmes = [some_lead(random) for _ in range(250)], some_programmes(random)
    monkeypatch.setenv("IBCTL_TIMEZONE", zone)
    config.use_env_file(None)
    store(database, leads, programmes)
    with db.transaction() as session:
        result = qualification.qualify(session)
    found = {row[0]: row[1:] for row in sql('SELECT id, "qualifiedAt", "cpaEarned", status FROM "Lead"')}
    now = clock.now()
    for number, lead in enumerate(leads):
        at, cpa, _ = found[str(number)]
        assert (at, Decimal(str(cpa))) == expected(lead, programmes, ZoneInfo(zone), now), (lead, programmes)
    new = {str(n) for n, lead in enumerate(leads) if lead.qualified is None and found[str(n)][0] is not None}
    assert {row["id"] for row in result.leads} == new
    assert {found[one][2] for one in new} <= {"qualified"}
    waiting = sum(1 for lead in leads if lead.qualified is None and lead.status != "rejected")
    assert sum(result.reasons.values()) == waiting - len(new)


# -------------------------------------------------------------------------------------------------- exactly at the edge


def test_lots_that_reach_the_minimum_exactly_are_enough(broker: Broker, platform: Platform) -> None:
    # As doubles, 0.1 + 0.2 is more than 0.3, and ten times 0.1 is less than 1.
    for name, volumes, minimum in (("a", (0.1, 0.2), "0.3"), ("b", (0.1,) * 10, "1"), ("c", (0.1,) * 9, "1")):
        broker.asks(name, min_lots=minimum)
        broker.lead(f"{name}@x.com", broker=name, trades=trading(*volumes))
    broker.qualify()
    assert platform.leads('email, "qualifiedAt"') == [
        ("a@x.com", datetime(2025, 10, 7, 2)),
        ("b@x.com", datetime(2025, 10, 7, 10)),
        ("c@x.com", None),
    ]


def test_a_trade_on_the_deadline_counts_and_one_a_millisecond_later_does_not(
    broker: Broker, platform: Platform
) -> None:
    broker.asks("Axi", min_lots="1", days=2)
    for name, close in (("a", "2025-10-07 09:30:00.000"), ("b", "2025-10-07 09:30:00.001")):
        broker.lead(f"{name}@x.com", captured="2025-10-05 09:30", trades=[(close, 1.0, 0.0)])
    broker.qualify()
    assert platform.leads('"qualifiedAt"') == [(datetime(2025, 10, 7, 9, 30),), (None,)]


def test_a_trade_before_the_capture_does_not_count(broker: Broker, platform: Platform) -> None:
    broker.asks("Axi", min_lots="1")
    for name, close in (("a", "2025-10-05 09:00:00.000"), ("b", "2025-10-05 08:59:59.999")):
        broker.lead(f"{name}@x.com", captured="2025-10-05 09:00", trades=[(close, 1.0, 0.0)])
    broker.qualify()
    assert platform.leads('"qualifiedAt"') == [(datetime(2025, 10, 5, 9),), (None,)]


def test_a_deposit_earlier_than_the_capture_never_dates_the_qualification_back(
    broker: Broker, platform: Platform
) -> None:
    broker.asks("Axi", min_deposit="100")
    broker.lead("a@x.com", captured="2025-10-05 09:00", depositedAt="2025-10-05")
    broker.qualify()
    assert platform.leads('"qualifiedAt"') == [(datetime(2025, 10, 5, 9),)]


def test_what_the_trades_brought_is_no_deposit(broker: Broker, platform: Platform) -> None:
    broker.asks("Axi", min_deposit="200")
    deposited = "2025-10-06"
    for name, balance, profit in (("a", 250.0, 50.0), ("b", 249.99, 50.0), ("c", 150.0, -50.0), ("d", None, 50.0)):
        broker.lead(f"{name}@x.com", trades=[("2025-10-07", 1.0, profit)], balance=balance, depositedAt=deposited)
    broker.lead("e@x.com", depositedAt=deposited)
    broker.lead("f@x.com", balance=500.0)
    broker.qualify()
    qualified = [email for (email, at) in platform.leads('email, "qualifiedAt"') if at]
    assert qualified == ["a@x.com", "c@x.com", "d@x.com", "e@x.com"]


def test_an_account_that_was_entered_twice_counts_once(broker: Broker, platform: Platform) -> None:
    broker.asks("Axi", min_deposit="200", min_lots="1")
    once = broker.lead("a@x.com", trades=trading(0.5), balance=100.0, depositedAt="2025-10-06")
    broker.account(once, trading(0.5), balance=100.0)
    other = broker.lead("b@x.com", trades=trading(0.5), balance=100.0, depositedAt="2025-10-06")
    broker.account(other, trading(0.5), balance=100.0, login="another")
    broker.qualify()
    assert [at is not None for (at,) in platform.leads('"qualifiedAt"')] == [False, True]


@pytest.mark.parametrize("field", ["balance", "volume", "profit"])
def test_a_figure_that_is_no_number_breaks_nothing(broker: Broker, platform: Platform, sql: Sql, field: str) -> None:
    broker.asks("Axi", min_deposit="200", min_lots="1")
    broker.lead("a@x.com", trades=trading(1.0), balance=300.0, depositedAt="2025-10-06")
    table = "InvestorCredential" if field == "balance" else "Trade"
    sql(f'UPDATE "{table}" SET "{field}" = \'NaN\'')
    broker.qualify()
    # Lots that are no number are none; money that is none is not known, and depositedAt alone counts.
    assert [at is not None for (at,) in platform.leads('"qualifiedAt"')] == [field != "volume"]


def test_a_lead_falls_under_the_terms_of_the_day_of_its_capture_in_the_platforms_zone(
    broker: Broker, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IBCTL_TIMEZONE", "Europe/Berlin")
    config.use_env_file(None)
    broker.asks("Axi", since="2025-09-01", cpa="100")
    broker.asks("Axi", since="2025-10-26", cpa="200")
    broker.asks("Axi", since="2025-10-27", cpa="300")
    # The 26th began at 22:00 UTC in summer time and ended, 25 hours later, at 23:00.
    times = ("2025-10-25 21:59:59.999", "2025-10-25 22:00", "2025-10-26 22:59:59.999", "2025-10-26 23:00")
    for number, captured in enumerate(times):
        broker.lead(f"{number}@x.com", captured=captured)
    broker.lead("early@x.com", captured="2025-08-31 21:59")
    broker.qualify()
    assert [cpa for (cpa,) in platform.leads('"cpaEarned"')] == [100, 200, 200, 300, 0]
