"""The terms on which a broker pays for a lead, and how far a lead is from them.

Deposit: `depositedAt` is set and not after the deadline, and what the lead has paid into its accounts is at least the
minimum. The shared tables hold no deposits, so that sum is worked out: for each MT5 account the balance, less what its
closed trades brought (profit, swap and commission), which leaves deposits less withdrawals as they were when the
account was last read. Where no account's balance is known, `depositedAt` alone counts: that there was a deposit is then
all that anybody knows.

Lots: the volume of the trades that were closed from the capture on and not after the deadline, over all accounts.

A condition of zero asks for nothing. The deadline is the capture plus the allowed days of 24 hours, and belongs to
them. The lead qualified at the moment when the last condition was met, and never before its capture.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_FLOOR, Decimal
from typing import Literal

from ibctl import days, money
from ibctl.errors import UsageError

LONGEST_BROKER = 200
LOT_DECIMALS = 8
MOST_DAYS = 3_650
State = Literal["met", "open", "missed"]

# Why a lead does not qualify, in the order in which the first that holds is given.
REASONS = (
    "already qualified", "rejected", "no broker", "no programme", "deadline over", "deposit missing", "lots short",
)  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ the terms


@dataclass(frozen=True)
class Terms:
    """What a lead of a broker, captured on `effective_from` or later, must have done; sums in the base currency."""

    broker: str
    effective_from: date
    min_deposit: Decimal
    min_lots: Decimal
    # None: no limit.
    days_allowed: int | None
    cpa: Decimal

    def __str__(self) -> str:
        asked = []
        if self.min_deposit:
            asked.append(f"a deposit of {money.show(self.min_deposit)}")
        if self.min_lots:
            asked.append(f"{lots(self.min_lots)} closed lots")
        within = f" within {self.days_allowed} days" if asked and self.days_allowed is not None else ""
        return f"{' and '.join(asked) or 'the capture alone'}{within} for a CPA of {money.show(self.cpa)}"


def terms(broker: str, *, since: str, min_deposit: str, min_lots: str, days_allowed: int | None, cpa: str) -> Terms:
    """Read terms as the command line gives them. Raises UsageError naming the option."""
    return Terms(
        broker=broker_name(broker),
        effective_from=day("--from", since),
        min_deposit=_amount("--min-deposit", min_deposit, 2),
        min_lots=_amount("--min-lots", min_lots, LOT_DECIMALS),
        days_allowed=days_allowed,
        cpa=_amount("--cpa", cpa, 2),
    )


def broker_name(text: str) -> str:
    """Read a broker's name. Raises UsageError."""
    name = text.strip()
    if not name or "\0" in name or len(name) > LONGEST_BROKER:
        raise UsageError(f"a broker's name has 1 to {LONGEST_BROKER} characters and no NUL")
    return name


def day(option: str, text: str) -> date:
    """Read the day that an option gives. Raises UsageError."""
    try:
        return days.parse(text)
    except ValueError as exc:
        raise UsageError(f"{option}: {exc}") from None


def _amount(option: str, text: str, places: int) -> Decimal:
    try:
        value = money.parse(text)
    except ValueError as exc:
        raise UsageError(f"{option}: {exc}") from None
    if value < 0:
        raise UsageError(f"{option}: '{text}' is below zero")
    if -int(value.normalize().as_tuple().exponent) > places:
        raise UsageError(f"{option}: '{text}' has more than {places} decimals")
    return abs(value)  # not -0


def lots(volume: Decimal) -> str:
    """Write a volume without zeros that say nothing: 0.5."""
    return f"{volume.normalize():f}"


# ------------------------------------------------------------------------------------------------------------- progress


@dataclass(frozen=True)
class Facts:
    """What is known of a lead under its terms; moments are naive UTC.

    `deposited` is what it has paid in, None where no balance is known; `deposit_met_at` and `lots_met_at` say when it
    met a condition, None while it has not.
    """

    terms: Terms
    deadline: datetime | None
    deposited_at: datetime | None
    deposited: Decimal | None
    deposit_met_at: datetime | None
    traded: Decimal
    lots_met_at: datetime | None


@dataclass(frozen=True)
class Condition:
    """One condition, and how far it is met: `percent` is 0 to 100, rounded down; `missing` says the rest in words."""

    condition: str
    current: Decimal | None
    target: Decimal
    percent: Decimal
    state: State
    met_at: datetime | None
    missing: str


def conditions(facts: Facts, now: datetime) -> list[Condition]:
    """Say of each condition how far it is met at `now`."""
    over = facts.deadline is not None and now > facts.deadline
    return [_deposit(facts, over), _lots(facts, over)]


def _deposit(facts: Facts, over: bool) -> Condition:
    target, met_at = facts.terms.min_deposit, facts.deposit_met_at
    percent = Decimal(100) if met_at else _percent(facts.deposited, target)
    missing = "" if met_at else _deposit_missing(facts, over)
    return Condition("deposit", facts.deposited, target, percent, _state(met_at, over), met_at, missing)


def _deposit_missing(facts: Facts, over: bool) -> str:
    target, deadline = facts.terms.min_deposit, facts.deadline
    if facts.deposited_at is not None and deadline is not None and facts.deposited_at > deadline:
        return f"deposited {moment(facts.deposited_at)}, after the deadline"
    short = target - (facts.deposited or 0)
    if short <= 0:
        return "needs the date of the first deposit, depositedAt"
    if facts.deposited_at is None and facts.deposited is None:
        return "no deposit by the deadline" if over else f"needs a deposit of {money.show(target)}{_by(deadline)}"
    return f"{money.show(short)} short" if over else f"needs {money.show(short)} more{_by(deadline)}"


def _lots(facts: Facts, over: bool) -> Condition:
    target, met_at = facts.terms.min_lots, facts.lots_met_at
    percent = Decimal(100) if met_at else _percent(facts.traded, target)
    short = lots(max(target - facts.traded, Decimal(0)))
    words = f"{short} lots short at the deadline" if over else f"needs {short} lots{_by(facts.deadline)}"
    missing = "" if met_at else words
    return Condition("lots", facts.traded, target, percent, _state(met_at, over), met_at, missing)


def _state(met_at: datetime | None, over: bool) -> State:
    if met_at is not None:
        return "met"
    return "missed" if over else "open"


def _percent(current: Decimal | None, target: Decimal) -> Decimal:
    if not current or not target:
        return Decimal(0)
    share = (current * 100 / target).quantize(Decimal("0.1"), rounding=ROUND_FLOOR)
    return min(max(share, Decimal(0)), Decimal(100))


def _by(deadline: datetime | None) -> str:
    return "" if deadline is None else f" by {moment(deadline)}"


def moment(value: datetime) -> str:
    """Write a moment for people: `2025-11-14 09:30 UTC`."""
    return f"{value:%Y-%m-%d %H:%M} UTC"


def age(read_at: datetime | None, now: datetime) -> str:
    """Say when an account was last read, and how long ago that is: `2025-11-14 09:30 UTC, 3 days ago`; or `never`."""
    if read_at is None:
        return "never"
    minutes = max(int((now - read_at).total_seconds() // 60), 0)
    for size, unit in ((24 * 60, "day"), (60, "hour"), (1, "minute")):
        if count := minutes // size:
            return f"{moment(read_at)}, {count:,} {unit}{'s' if count > 1 else ''} ago"
    return f"{moment(read_at)}, just now"
