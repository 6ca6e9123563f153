"""Which inputs of a commission are no longer what they were when it was calculated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from ibctl import money
from ibctl.commissions.rules import Inputs


@dataclass(frozen=True)
class Moved:
    """One input that is another now. `id` is its row's; `before` and `after` say what it counted with, None: not."""

    what: str  # lead, spend, rate, adjustment
    table: str
    id: str
    label: str
    before: str | None
    after: str | None

    @property
    def in_words(self) -> str:
        """The input and what it counted with: `spend 2025-10-03: 12.50 USD → 14.00 USD`."""
        return f"{self.what} {self.label}: {self.before or 'did not count'} → {self.after or 'does not count'}"


def moved(then: Inputs, now: Inputs) -> list[Moved]:
    """Return what is different, leads first."""
    return [
        *_leads(_facts(then), _facts(now)),
        *_compare("spend", "AdSpendHistory", _days(then), _days(now)),
        *_rates(then, now),
        *_compare("adjustment", "adjustment", _booked(then), _booked(now)),
    ]


def _compare(
    what: str, table: str, then: Mapping[str, tuple[str, str]], now: Mapping[str, tuple[str, str]]
) -> Iterator[Moved]:
    for id_ in _either(then, now):
        before, after = then.get(id_), now.get(id_)
        if before != after:
            label = (before or after or ("", ""))[0]
            yield Moved(what, table, id_, label, before and before[1], after and after[1])


def _either(then: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    return [*then, *(new for new in now if new not in then)]


def _facts(inputs: Inputs) -> dict[str, dict[str, str]]:
    """Return by lead what of it counts, under the names of its columns."""
    rows = zip(inputs.lead_ids, inputs.captured, inputs.qualified, inputs.cpas, strict=True)
    return {lead: dict(_fact(captured, qualified, cpa)) for lead, captured, qualified, cpa in rows}


def _fact(captured: datetime | None, qualified: datetime | None, cpa: Decimal | None) -> Iterator[tuple[str, str]]:
    if captured is not None:
        yield "leadCapturedAt", f"{captured:%Y-%m-%d %H:%M}"
    if qualified is not None:
        yield "qualifiedAt", f"{qualified:%Y-%m-%d %H:%M}"
        yield "cpaEarned", money.show(cpa or Decimal(0))


def _leads(then: Mapping[str, dict[str, str]], now: Mapping[str, dict[str, str]]) -> Iterator[Moved]:
    for lead in _either(then, now):
        before, after = then.get(lead, {}), now.get(lead, {})
        for name in ("leadCapturedAt", "qualifiedAt", "cpaEarned"):
            if before.get(name) != after.get(name):
                yield Moved("lead", "Lead", lead, f"{lead} {name}", before.get(name), after.get(name))


def _days(inputs: Inputs) -> dict[str, tuple[str, str]]:
    accounts = {account.id: account for account in inputs.accounts}
    rows = zip(inputs.day_ids, inputs.day_accounts, inputs.dates, inputs.amounts, strict=True)
    return {
        day: (f"{accounts[account].account} {date}", _amount(amount, accounts[account].currency))
        for day, account, date, amount in rows
    }


def _amount(amount: Decimal | None, currency: str) -> str:
    return "no amount" if amount is None else money.show(amount, currency)


def _rates(then: Inputs, now: Inputs) -> Iterator[Moved]:
    """Compare the rates of those days that count in both."""
    before, after = _day_rates(then), _day_rates(now)
    shown = set()
    for day, (rate_id, label, rate) in before.items():
        other = after.get(day)
        if other is not None and other[2] != rate and label not in shown:
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
        one.id: (f"{one.kind}: {one.reason}", money.show(one.amount, inputs.base)) for one in inputs.adjustments
    }  # fmt: skip
