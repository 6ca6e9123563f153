"""What becomes of several leads that are one person: the earliest attribution, the furthest life, every fact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from ibctl.money import show

Money = Literal["keep", "sum", "max"]
Values = Mapping[str, Any]

# Who brought the person, and when: never mixed.
ATTRIBUTION = ("leadCapturedAt", "userId", "source", "trackingToken")
FACTS = ("depositedAt", "tradingStartAt", "qualifiedAt")
FILLED = ("email", "firstName", "phone", "broker", "trackingToken", "systemeContactId")
EARNED = ("ftdEarned", "cpaEarned")
# The life of a lead. A word of the web application's that ibctl does not know is somewhere on the way.
_RANKS = {"rejected": 0, "captured": 1, "qualified": 3}
_ON_THE_WAY = 2


def attributed(leads: Sequence[Values]) -> Values:
    """Return the lead that was captured first; of several, the one that comes first."""
    return min(leads, key=lambda lead: lead["leadCapturedAt"])


def combine(leads: Sequence[Values], money: Money | None) -> dict[str, Any]:
    """Return the fields of the one lead that these become; the first is the one that is kept.

    Amounts are Decimal. Raises ValueError when two leads earned different sums and `money` does not say which counts.
    """
    first = attributed(leads)
    merged = {name: first[name] for name in ATTRIBUTION}
    for name in FILLED:
        # The token of the attribution, if it has one; of the rest, what the kept lead says.
        order = [first, *leads] if name in ATTRIBUTION else leads
        merged[name] = next((lead[name] for lead in order if lead[name] not in (None, "")), None)
    for name in FACTS:
        merged[name] = _earliest(lead[name] for lead in leads)
    merged["status"] = max((lead["status"] for lead in leads), key=lambda word: _RANKS.get(word, _ON_THE_WAY))
    for name in EARNED:
        merged[name] = _sum(name, [lead[name] for lead in leads], money)
    merged["totalEarned"] = merged["ftdEarned"] + merged["cpaEarned"]
    return merged


def _earliest(moments: Any) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)


def _sum(name: str, amounts: Sequence[Decimal], money: Money | None) -> Decimal:
    if money == "keep":
        return amounts[0]
    if money == "sum":
        return sum(amounts, Decimal(0))
    earned = sorted({amount for amount in amounts if amount > 0})
    if money is None and len(earned) > 1:
        raise ValueError(f"{name} is {' and '.join(map(show, earned))}")
    return earned[-1] if earned else amounts[0]
