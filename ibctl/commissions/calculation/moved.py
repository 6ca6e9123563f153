"""Which inputs of a commission are no longer what they were when it was calculated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias

from ibctl import money
from ibctl.commissions.calculation.rules import Account, Inputs

# Of a lead: a moment in naive UTC, or an amount. Of a spend day: its account, its date, what was spent.
_Fact: TypeAlias = datetime | Decimal
_Day: TypeAlias = tuple[Account, Any, Decimal | None]


@dataclass(frozen=True, slots=True)
class Moved:
    """One input that is another now. `id` is its row's; `before` and `after` say what it counted with, None: not."""

    what: str  # user, lead, account, spend, rate, adjustment
    table: str
    id: str
    label: str
    before: str | None
    after: str | None

    @property
    def in_words(self) -> str:
        """The input and what it counted with: `spend 2025-10-03: 12.50 USD → 14.00 USD`."""
        return f"{self.what} {self.label}: {self.before or 'did not count'} → {self.after or 'does not count'}"


def moved(user: str, then: Inputs, now: Inputs) -> list[Moved]:
    """Return what is different of the month of the user with that id, leads first.

    A role that is another one is the reason for all leads and spend that go or come with it.
    """
    adjustments = _adjustments(_booked(then), _booked(now))
    if then.role != now.role:
        return [Moved("user", "User", user, "role", then.role, now.role), *adjustments]
    return [
        *_leads(_facts(then), _facts(now)),
        *_accounts(then, now),
        *_spend(_days(then), _days(now)),
        *_rates(then, now),
        *adjustments,
    ]


def _either(then: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    return [*then, *(new for new in now if new not in then)]


def _facts(inputs: Inputs) -> dict[str, dict[str, _Fact]]:
    """Return by lead what of it counts, under the names of its columns."""
    rows = zip(inputs.lead_ids, inputs.captured, inputs.qualified, inputs.cpas, strict=True)
    return {lead: dict(_fact(captured, qualified, cpa)) for lead, captured, qualified, cpa in rows}


def _fact(captured: datetime | None, qualified: datetime | None, cpa: Decimal | None) -> Iterator[tuple[str, _Fact]]:
    if captured is not None:
        yield "leadCapturedAt", captured
    if qualified is not None:
        yield "qualifiedAt", qualified
        yield "cpaEarned", cpa or Decimal(0)


def _leads(then: Mapping[str, dict[str, _Fact]], now: Mapping[str, dict[str, _Fact]]) -> Iterator[Moved]:
    for lead in _either(then, now):
        before, after = then.get(lead, {}), now.get(lead, {})
        for name in ("leadCapturedAt", "qualifiedAt", "cpaEarned"):
            if before.get(name) != after.get(name):
                yield Moved("lead", "Lead", lead, f"{lead} {name}", *_shown(before.get(name), after.get(name)))


def _shown(before: _Fact | None, after: _Fact | None) -> tuple[str | None, str | None]:
    """Write two values that differ: moments to the minute, or as finely as they are different."""
    for unit in ("minutes", "seconds", "milliseconds"):
        texts = _text(before, unit), _text(after, unit)
        if texts[0] != texts[1]:
            break
    return texts


def _text(value: _Fact | None, unit: str) -> str | None:
    if isinstance(value, datetime):
        return value.isoformat(" ", unit)
    return None if value is None else money.show(value)


def _accounts(then: Inputs, now: Inputs) -> Iterator[Moved]:
    """Compare what the ad accounts of both are called, and their currencies."""
    accounts = {account.id: account for account in now.accounts}
    for before in then.accounts:
        after = accounts.get(before.id, before)
        for name, old, new in (
            ("adAccountId", before.account, after.account), ("currency", before.currency, after.currency)
        ):  # fmt: skip
            if old != new:
                yield Moved("account", "FacebookAdAccount", before.id, f"{before.account} {name}", old, new)


def _days(inputs: Inputs) -> dict[str, _Day]:
    accounts = {account.id: account for account in inputs.accounts}
    rows = zip(inputs.day_ids, inputs.day_accounts, inputs.dates, inputs.amounts, strict=True)
    return {day: (accounts[account], date, amount) for day, account, date, amount in rows}


def _spend(then: Mapping[str, _Day], now: Mapping[str, _Day]) -> Iterator[Moved]:
    for id_ in _either(then, now):
        before, after = then.get(id_), now.get(id_)
        found = before or after
        if found is None or _key(before) == _key(after):
            continue
        # A day that is another one, or another account's, says so.
        placed = before is not None and after is not None and _key(before)[:2] != _key(after)[:2]
        label = f"{found[0].account} {found[1]}"
        yield Moved("spend", "AdSpendHistory", id_, label, _amount(before, placed), _amount(after, placed))


def _key(day: _Day | None) -> tuple[Any, ...]:
    return (day[0].id, *day[1:]) if day else ()


def _amount(day: _Day | None, placed: bool) -> str | None:
    if day is None:
        return None
    account, date, amount = day
    shown = "no amount" if amount is None else money.show(amount, account.currency)
    return f"{account.account} {date} {shown}" if placed else shown


def _rates(then: Inputs, now: Inputs) -> Iterator[Moved]:
    """Compare the rates of those days that count in both."""
    before, after = _day_rates(then), _day_rates(now)
    shown = set()
    for day, (rate_id, label, rate) in before.items():
        other = after.get(day)
        # In another currency, or on another day, it has another rate of course.
        if other is not None and other[1] == label and other[2] != rate and label not in shown:
            shown.add(label)
            yield Moved("rate", "exchange_rate", rate_id or other[0] or "", label, f"{rate:f}", _rate(other[2]))


def _rate(rate: Decimal | None) -> str:
    # By the data of today there may be none any more.
    return "missing" if rate is None else f"{rate:f}"


def _day_rates(inputs: Inputs) -> dict[str, tuple[str | None, str, Any]]:
    currencies = {account.id: account.currency for account in inputs.accounts}
    rows: Any = zip(
        inputs.day_ids, inputs.day_accounts, inputs.dates, inputs.rates, inputs.rate_ids, strict=True
    )  # fmt: skip
    return {
        day: (rate_id, f"{currencies[account]} {date}", rate) for day, account, date, rate, rate_id in rows
    }  # fmt: skip


def _booked(inputs: Inputs) -> dict[str, tuple[str, str]]:
    return {
        one.id: (one.named, money.show(one.amount, inputs.base)) for one in inputs.adjustments
    }  # fmt: skip


def _adjustments(then: Mapping[str, tuple[str, str]], now: Mapping[str, tuple[str, str]]) -> Iterator[Moved]:
    for id_ in _either(then, now):
        before, after = then.get(id_), now.get(id_)
        if before != after:
            label = (before or after or ("", ""))[0]
            yield Moved("adjustment", "adjustment", id_, label, before and before[1], after and after[1])
