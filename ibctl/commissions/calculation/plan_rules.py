"""The terms on which an IB is paid: what they reach, say and are stored as. `plans/files.py` reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from ibctl import money

By = Literal["qualified-leads", "cpa"]
Method = Literal["whole", "marginal"]
Negative = Literal["carry", "reset"]

# In force for everybody while nothing else is assigned. No file may take this name.
DEFAULT = "default"
RATE_PLACES = 6
MOST_DAYS = 365


@dataclass(frozen=True)
class Tier:
    """From `since` (qualified leads, or CPA in the base currency) on, the rate is `rate`: 0.30 is 30 %."""

    since: Decimal
    rate: Decimal


@dataclass(frozen=True)
class BonusTier:
    """From `since` of ad spend on, the bonus is `fixed`, or `percent` of the spend; the other one is None."""

    since: Decimal
    fixed: Decimal | None
    percent: Decimal | None

    @property
    def in_words(self) -> str:
        """The bonus alone: `50.00` or `2 %`."""
        return money.show(self.fixed) if self.fixed is not None else f"{self.percent:f} %"


@dataclass(frozen=True)
class Terms:
    """One version of a plan, as it is calculated with."""

    name: str
    version: int
    by: By
    method: Method
    # From 0 upwards.
    tiers: Sequence[Tier]
    bonus: Sequence[BonusTier]
    minimum: Decimal
    hold_days: int
    negative: Negative

    @property
    def label(self) -> str:
        """The plan and its version, as people write it."""
        return f"{self.name}, version {self.version}"

    @property
    def in_words(self) -> str:
        """The rates and bonuses in a line: `rate 0.25, from 10 qualified leads on 0.30 (whole)`."""
        unit = "qualified leads" if self.by == "qualified-leads" else "of CPA"
        tiers = "".join(f", from {tier.since:,f} {unit} on {tier.rate:f}" for tier in self.tiers[1:])
        method = f" ({self.method})" if tiers else ""
        bonus = "".join(f", {tier.in_words} from {tier.since:,f} of spend on" for tier in self.bonus)
        return f"rate {self.tiers[0].rate:f}{tiers}{method}" + (f"; bonus{bonus.removeprefix(',')}" if bonus else "")


DEFAULT_TERMS = Terms(
    DEFAULT, 1, "qualified-leads", "whole", (Tier(Decimal(0), Decimal("0.30")),), (), Decimal(0), 0, "carry"
)


def reached(tiers: Sequence[Tier], value: Decimal) -> Tier:
    """Return the highest tier that `value` reaches; the first one starts at 0."""
    return next(tier for tier in reversed(tiers) if tier.since <= value)


def bonus_reached(tiers: Sequence[BonusTier], spend: Decimal) -> BonusTier | None:
    """Return the highest bonus tier that the spend reaches, or None."""
    return next((tier for tier in reversed(tiers) if tier.since <= spend), None)


# ----------------------------------------------------------------------------------------------------------- as stored


def as_json(terms: Terms) -> dict[str, Any]:
    """Return terms as they are stored, amounts and rates as text."""
    return {
        "name": terms.name,
        "version": terms.version,
        "by": terms.by,
        "method": terms.method,
        "tiers": [{"from": f"{tier.since:f}", "rate": f"{tier.rate:f}"} for tier in terms.tiers],
        "bonus": [
            {"from": f"{tier.since:f}", "fixed": _text(tier.fixed), "percent": _text(tier.percent)}
            for tier in terms.bonus
        ],
        "minimum": f"{terms.minimum:f}",
        "holdDays": terms.hold_days,
        "negative": terms.negative,
    }


def from_json(stored: Mapping[str, Any]) -> Terms:
    """Return what `as_json` stored."""
    return Terms(
        name=stored["name"],
        version=stored["version"],
        by=stored["by"],
        method=stored["method"],
        tiers=tuple(Tier(Decimal(tier["from"]), Decimal(tier["rate"])) for tier in stored["tiers"]),
        bonus=tuple(
            BonusTier(Decimal(tier["from"]), _decimal(tier["fixed"]), _decimal(tier["percent"]))
            for tier in stored["bonus"]
        ),
        minimum=Decimal(stored["minimum"]),
        hold_days=stored["holdDays"],
        negative=stored["negative"],
    )


def _text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
