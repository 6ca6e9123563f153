"""Reads plan files: the terms on which an IB is paid, as TOML.

    name = "gold"
    version = 2
    from = "2025-10"                     # the first month that this version holds for

    [commission]
    by = "qualified-leads"               # or "cpa": what the tiers' `from` counts
    method = "whole"                     # the tier reached holds for all; "marginal": each tier for what lies in it
    tiers = [{ from = 0, rate = 0.25 }, { from = 10, rate = 0.30 }]

    [bonus]                              # on the month's ad spend; the tier reached holds
    tiers = [{ from = 1000, fixed = 50 }, { from = 5000, percent = 2 }]

    [payout]
    minimum = 50                         # below it the balance is carried on
    hold-days = 14                       # after the month's end
    negative = "carry"                   # or "reset": a negative balance is written off when the month is closed

A tier is reached at its `from`, not above it. `rate = 0.30` in place of `by`, `method` and `tiers` is one rate for all.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from ibctl import money, months
from ibctl.commissions.calculation.plan_rules import (
    DEFAULT,
    MOST_DAYS,
    RATE_PLACES,
    BonusTier,
    By,
    Method,
    Negative,
    Terms,
    Tier,
)
from ibctl.errors import RequestError, UsageError


@dataclass(frozen=True)
class PlanFile:
    """A plan as its file gives it: the terms, the first day of the month that they hold from, and the text itself."""

    terms: Terms
    effective_from: date
    source: str


def read(source: str, name: str) -> PlanFile:
    """Read the text of a plan file called `name`. Raises RequestError naming every fault with its place."""
    try:
        found = _Plan.model_validate(tomllib.loads(source, parse_float=Decimal))
    except tomllib.TOMLDecodeError as exc:
        raise RequestError(f"{name} is no TOML: {exc}") from None
    except ValidationError as exc:
        faults = [f"{_place(error['loc'])}: {_fault(error)}" for error in exc.errors()]
        raise RequestError(f"{name}: " + "; ".join(faults)) from None
    return PlanFile(found.terms(), found.since, source)


def _place(location: Sequence[str | int]) -> str:
    """Write where a fault is: `commission.tiers[2].rate`; tiers are counted from 1."""
    path = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in location)
    return path.removeprefix(".") or "the file"


def _fault(error: Any) -> str:
    kind, given = error["type"], error["input"]
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is not known here"
    message = str(error["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    return message if isinstance(given, dict | list) else f"{message}, not {_shown(given)}"


def _shown(given: Any) -> str:
    return f'"{given}"' if isinstance(given, str) else str(given)


def _number(value: Any) -> Any:
    # A quoted number is as exact as a bare one; true is no number.
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise ValueError("should be a number")
    try:
        return money.parse(str(value))
    except ValueError:
        raise ValueError("should be a number like 0.30, without exponent, below 1e12") from None


def _at_most(places: int) -> Any:
    def check(value: Decimal) -> Decimal:
        if -int(value.normalize().as_tuple().exponent) > places:
            raise ValueError(f"should have at most {places} decimals")
        return value

    return AfterValidator(check)


def _rate(value: Decimal) -> Decimal:
    if value > 1:
        raise ValueError("should be at most 1: 30 % is written 0.30")
    return value


def _month(value: Any) -> date:
    if isinstance(value, date) and value.day == 1:
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}", value):
        try:
            return months.parse(value).first_day
        except UsageError:
            pass
    raise ValueError('should be a month like "2025-10"')


_Amount = Annotated[Decimal, BeforeValidator(_number), Field(ge=0), _at_most(2)]
_Rate = Annotated[Decimal, BeforeValidator(_number), Field(ge=0), AfterValidator(_rate), _at_most(RATE_PLACES)]
_Percent = Annotated[Decimal, BeforeValidator(_number), Field(ge=0, le=100), _at_most(4)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Tier(_Strict):
    since: _Amount = Field(alias="from")
    rate: _Rate


class _BonusTier(_Strict):
    since: _Amount = Field(alias="from")
    fixed: _Amount | None = None
    percent: _Percent | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> _BonusTier:
        if (self.fixed is None) == (self.percent is None):
            raise ValueError("should have either fixed or percent")
        return self


def _ascending(starts: Sequence[Decimal]) -> None:
    for number, (lower, upper) in enumerate(itertools.pairwise(starts), 2):
        if upper <= lower:
            raise ValueError(f"tier {number} should start above {lower:f}, where the one before it does")


class _Commission(_Strict):
    rate: _Rate | None = None
    by: By = "qualified-leads"
    method: Method = "whole"
    tiers: list[_Tier] = Field(default_factory=list)

    @model_validator(mode="after")
    def _consistent(self) -> _Commission:
        if (self.rate is None) == (not self.tiers):
            raise ValueError("should have either rate or tiers")
        if self.rate is not None and self.model_fields_set & {"by", "method"}:
            raise ValueError("should have no by and no method where there is one rate for all")
        if self.tiers and self.tiers[0].since != 0:
            raise ValueError("the first tier should start from 0: every IB is in a tier")
        if self.by == "qualified-leads" and any(tier.since % 1 for tier in self.tiers):
            raise ValueError("leads are counted in whole numbers")
        _ascending([tier.since for tier in self.tiers])
        return self


class _Bonus(_Strict):
    tiers: list[_BonusTier] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> _Bonus:
        _ascending([tier.since for tier in self.tiers])
        return self


class _Payout(_Strict):
    minimum: _Amount = Decimal(0)
    hold_days: int = Field(default=0, ge=0, le=MOST_DAYS, alias="hold-days")
    negative: Negative = "carry"


class _Plan(_Strict):
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,49}$")]
    version: int = Field(ge=1, le=1_000_000)
    since: Annotated[date, BeforeValidator(_month)] = Field(alias="from")
    commission: _Commission
    bonus: _Bonus | None = None
    payout: _Payout = _Payout()

    @model_validator(mode="after")
    def _own_name(self) -> _Plan:
        if self.name == DEFAULT:
            raise ValueError(f'"{DEFAULT}" is the plan that is there already: name it otherwise')
        return self

    def terms(self) -> Terms:
        rates = self.commission
        tiers = [Tier(tier.since, tier.rate) for tier in rates.tiers]
        return Terms(
            name=self.name,
            version=self.version,
            by=rates.by,
            method=rates.method,
            tiers=tuple(tiers or [Tier(Decimal(0), rates.rate or Decimal(0))]),
            bonus=tuple(BonusTier(t.since, t.fixed, t.percent) for t in (self.bonus.tiers if self.bonus else ())),
            minimum=self.payout.minimum,
            hold_days=self.payout.hold_days,
            negative=self.payout.negative,
        )
