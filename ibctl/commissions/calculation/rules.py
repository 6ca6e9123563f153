"""The arithmetic of a commission, from plain values: exact decimals until the cents at the end.

    totalAdSpend      Σ amount × rate of the day, over the month's spend days
    totalLeads        leads captured in the month
    qualifiedLeads    leads qualified in the month
    totalCpaEarned    Σ CPA of those qualified leads
    commissionRate    the rate of the tier reached; of a marginal plan commission ÷ CPA, to six places
    commissionAmount  totalCpaEarned × rate, or each tier's part of it × that tier's rate
    bonusAmount       by the bonus tier that totalAdSpend reaches
    balance           commission + bonus + adjustments + what was carried in
    totalPayout       the balance in whole units of the base currency, rounded down: nobody can be paid half a yen; 0
                      where it is negative or below the plan's minimum
    carriedOut        the balance that is not paid; `writtenOff` what a plan with `negative = "reset"` forgives
    rounding          the balance less its parts in cents: what was earned is rounded once, from the exact sum

What was earned follows from exact sums, none from a rounded one, and is rounded half up, once; what is booked and
carried is in cents, and added to that. `draft_sql.py` calculates the same for all IBs at once, in another way: a run
compares the two before it writes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Context, Decimal, localcontext
from operator import mul
from typing import Any

from ibctl import currencies, money
from ibctl.commissions.calculation import plan_rules
from ibctl.commissions.calculation.plan_rules import Terms

OPEN = ("PENDING", "HELD")
SEALED = ("PROCESSING", "PAID")
STATUSES = (*OPEN, *SEALED)
# The columns of "IbCommission", and what a snapshot says besides.
FIGURES = (
    "totalAdSpend", "totalLeads", "qualifiedLeads", "totalCpaEarned", "commissionRate", "commissionAmount",
    "bonusAmount", "totalPayout",
)  # fmt: skip
BALANCE = ("adjustments", "carriedIn", "rounding", "balance", "carriedOut", "writtenOff")
RATE = Decimal("0.000001")
ZERO = Decimal("0.00")
# Stored amounts have 15 digits and rates up to 24; no sum of products comes near a hundred.
_EXACT = Context(prec=100)


@dataclass(frozen=True)
class Account:
    """An ad account that spent: its row's id, Facebook's own id for it, the currency."""

    id: str
    account: str
    currency: str


@dataclass(frozen=True)
class Booked:
    """An adjustment that counts in the month, `Adjustment` in the models."""

    id: str
    kind: str
    amount: Decimal
    # Not in a snapshot, which keeps no personal data.
    reason: str = ""
    lead_id: str | None = None

    @property
    def label(self) -> str:
        """What it is, why, and about which lead; names take the place of the lead's id."""
        about = f" ({self.lead_id})" if self.lead_id else ""
        return f"{self.named}{about}"

    @property
    def named(self) -> str:
        """What it is, and why."""
        return f"{self.kind}: {self.reason}" if self.reason else self.kind


@dataclass(frozen=True)
class Inputs:
    """What an IB's month was calculated from, column by column as a snapshot keeps it; moments are naive UTC.

    Of lead n: `lead_ids[n]`, when it was `captured` and `qualified` if that fell into the month, and its CPA in the
    base currency if it qualified in it. Of spend day n: `day_accounts[n]` is the id of one of `accounts`, `amounts[n]`
    is in its currency, `rates[n]` what one unit of that was worth; without rates, all are in the base currency.
    """

    base: str = ""
    zone: str = ""
    # The user's: leads and spend count for an IB alone.
    role: str = "IB"
    start: datetime | None = None
    end: datetime | None = None
    lead_ids: Sequence[str] = ()
    captured: Sequence[datetime | None] = ()
    qualified: Sequence[datetime | None] = ()
    cpas: Sequence[Decimal | None] = ()
    accounts: Sequence[Account] = ()
    day_ids: Sequence[str] = ()
    day_accounts: Sequence[str] = ()
    dates: Sequence[Any] = ()
    amounts: Sequence[Decimal] = ()
    rates: Sequence[Decimal] = ()
    rate_ids: Sequence[str | None] = ()
    adjustments: Sequence[Booked] = ()

    @property
    def spent(self) -> Decimal:
        """What was spent, in the base currency, unrounded."""
        return sum(map(mul, self.amounts, self.rates) if self.rates else self.amounts, Decimal(0))

    @property
    def earning(self) -> list[tuple[datetime, str, Decimal]]:
        """The leads that qualified in the month, in the order in which they did: when, id, CPA."""
        rows = zip(self.qualified, self.lead_ids, self.cpas, strict=True)
        return sorted((at, lead, cpa) for at, lead, cpa in rows if at is not None and cpa is not None)


@dataclass(frozen=True)
class Line:
    """One line of a derivation. The `value`s of its `lines` add up to its own.

    `lead` is the id of the lead that it is about, which the label says; names take its place there.
    """

    part: str  # lead, bonus, adjustment, carry, commission, rounding, balance, payout, spend
    label: str
    id: str | None = None
    date: str | None = None
    amount: Decimal | None = None
    currency: str | None = None
    rate: Decimal | None = None
    value: Decimal = ZERO
    lines: Sequence[Line] = field(default=())
    lead: str | None = None

    @property
    def total(self) -> bool:
        """Whether it closes a part."""
        return self.part in ("commission", "balance", "payout") or self.label in ("bonusAmount", "totalAdSpend")


def flat(line: Line) -> Iterator[Line]:
    """Yield a line after all those that it is made of."""
    for part in line.lines:
        yield from flat(part)
    yield line


def named(line: Line, names: Mapping[str, str]) -> Line:
    """Write the names of leads, by their ids, into a line and those that it is made of."""
    name = names.get(line.lead or "", line.lead)
    label = name if name and line.label == line.lead else line.label.replace(f"({line.lead})", f"({name})")
    return replace(line, label=label, lines=tuple(named(one, names) for one in line.lines))


def without(inputs: Inputs, *, days: Collection[str] = (), leads: Collection[str] = ()) -> Inputs:
    """Return inputs without some spend days, and in which some leads have not qualified."""
    kept = [n for n, day in enumerate(inputs.day_ids) if day not in days]
    names = ("day_ids", "day_accounts", "dates", "amounts", "rates", "rate_ids")
    columns: dict[str, Any] = {name: [getattr(inputs, name)[n] for n in kept] for name in names}
    gone = [lead in leads for lead in inputs.lead_ids]
    for name in ("qualified", "cpas"):
        columns[name] = [None if out else value for out, value in zip(gone, getattr(inputs, name), strict=True)]
    return replace(inputs, **columns)


# -------------------------------------------------------------------------------------------------------------- figures


def figures(terms: Terms, inputs: Inputs) -> dict[str, Decimal | int]:
    """Calculate the figures of "IbCommission", and those of the balance, from plan and inputs."""
    with localcontext(_EXACT):
        leads = inputs.earning
        cpa = sum((cpa for _, _, cpa in leads), Decimal(0))
        commission = sum((part * rate for part, rate in _portions(terms, [lead[2] for lead in leads])), Decimal(0))
        spend = inputs.spent
        bonus = _bonus(terms, spend)
        booked = sum((one.amount for one in inputs.adjustments if one.kind != "carry"), Decimal(0))
        carried = sum((one.amount for one in inputs.adjustments if one.kind == "carry"), Decimal(0))
        return {
            "totalAdSpend": money.to_cents(spend),
            "totalLeads": len(inputs.captured) - list(inputs.captured).count(None),
            "qualifiedLeads": len(leads),
            "totalCpaEarned": money.to_cents(cpa),
            "commissionRate": _rate(terms, len(leads), cpa, commission),
            **_settled(terms, currencies.unit(inputs.base), commission, bonus, booked, carried),
        }


def earned(terms: Terms, inputs: Inputs) -> Decimal:
    """Return what the inputs earn: commission and bonus, in cents."""
    found = figures(terms, replace(inputs, adjustments=()))
    return Decimal(found["balance"])


def _portions(terms: Terms, cpas: Sequence[Decimal]) -> Iterator[tuple[Decimal, Decimal]]:
    """Yield each lead's CPA, in the order of qualification, with its rate; one that lies across tiers in parts."""
    for _, part, rate in _shares(terms, cpas):
        yield part, rate


def _shares(terms: Terms, cpas: Sequence[Decimal]) -> Iterator[tuple[int, Decimal, Decimal]]:
    """Yield (index of the lead, part of its CPA, rate)."""
    if terms.method == "whole":
        measure = Decimal(len(cpas)) if terms.by == "qualified-leads" else sum(cpas, Decimal(0))
        rate = plan_rules.reached(terms.tiers, measure).rate
        yield from ((number, cpa, rate) for number, cpa in enumerate(cpas))
    elif terms.by == "qualified-leads":
        for number, cpa in enumerate(cpas):
            yield number, cpa, plan_rules.reached(terms.tiers, Decimal(number + 1)).rate
    else:
        yield from _across(terms, cpas)


def _across(terms: Terms, cpas: Sequence[Decimal]) -> Iterator[tuple[int, Decimal, Decimal]]:
    """Lay the leads' CPA end to end, and cut it where a tier begins."""
    limits = [tier.since for tier in terms.tiers[1:]]
    laid, tier = Decimal(0), 0
    for number, cpa in enumerate(cpas):
        rest = cpa
        while tier < len(limits) and laid + rest > limits[tier]:
            part = limits[tier] - laid
            if part:
                yield number, part, terms.tiers[tier].rate
            laid, rest, tier = limits[tier], rest - part, tier + 1
        yield number, rest, terms.tiers[tier].rate
        laid += rest


def _rate(terms: Terms, qualified: int, cpa: Decimal, commission: Decimal) -> Decimal:
    if terms.method == "marginal" and cpa:
        # Half up, and exact: the quotient may have no end.
        return Decimal((commission * 2 / RATE + cpa) // (cpa * 2)) * RATE
    return plan_rules.reached(terms.tiers, Decimal(qualified) if terms.by == "qualified-leads" else cpa).rate


def _bonus(terms: Terms, spend: Decimal) -> Decimal:
    tier = plan_rules.bonus_reached(terms.bonus, spend)
    if tier is None:
        return Decimal(0)
    return tier.fixed if tier.fixed is not None else spend * (tier.percent or Decimal(0)) / 100


def _settled(
    terms: Terms, unit: Decimal, commission: Decimal, bonus: Decimal, booked: Decimal, carried: Decimal
) -> dict[str, Decimal | int]:
    """Decide what of the balance is paid, carried on or written off."""
    balance = money.to_cents(money.to_cents(commission + bonus) + booked + carried)
    parts = money.to_cents(commission) + money.to_cents(bonus) + booked + carried
    # Of 300.45 yen 300 can be paid.
    whole = money.to_cents(balance // unit * unit)
    paid = whole if whole >= max(terms.minimum, unit) else ZERO
    forgiven = -balance if balance < 0 and terms.negative == "reset" else ZERO
    return {
        "commissionAmount": money.to_cents(commission),
        "bonusAmount": money.to_cents(bonus),
        "totalPayout": paid,
        "adjustments": money.to_cents(booked),
        "carriedIn": money.to_cents(carried),
        "rounding": money.to_cents(balance - parts),
        "balance": balance,
        "carriedOut": balance - paid + forgiven,
        "writtenOff": forgiven,
    }


def differing(
    left: Mapping[Any, Any], right: Mapping[str, Any], names: Sequence[str] = (*FIGURES, *BALANCE)
) -> list[tuple[str, Decimal, Decimal]]:
    """Return the figures that two calculations see otherwise: (name, left, right)."""
    pairs = ((name, Decimal(left[name]), right[name]) for name in names)
    return [(name, one, Decimal(other)) for name, one, other in pairs if one != other]


# ----------------------------------------------------------------------------------------------------------- derivation


def payout(terms: Terms, inputs: Inputs) -> Line:
    """Derive totalPayout as a tree, down to the single leads and adjustments."""
    with localcontext(_EXACT):
        found = figures(terms, inputs)
        parts = [
            _commission(terms, inputs, Decimal(found["commissionAmount"])),
            _bonus_line(terms, inputs, Decimal(found["bonusAmount"])),
            *(_booked_line(one, inputs.base) for one in inputs.adjustments),
        ]
        if found["rounding"]:
            parts.append(Line("rounding", "rounding of the sum, half up", value=Decimal(found["rounding"])))
        balance = Line("balance", "balance", value=Decimal(found["balance"]), lines=tuple(parts))
        unpaid = _unpaid(terms, inputs.base, found)
        return Line("payout", "totalPayout", value=Decimal(found["totalPayout"]), lines=(balance, *unpaid))


def _commission(terms: Terms, inputs: Inputs, amount: Decimal) -> Line:
    leads = inputs.earning
    shares = _shares(terms, [lead[2] for lead in leads])
    lines = [
        Line("lead", leads[number][1], leads[number][1], _moment(leads[number][0]), part, inputs.base, rate,
             part * rate, lead=leads[number][1])
        for number, part, rate in shares
    ]  # fmt: skip
    return Line("commission", "commissionAmount", value=amount, lines=tuple(_closed("lead", lines, amount)))


def _closed(part: str, lines: list[Line], amount: Decimal) -> list[Line]:
    """Close lines with the rounding that takes them to `amount`, where there is any."""
    rounding = amount - sum((line.value for line in lines), Decimal(0))
    return [*lines, Line(part, "rounding, half up", value=rounding)] if rounding else lines


def _bonus_line(terms: Terms, inputs: Inputs, amount: Decimal) -> Line:
    spend = inputs.spent
    tier = plan_rules.bonus_reached(terms.bonus, spend)
    if tier is None:
        return Line("bonus", "bonusAmount", value=amount)
    label = f"spend from {money.show(tier.since)} on"
    if tier.fixed is not None:
        lines = [Line("bonus", label, value=tier.fixed)]
    else:
        rate = (tier.percent or Decimal(0)) / 100
        lines = [Line("bonus", label, amount=spend, currency=inputs.base, rate=rate, value=spend * rate)]
    return Line("bonus", "bonusAmount", value=amount, lines=tuple(_closed("bonus", lines, amount)))


def _booked_line(one: Booked, base: str) -> Line:
    part = "carry" if one.kind == "carry" else "adjustment"
    return Line(part, one.label, one.id, currency=base, value=one.amount, lead=one.lead_id)


def _unpaid(terms: Terms, base: str, found: Mapping[str, Decimal | int]) -> Iterator[Line]:
    carried, forgiven = Decimal(found["carriedOut"]), Decimal(found["writtenOff"])
    if carried > 0:
        small = carried < currencies.unit(base)
        why = f"less than 1 {base}" if small else f"below the minimum of {currencies.digits(terms.minimum, base)}"
        yield Line("carry", f"{why}: carried on", value=-carried)
    if carried < 0:
        yield Line("carry", "negative: carried on", value=-carried)
    if forgiven:
        yield Line("carry", "negative: written off", value=forgiven)


def spend(inputs: Inputs) -> Line:
    """Derive totalAdSpend as a tree, down to the single days."""
    accounts = {account.id: account for account in inputs.accounts}
    with localcontext(_EXACT):
        lines = [
            Line("spend", account.account, day, str(date), amount, account.currency, rate, amount * rate)
            for day, account, date, amount, rate in zip(
                inputs.day_ids, map(accounts.__getitem__, inputs.day_accounts), inputs.dates, inputs.amounts,
                inputs.rates, strict=True,
            )
        ]  # fmt: skip
        total = money.to_cents(sum((line.value for line in lines), Decimal(0)))
        return Line("spend", "totalAdSpend", value=total, lines=tuple(_closed("spend", lines, total)))


def _moment(value: datetime) -> str:
    return value.isoformat(timespec="milliseconds") + "Z"
