"""The arithmetic of a commission, from plain values; exact until the cents at the end.

    totalAdSpend      Σ amount × rate of the day, over the month's spend days
    totalLeads        leads captured in the month
    qualifiedLeads    leads qualified in the month
    totalCpaEarned    Σ CPA of those qualified leads
    commissionAmount  totalCpaEarned × commissionRate
    totalPayout       commissionAmount + bonusAmount, at least 0

`sql.py` computes the same figures over all IBs at once; this module derives one of them line by line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ibctl import money

# In force for everybody while no plan is configured.
DEFAULT_RATE = Decimal("0.30")
DEFAULT_PLAN: Mapping[str, Any] = {"name": "default", "version": 1, "rate": DEFAULT_RATE, "bonus": None}

OPEN = ("PENDING", "HELD")
SEALED = ("PROCESSING", "PAID")
STATUSES = (*OPEN, *SEALED)
FIGURES = (
    "totalAdSpend", "totalLeads", "qualifiedLeads", "totalCpaEarned", "commissionRate", "commissionAmount",
    "bonusAmount", "totalPayout",
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One line of an explanation. The `value`s of the lines of a part add up to the line that closes it."""

    part: str  # "lead", "commission", "payout", "spend"
    label: str
    id: str | None = None
    date: str | None = None
    amount: Decimal | None = None
    currency: str | None = None
    rate: Decimal | None = None
    value: Decimal | None = None
    # A line that closes a part: the sum of those before it.
    total: bool = False


def payout_lines(plan: Mapping[str, Any], inputs: Mapping[str, Any]) -> list[Line]:
    """Derive totalPayout from the single qualified leads; the lines add up to it exactly, a rounding line included."""
    rate = Decimal(plan["rate"])
    lines = [
        Line("lead", lead["id"], lead["id"], lead["qualifiedAt"], Decimal(lead["cpa"]), inputs["baseCurrency"], rate,
             Decimal(lead["cpa"]) * rate)
        for lead in inputs["leads"] if lead["qualifiedAt"] is not None
    ]  # fmt: skip
    exact = sum((line.value or Decimal(0) for line in lines), Decimal(0))
    commission = money.to_cents(exact)
    if commission != exact:
        lines.append(Line("lead", "rounding, half up", value=commission - exact))
    lines.append(Line("commission", "commissionAmount", value=commission, total=True))
    lines.append(Line("commission", "bonusAmount (no bonus)", value=Decimal("0.00")))
    lines.append(Line("payout", "totalPayout", value=max(commission, Decimal("0.00")), total=True))
    return lines


def spend_lines(inputs: Mapping[str, Any]) -> list[Line]:
    """Derive totalAdSpend from the single spend days; the lines add up to it exactly, a rounding line included."""
    lines = [
        Line("spend", day["account"], day["id"], day["date"], Decimal(day["amount"]), day["currency"],
             Decimal(day["rate"]), Decimal(day["amount"]) * Decimal(day["rate"]))
        for day in inputs["spend"]
    ]  # fmt: skip
    exact = sum((line.value or Decimal(0) for line in lines), Decimal(0))
    total = money.to_cents(exact)
    if total != exact:
        lines.append(Line("spend", "rounding, half up", value=total - exact))
    lines.append(Line("spend", "totalAdSpend", value=total, total=True))
    return lines


def figures(plan: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Decimal | int]:
    """Calculate the figures of "IbCommission" from a snapshot's plan and inputs, independently of the SQL."""
    qualified = [lead for lead in inputs["leads"] if lead["qualifiedAt"] is not None]
    cpa = sum((Decimal(lead["cpa"]) for lead in qualified), Decimal(0))
    commission = money.to_cents(cpa * Decimal(plan["rate"]))
    return {
        "totalAdSpend": spend_lines(inputs)[-1].value or Decimal(0),
        "totalLeads": sum(lead["capturedAt"] is not None for lead in inputs["leads"]),
        "qualifiedLeads": len(qualified),
        "totalCpaEarned": money.to_cents(cpa),
        "commissionRate": Decimal(plan["rate"]),
        "commissionAmount": commission,
        "bonusAmount": Decimal("0.00"),
        "totalPayout": max(commission, Decimal("0.00")),
    }
