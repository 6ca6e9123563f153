"""What a plan pays just below, at and just above each place where its terms change; and where more earns less."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from ibctl import currencies, money
from ibctl.commissions.calculation import rules
from ibctl.commissions.calculation.plan_rules import Terms
from ibctl.commissions.calculation.rules import Booked, Inputs

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


def probes(terms: Terms, cpa: Decimal, base: str) -> Iterator[Probe]:
    """Yield three probes for each boundary; where tiers count leads, each lead earns `cpa`, which is above zero.

    Amounts are in the currency `base`.
    """
    leads = terms.by == "qualified-leads"
    measured, each = (_by_cpa(terms, cpa), cpa) if leads else (terms, Decimal(1))
    for tier in terms.tiers[1:]:
        what = f"{tier.since:,f} {'leads' if leads else 'of CPA'}"
        for at, value in _around(tier.since, Decimal(1) if leads else _CENT):
            inputs = _inputs(cpa=value * each) if value else _inputs()
            yield _probe(measured if value else terms, what, at, value, inputs, base)
    for bonus in terms.bonus:
        for at, value in _around(bonus.since, _CENT):
            yield _probe(terms, f"{bonus.since:,f} of spend", at, value, _inputs(spend=value), base)
    if terms.minimum:
        minimum = f"minimum {currencies.digits(terms.minimum, base)}"
        for at, value in _around(terms.minimum, _CENT):
            yield _probe(terms, minimum, at, value, _inputs(balance=value), base)


def _by_cpa(terms: Terms, cpa: Decimal) -> Terms:
    """Return terms by leads as the same ones by CPA, for leads that earn the same: nobody makes a list of a million.

    In a marginal plan the lead that reaches a tier is paid by it already: what lies before is one lead less.
    """
    before = 1 if terms.method == "marginal" else 0
    tiers = (replace(tier, since=max(tier.since - before, Decimal(0)) * cpa) for tier in terms.tiers)
    return replace(terms, by="cpa", tiers=tuple(tiers))


def falls(found: list[Probe]) -> list[tuple[Probe, Probe]]:
    """Return the neighbours of which the higher one earns less."""
    pairs = itertools.pairwise(found)
    return [(low, high) for low, high in pairs if low.boundary == high.boundary and high.earned < low.earned]


def _around(value: Decimal, step: Decimal) -> Iterator[tuple[str, Decimal]]:
    if value >= step:
        yield "below", value - step
    yield "at", value
    yield "above", value + step


def _inputs(*, cpa: Decimal | None = None, spend: Decimal | None = None, balance: Decimal | None = None) -> Inputs:
    return Inputs(
        lead_ids=[] if cpa is None else ["lead"],
        captured=[] if cpa is None else [None],
        qualified=[] if cpa is None else [_SOME_DAY],
        cpas=[] if cpa is None else [cpa],
        amounts=[] if spend is None else [spend],
        rates=[] if spend is None else [Decimal(1)],
        adjustments=[] if balance is None else [Booked("", "manual", balance, "")],
    )


def _probe(terms: Terms, boundary: str, at: str, value: Decimal, inputs: Inputs, base: str) -> Probe:
    figures = rules.figures(terms, replace(inputs, base=base))
    found = {name: Decimal(figure) for name, figure in figures.items()}
    return Probe(
        boundary, at, value, found["commissionRate"], found["commissionAmount"], found["bonusAmount"],
        found["totalPayout"],
    )  # fmt: skip
