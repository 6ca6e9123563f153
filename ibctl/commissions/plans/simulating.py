"""What months would have cost by another plan, and who would have got more or less."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from ibctl.commissions import units
from ibctl.commissions.calculation import draft_sql, plan_rules, rules, service, sql
from ibctl.commissions.calculation.plan_rules import Terms
from ibctl.errors import RequestError
from ibctl.months import Month

# An IB this close to where a tier begins is said to be near it.
NEAR = Decimal("0.05")


@dataclass(frozen=True)
class Cost:
    """What a month costs by the plans that it was, or would be, calculated by, and by the other one."""

    month: Month
    current: Decimal
    simulated: Decimal


@dataclass
class Outcome:
    """What an IB earns over the months, commission and bonus, by its own plans and by the other one."""

    email: str
    current: Decimal = rules.ZERO
    simulated: Decimal = rules.ZERO
    # Like "2025-10: 24 of 25 leads".
    near: list[str] = field(default_factory=list)

    @property
    def difference(self) -> Decimal:
        """Above zero it would get more."""
        return self.simulated - self.current


@dataclass(frozen=True)
class Simulation:
    """The months in their order; the IBs, those for whom most would change first.

    `former` are those who earned in the months and are IBs no more: a plan would pay them nothing, so they are in none
    of the sums.
    """

    costs: Sequence[Cost]
    ibs: Sequence[Outcome]
    former: Sequence[str]


_EARNED = 'balance - adjustments - "carriedIn"'
_MONTH = sa.text(
    f"""
    SELECT u.email, u.role <> 'IB' AS former, coalesce(c.earned, 0.00) AS current,
      coalesce(n.earned, 0.00) AS simulated,
      coalesce(n."qualifiedLeads", 0) AS leads, coalesce(n."totalCpaEarned", 0) AS cpa,
      coalesce(n."totalAdSpend", 0) AS spend, coalesce(n.unsound, 0) AS unsound
    FROM (SELECT "userId", {_EARNED} AS earned FROM ({draft_sql.draft(draft_sql.AS_STORED)}) d) c
    FULL JOIN (
      SELECT "userId", {_EARNED} AS earned, "qualifiedLeads", "totalCpaEarned", "totalAdSpend",
        bad_leads + bad_days + unrated AS unsound
      FROM ({draft_sql.draft(draft_sql.GIVEN)}) d
    ) n USING ("userId") JOIN "User" u ON u.id = "userId"
    """
)


def simulate(session: Session, terms: Terms, first: Month, last: Month) -> Simulation:
    """Calculate months by one plan for all IBs, and by the plans that they have. Writes nothing.

    Raises RequestError where an amount or a rate is missing, or a month was calculated in another currency or zone.
    """
    plan = json.dumps({**plan_rules.as_json(terms), "text": ""})
    session.execute(sql.PLAN_FOR_SETS)
    outcomes: dict[str, Outcome] = {}
    former: set[str] = set()
    costs = [_month(session, terms, plan, month, outcomes, former) for month in _span(first, last)]
    changed = sorted(outcomes.values(), key=lambda one: (-abs(one.difference), one.email))
    return Simulation(costs, changed, sorted(former))


def _span(first: Month, last: Month) -> Iterator[Month]:
    while first <= last:
        yield first
        first = first.next


def _month(
    session: Session, terms: Terms, plan: str, month: Month, outcomes: dict[str, Outcome], former: set[str]
) -> Cost:
    units.require(session, month)
    current = simulated = rules.ZERO
    values = {**service.draft_parameters(month), "plan": plan}
    for row in session.execute(_MONTH, values).mappings():
        if row["former"]:
            former |= {row["email"]} if row["current"] else set()
            continue
        if row["unsound"]:
            raise RequestError(
                f"{month} of {row['email']} cannot be calculated: an amount or an exchange rate is missing; "
                f"`ibctl commissions run --month {month} --dry-run` names it"
            )
        one = outcomes.setdefault(row["email"], Outcome(row["email"]))
        one.current += row["current"]
        one.simulated += row["simulated"]
        one.near += _near(terms, month, row)
        current, simulated = current + row["current"], simulated + row["simulated"]
    return Cost(month, current, simulated)


def _near(terms: Terms, month: Month, row: Any) -> Iterator[str]:
    by_leads = terms.by == "qualified-leads"
    value, unit = (Decimal(row["leads"]), "leads") if by_leads else (row["cpa"], "of CPA")
    for tier in terms.tiers[1:]:
        if abs(value - tier.since) <= tier.since * NEAR:
            yield f"{month}: {value:,} of {tier.since:,f} {unit}"
    for bonus in terms.bonus:
        if abs(row["spend"] - bonus.since) <= bonus.since * NEAR:
            yield f"{month}: {row['spend']:,} of {bonus.since:,f} of spend"
