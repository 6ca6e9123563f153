"""What a plan pays just below, at and just above each place where its terms change; and where more earns less."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from ibctl import money
from ibctl.commissions import rules
from ibctl.commissions.plan_rules import Terms
from ibctl.commissions.rules import Booked, Inputs

_CENT = money.CENT
_SOME_DAY = datetime(2025, 1, 1)


@dataclass(frozen=True)
class Probe:
    """What a plan pays at one value of what a boundary measures: qualified leads, CPA, ad spend, balance."""

    boundary: str
    at: str  # below, at, above
    value: Decimal
    rate: Decimal
    commission: Decimal
    bonus: Decimal
    payout: Decimal

    @property
    def earned(self) -> Decimal:
        """Commission and bonus, whether they are paid or carried on."""
        return self.commission + self.bonus


def probes(terms: Terms, cpa: Decimal) -> Iterator[Probe]:
    """Yield three probes for each boundary; where tiers count leads, each lead earns `cpa`."""
    leads = terms.by == "qualified-leads"
    for tier in terms.tiers[1:]:
        what = f"{tier.since:,f} {'leads' if leads else 'of CPA'}"
        for at, value in _around(tier.since, Decimal(1) if leads else _CENT):
            cpas = [cpa] * int(value) if leads else [value]
            yield _probe(terms, what, at, value, _inputs(cpas=cpas))
    for bonus in terms.bonus:
        for at, value in _around(bonus.since, _CENT):
            yield _probe(terms, f"{bonus.since:,f} of spend", at, value, _inputs(spend=value))
    if terms.minimum:
        for at, value in _around(terms.minimum, _CENT):
            yield _probe(terms, f"minimum {money.show(terms.minimum)}", at, value, _inputs(balance=value))


def falls(found: list[Probe]) -> list[tuple[Probe, Probe]]:
    """Return the neighbours of which the higher one earns less."""
    pairs = itertools.pairwise(found)
    return [(low, high) for low, high in pairs if low.boundary == high.boundary and high.earned < low.earned]


def _around(value: Decimal, step: Decimal) -> Iterator[tuple[str, Decimal]]:
    if value >= step:
        yield "below", value - step
    yield "at", value
    yield "above", value + step


def _inputs(
    *, cpas: list[Decimal] | None = None, spend: Decimal | None = None, balance: Decimal | None = None
) -> Inputs:
    leads = cpas or []
    return Inputs(
        lead_ids=[f"{number:09}" for number in range(len(leads))],
        captured=[None] * len(leads),
        qualified=[_SOME_DAY + timedelta(seconds=number) for number in range(len(leads))],
        cpas=leads,
        amounts=[] if spend is None else [spend],
        rates=[] if spend is None else [Decimal(1)],
        adjustments=[] if balance is None else [Booked("", "manual", balance, "")],
    )


def _probe(terms: Terms, boundary: str, at: str, value: Decimal, inputs: Inputs) -> Probe:
    found = {name: Decimal(figure) for name, figure in rules.figures(terms, inputs).items()}
    return Probe(
        boundary, at, value, found["commissionRate"], found["commissionAmount"], found["bonusAmount"],
        found["totalPayout"],
    )  # fmt: skip
